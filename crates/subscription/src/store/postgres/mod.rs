//! The store on PostgreSQL: any number of processes, in the schema `subscription` of a common database.

mod begin;
mod change;
mod keys;
mod rows;
mod tokens;
mod webhooks;

use std::{str::FromStr as _, sync::Arc, time::Duration};

use database::Observed;
use sqlx::{
    Connection as _, PgConnection, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{OpenError, Store, common::Place};

static MIGRATOR: Migrator = sqlx::migrate!("migrations/postgres");

const SETTING: &str = "database.url";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A call that waits longer for a connection is told to come again.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECTIONS: u32 = 10;

/// Opens the store, and brings its schema up to date or, with `migrate` false, refuses an old one. One that is
/// newer is worked with if it says that it can be.
///
/// # Errors
/// An address that is none, cannot be reached, or holds a schema that the program cannot work with.
pub async fn open_postgres(url: &str, migrate: bool) -> Result<Arc<dyn Store>, OpenError> {
    let options = options(url)?;
    let place = Place { address: address(&options), setting: SETTING };
    // By itself first: a pool would hide why it cannot connect.
    let mut connection = connect(&options).await.map_err(|error| place.unreachable(error))?;
    if migrate {
        create_schema(&mut connection).await.map_err(|error| place.unreachable(error))?;
    }
    database::prepare(&mut connection, &MIGRATOR, migrate).await.map_err(|error| place.unfit(error))?;
    connection.close().await.map_err(|error| place.unreachable(error))?;

    // A transaction that hangs would hold the lock that orders all changes.
    let options = options.options([("statement_timeout", "30s"), ("idle_in_transaction_session_timeout", "30s")]);
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(ACQUIRE_TIMEOUT);
    let pool = database::test_rested_connections(pool).connect_lazy_with(options);
    let observed = database::observe(&runtime::metrics("subscription"), "subscription", &pool);
    Ok(Arc::new(Postgres { pool, _observed: observed }))
}

fn options(url: &str) -> Result<PgConnectOptions, OpenError> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(OpenError::Address);
    }
    let options = PgConnectOptions::from_str(url).map_err(|_| OpenError::Address)?;
    Ok(options.application_name("testmo-subscription").options([("search_path", "subscription")]))
}

fn address(options: &PgConnectOptions) -> String {
    let (user, host, port) = (options.get_username(), options.get_host(), options.get_port());
    format!("postgres://{user}@{host}:{port}/{}", options.get_database().unwrap_or(user))
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    match tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(options)).await {
        Ok(result) => result,
        Err(_) => Err(sqlx::Error::Io(std::io::Error::from(std::io::ErrorKind::TimedOut))),
    }
}

async fn create_schema(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    // Two that start at once would both find it missing. The number is any that only this lock has.
    sqlx::query("SELECT pg_advisory_xact_lock(7308604759847264)").execute(&mut *transaction).await?;
    // `IF NOT EXISTS` wants the right to create schemas even where it exists, which an administrator may have made it
    // to withhold.
    let found: bool =
        sqlx::query_scalar("SELECT to_regnamespace('subscription') IS NOT NULL").fetch_one(&mut *transaction).await?;
    if !found {
        sqlx::query("CREATE SCHEMA subscription").execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

struct Postgres {
    pool: PgPool,
    _observed: Observed<sqlx::Postgres>,
}
