//! Endpoints that have failed for too long: their webhooks are deactivated.
//!
//! What stands in history decides: failures that are far enough apart, and no success since the first of them. So an
//! endpoint that failed once, and to which nothing was sent since, is left alone. Several processes may judge the same
//! endpoint: it is deactivated once, because that is done to the version of the webhook that it was judged by.

use std::{sync::Arc, time::Duration};

use domain::Timestamp;
use proto::{
    channel::GrpcChannel,
    convert::timestamp,
    internal::v1::{DeactivateFailingRequest, configuration_client::ConfigurationClient},
};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::{
    registry::Registry,
    store::{Endpoint, FailingEndpoint, Store, StoreError},
};

/// How often endpoints are judged, if that is often enough for the time that they may fail.
const PERIOD: Duration = Duration::from_secs(600);
/// How soon after the start, because a process may not live for a whole period.
const FIRST: Duration = Duration::from_secs(60);
/// In a time that endpoints may fail they are judged so often.
const ROUNDS: u32 = 20;
/// Endpoints that are asked about in one statement.
const CHUNK: usize = 100;
/// How long the subscription service may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The loop and what it works with.
pub(crate) struct Judge {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) configuration: GrpcChannel,
    /// How long endpoints may fail.
    pub(crate) after: Duration,
}

/// Why a round ended early.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("the subscription service cannot be asked: {0}")]
    Configuration(#[from] Status),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Judge {
    /// Runs until shutdown.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let period = PERIOD.min(self.after / ROUNDS);
        let mut wait = FIRST.min(period);
        while shutdown.run_until_cancelled(tokio::time::sleep(wait)).await.is_some() {
            wait = period;
            match shutdown.run_until_cancelled(self.round()).await {
                Some(Err(error)) => tracing::warn!(%error, "cannot look for endpoints that keep failing; trying on"),
                Some(Ok(())) => {}
                None => return,
            }
        }
    }

    async fn round(&self) -> Result<(), Trouble> {
        self.registry.refresh().await?;
        let apart = i64::try_from(self.after.as_micros()).unwrap_or(i64::MAX);
        for chunk in self.registry.endpoints().chunks(CHUNK) {
            let endpoints: Vec<Endpoint> = chunk.iter().map(|(endpoint, _)| endpoint.clone()).collect();
            for failing in self.store.failing(&endpoints, apart).await? {
                let judged = chunk.iter().find(|(endpoint, _)| endpoint.webhook_id == failing.webhook_id);
                if let Some((endpoint, version)) = judged {
                    self.deactivate(&endpoint.instance, *version, failing).await?;
                }
            }
        }
        Ok(())
    }

    async fn deactivate(&self, instance: &str, version: i64, failing: FailingEndpoint) -> Result<(), Status> {
        let webhook_id = failing.webhook_id;
        let request = DeactivateFailingRequest {
            instance: instance.to_owned(),
            webhook_id,
            version,
            failing_since: Some(timestamp(Timestamp::from_micros(failing.first_failed_at))),
            last_error: format!("{}: {}", failing.error_class, failing.error),
        };
        let mut client = ConfigurationClient::new(self.configuration.clone());
        let answer = tokio::time::timeout(PATIENCE, client.deactivate_failing(request)).await;
        let answer = answer.map_err(|_| Status::unavailable("it does not answer in time"))??.into_inner();
        if answer.deactivated {
            tracing::info!(webhook_id, "an endpoint has failed for too long; its webhook is deactivated");
        }
        Ok(())
    }
}
