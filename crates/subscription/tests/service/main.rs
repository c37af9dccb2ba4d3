//! The services over an in-process channel, on SQLite.
#![cfg(feature = "sqlite")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test tells of a failure")]

mod changes;
mod explaining;
mod failing;
mod fixture;
mod headers;
mod instances;
mod jwt;
mod listing;
mod plans;
mod process;
mod regenerating;
mod reordered;
mod roles;
mod rotation;
mod secrets;
mod testing;
mod tokens;
mod updates;
mod validation;
