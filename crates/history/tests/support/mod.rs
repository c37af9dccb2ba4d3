//! Databases for tests.

mod postgres;

pub(crate) use postgres::Database;
