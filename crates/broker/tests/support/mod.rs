//! What the tests of this crate share: messages, and one fixture for each adapter.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use broker::{Broker, Consumer, Incoming, Lane, Outgoing, PublishError};
use bytes::Bytes;
use tokio::time::timeout;
use uuid::Uuid;

/// The delays that fixtures have.
pub(crate) const SHORT: Duration = Duration::from_millis(500);
pub(crate) const LONG: Duration = Duration::from_secs(120);

/// Longest wait for something that is to come.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Unix microseconds.
#[expect(clippy::disallowed_methods, reason = "the clock that the tests hand to the adapter")]
pub(crate) fn now() -> i64 {
    let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    i64::try_from(elapsed.as_micros()).expect("before the year 292,000")
}

fn serial() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A message with a body that names it.
pub(crate) fn message(lane: Lane, body: impl Into<String>) -> Outgoing {
    delayed(lane, Duration::ZERO, body)
}

pub(crate) fn delayed(lane: Lane, delay: Duration, body: impl Into<String>) -> Outgoing {
    Outgoing {
        lane,
        delay,
        body: Bytes::from(body.into()),
        message_id: Uuid::from_u128(u128::from(serial())),
        traceparent: None,
    }
}

pub(crate) async fn publish(broker: &dyn Broker, message: Outgoing) -> Result<(), PublishError> {
    broker.publish(vec![message]).await.pop().expect("one result for one message")
}

/// The next message of a consumer.
pub(crate) async fn next(consumer: &mut Consumer) -> Incoming {
    timeout(SOON, consumer.recv()).await.expect("a message in time").expect("the consumer goes on")
}

/// Fails if a message comes within `quiet`.
pub(crate) async fn nothing(consumer: &mut Consumer, quiet: Duration) {
    let unexpected = timeout(quiet, consumer.recv()).await.map(|incoming| incoming.as_ref().map(text));
    assert!(unexpected.is_err(), "unexpected: {unexpected:?}");
}

pub(crate) fn text(incoming: &Incoming) -> String {
    String::from_utf8(incoming.body.to_vec()).expect("text")
}

/// One queue that survives its broker objects.
pub(crate) enum Fixture {
    #[cfg(feature = "embedded")]
    Embedded(tempfile::TempDir),
    #[cfg(feature = "rabbitmq")]
    RabbitMq { url: String, prefix: String },
}

impl Fixture {
    #[cfg(feature = "embedded")]
    pub(crate) async fn embedded() -> Self {
        Self::Embedded(tempfile::tempdir().expect("a temporary folder"))
    }

    #[cfg(feature = "rabbitmq")]
    pub(crate) async fn rabbitmq() -> Self {
        let prefix = format!("t{}x{}", std::process::id(), serial());
        Self::RabbitMq { url: blackbox::servers::rabbit_url().await.to_owned(), prefix }
    }

    pub(crate) async fn open(&self) -> Arc<dyn Broker> {
        self.open_with(64 << 20).await
    }

    /// Opens it; after a crash of the object before it, its lock may be held for a moment longer.
    pub(crate) async fn open_with(&self, max_queue_bytes: u64) -> Arc<dyn Broker> {
        match self {
            #[cfg(feature = "embedded")]
            Self::Embedded(folder) => {
                let path = folder.path().join("queue.db");
                let mut options = broker::embedded::EmbeddedOptions::new(vec![SHORT, LONG], Arc::new(now));
                options.max_queue_bytes = max_queue_bytes;
                blackbox::wait::eventually(SOON, "the queue file can be opened", async || {
                    broker::embedded::Embedded::open(&path, options.clone()).await.ok()
                })
                .await
            }
            #[cfg(feature = "rabbitmq")]
            Self::RabbitMq { url, prefix } => {
                let mut config = broker::rabbitmq::RabbitMqConfig::new(url, vec![SHORT, LONG]);
                config.prefix.clone_from(prefix);
                config.max_queue_bytes = max_queue_bytes;
                config.now = Some(Arc::new(now));
                broker::rabbitmq::RabbitMq::connect(config).await.expect("RabbitMQ can be reached")
            }
        }
    }

    /// A second one beside the first, as another process would have it; a queue file can only be opened once.
    pub(crate) async fn open_beside(&self, first: &Arc<dyn Broker>) -> Arc<dyn Broker> {
        match self {
            #[cfg(feature = "embedded")]
            Self::Embedded(_) => Arc::clone(first),
            #[cfg(feature = "rabbitmq")]
            Self::RabbitMq { .. } => self.open().await,
        }
    }

    /// Puts a message into a lane past the broker object, without an id or anything else that ours have. The queue
    /// exists and is closed.
    pub(crate) async fn put_straight_in(&self, lane: Lane, body: &[u8]) {
        match self {
            #[cfg(feature = "embedded")]
            Self::Embedded(folder) => {
                let number = Lane::ALL.into_iter().position(|other| other == lane).expect("a lane") + 1;
                let number = i64::try_from(number).expect("few lanes");
                insert(&folder.path().join("queue.db"), number, body).await;
            }
            #[cfg(feature = "rabbitmq")]
            Self::RabbitMq { url, prefix } => send(url, &format!("{prefix}.{}", lane.name()), body).await,
        }
    }
}

#[cfg(feature = "embedded")]
async fn insert(path: &std::path::Path, lane: i64, body: &[u8]) {
    use sqlx::{ConnectOptions as _, Connection as _};

    let mut file = sqlx::sqlite::SqliteConnectOptions::new().filename(path).connect().await.expect("the queue file");
    sqlx::query("INSERT INTO messages (lane, due_at, size, message_id, body) VALUES (?, 0, ?, x'', ?)")
        .bind(lane)
        .bind(i64::try_from(body.len()).expect("short"))
        .bind(body)
        .execute(&mut file)
        .await
        .expect("inserted");
    file.close().await.expect("closed");
}

/// Over the default exchange, so that the routing key is the queue's name.
#[cfg(feature = "rabbitmq")]
pub(crate) async fn send(url: &str, queue: &str, body: &[u8]) {
    use lapin::{BasicProperties, Connection, ConnectionProperties, options};

    let connection = Connection::connect(url, ConnectionProperties::default()).await.expect("connected");
    let channel = connection.create_channel().await.expect("a channel");
    channel.confirm_select(options::ConfirmSelectOptions::default()).await.expect("confirms");
    let options = options::BasicPublishOptions { mandatory: true, ..Default::default() };
    let publish = channel.basic_publish("".into(), queue.into(), options, body, BasicProperties::default());
    let confirmed = publish.await.expect("sent").await.expect("confirmed");
    assert!(confirmed.is_ack(), "{confirmed:?}");
    connection.close(200, "done".into()).await.expect("closed");
}
