//! Configuration: one schema for all programs, from a TOML file and the environment, strictly.
//!
//! [`Config`] holds a struct per concern; `load.rs` reads and merges the sources; `kinds.rs` has the types of values;
//! `check.rs` says which of them no program can work with; `passwords.rs` reads those that have files of their own.

mod check;
mod kinds;
mod load;
mod passwords;

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

pub use kinds::{Network, Period, Schedule, SecretUrl};
pub use load::{ConfigError, ENV_PREFIX};

use crate::LogFormat;

/// Everything that can be configured.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// REST API and console.
    pub http: Http,
    /// gRPC.
    pub grpc: Grpc,
    /// Health and metrics.
    pub admin: Admin,
    /// What is kept on this machine.
    pub data: Data,
    /// PostgreSQL.
    pub database: Database,
    /// RabbitMQ.
    pub broker: Broker,
    /// What publishers may do.
    pub publishing: Publishing,
    /// Deliveries.
    pub delivery: Delivery,
    /// Encryption at rest.
    pub secrets: Secrets,
    /// API tokens.
    pub auth: Auth,
    /// The services among themselves.
    pub services: Services,
    /// Logs.
    pub log: Log,
    /// Traces.
    pub traces: Traces,
}

/// REST API and console.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// File of the certificate, with those between it and its root (PEM): then it is TLS that is spoken.
    pub cert_file: Option<PathBuf>,
    /// File of the certificate's private key (PEM).
    pub key_file: Option<PathBuf>,
}

/// gRPC.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grpc {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// File of the certificate, with those between it and its root (PEM): then it is TLS that is spoken.
    pub cert_file: Option<PathBuf>,
    /// File of the certificate's private key (PEM).
    pub key_file: Option<PathBuf>,
}

/// Health and metrics.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// File of the certificate, with those between it and its root (PEM): then it is TLS that is spoken.
    pub cert_file: Option<PathBuf>,
    /// File of the certificate's private key (PEM).
    pub key_file: Option<PathBuf>,
}

/// What is kept on this machine.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Data {
    /// Folder of the embedded store and queue, and of the files that the first start of `standalone` writes.
    pub dir: PathBuf,
}

/// PostgreSQL.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// `postgres://user:password@host:port/database`. Without it `standalone` keeps SQLite files in `data.dir`.
    pub url: Option<SecretUrl>,
    /// File whose text is the password of `url`, which has none then.
    pub password_file: Option<PathBuf>,
}

/// RabbitMQ.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Broker {
    /// `amqp://user:password@host:port/vhost`. Without it `standalone` queues in `data.dir`.
    pub url: Option<SecretUrl>,
    /// File whose text is the password of `url`, which has none then.
    pub password_file: Option<PathBuf>,
    /// File of further root certificates (PEM) for `amqps://`.
    pub ca_file: Option<PathBuf>,
}

/// What publishers may do: a quota that each instance has in each process that takes events.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Publishing {
    /// Events that an instance may publish in a second, on average; 0: any number.
    pub events_per_second: u32,
    /// Events that it may publish at once after a quiet time.
    pub burst: u32,
}

/// Deliveries.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Delivery {
    /// Networks beside the public Internet that may be posted to, such as `10.1.0.0/16` or `127.0.0.1`.
    pub allow_networks: Vec<Network>,
    /// File of further root certificates (PEM).
    pub ca_file: Option<PathBuf>,
    /// How long a whole attempt may take.
    pub timeout: Period,
    /// How long connecting may take.
    pub connect_timeout: Period,
    /// Waits between attempts; there is one attempt more.
    pub retry_schedule: Schedule,
    /// Attempts under way at once in one dispatcher, but for those to slow endpoints.
    pub max_in_flight: u16,
    /// Attempts under way at once to endpoints that are slow (over a second); for one instance half of it.
    pub max_in_flight_slow: u16,
    /// Of these, for one webhook.
    pub max_in_flight_per_slow_webhook: u16,
    /// How long an endpoint must have failed, without one success, for attempts to it to be spaced; `0s`: never.
    pub breaker_after: Period,
    /// How long an endpoint must have failed, without one success, for its webhook to be deactivated; `0s`: never.
    pub deactivate_after: Period,
}

/// Encryption at rest.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Secrets {
    /// File with keys, each 32 random bytes in base64 on a line of its own: the first one encrypts, all decrypt.
    /// `standalone` makes one in `data.dir` where none is named.
    pub key_file: Option<PathBuf>,
}

/// API tokens.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// File whose text is the first administrator token. `standalone` makes one in `data.dir` where none is named.
    pub bootstrap_token_file: Option<PathBuf>,
    /// File whose text is the first publisher's token, for the instance `default`.
    pub bootstrap_publisher_token_file: Option<PathBuf>,
    /// File with the key that JWTs of Testmo core are verified with: a public key (Ed25519, PEM), or a secret of at least
    /// 32 bytes for HS256. Without it no JWT is accepted.
    pub jwt_key_file: Option<PathBuf>,
    /// The `iss` that JWTs must have; any where none is named.
    pub jwt_issuer: Option<String>,
    /// The `aud` that JWTs must have; they must have none where none is named.
    pub jwt_audience: Option<String>,
}

/// The services among themselves.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Services {
    /// gRPC address of the subscription service, such as `http://127.0.0.1:50051`.
    pub subscription: Option<String>,
    /// gRPC address of the history service.
    pub history: Option<String>,
    /// File whose text proves one service to another.
    pub token_file: Option<PathBuf>,
    /// Whether `http://` addresses of other hosts are permitted.
    pub allow_plaintext: bool,
    /// File of further root certificates (PEM) for `https://` addresses.
    pub ca_file: Option<PathBuf>,
}

/// Logs.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// `human` or `json`.
    pub format: LogFormat,
    /// What is logged, such as `info` or `info,dispatcher=debug`.
    pub filter: String,
}

/// Traces.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Traces {
    /// Address of an OpenTelemetry collector (OTLP over gRPC), such as `http://127.0.0.1:4317`. Without it nothing is
    /// traced.
    pub otlp_endpoint: Option<String>,
    /// The share of events that are traced, from 0 to 1, among those that are published without a trace context. Of the
    /// others those are traced whose context says so.
    pub ratio: f64,
}

macro_rules! default_listen {
    ($($section:ident: $port:literal),+) => { $(
        impl Default for $section {
            fn default() -> Self {
                Self { listen: SocketAddr::from(([127, 0, 0, 1], $port)), cert_file: None, key_file: None }
            }
        }
    )+ };
}

default_listen!(Http: 8080, Grpc: 50051, Admin: 9090);

impl Default for Data {
    fn default() -> Self {
        Self { dir: PathBuf::from("./data") }
    }
}

impl Default for Publishing {
    fn default() -> Self {
        Self { events_per_second: 5_000, burst: 20_000 }
    }
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            allow_networks: Vec::new(),
            ca_file: None,
            timeout: Period::from_secs(10),
            connect_timeout: Period::from_secs(5),
            retry_schedule: Schedule::default(),
            max_in_flight: 512,
            max_in_flight_slow: 256,
            max_in_flight_per_slow_webhook: 32,
            breaker_after: Period::from_secs(15 * 60),
            deactivate_after: Period::from_secs(5 * 24 * 3600),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Human, filter: "info".to_owned() }
    }
}

impl Default for Traces {
    fn default() -> Self {
        Self { otlp_endpoint: None, ratio: 1.0 }
    }
}

impl Config {
    /// A value that the program cannot do without.
    ///
    /// # Errors
    /// Names the key, if it is not set.
    pub fn require<'a, T>(key: &'static str, value: Option<&'a T>) -> Result<&'a T, ConfigError> {
        value.ok_or(ConfigError::Missing { key })
    }
}

impl Delivery {
    /// Which addresses may be connected to.
    #[must_use]
    pub fn address_policy(&self) -> domain::AddressPolicy {
        domain::AddressPolicy::new(self.allow_networks.iter().map(|network| network.0).collect())
    }
}
