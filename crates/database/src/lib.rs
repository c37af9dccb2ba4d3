//! What the stores of several crates have in common: how a program and the schema that it finds come together, and
//! their pools of connections.

mod pools;
mod schema;

#[cfg(feature = "postgres")]
pub use pools::test_rested_connections;
pub use pools::{Observed, observe};
pub use schema::{Connection, SchemaError, prepare};
