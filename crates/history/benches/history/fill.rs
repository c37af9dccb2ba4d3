//! A store with millions of entries, filled in by SQL.

use std::{sync::Arc, time::Instant};

use blackbox::servers::Database;
use history::store::{Store, open_postgres, open_sqlite};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection, sqlite::SqliteConnectOptions};

pub(crate) const DAY: i64 = 86_400_000_000;
pub(crate) const INSTANCE: &str = "bench";
pub(crate) const WEBHOOKS: i64 = 100;
pub(crate) const DAYS: i64 = 90;

/// Columns of an attempt in the order of its table.
const ATTEMPTS: &str = "delivery_id, number, instance, webhook_id, event_id, event_type, project_id, matched_at, format, is_test, \
     status, made, final, started_at, duration_us, response_code, error_class, error, url, remote_address, \
     response_truncated, request_headers, response_headers, response_body";

pub(crate) fn fail(what: &str) -> ! {
    println!("{what} is not as it should be");
    std::process::exit(2)
}

/// Where the rows are.
pub(crate) enum Place {
    Postgres(Database),
    Sqlite(tempfile::TempDir),
}

pub(crate) struct Filled {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) place: Place,
    /// The time that counts as now: the end of a day's noon hour, so that the last day has entries.
    pub(crate) now: i64,
}

impl Filled {
    pub(crate) async fn empty(name: &str) -> Self {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros();
        let now = i64::try_from(now).unwrap();
        match name {
            "postgres" => {
                let database = blackbox::servers::database().await;
                let store = open_postgres(&database.url, true).await.unwrap();
                Self { store, place: Place::Postgres(database), now }
            }
            "sqlite" => {
                let folder = tempfile::tempdir().unwrap();
                let store = open_sqlite(&folder.path().join("history.db"), true).await.unwrap();
                Self { store, place: Place::Sqlite(folder), now }
            }
            _ => fail("HISTORY_BENCH_STORES"),
        }
    }

    pub(crate) async fn new(name: &str, entries: i64) -> Self {
        let mut filled = Self::empty(name).await;
        let started = Instant::now();
        filled.fill(INSTANCE, entries, filled.now - DAYS * DAY, filled.now).await;
        println!("{entries} entries over {DAYS} days filled in within {:.0} s", started.elapsed().as_secs_f64());
        // As a service that was started when the days were there.
        if let Place::Postgres(database) = &filled.place {
            filled.store = open_postgres(&database.url, false).await.unwrap();
        }
        filled
    }

    /// Entries of an instance, spread evenly over a time: one in 20 failed, one in 1,000 a test, of five types; ten
    /// deliveries of each event share a body.
    pub(crate) async fn fill(&self, instance: &str, entries: i64, from: i64, to: i64) {
        match &self.place {
            Place::Postgres(database) => {
                let mut connection = PgConnection::connect(&database.url).await.unwrap();
                let days = format!(
                    "SET search_path = history; SET synchronous_commit = off; \
                     SELECT add_day(day) FROM generate_series({from} / {DAY}, {to} / {DAY}) AS day"
                );
                sqlx::raw_sql(AssertSqlSafe(days)).execute(&mut connection).await.unwrap();
                for (first, last) in chunks(entries) {
                    let words = Words::postgres(instance, first, last);
                    let rows = AssertSqlSafe(words.rows(instance, entries, from, to));
                    sqlx::raw_sql(rows).execute(&mut connection).await.unwrap();
                }
                sqlx::raw_sql("VACUUM ANALYZE").execute(&mut connection).await.unwrap();
            }
            Place::Sqlite(folder) => {
                let options = SqliteConnectOptions::new().filename(folder.path().join("history.db"));
                let options = options.pragma("synchronous", "off").busy_timeout(std::time::Duration::from_secs(60));
                let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
                for (first, last) in chunks(entries) {
                    let words = Words::sqlite(first, last);
                    let rows = AssertSqlSafe(words.rows(instance, entries, from, to));
                    sqlx::raw_sql(rows).execute(&mut connection).await.unwrap();
                }
                sqlx::raw_sql("ANALYZE").execute(&mut connection).await.unwrap();
            }
        }
    }

    /// Runs statements in it: those for PostgreSQL or those for SQLite.
    pub(crate) async fn run(&self, [postgres, sqlite]: [&'static str; 2]) {
        match &self.place {
            Place::Postgres(database) => {
                let mut connection = PgConnection::connect(&database.url).await.unwrap();
                sqlx::raw_sql("SET search_path = history").execute(&mut connection).await.unwrap();
                sqlx::raw_sql(postgres).execute(&mut connection).await.unwrap();
            }
            Place::Sqlite(folder) => {
                let options = SqliteConnectOptions::new().filename(folder.path().join("history.db"));
                let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
                sqlx::raw_sql(sqlite).execute(&mut connection).await.unwrap();
            }
        }
    }

    /// The number that a statement answers.
    pub(crate) async fn number(&self, postgres: &str, sqlite: &str) -> i64 {
        match &self.place {
            Place::Postgres(database) => {
                let mut connection = PgConnection::connect(&database.url).await.unwrap();
                sqlx::raw_sql("SET search_path = history").execute(&mut connection).await.unwrap();
                sqlx::query_scalar(AssertSqlSafe(postgres.to_owned())).fetch_one(&mut connection).await.unwrap()
            }
            Place::Sqlite(folder) => {
                let options = SqliteConnectOptions::new().filename(folder.path().join("history.db"));
                let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
                sqlx::query_scalar(AssertSqlSafe(sqlite.to_owned())).fetch_one(&mut connection).await.unwrap()
            }
        }
    }

    /// Bytes on the disk.
    pub(crate) async fn bytes(&self) -> i64 {
        match &self.place {
            Place::Postgres(_) => self.number("SELECT pg_database_size(current_database())", "").await,
            Place::Sqlite(folder) => {
                let _busy = self.number("", "PRAGMA wal_checkpoint(TRUNCATE)").await;
                let bytes = std::fs::metadata(folder.path().join("history.db")).unwrap().len();
                i64::try_from(bytes).unwrap()
            }
        }
    }
}

fn chunks(entries: i64) -> impl Iterator<Item = (i64, i64)> {
    const CHUNK: usize = 100_000;
    (0..entries).step_by(CHUNK).map(move |first| (first, (first + CHUNK as i64).min(entries) - 1))
}

/// What the two databases say differently.
struct Words {
    /// A table of the numbers `i`.
    numbers: String,
    /// A random id.
    delivery: &'static str,
    /// The id of the event of `i`.
    event: String,
    truth: [&'static str; 2],
    /// Makes bytes of a text.
    bytes: [&'static str; 2],
    /// The column of the day, and the value for it.
    has_days: bool,
}

impl Words {
    fn postgres(instance: &str, first: i64, last: i64) -> Self {
        Self {
            numbers: format!("generate_series({first}::bigint, {last}) AS i"),
            delivery: "gen_random_uuid()",
            event: format!("md5('{instance}' || i / 10)::uuid"),
            truth: ["FALSE", "TRUE"],
            bytes: ["convert_to(", ", 'UTF8')"],
            has_days: true,
        }
    }

    fn sqlite(first: i64, last: i64) -> Self {
        Self {
            numbers: format!(
                "(WITH RECURSIVE n (i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last}) SELECT i FROM n)"
            ),
            delivery: "randomblob(16)",
            event: "unhex(printf('%032x', i / 10 * 7919))".to_owned(),
            truth: ["0", "1"],
            bytes: ["CAST(", " AS BLOB)"],
            has_days: false,
        }
    }

    /// Statements that insert attempts and their bodies.
    fn rows(&self, instance: &str, entries: i64, from: i64, to: i64) -> String {
        let Self { numbers, delivery, event, truth: [no, yes], bytes: [bytes, as_bytes], has_days } = self;
        let step = (to - from) / entries;
        let at = format!("({from} + {step} * i)");
        let matched = format!("({from} + {step} * (i / 10 * 10))");
        let (day, of_day) = if *has_days { (", day", format!(", {matched} / {DAY}")) } else { ("", String::new()) };
        format!(
            "INSERT INTO attempts ({ATTEMPTS}) SELECT {delivery}, 1, '{instance}', 1 + i % {WEBHOOKS}, {event}, \
             CASE i / 10 % 5 WHEN 0 THEN 'run.created' WHEN 1 THEN 'run.completed' WHEN 2 THEN 'case.updated' \
             WHEN 3 THEN 'milestone.created' ELSE 'session.closed' END, 1 + i % 20, {matched}, 'generic', i % 1000 = 7, \
             CASE WHEN i % 20 = 3 THEN 1 ELSE 2 END, {yes}, {yes}, {at}, 1000 + i % 90000, \
             CASE WHEN i % 20 = 3 THEN 500 ELSE 200 END, '', '', 'https://hooks.example.com/in', '203.0.113.7:443', {no}, \
             {bytes}'x-testmo-event: run.completed, user-agent: Testmo-Webhooks/0.1.0'{as_bytes}, \
             {bytes}'content-type: text/plain'{as_bytes}, {bytes}'ok'{as_bytes} FROM {numbers}; \
             INSERT INTO bodies (instance, event_id, format, content, at{day}) SELECT '{instance}', {event}, 'generic', \
             {bytes}'{{\"id\": ' || i || ', \"filler\": \"{filler}\"}}'{as_bytes}, {matched}{of_day} FROM {numbers} \
             WHERE i % 10 = 0",
            filler = "0123456789abcdef".repeat(20),
        )
    }
}
