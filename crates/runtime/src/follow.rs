//! Following the configuration of webhooks by version.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use proto::{
    channel::GrpcChannel,
    internal::v1::{ChangesRequest, WebhookConfig, configuration_client::ConfigurationClient},
};
use tonic::Status;

/// Asks the subscription service what has changed since the last time.
#[derive(Debug)]
pub struct ChangesFollower {
    client: ConfigurationClient<GrpcChannel>,
    with_secrets: bool,
    turn: tokio::sync::Mutex<()>,
    version: AtomicI64,
}

/// How long an answer may take: behind this call others wait for theirs.
const TIMEOUT: Duration = Duration::from_secs(2);

impl ChangesFollower {
    /// Knows nothing yet. `channel` carries the services' credential.
    #[must_use]
    pub fn new(channel: GrpcChannel, with_secrets: bool) -> Self {
        let client = ConfigurationClient::new(channel).max_decoding_message_size(64 << 20);
        Self { client, with_secrets, turn: tokio::sync::Mutex::new(()), version: AtomicI64::new(0) }
    }

    /// Asks until there is no more, and hands over each change; answers the version known then. What was saved before
    /// the call is in it.
    ///
    /// # Errors
    /// The subscription service cannot be reached; what was handed over stays valid.
    pub async fn sync(&self, mut apply: impl FnMut(WebhookConfig) + Send) -> Result<i64, Status> {
        let _turn = self.turn.lock().await;
        loop {
            let request = ChangesRequest { since: self.version(), with_secrets: self.with_secrets };
            let mut client = self.client.clone();
            let answer = tokio::time::timeout(TIMEOUT, client.changes(request)).await;
            let answer = answer.map_err(|_| Status::unavailable("the subscription service does not answer"))??;
            let answer = answer.into_inner();
            answer.webhooks.into_iter().for_each(&mut apply);
            self.version.store(answer.version, Ordering::Release);
            if !answer.more {
                return Ok(answer.version);
            }
        }
    }

    /// The version known now.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.version.load(Ordering::Acquire)
    }
}
