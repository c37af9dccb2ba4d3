//! PostgreSQL: a schema of its own in a database that the services share.
//!
//! Writers are kept apart by delivery: whoever changes what is known of a delivery first locks its row in `pending`,
//! and makes one to lock if there is none. Every statement that waits for locks takes them in ascending order of their
//! keys, and every transaction goes through the tables in the same order (claims, pending, attempts, bodies,
//! counts), so that no two can wait for each other.

use std::{str::FromStr as _, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use database::Observed;
use sqlx::{
    Connection as _, PgConnection, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
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

mod begin;
mod bodies;
mod counts;
mod days;
mod endpoints;
mod export;
mod far;
mod manual;
mod open;
mod reach;
mod reading;
mod record;
mod release;
mod replays;
mod retention;

use counts::Shards;
use days::{Days, day_of};
use retention::Seen;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations/postgres");
const SCHEMA: &str = "history";
const CONNECTIONS: u32 = 12;
/// Every statement here goes by keys and has its index. But what is known of tables that grow and shrink as fast as these
/// is always late: a table taken for small would be read whole, for each row of a batch even, and a plan that was made for
/// one and kept would do so for ever. So plans are made anew (for batches that is cheap), and of indexes. Their estimated
/// costs say nothing then, and by these the server would compile statements for 50 ms that take one.
const PLANS: [(&str, &str); 5] = [
    ("plan_cache_mode", "force_custom_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
];
/// How long the server works for nobody: a statement may not hang on somebody's locks, and the locks of a program whose
/// host has gone silent are freed. Not for migrations, which may take their time.
const LIMITS: [(&str, &str); 5] = [
    ("statement_timeout", "30s"),
    ("idle_in_transaction_session_timeout", "30s"),
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
];
/// How long a call may take when it is the server's host that has gone silent: longer than the server's own limits.
const PATIENCE: Duration = Duration::from_secs(45);
/// How long a connection that comes back from a call may take to show that it is of use.
const PROBE: Duration = Duration::from_secs(5);

/// Opens history in the PostgreSQL database at `url`, in the schema `history`. With `migrate` the schema is made or
/// brought up to date; without it, one that is not up to date is refused. One that is newer is worked with if it says that it can be.
///
/// # Errors
/// An address that cannot be read or reached, missing permissions, a schema that is not up to date.
pub async fn open_postgres(url: &str, migrate: bool) -> Result<Arc<dyn Store>, StoreError> {
    const SETTING: &str = "database.url";
    let options = PgConnectOptions::from_str(url)
        .map_err(|error| Address::new("(unreadable)", SETTING).cannot_open(error))?
        .application_name("testmo-history")
        .options([("search_path", SCHEMA)])
        .options(PLANS);
    let database = options.get_database().unwrap_or(options.get_username());
    let address = Address::new(format_args!("{}:{}/{database}", options.get_host(), options.get_port()), SETTING);

    let mut connection = PgConnection::connect_with(&options).await.map_err(|error| address.cannot_open(error))?;
    if migrate {
        make_schema(&mut connection).await.map_err(|error| address.cannot_open(error))?;
    }
    database::prepare(&mut connection, &MIGRATIONS, migrate).await.map_err(|error| address.unfit(error))?;
    let shards = Shards::new(&mut connection).await.map_err(|error| address.cannot_open(error))?;
    drop(connection.close().await);

    let (days, seen) = (Days::default(), Seen::default());
    let near = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(Duration::from_secs(5));
    let (near, far) = (pool(near, options.clone()), far::connect(options));
    let meter = runtime::metrics("history");
    let observed = [database::observe(&meter, "history", &near), database::observe(&meter, "history_far", &far)];
    let pools = Pools { near, far, _observed: observed };
    Ok(Arc::new(Postgres { pools, shards, days, seen, address }))
}

fn pool(pool: PgPoolOptions, options: PgConnectOptions) -> PgPool {
    database::test_rested_connections(pool)
        // The pool has a probe of its own, without a limit: a call that was given up would keep its place for as long as
        // TCP tries on.
        .after_release(|connection, _| {
            Box::pin(async {
                let silent = |_| sqlx::Error::Protocol("database did not answer in time".into());
                tokio::time::timeout(PROBE, connection.ping()).await.map_err(silent)?.map(|()| true)
            })
        })
        .connect_lazy_with(options.options(LIMITS))
}

async fn make_schema(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    // Making a schema that is there needs a permission that a service's role need not have.
    if schema_exists(connection).await? {
        return Ok(());
    }
    let made = sqlx::query("CREATE SCHEMA IF NOT EXISTS history").execute(&mut *connection).await;
    // Two programs that start at once may both try.
    if made.is_err() && !schema_exists(connection).await? {
        made?;
    }
    Ok(())
}

async fn schema_exists(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)")
        .bind(SCHEMA)
        .fetch_one(connection)
        .await
}

struct Pools {
    /// For all that goes by its key or is about a few days.
    near: PgPool,
    /// See [`far`].
    far: PgPool,
    _observed: [Observed<sqlx::Postgres>; 2],
}

struct Postgres {
    pools: Pools,
    shards: Shards,
    days: Days,
    seen: Seen,
    address: Address,
}

impl Postgres {
    async fn run<T>(&self, call: impl Future<Output = Result<T, sqlx::Error>> + Send) -> Result<T, StoreError> {
        match tokio::time::timeout(PATIENCE, call).await {
            Ok(done) => done.map_err(|error| self.address.failed(&error)),
            Err(_) => Err(self.address.silent(PATIENCE)),
        }
    }
}

#[async_trait]
impl Store for Postgres {
    async fn open(&self, events: Vec<OpenEvent>, now: i64) -> Result<Vec<Opened>, StoreError> {
        let days = events.iter().map(|event| day_of(event.matched_at)).collect();
        self.run(async {
            self.days.ensure(&self.pools.near, &days).await?;
            let opened = open::open(&self.pools.near, &self.shards, &events, now).await;
            if !self.days.has_failed(&opened) {
                return opened;
            }
            self.days.ensure(&self.pools.near, &days).await?;
            open::open(&self.pools.near, &self.shards, &events, now).await
        })
        .await
    }

    async fn record(&self, records: Arc<[Record]>) -> Result<(), StoreError> {
        let days = days::of_records(&records);
        self.run(async {
            self.days.ensure(&self.pools.near, &days).await?;
            let recorded = record::record(&self.pools.near, &self.shards, &records).await;
            if !self.days.has_failed(&recorded) {
                return recorded;
            }
            self.days.ensure(&self.pools.near, &days).await?;
            record::record(&self.pools.near, &self.shards, &records).await
        })
        .await
    }

    async fn check(&self, items: &[CheckItem]) -> Result<Vec<Checked>, StoreError> {
        self.run(reading::check(&self.pools.near, items)).await
    }

    async fn list(&self, query: &ListQuery) -> Result<(Vec<Entry>, bool), StoreError> {
        self.run(reading::page(&self.pools, query)).await
    }

    async fn export(&self, query: &ListQuery, parts: mpsc::Sender<Exported>) -> Result<Completion, StoreError> {
        // Each statement has the server's limit; the whole may take long.
        export::export(&self.pools.near, query, &parts).await.map_err(|error| self.address.failed(&error))
    }

    async fn cursor_key(&self) -> Result<Vec<u8>, StoreError> {
        self.run(sqlx::query_scalar("SELECT key FROM cursor_key").fetch_one(&self.pools.near)).await
    }

    async fn delivery(&self, instance: &str, id: Uuid, sight: Sight) -> Result<Option<WholeDelivery>, StoreError> {
        self.run(reading::delivery(&self.pools, instance, id, sight)).await
    }

    async fn body(&self, event: &EventKey, format: &str, sight: Sight) -> Result<Option<Bytes>, StoreError> {
        self.run(reading::event_body(&self.pools.far, event, format, sight)).await
    }

    async fn settings(&self, instance: &str) -> Result<Settings, StoreError> {
        self.run(retention::settings(&self.pools.near, instance)).await
    }

    async fn set_retention(&self, instance: &str, days: i32, now: i64) -> Result<Settings, StoreError> {
        self.run(retention::set_retention(&self.pools.near, instance, days, now)).await
    }

    async fn clear(&self, instance: &str, now: i64) -> Result<(), StoreError> {
        self.run(retention::clear(&self.pools.near, instance, now)).await
    }

    async fn tidy(&self, now: i64) -> Result<bool, StoreError> {
        self.run(retention::tidy(&self.pools.near, &self.days, &self.seen, now)).await
    }

    async fn held_webhooks(&self, held: Held, due_by: i64) -> Result<Vec<i64>, StoreError> {
        self.run(release::held_webhooks(&self.pools.near, held, due_by)).await
    }

    async fn newest_attempts(&self, webhooks: &[(String, i64)]) -> Result<Vec<NewestAttempt>, StoreError> {
        self.run(endpoints::newest_attempts(&self.pools.far, webhooks)).await
    }

    async fn failing(&self, endpoints: &[Endpoint], apart: i64) -> Result<Vec<FailingEndpoint>, StoreError> {
        self.run(endpoints::failing(&self.pools.far, endpoints, apart)).await
    }

    async fn take_held(&self, webhooks: &[i64], take: TakeHeld) -> Result<Vec<Released>, StoreError> {
        self.run(release::take_held(&self.pools.near, webhooks, take)).await
    }

    async fn take_tests(&self, take: TakeTests) -> Result<Vec<Released>, StoreError> {
        self.run(release::take_tests(&self.pools.near, take)).await
    }

    async fn queue_test(
        &self,
        delivery: Delivery,
        body: Bytes,
        now: i64,
        leased_until: i64,
    ) -> Result<Option<Released>, StoreError> {
        self.run(async {
            self.days.ensure(&self.pools.near, &[day_of(delivery.matched_at)].into()).await?;
            manual::queue_test(&self.pools.near, delivery, body, now, leased_until).await
        })
        .await
    }

    async fn retry(&self, retry: Retry) -> Result<Result<Released, NoRetry>, StoreError> {
        self.run(manual::retry(&self.pools.near, &retry)).await
    }

    async fn count_failed(&self, wanted: &Selection, after: Position) -> Result<Counted, StoreError> {
        self.run(replays::count(&self.pools.near, wanted, after)).await
    }

    async fn start_replay(&self, new: NewReplay) -> Result<Option<Replay>, StoreError> {
        let (events, projects) = new.selection.stored();
        let running = self.run(replays::start(&self.pools.near, &new, &events, projects.as_deref())).await?;
        running.map(StoredReplay::shown).transpose()
    }

    async fn replays(&self, instance: &str, webhook_id: i64) -> Result<Vec<Replay>, StoreError> {
        let found = self.run(replays::list(&self.pools.near, instance, webhook_id)).await?;
        found.into_iter().map(StoredReplay::shown).collect()
    }

    async fn replay(&self, instance: &str, id: Uuid) -> Result<Option<Replay>, StoreError> {
        self.run(replays::read(&self.pools.near, instance, id)).await?.map(StoredReplay::shown).transpose()
    }

    async fn cancel_replay(&self, id: Uuid, reason: &str) -> Result<bool, StoreError> {
        self.run(replays::cancel(&self.pools.near, id, reason)).await
    }

    async fn unfinished_replays(&self) -> Result<Vec<(Uuid, i64)>, StoreError> {
        self.run(replays::unfinished(&self.pools.near)).await
    }

    async fn advance_replay(&self, step: Step) -> Result<bool, StoreError> {
        self.run(replays::advance(&self.pools.near, &step)).await
    }

    async fn released(&self, released: &[Released]) -> Result<(), StoreError> {
        self.run(release::settle(&self.pools.near, released, true)).await
    }

    async fn not_released(&self, released: &[Released]) -> Result<(), StoreError> {
        self.run(release::settle(&self.pools.near, released, false)).await
    }

    async fn waiting_for(&self, webhooks: &[(String, i64)], limit: i64) -> Result<Vec<Waiting>, StoreError> {
        self.run(release::waiting_for(&self.pools.near, webhooks, limit)).await
    }

    async fn held_since(&self, before: i64, limit: i64) -> Result<Vec<Waiting>, StoreError> {
        self.run(release::held_since(&self.pools.near, before, limit)).await
    }

    async fn clock_was_set_back(&self, now: i64, tolerance: i64) -> Result<u64, StoreError> {
        self.run(release::clock_was_set_back(&self.pools.near, now, tolerance)).await
    }

    async fn hold_overdue(&self, before: i64, now: i64, limit: i64) -> Result<u64, StoreError> {
        self.run(release::hold_overdue(&self.pools.near, before, now, limit)).await
    }

    async fn forget_claims(&self, before: i64, limit: i64) -> Result<u64, StoreError> {
        self.run(release::forget_claims(&self.pools.near, before, limit)).await
    }

    async fn stats(&self, query: &StatsQuery) -> Result<Vec<Stats>, StoreError> {
        self.run(counts::stats(&self.pools.near, query)).await
    }

    async fn forget_counts(&self, before: i64, limit: i64) -> Result<u64, StoreError> {
        self.run(counts::forget(&self.pools.near, before, limit)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.run(sqlx::query("SELECT 1").execute(&self.pools.near)).await.map(drop)
    }
}
