//! SQLite: one file with one writer, for everything in one process.
//!
//! All that changes the file goes through one task ([`writer`]), which commits in groups; what only reads has
//! connections of its own and never waits for a writer (WAL).

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use database::Observed;
use sqlx::{
    Connection as _, SqliteConnection, SqlitePool,
    migrate::Migrator,
    sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{
    Address, Completion, Endpoint, Entry, Exported, FailingEndpoint, Held, ListQuery, NewestAttempt, Position,
    Released, Settings, Sight, Stats, StatsQuery, Store, StoreError, TakeHeld, TakeTests, Waiting, WholeDelivery,
};
use crate::{
    model::{CheckItem, Checked, Delivery, EventKey, NoRetry, OpenEvent, Opened, Record, Retry},
    replay::{Counted, NewReplay, Replay, Selection, Step, StoredReplay},
};

mod counts;
mod endpoints;
mod export;
mod manual;
mod open;
mod packing;
mod reading;
mod record;
mod release;
mod replays;
mod retention;
mod rows;
mod writer;

use manual::Test;
use replays::Start;
use writer::{Job, Writer};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations/sqlite");
const READERS: u32 = 4;

/// Opens history in the SQLite file at `path`, made if it is missing. With `migrate` its schema is brought up to date;
/// without it, one that is not is refused. One that is newer is worked with if it says that it can be.
///
/// # Errors
/// A file that cannot be opened or written, a schema that is not up to date.
pub async fn open_sqlite(path: &Path, migrate: bool) -> Result<Arc<dyn Store>, StoreError> {
    let address = Address::new(path.display(), "data.dir");
    let common =
        SqliteConnectOptions::new().filename(path).busy_timeout(Duration::from_secs(5)).statement_cache_capacity(200);
    let options = common
        .clone()
        .create_if_missing(true)
        // Only a new file takes it, and gives space back bit by bit; one that was made without uses it again for itself.
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("cache_size", "-16384");
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(|error| address.cannot_open(error))?;
    database::prepare(&mut connection, &MIGRATIONS, migrate).await.map_err(|error| address.unfit(error))?;
    let readers = SqlitePoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(Duration::from_secs(5))
        .connect_lazy_with(common.read_only(true));
    let writer = Writer::start(connection, address.clone());
    let observed = database::observe(&runtime::metrics("history"), "history", &readers);
    Ok(Arc::new(Sqlite { readers, writer, address, _observed: observed }))
}

struct Sqlite {
    readers: SqlitePool,
    writer: Writer,
    address: Address,
    _observed: Observed<sqlx::Sqlite>,
}

impl Sqlite {
    fn failed(&self, error: sqlx::Error) -> StoreError {
        self.address.failed(&error)
    }
}

#[async_trait]
impl Store for Sqlite {
    async fn open(&self, events: Vec<OpenEvent>, now: i64) -> Result<Vec<Opened>, StoreError> {
        self.writer.run(|answer| Job::Open { events, now, answer }).await
    }

    async fn record(&self, records: Arc<[Record]>) -> Result<(), StoreError> {
        self.writer.run(|answer| Job::Record { records, answer }).await
    }

    async fn check(&self, items: &[CheckItem]) -> Result<Vec<Checked>, StoreError> {
        reading::check(&self.readers, items).await.map_err(|error| self.failed(error))
    }

    async fn list(&self, query: &ListQuery) -> Result<(Vec<Entry>, bool), StoreError> {
        reading::page(&self.readers, query).await.map_err(|error| self.failed(error))
    }

    async fn export(&self, query: &ListQuery, parts: mpsc::Sender<Exported>) -> Result<Completion, StoreError> {
        let snapshot = self.readers.begin().await.map_err(|error| self.failed(error))?;
        super::export::export(snapshot, query, &parts).await.map_err(|error| self.failed(error))
    }

    async fn cursor_key(&self) -> Result<Vec<u8>, StoreError> {
        let key = sqlx::query_scalar("SELECT key FROM cursor_key").fetch_one(&self.readers);
        key.await.map_err(|error| self.failed(error))
    }

    async fn delivery(&self, instance: &str, id: Uuid, sight: Sight) -> Result<Option<WholeDelivery>, StoreError> {
        reading::delivery(&self.readers, instance, id, sight).await.map_err(|error| self.failed(error))
    }

    async fn body(&self, event: &EventKey, format: &str, sight: Sight) -> Result<Option<Bytes>, StoreError> {
        reading::event_body(&self.readers, event, format, sight).await.map_err(|error| self.failed(error))
    }

    async fn settings(&self, instance: &str) -> Result<Settings, StoreError> {
        retention::settings(&self.readers, instance).await.map_err(|error| self.failed(error))
    }

    async fn set_retention(&self, instance: &str, days: i32, now: i64) -> Result<Settings, StoreError> {
        let instance = instance.to_owned();
        self.writer.run(|answer| Job::SetRetention { instance, days, now, answer }).await
    }

    async fn clear(&self, instance: &str, now: i64) -> Result<(), StoreError> {
        let instance = instance.to_owned();
        self.writer.run(|answer| Job::Clear { instance, now, answer }).await
    }

    async fn tidy(&self, now: i64) -> Result<bool, StoreError> {
        // Looked for by readers, so that the writer is kept only where there is something to do.
        let due = retention::due(&self.readers, now).await.map_err(|error| self.failed(error))?;
        if let Some(due) = due {
            return self.writer.run(|answer| Job::Remove { due, answer }).await;
        }
        let free = retention::has_free_pages(&self.readers).await.map_err(|error| self.failed(error))?;
        if free {
            return self.writer.run(|answer| Job::GiveBack { answer }).await;
        }
        Ok(false)
    }

    async fn held_webhooks(&self, held: Held, due_by: i64) -> Result<Vec<i64>, StoreError> {
        release::held_webhooks(&self.readers, held, due_by).await.map_err(|error| self.failed(error))
    }

    async fn newest_attempts(&self, webhooks: &[(String, i64)]) -> Result<Vec<NewestAttempt>, StoreError> {
        endpoints::newest_attempts(&self.readers, webhooks).await.map_err(|error| self.failed(error))
    }

    async fn failing(&self, endpoints: &[Endpoint], apart: i64) -> Result<Vec<FailingEndpoint>, StoreError> {
        endpoints::failing(&self.readers, endpoints, apart).await.map_err(|error| self.failed(error))
    }

    async fn take_held(&self, webhooks: &[i64], take: TakeHeld) -> Result<Vec<Released>, StoreError> {
        let webhooks = webhooks.to_vec();
        self.writer.run(|answer| Job::TakeHeld { webhooks, take, answer }).await
    }

    async fn take_tests(&self, take: TakeTests) -> Result<Vec<Released>, StoreError> {
        self.writer.run(|answer| Job::TakeTests { take, answer }).await
    }

    async fn queue_test(
        &self,
        delivery: Delivery,
        body: Bytes,
        now: i64,
        leased_until: i64,
    ) -> Result<Option<Released>, StoreError> {
        let test = Test { delivery, body, now, leased_until };
        self.writer.run(|answer| Job::QueueTest { test, answer }).await
    }

    async fn retry(&self, retry: Retry) -> Result<Result<Released, NoRetry>, StoreError> {
        self.writer.run(|answer| Job::Retry { retry, answer }).await
    }

    async fn count_failed(&self, wanted: &Selection, after: Position) -> Result<Counted, StoreError> {
        replays::count(&self.readers, wanted, after).await.map_err(|error| self.failed(error))
    }

    async fn start_replay(&self, new: NewReplay) -> Result<Option<Replay>, StoreError> {
        let (events, projects) = new.selection.stored();
        let start = Start { new, events, projects };
        let running = self.writer.run(|answer| Job::StartReplay { start, answer }).await?;
        running.map(StoredReplay::shown).transpose()
    }

    async fn replays(&self, instance: &str, webhook_id: i64) -> Result<Vec<Replay>, StoreError> {
        let found = replays::list(&self.readers, instance, webhook_id).await.map_err(|error| self.failed(error))?;
        found.into_iter().map(StoredReplay::shown).collect()
    }

    async fn replay(&self, instance: &str, id: Uuid) -> Result<Option<Replay>, StoreError> {
        let found = replays::read(&self.readers, instance, id).await.map_err(|error| self.failed(error))?;
        found.map(StoredReplay::shown).transpose()
    }

    async fn cancel_replay(&self, id: Uuid, reason: &str) -> Result<bool, StoreError> {
        let reason = reason.to_owned();
        self.writer.run(|answer| Job::CancelReplay { id, reason, answer }).await
    }

    async fn unfinished_replays(&self) -> Result<Vec<(Uuid, i64)>, StoreError> {
        replays::unfinished(&self.readers).await.map_err(|error| self.failed(error))
    }

    async fn advance_replay(&self, step: Step) -> Result<bool, StoreError> {
        self.writer.run(|answer| Job::AdvanceReplay { step, answer }).await
    }

    async fn released(&self, released: &[Released]) -> Result<(), StoreError> {
        let leases = release::leases(released);
        self.writer.run(|answer| Job::Settle { leases, queued: true, answer }).await
    }

    async fn not_released(&self, released: &[Released]) -> Result<(), StoreError> {
        let leases = release::leases(released);
        self.writer.run(|answer| Job::Settle { leases, queued: false, answer }).await
    }

    async fn waiting_for(&self, webhooks: &[(String, i64)], limit: i64) -> Result<Vec<Waiting>, StoreError> {
        release::waiting_for(&self.readers, webhooks, limit).await.map_err(|error| self.failed(error))
    }

    async fn held_since(&self, before: i64, limit: i64) -> Result<Vec<Waiting>, StoreError> {
        release::held_since(&self.readers, before, limit).await.map_err(|error| self.failed(error))
    }

    async fn clock_was_set_back(&self, now: i64, tolerance: i64) -> Result<u64, StoreError> {
        self.writer.run(|answer| Job::ClockWasSetBack { now, tolerance, answer }).await
    }

    async fn hold_overdue(&self, before: i64, now: i64, limit: i64) -> Result<u64, StoreError> {
        self.writer.run(|answer| Job::HoldOverdue { before, now, limit, answer }).await
    }

    async fn forget_claims(&self, before: i64, limit: i64) -> Result<u64, StoreError> {
        self.writer.run(|answer| Job::ForgetClaims { before, limit, answer }).await
    }

    async fn stats(&self, query: &StatsQuery) -> Result<Vec<Stats>, StoreError> {
        counts::stats(&self.readers, query).await.map_err(|error| self.failed(error))
    }

    async fn forget_counts(&self, before: i64, limit: i64) -> Result<u64, StoreError> {
        self.writer.run(|answer| Job::ForgetCounts { before, limit, answer }).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.readers).await.map(drop).map_err(|error| self.failed(error))
    }
}
