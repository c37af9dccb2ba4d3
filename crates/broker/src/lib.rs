//! The queues between the services: the [`Broker`] port and its two adapters.
//!
//! Open [`port`](crate) for what callers see, `rabbitmq/topology.rs` for exchanges, queues and their arguments,
//! `embedded/` for the same contract on one SQLite file. `tests/contract.rs` holds both to one list of tests.

#[cfg(any(feature = "embedded", feature = "rabbitmq"))]
mod delays;
mod parked;
mod port;
#[cfg(any(feature = "embedded", feature = "rabbitmq"))]
mod tasks;

#[cfg(feature = "embedded")]
pub mod embedded;
#[cfg(feature = "rabbitmq")]
pub mod rabbitmq;

pub use parked::{Parked, ParkedSelection};
pub use port::{Acker, Broker, BrokerError, Consumer, Incoming, Lane, Outgoing, PublishError, Settlement};
