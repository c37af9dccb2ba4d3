//! One connection to RabbitMQ, from its dialling to its end.

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{Stream, StreamExt as _};
use lapin::{
    Connection, ConnectionBuilder, ConnectionProperties, Event,
    tcp::OwnedTLSConfig,
    uri::{AMQPScheme, AMQPUri},
};
use tokio::{
    net::TcpStream,
    sync::{Mutex as AsyncMutex, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    publisher::{self, Jobs},
    topology::{DeclareError, Topology},
};

/// Bound of one attempt to connect, the queues' settling included.
const DIAL_TIMEOUT: Duration = Duration::from_secs(30);
const TCP_TIMEOUT: Duration = Duration::from_secs(5);
/// Seconds; a dead peer is found within two of them.
const HEARTBEAT: u16 = 10;
/// Safety net for an end of the connection that no event tells of.
const STATUS_LOOK: Duration = Duration::from_millis(250);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// What a connection is for. A blocked publisher must not hold up acknowledgements, so there is one for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Publish,
    Consume,
}

impl Role {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Consume => "consume",
        }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error("{0}")]
    Unreachable(String),
    #[error(transparent)]
    Declare(#[from] DeclareError),
}

/// Makes connections; knows the address and the password, and shows only the first.
pub(super) struct Dialer {
    uri: AMQPUri,
    tls: OwnedTLSConfig,
    name: String,
    pub(super) topology: Arc<Topology>,
}

impl fmt::Debug for Dialer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Dialer").field("address", &self.address()).finish_non_exhaustive()
    }
}

impl Dialer {
    /// # Errors
    /// What is wrong with the address or the file; never with the address itself in it, for its password.
    pub(super) fn new(
        url: &str,
        ca_file: Option<&Path>,
        name: String,
        topology: Arc<Topology>,
    ) -> Result<Self, String> {
        // The parser's own message may repeat the URL.
        let mut uri: AMQPUri =
            url.parse().map_err(|_| "not an AMQP URL; set broker.url like amqp://user:password@host:5672/%2f")?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        if uri.vhost.is_empty() {
            // `amqp://host/` is what people write for the default; RabbitMQ has no virtual host without a name.
            "/".clone_into(&mut uri.vhost);
        }
        let cert_chain = match ca_file {
            Some(path) => Some(
                std::fs::read_to_string(path)
                    .map_err(|error| format!("cannot read broker.ca_file {}: {error}", path.display()))?,
            ),
            None => None,
        };
        Ok(Self { uri, tls: OwnedTLSConfig { identity: None, cert_chain }, name, topology })
    }

    /// The address without credentials.
    pub(super) fn address(&self) -> String {
        let authority = &self.uri.authority;
        let vhost = if self.uri.vhost == "/" { "%2f" } else { &self.uri.vhost };
        format!("{}://{}:{}/{vhost}", self.uri.scheme, authority.host, authority.port)
    }

    /// What to look at if it cannot be reached.
    pub(super) const fn hint(&self) -> &'static str {
        match self.uri.scheme {
            AMQPScheme::AMQP => "is RabbitMQ running there? set broker.url",
            AMQPScheme::AMQPS => {
                "is RabbitMQ running there, with a certificate from a root in broker.ca_file? set broker.url"
            }
        }
    }

    /// Connects, declares everything, and opens channels if it is for publishing.
    pub(super) async fn dial(&self, role: Role) -> Result<Arc<Link>, DialError> {
        let late = || DialError::Unreachable(format!("no answer within {} s", DIAL_TIMEOUT.as_secs()));
        let link = timeout(DIAL_TIMEOUT, self.connect(role)).await.map_err(|_| late())??;
        Ok(Arc::new(link))
    }

    async fn connect(&self, role: Role) -> Result<Link, DialError> {
        let unreachable = |error: &dyn fmt::Display| DialError::Unreachable(error.to_string());
        // lapin connects on a thread of its own that cannot be called back; it shall not hang on a dead address.
        let authority = &self.uri.authority;
        timeout(TCP_TIMEOUT, TcpStream::connect((authority.host.as_str(), authority.port)))
            .await
            .map_err(|_| DialError::Unreachable(format!("no TCP connection within {} s", TCP_TIMEOUT.as_secs())))?
            .map_err(|error| unreachable(&error))?;
        let properties =
            ConnectionProperties::default().with_connection_name(format!("{} {}", self.name, role.name()).into());
        let connection = ConnectionBuilder::new()
            .map_err(|error| unreachable(&error))?
            .with_uri(self.uri.clone())
            .with_tls_config(self.tls.clone())
            .with_properties(properties)
            .connect()
            .await
            .map_err(|error| unreachable(&error))?;
        let events = connection.events_listener().boxed();
        self.topology.declare(&connection).await?;
        let broken = Broken::default();
        let jobs = match role {
            Role::Publish => {
                publisher::open_channels(&connection, &broken).await.map_err(|error| unreachable(&error))?
            }
            Role::Consume => Jobs::default(),
        };
        Ok(Link { connection, broken, blocked: watch::Sender::new(None), jobs, events: AsyncMutex::new(events) })
    }
}

/// Tells everyone who uses a connection that it is of no use any more, and why.
#[derive(Clone, Debug, Default)]
pub(super) struct Broken {
    token: CancellationToken,
    reason: Arc<Mutex<Option<String>>>,
}

impl Broken {
    /// The first reason stays.
    pub(super) fn set(&self, reason: String) {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
        self.token.cancel();
    }

    pub(super) async fn wait(&self) -> String {
        self.token.cancelled().await;
        self.reason()
    }

    pub(super) fn reason(&self) -> String {
        let reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        reason.clone().unwrap_or_else(|| "connection has ended".to_owned())
    }
}

/// One connection.
pub(super) struct Link {
    pub(super) connection: Connection,
    pub(super) broken: Broken,
    /// Why the broker takes no messages at the moment (memory or disk alarm).
    pub(super) blocked: watch::Sender<Option<String>>,
    pub(super) jobs: Jobs,
    events: AsyncMutex<futures::stream::BoxStream<'static, Event>>,
}

impl fmt::Debug for Link {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Link").field("blocked", &*self.blocked.borrow()).finish_non_exhaustive()
    }
}

impl Link {
    /// Follows the connection until it is of no use; answers why.
    pub(super) async fn watch(&self) -> String {
        let mut events = self.events.lock().await;
        tokio::select! {
            reason = self.broken.wait() => reason,
            reason = self.follow(&mut *events) => reason,
        }
    }

    async fn follow(&self, events: &mut (impl Stream<Item = Event> + Unpin)) -> String {
        let mut look = tokio::time::interval(STATUS_LOOK);
        let mut last_error = None;
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(Event::ConnectionBlocked(reason)) => {
                        tracing::warn!(reason, "broker takes no messages; free memory or disk space there");
                        self.blocked.send_replace(Some(reason));
                    }
                    Some(Event::ConnectionUnblocked) => {
                        tracing::info!("broker takes messages again");
                        self.blocked.send_replace(None);
                    }
                    Some(Event::Error(error)) => last_error = Some(error.to_string()),
                    Some(_) => {}
                    None => return "connection has ended".to_owned(),
                },
                _ = look.tick() => {}
            }
            if !self.connection.status().connected() {
                return last_error.unwrap_or_else(|| "connection has ended".to_owned());
            }
        }
    }

    /// Closes it, whatever its state is.
    pub(super) async fn close(&self, reason: &str) {
        self.broken.set(reason.to_owned());
        // Errors and time-outs: it was closed already.
        let _ = timeout(CLOSE_TIMEOUT, self.connection.close(200, "closing".into())).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delays::Delays;

    #[test]
    fn an_address_is_shown_without_credentials_and_means_the_default_virtual_host() {
        let topology = Arc::new(Topology::new("wh", &Delays::new(Vec::new()), 1));
        for url in ["amqp://a:hunter2@host", "amqp://a:hunter2@host:5672/", "amqp://a:hunter2@host:5672/%2f"] {
            let dialer = Dialer::new(url, None, "test".to_owned(), Arc::clone(&topology)).expect("an address");
            assert_eq!(dialer.address(), "amqp://host:5672/%2f");
            assert!(!format!("{dialer:?}").contains("hunter2"));
        }
    }
}
