//! Opening a store: its schema is brought up to date, or it is refused with the fix; one that a newer program has added
//! to is worked with.

use std::{pin::Pin, sync::Arc};

use history::store::{Store, StoreError, open_postgres};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::{export, known, manual, record, release, replays, retention};

/// Where a newer program has been: a column more in every table.
fn newer() -> String {
    let tables = ["claims", "bodies", "pending", "attempts", "replays", "replay_items", "counts", "settings"];
    let columns = tables.map(|table| format!("ALTER TABLE {table} ADD COLUMN newer integer NOT NULL DEFAULT 5;"));
    let note = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (999, 'newer', TRUE, '', 0);";
    columns.concat() + note
}

const NOT_FOR_OLDER: &str = "UPDATE compatibility SET needs = 999";
const REFUSAL: &str =
    "its schema has version 999, for programs that know migration 999; this one knows 12: start a newer";

type Case = fn(Arc<dyn Store>) -> Pin<Box<dyn Future<Output = ()>>>;

macro_rules! cases {
    ($($module:ident::$test:ident),* $(,)?) => {
        [$(|store| Box::pin($module::$test(store))),*]
    };
}

/// Records, days, retention, releases, replays, retries by hand, exports.
const CASES: [Case; 7] = cases![
    record::records_in_any_order_give_the_same_rows,
    retention::attempts_of_many_days_are_in_one_list,
    retention::a_shorter_retention_hides_at_once_and_removes,
    release::held_deliveries_are_taken_once_and_settled,
    replays::each_gets_one_attempt_a_few_at_a_time,
    manual::of_presses_at_once_one_makes_an_attempt,
    export::an_export_has_what_was_there_when_it_began,
];

fn refusal(opened: Result<Arc<dyn Store>, StoreError>) -> String {
    opened.err().unwrap().to_string()
}

async fn run(url: &str, statements: String) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let script = format!("SET search_path = history; {statements}");
    sqlx::raw_sql(AssertSqlSafe(script)).execute(&mut connection).await.unwrap();
}

#[tokio::test]
async fn a_schema_that_is_not_up_to_date_is_refused() {
    let database = blackbox::servers::database().await;
    let refused = refusal(open_postgres(&database.url, false).await);
    assert!(refused.contains("not up to date") && refused.contains("--no-migrate"), "{refused}");
    // Two programs that start at once.
    let (one, other) = tokio::join!(open_postgres(&database.url, true), open_postgres(&database.url, true));
    assert!(one.is_ok() && other.is_ok(), "{:?} {:?}", one.err(), other.err());
    assert!(open_postgres(&database.url, false).await.is_ok());
    run(&database.url, "DELETE FROM _sqlx_migrations WHERE version = 11".into()).await;
    let refused = refusal(open_postgres(&database.url, false).await);
    assert!(refused.contains("it lacks migration 11 of this program; start once without --no-migrate"), "{refused}");
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_schema_in_postgres_is_worked_with_until_it_says_otherwise() {
    for case in CASES {
        let database = blackbox::servers::database().await;
        open_postgres(&database.url, true).await.unwrap();
        run(&database.url, newer()).await;
        case(open_postgres(&database.url, true).await.unwrap()).await;
        assert!(open_postgres(&database.url, false).await.is_ok());
        run(&database.url, NOT_FOR_OLDER.into()).await;
        for migrate in [true, false] {
            let refused = refusal(open_postgres(&database.url, migrate).await);
            assert!(refused.contains(REFUSAL), "{refused}");
        }
        database.remove().await;
    }
}

#[cfg(feature = "sqlite")]
mod on_sqlite {
    use std::path::Path;

    use history::store::open_sqlite;
    use sqlx::{ConnectOptions as _, sqlite::SqliteConnectOptions};

    use super::{AssertSqlSafe, CASES, NOT_FOR_OLDER, REFUSAL, known, newer, refusal};

    async fn run(path: &Path, statements: String) {
        let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await.unwrap();
    }

    #[tokio::test]
    async fn a_file_keeps_its_rows_and_is_refused_when_it_is_not_up_to_date() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.db");
        let refused = refusal(open_sqlite(&path, false).await);
        assert!(refused.contains("it lacks migration 1 of this program; start once without --no-migrate"), "{refused}");
        let store = open_sqlite(&path, true).await.unwrap();
        store.record(vec![known::record(1, 1, known::failed(10, 0))].into()).await.unwrap();
        drop(store);
        let store = open_sqlite(&path, false).await.unwrap();
        assert!(store.delivery("default", known::delivery(1).id, known::SIGHT).await.unwrap().is_some());
        let missing = refusal(open_sqlite(&folder.path().join("no/such.db"), true).await);
        assert!(missing.contains("data.dir"), "{missing}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_newer_schema_is_worked_with_until_it_says_otherwise() {
        for case in CASES {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("history.db");
            drop(open_sqlite(&path, true).await.unwrap());
            run(&path, newer()).await;
            case(open_sqlite(&path, true).await.unwrap()).await;
            assert!(open_sqlite(&path, false).await.is_ok());
            run(&path, NOT_FOR_OLDER.into()).await;
            for migrate in [true, false] {
                let refused = refusal(open_sqlite(&path, migrate).await);
                assert!(refused.contains(REFUSAL), "{refused}");
            }
        }
    }
}
