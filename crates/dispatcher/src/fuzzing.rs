//! Messages of the broker and answers of endpoints, for `tests/fuzz`.

use std::{net::IpAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use domain::{
    AddressPolicy, Clock as _, IdSource as _, RetrySchedule, Secret, SystemClock, SystemIds, TraceContext, WebhookKind,
};
use proto::internal::v1::{SigningSecret, WebhookConfig};
use runtime::Resolver;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::{
    Settings,
    client::Clients,
    events,
    post::{Letter, Posted, Poster},
    retry_after::retry_after,
    tasks,
    webhooks::Webhook,
};

/// No attempt takes longer.
const DEADLINE: Duration = Duration::from_secs(2);

/// A message of the lane of events, rendered for every kind of endpoint.
///
/// # Errors
/// Why it would be parked.
pub fn event(bytes: &[u8]) -> Result<(), String> {
    let (.., event) = events::try_read(Bytes::copy_from_slice(bytes), &SystemClock)?;
    for kind in [WebhookKind::Generic, WebhookKind::Slack, WebhookKind::Teams, WebhookKind::Discord] {
        payload::render(&event, kind, false).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// A message with a single delivery.
///
/// # Errors
/// Why it would be parked.
pub fn delivery(bytes: &[u8]) -> Result<(), String> {
    tasks::try_read(Bytes::copy_from_slice(bytes)).map(drop)
}

/// Attempts against an endpoint of our own that says what it is told to.
pub struct Endpoint {
    runtime: tokio::runtime::Runtime,
    listener: TcpListener,
    poster: Poster,
    webhook: Webhook,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Endpoint").finish_non_exhaustive()
    }
}

impl Endpoint {
    /// Listens on a free port of this machine.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn new() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let policy = AddressPolicy::new(["127.0.0.0/8".parse().map_err(std::io::Error::other)?].into());
        let settings = Settings {
            policy: policy.clone(),
            extra_roots: None,
            timeout: DEADLINE,
            connect_timeout: DEADLINE,
            schedule: RetrySchedule::default(),
            max_in_flight: 1,
            max_in_flight_slow: 1,
            max_in_flight_per_slow_webhook: 1,
            breaker_after: Duration::ZERO,
        };
        let clients = Clients::new(&settings, Arc::new(NoNames)).map_err(std::io::Error::other)?;
        let poster = Poster::new(clients, policy, DEADLINE, Arc::new(SystemClock));
        let config = WebhookConfig {
            id: 7,
            instance: "default".to_owned(),
            active: true,
            r#type: "generic".to_owned(),
            url: format!("http://{}/", listener.local_addr()?),
            allow_insecure: true,
            events: vec!["run.created".to_owned()],
            all_projects: true,
            secrets: vec![SigningSecret {
                text: Secret::generate(&SystemIds).reveal().to_owned(),
                expires_at: None,
                id: 1,
            }],
            ..Default::default()
        };
        let webhook = Webhook::read(config).map_err(|error| std::io::Error::other(error.to_string()))?;
        Ok(Self { runtime, listener, poster, webhook })
    }

    /// An attempt that gets these bytes as its answer, after which the connection is closed.
    ///
    /// # Errors
    /// Why it has failed.
    ///
    /// # Panics
    /// If it goes on after its deadline, or keeps more of an answer than it may.
    pub fn answer(&self, bytes: &[u8]) -> Result<(), String> {
        let body = Bytes::from_static(b"{}");
        let trace = TraceContext::fresh(&SystemIds);
        let delivery_id = SystemIds.uuid();
        let letter = Letter { webhook: &self.webhook, event_type: "run.created", delivery_id, number: 1, body, trace };
        let start = std::time::Instant::now();
        let serve = async {
            let (mut stream, _) = self.listener.accept().await?;
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await?;
            stream.write_all(bytes).await?;
            stream.shutdown().await
        };
        let exchange = async {
            tokio::select! {
                biased;
                posted = self.poster.post(&letter) => posted,
                // Its errors are those of an endpoint that has been left; the attempt tells how that ends.
                posted = async { let _ = serve.await; std::future::pending::<Option<Posted>>().await } => posted,
            }
        };
        let posted = self.runtime.block_on(exchange);
        assert!(start.elapsed() < DEADLINE * 2, "an attempt has no end");
        let Some(posted) = posted else { return Err("withdrawn".to_owned()) };
        let _ = retry_after(&posted, SystemClock.now());
        let kept = posted.answer.map_or(0, |answer| answer.body.len());
        assert!(kept <= 64 << 10, "{kept} bytes are kept");
        posted.error.map_or(Ok(()), |(class, text)| Err(format!("{class:?} {text}")))
    }
}

/// Names are not what this is about.
struct NoNames;

#[async_trait]
impl Resolver for NoNames {
    async fn resolve(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}
