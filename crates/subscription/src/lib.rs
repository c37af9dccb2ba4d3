//! The subscription service: webhooks and API tokens, kept in its own database, and the services `Webhooks` (for
//! operators), `Instances` (for Testmo core) and `Configuration` (for the other services) over them.
//!
//! - [`store`] is the port to the database with its adapters; SQL is nowhere else.
//! - `access` is the one place that decides who may do what.
//! - [`SecretBox`] keeps signing secrets unreadable at rest.

mod access;
mod address;
mod bootstrap;
mod configuration;
mod credentials;
mod failure;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod jwt;
mod key_file;
mod key_reader;
mod key_ring;
mod metrics;
mod rest;
mod rotation;
mod secret_box;
mod service;
mod session_keys;
pub mod store;
mod token;

use std::{fmt, sync::Arc};

use domain::{AddressPolicy, Clock, IdSource};
use gateway::Sessions;
use proto::{
    channel::GrpcChannel,
    internal::v1::configuration_server::ConfigurationServer,
    v1::{instances_server::InstancesServer, webhooks_server::WebhooksServer},
};
use runtime::{Authenticator, Resolver, ServiceCredential};
use tonic::service::Routes;

pub use bootstrap::{EnsureTokenError, EnsuredToken};
pub use jwt::{JwtKey, JwtKeyError, JwtVerifier};
pub use key_file::KeyFileError;
pub use key_ring::{KeyId, KeyIds};
pub use rest::rest;
pub use rotation::{Progress, Resealed, Rotation, RotationError};
pub use secret_box::SecretBox;
use secret_box::{Purpose, SecretBoxError};
use store::{Store, StoreError};

/// What the service works with.
pub struct Parts {
    /// Its database.
    pub store: Arc<dyn Store>,
    /// Seals signing secrets.
    pub secrets: SecretBox,
    /// Which JWTs are accepted beside tokens; `None`: none.
    pub jwt: Option<JwtVerifier>,
    /// Where webhooks may lead.
    pub policy: AddressPolicy,
    /// Looks up the hosts of webhooks.
    pub resolver: Arc<dyn Resolver>,
    /// The way to history, which sends test payloads; carries the services' credential.
    pub history: GrpcChannel,
    /// What the other services prove themselves with.
    pub credential: ServiceCredential,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for secrets and tokens.
    pub ids: Arc<dyn IdSource>,
}

impl fmt::Debug for Parts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Parts").field("secrets", &self.secrets).finish_non_exhaustive()
    }
}

/// The service, ready to be served.
pub struct Subscription {
    /// Its gRPC services.
    pub routes: Routes,
    /// Who a token stands for, from the store itself.
    pub authenticator: Arc<dyn Authenticator>,
    /// Sessions of the console, sealed with keys that all processes of this service share.
    pub sessions: Sessions,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Subscription {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Subscription")
    }
}

/// A service that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store holds secrets of another key.
    #[error(
        "secrets.key_file holds {used}, but the signing secrets in the database need key {needed}; name that key's \
         file, or restore it from a backup (a rotation keeps old keys beside the key file)"
    )]
    WrongKey {
        /// The keys that were given.
        used: KeyIds,
        /// The key that the store was written with.
        needed: KeyId,
    },
    /// What tells the right key is not what was written.
    #[error("the key check in the database cannot be read with secrets.key_file: it {0}; restore the database")]
    KeyCheck(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Starts the service.
///
/// # Errors
/// A store that fails, or a secrets key other than the one that the store was written with.
pub async fn start(parts: Parts, tasks: &runtime::Tasks) -> Result<Subscription, StartError> {
    let Parts { store, secrets, jwt, policy, resolver, history, credential, clock, ids } = parts;
    check_key(&*store, &secrets, &*ids).await?;
    let secrets = Arc::new(secrets);
    key_reader::start(&store, &secrets, &clock, &*ids, tasks).await?;
    let own = Arc::new(token::StoreAuthenticator { store: Arc::clone(&store), jwt, clock: Arc::clone(&clock) });
    let authenticator: Arc<dyn Authenticator> = own.clone();
    let service = Arc::new(service::Service {
        store: Arc::clone(&store),
        secrets: Arc::clone(&secrets),
        policy,
        resolver,
        authenticator: Arc::clone(&authenticator),
        history,
        clock: Arc::clone(&clock),
        ids: Arc::clone(&ids),
        metrics: metrics::Metrics::new(),
    });
    let sessions = Sessions {
        keys: session_keys::session_keys(Arc::clone(&secrets)),
        clock: Arc::clone(&clock),
        ids,
        closing: tasks.shutdown_token().clone(),
    };
    let configuration = configuration::Configuration {
        service: Arc::clone(&service),
        store: Arc::clone(&store),
        secrets,
        authenticator: own,
        credential: credential.clone(),
        clock: Arc::clone(&clock),
    };
    let public =
        Routes::new(WebhooksServer::from_arc(Arc::clone(&service))).add_service(InstancesServer::from_arc(service));
    let internal = runtime::for_services(Routes::new(ConfigurationServer::new(configuration)), &credential);
    let routes = runtime::merged(runtime::for_callers(public, &authenticator), [internal]);
    Ok(Subscription { routes, authenticator, sessions, store, clock })
}

/// The first start leaves a text sealed with its key; a later one must be able to open it.
async fn check_key(store: &dyn Store, secrets: &SecretBox, ids: &dyn IdSource) -> Result<(), StartError> {
    let failed = |error: SecretBoxError| match error {
        SecretBoxError::OtherKey { needed, used } => StartError::WrongKey { used, needed },
        SecretBoxError::Damaged => StartError::KeyCheck(error.to_string()),
    };
    let fresh = secrets.seal(ids, Purpose::KeyCheck, "testmo-webhooks").map_err(failed)?;
    let kept = store.key_check(&fresh).await?;
    secrets.open(Purpose::KeyCheck, &kept).map(drop).map_err(failed)
}
