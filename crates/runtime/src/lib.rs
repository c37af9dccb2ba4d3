//! What every program of the product needs around its services: configuration, telemetry, health, callers'
//! authentication, channels between services, tasks and shutdown.

/// Of every program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod admission;
mod auth;
pub mod config;
mod connections;
mod credential;
mod descriptors;
mod dns;
mod fail_point;
mod failure;
mod follow;
mod frames;
mod grpc;
mod health;
mod http;
mod places;
mod probe;
mod program;
mod service;
mod tasks;
mod telemetry;
mod tls;
mod traces;

pub use admission::{admitted, for_callers, for_services, merged};
pub use auth::{Authenticator, RemoteAuthenticator, caller};
pub use credential::{CredentialError, ServiceCredential};
pub use dns::{Resolver, SystemResolver};
pub use fail_point::fail_point;
pub use failure::explain;
pub use follow::{Changes, ChangesFollower};
pub use grpc::{ConnectError, connect};
pub use health::Health;
pub use program::{Addresses, Listeners, Program, ProgramError};
pub use service::{Context, Failure, Serves, service};
pub use tasks::Tasks;
pub use telemetry::{LogFormat, init_telemetry, metrics};
pub use traces::{Span, SpanKind};
