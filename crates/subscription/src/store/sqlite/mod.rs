//! The store on SQLite: a file for one process. One connection writes, others read beside it.

mod change;
mod keys;
mod rows;
mod tokens;
mod webhooks;

use std::{path::Path, sync::Arc, time::Duration};

use database::Observed;
use sqlx::{
    Row as _, SqlitePool,
    migrate::Migrator,
    sqlite::{
        SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous, SqliteTransaction,
    },
};

use super::{
    OpenError, Store, StoreError,
    common::{Place, damaged},
};

static MIGRATOR: Migrator = sqlx::migrate!("migrations/sqlite");

const SETTING: &str = "data.dir";
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const READERS: u32 = 4;

/// Opens the file, creating it if it does not exist, and brings its schema up to date or, with `migrate` false, refuses
/// an old one. One that is newer is worked with if it says that it can be.
///
/// # Errors
/// A file that cannot be opened or holds a schema that the program cannot work with.
pub async fn open_sqlite(path: &Path, migrate: bool) -> Result<Arc<dyn Store>, OpenError> {
    let place = Place { address: path.display().to_string(), setting: SETTING };
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(migrate)
        .journal_mode(SqliteJournalMode::Wal)
        // A commit is on the disk, not only in the cache.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT);
    let writer = pool(1).connect_with(options.clone()).await.map_err(|error| place.unreachable(error))?;
    let mut connection = writer.acquire().await.map_err(|error| place.unreachable(error))?;
    database::prepare(&mut *connection, &MIGRATOR, migrate).await.map_err(|error| place.unfit(error))?;
    drop(connection);
    let readers = pool(READERS).connect_lazy_with(options.pragma("query_only", "on"));
    let observed = database::observe(&runtime::metrics("subscription"), "subscription", &readers);
    Ok(Arc::new(Sqlite { writer, readers, _observed: observed }))
}

fn pool(connections: u32) -> SqlitePoolOptions {
    // A connection to a file does not go stale.
    SqlitePoolOptions::new().max_connections(connections).test_before_acquire(false).max_lifetime(None)
}

struct Sqlite {
    writer: SqlitePool,
    readers: SqlitePool,
    _observed: Observed<sqlx::Sqlite>,
}

impl Sqlite {
    /// A transaction that has the right to write from its beginning. There is one at a time, so that the order of
    /// versions is the order of commits, and nobody else changes anything beside it.
    async fn begin(&self) -> Result<SqliteTransaction<'static>, StoreError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }
}

/// A list as the file holds it.
fn json<T: serde::Serialize>(list: &[T]) -> Result<String, StoreError> {
    serde_json::to_string(list).map_err(|error| damaged("a list", error.to_string()))
}

/// A list in a row; `what` names the row.
fn list<T: serde::de::DeserializeOwned>(what: &str, row: &SqliteRow, column: &str) -> Result<Vec<T>, StoreError> {
    parse(what, column, row.try_get(column)?)
}

/// A list in a row that may be `NULL`; `what` names the row.
fn optional_list<T: serde::de::DeserializeOwned>(
    what: &str,
    row: &SqliteRow,
    column: &str,
) -> Result<Option<Vec<T>>, StoreError> {
    row.try_get::<Option<&str>, _>(column)?.map(|text| parse(what, column, text)).transpose()
}

fn parse<T: serde::de::DeserializeOwned>(what: &str, column: &str, text: &str) -> Result<Vec<T>, StoreError> {
    serde_json::from_str(text).map_err(|error| damaged(what, format!("{column}: {error}")))
}
