//! The SQL of the queue file. One connection, one operation at a time, so a read never sees half of a write.

mod parked;

use std::{fmt::Write as _, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use database::SchemaError;
use futures::TryStreamExt as _;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _, SqliteConnection,
    migrate::MigrateError,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqliteRow, SqliteSynchronous},
};
use uuid::Uuid;

pub(super) use self::parked::{Action, CHUNK, Moved, Next, Selected};
use crate::{BrokerError, Lane};

/// Rows of one `INSERT`: few sizes, so that each is prepared once and stays in the statement cache.
const INSERT_SIZES: [usize; 4] = [256, 32, 4, 1];

/// A message that is to be written.
#[derive(Debug)]
pub(super) struct NewMessage {
    pub(super) lane: Lane,
    /// Unix microseconds; 0 is at once.
    pub(super) due_at: i64,
    pub(super) message_id: Uuid,
    pub(super) traceparent: Option<String>,
    pub(super) body: Bytes,
}

/// A message as it is handed out.
#[derive(Debug)]
pub(super) struct StoredMessage {
    pub(super) id: i64,
    pub(super) due_at: i64,
    pub(super) deliveries: u32,
    /// Whether it was parked once and put back.
    pub(super) was_parked: bool,
    pub(super) traceparent: Option<String>,
    pub(super) body: Bytes,
}

/// What one transaction writes.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The first message's id; the others count on from there.
    pub(super) first_id: i64,
    pub(super) inserts: Vec<NewMessage>,
    pub(super) settled: Settled,
}

/// What consumers have done with messages, not yet written.
#[derive(Debug, Default)]
pub(super) struct Settled {
    pub(super) deletes: Vec<i64>,
    pub(super) requeues: Vec<i64>,
    pub(super) parks: Vec<Park>,
}

/// A message that is to be parked.
#[derive(Debug)]
pub(super) struct Park {
    pub(super) id: i64,
    /// Unix microseconds.
    pub(super) at: i64,
    /// How often consumers have given it back.
    pub(super) deliveries: u32,
    pub(super) reason: String,
}

impl Settled {
    pub(super) fn is_empty(&self) -> bool {
        self.deletes.is_empty() && self.requeues.is_empty() && self.parks.is_empty()
    }

    /// Puts what could not be written back in front of what came since.
    pub(super) fn put_back(&mut self, mut failed: Self) {
        failed.deletes.append(&mut self.deletes);
        failed.requeues.append(&mut self.requeues);
        failed.parks.append(&mut self.parks);
        *self = failed;
    }
}

/// What a lane holds when the file is opened.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LaneTotals {
    pub(super) messages: u64,
    pub(super) delayed: u64,
    pub(super) bytes: u64,
    pub(super) newest_direct: i64,
    pub(super) next_due: Option<i64>,
}

/// How much a read may bring into memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) rows: usize,
    pub(super) bytes: usize,
}

/// The queue file.
pub(super) struct Store {
    connection: SqliteConnection,
    inserts: Vec<(usize, Arc<str>)>,
}

impl Store {
    /// Opens and locks the file, and brings its schema up to date.
    pub(super) async fn open(path: &Path) -> Result<Self, BrokerError> {
        let failed = |error: sqlx::Error| open_error(path, &error);
        let mut connection = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            // Before the journal mode: with the lock held from the start, the log's index stays in this process.
            .locking_mode(SqliteLockingMode::Exclusive)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_millis(200))
            .disable_statement_logging()
            .connect()
            .await
            .map_err(failed)?;
        database::prepare(&mut connection, &sqlx::migrate!("migrations/sqlite"), true).await.map_err(|error| {
            match error {
                SchemaError::Read(error) | SchemaError::Migration(MigrateError::Execute(error)) => {
                    open_error(path, &error)
                }
                other => BrokerError::Open { address: path.display().to_string(), reason: other.to_string() },
            }
        })?;
        // A write takes the lock for good, so that a second process is told now and not at its first message.
        sqlx::query("INSERT OR REPLACE INTO probe (id, at) VALUES (1, 0)")
            .execute(&mut connection)
            .await
            .map_err(failed)?;
        let inserts = INSERT_SIZES.iter().map(|&rows| (rows, insert_statement(rows))).collect();
        Ok(Self { connection, inserts })
    }

    /// Highest id in the file; 0 if it is empty.
    pub(super) async fn highest_id(&mut self) -> Result<i64, sqlx::Error> {
        let row = sqlx::query("SELECT coalesce(max(id), 0) FROM messages").fetch_one(&mut self.connection).await?;
        row.try_get(0)
    }

    /// What a lane holds.
    pub(super) async fn totals(&mut self, lane: Lane) -> Result<LaneTotals, sqlx::Error> {
        let row = sqlx::query(
            "SELECT count(*), count(CASE WHEN due_at > 0 THEN 1 END), coalesce(sum(size), 0), \
             coalesce(max(CASE WHEN due_at = 0 THEN id END), 0), min(CASE WHEN due_at > 0 THEN due_at END) \
             FROM messages INDEXED BY messages_waiting WHERE lane = ? AND parked_reason IS NULL",
        )
        .bind(code(lane))
        .fetch_one(&mut self.connection)
        .await?;
        Ok(LaneTotals {
            messages: row.try_get::<i64, _>(0)?.unsigned_abs(),
            delayed: row.try_get::<i64, _>(1)?.unsigned_abs(),
            bytes: row.try_get::<i64, _>(2)?.unsigned_abs(),
            newest_direct: row.try_get(3)?,
            next_due: row.try_get(4)?,
        })
    }

    /// Writes a batch in one transaction: all of it or nothing.
    pub(super) async fn write(&mut self, batch: &Batch) -> Result<(), sqlx::Error> {
        self.run("BEGIN IMMEDIATE").await?;
        let written = self.write_rows(batch).await;
        self.end_transaction(written).await
    }

    /// Commits if all went well, or nothing of it stays.
    async fn end_transaction(&mut self, written: Result<(), sqlx::Error>) -> Result<(), sqlx::Error> {
        let ended = match written {
            Ok(()) => self.run("COMMIT").await,
            failed => failed,
        };
        if ended.is_err() {
            // SQLite may have rolled back by itself already, so that this fails too.
            let _ = self.run("ROLLBACK").await;
        }
        ended
    }

    /// Writes one page, to see whether the disk takes it.
    pub(super) async fn probe(&mut self, at: i64) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE probe SET at = ?").bind(at).execute(&mut self.connection).await.map(drop)
    }

    /// Messages without a delay that come after `after`, oldest first; and whether these are all.
    pub(super) async fn load_direct(
        &mut self,
        lane: Lane,
        after: i64,
        limit: Limit,
    ) -> Result<(Vec<StoredMessage>, bool), sqlx::Error> {
        let query = sqlx::query(
            "SELECT id, due_at, deliveries, parked_at, traceparent, body FROM messages INDEXED BY messages_waiting \
             WHERE lane = ? AND due_at = 0 AND id > ? AND parked_reason IS NULL ORDER BY id LIMIT ?",
        )
        .bind(code(lane))
        .bind(after);
        self.load(query, limit).await
    }

    /// Delayed messages that are due at `now` and come after `after` (due time, id); and whether these are all.
    pub(super) async fn load_due(
        &mut self,
        lane: Lane,
        now: i64,
        after: (i64, i64),
        limit: Limit,
    ) -> Result<(Vec<StoredMessage>, bool), sqlx::Error> {
        let query = sqlx::query(
            "SELECT id, due_at, deliveries, parked_at, traceparent, body FROM messages INDEXED BY messages_waiting \
             WHERE lane = ? AND due_at > 0 AND due_at <= ? AND (due_at, id) > (?, ?) AND parked_reason IS NULL \
             ORDER BY due_at, id LIMIT ?",
        )
        .bind(code(lane))
        .bind(now)
        .bind(after.0)
        .bind(after.1);
        self.load(query, limit).await
    }

    /// When the first delayed message after `now` becomes due.
    pub(super) async fn next_due(&mut self, lane: Lane, now: i64) -> Result<Option<i64>, sqlx::Error> {
        let row = sqlx::query(
            "SELECT min(due_at) FROM messages INDEXED BY messages_waiting \
             WHERE lane = ? AND due_at > ? AND parked_reason IS NULL",
        )
        .bind(code(lane))
        .bind(now.max(0))
        .fetch_one(&mut self.connection)
        .await?;
        row.try_get(0)
    }

    /// Closes the file, folding its log into it.
    pub(super) async fn close(self) -> Result<(), sqlx::Error> {
        self.connection.close().await
    }

    /// Makes the file as good as full at this many pages.
    #[cfg(test)]
    pub(super) async fn limit_pages(&mut self, pages: u32) {
        let sql = format!("PRAGMA max_page_count = {pages}");
        sqlx::query(AssertSqlSafe(sql)).execute(&mut self.connection).await.expect("limited");
    }

    async fn load(
        &mut self,
        query: sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
        limit: Limit,
    ) -> Result<(Vec<StoredMessage>, bool), sqlx::Error> {
        let mut rows = query.bind(i64::try_from(limit.rows).unwrap_or(i64::MAX)).fetch(&mut self.connection);
        let mut messages = Vec::new();
        let mut bytes = 0;
        while let Some(row) = rows.try_next().await? {
            let message = stored_message(&row)?;
            bytes += message.body.len();
            messages.push(message);
            if bytes >= limit.bytes {
                return Ok((messages, false));
            }
        }
        let all = messages.len() < limit.rows;
        Ok((messages, all))
    }

    async fn run(&mut self, statement: &'static str) -> Result<(), sqlx::Error> {
        sqlx::query(statement).execute(&mut self.connection).await.map(drop)
    }

    async fn write_rows(&mut self, batch: &Batch) -> Result<(), sqlx::Error> {
        let mut rest = batch.inserts.as_slice();
        let mut ids = batch.first_id..;
        for (rows, statement) in &self.inserts {
            while rest.len() >= *rows {
                let (chunk, after) = rest.split_at(*rows);
                rest = after;
                let mut query = sqlx::query(AssertSqlSafe(Arc::clone(statement)));
                for (message, id) in chunk.iter().zip(&mut ids) {
                    query = query
                        .bind(id)
                        .bind(code(message.lane))
                        .bind(message.due_at)
                        .bind(i64::try_from(message.body.len()).unwrap_or(i64::MAX))
                        .bind(message.message_id)
                        .bind(message.traceparent.as_deref())
                        .bind(message.body.as_ref());
                }
                query.execute(&mut self.connection).await?;
            }
        }
        self.write_settled(&batch.settled).await
    }

    async fn write_settled(&mut self, settled: &Settled) -> Result<(), sqlx::Error> {
        if !settled.deletes.is_empty() {
            sqlx::query("DELETE FROM messages WHERE id IN (SELECT value FROM json_each(?))")
                .bind(id_list(&settled.deletes))
                .execute(&mut self.connection)
                .await?;
        }
        if !settled.requeues.is_empty() {
            sqlx::query("UPDATE messages SET deliveries = deliveries + 1 WHERE id IN (SELECT value FROM json_each(?))")
                .bind(id_list(&settled.requeues))
                .execute(&mut self.connection)
                .await?;
        }
        for park in &settled.parks {
            sqlx::query("UPDATE messages SET parked_reason = ?, parked_at = ?, deliveries = ? WHERE id = ?")
                .bind(park.reason.as_str())
                .bind(park.at)
                .bind(park.deliveries)
                .bind(park.id)
                .execute(&mut self.connection)
                .await?;
        }
        Ok(())
    }
}

/// Number of a lane in the file; never to be changed.
const fn code(lane: Lane) -> i64 {
    match lane {
        Lane::Events => 1,
        Lane::DeliverFast => 2,
        Lane::DeliverSlow => 3,
        Lane::History => 4,
    }
}

fn insert_statement(rows: usize) -> Arc<str> {
    let mut sql = "INSERT INTO messages (id, lane, due_at, size, message_id, traceparent, body) VALUES ".to_owned();
    sql.push_str(&vec!["(?, ?, ?, ?, ?, ?, ?)"; rows].join(", "));
    sql.into()
}

/// Any number of ids as one parameter, so that the statement stays the same.
fn id_list(ids: &[i64]) -> String {
    let mut list = String::with_capacity(ids.len() * 8 + 2);
    list.push('[');
    for (index, id) in ids.iter().enumerate() {
        if index > 0 {
            list.push(',');
        }
        // Writing to a string cannot fail.
        let _ = write!(list, "{id}");
    }
    list.push(']');
    list
}

fn stored_message(row: &SqliteRow) -> Result<StoredMessage, sqlx::Error> {
    Ok(StoredMessage {
        id: row.try_get(0)?,
        due_at: row.try_get(1)?,
        deliveries: u32::try_from(row.try_get::<i64, _>(2)?).unwrap_or(u32::MAX),
        was_parked: row.try_get::<i64, _>(3)? > 0,
        traceparent: row.try_get(4)?,
        body: Bytes::from(row.try_get::<Vec<u8>, _>(5)?),
    })
}

fn open_error(path: &Path, error: &sqlx::Error) -> BrokerError {
    // SQLITE_BUSY, alone or as one of its extended codes.
    let locked = error
        .as_database_error()
        .and_then(|error| error.code())
        .and_then(|code| code.parse::<i32>().ok())
        .is_some_and(|code| code & 0xff == 5);
    let reason = if locked {
        "data folder is in use by another process; stop that one or set data.dir".to_owned()
    } else {
        format!("{error}; check that the folder exists and can be written to")
    };
    BrokerError::Open { address: path.display().to_string(), reason }
}
