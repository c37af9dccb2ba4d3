//! Following the configuration of webhooks by version.

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
    version: tokio::sync::Mutex<i64>,
}

impl ChangesFollower {
    /// Knows nothing yet. `channel` carries the services' credential.
    #[must_use]
    pub fn new(channel: GrpcChannel, with_secrets: bool) -> Self {
        let client = ConfigurationClient::new(channel).max_decoding_message_size(64 << 20);
        Self { client, with_secrets, version: tokio::sync::Mutex::new(0) }
    }

    /// Asks until there is no more, and hands over each change; answers the version known then. What was saved before
    /// the call is in it.
    ///
    /// # Errors
    /// The subscription service cannot be reached; what was handed over stays valid.
    pub async fn sync(&self, mut apply: impl FnMut(WebhookConfig) + Send) -> Result<i64, Status> {
        let mut version = self.version.lock().await;
        loop {
            let request = ChangesRequest { since: *version, with_secrets: self.with_secrets };
            let answer = self.client.clone().changes(request).await?.into_inner();
            answer.webhooks.into_iter().for_each(&mut apply);
            *version = answer.version;
            if !answer.more {
                return Ok(*version);
            }
        }
    }
}
