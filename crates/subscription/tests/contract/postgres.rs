//! A database of the tests' PostgreSQL as a place for a store.

use std::sync::Arc;

use blackbox::servers::Database;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use subscription::store::{OpenError, Store, open_postgres};

use crate::backend::{Backend, first_migration};

impl Backend for Database {
    async fn open(&self, migrate: bool) -> Result<Arc<dyn Store>, OpenError> {
        open_postgres(&self.url, migrate).await
    }

    async fn execute(&self, sql: &'static str) {
        run(self, format!("SET search_path = subscription; {sql}")).await;
    }

    fn has_several_writers(&self) -> bool {
        true
    }

    async fn install_first_schema(&self) {
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        connection.execute("CREATE SCHEMA subscription; SET search_path = subscription").await.unwrap();
        first_migration("postgres").await.run(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        self.execute(
            "INSERT INTO webhooks VALUES (1, 1, 'acme', false, 'Old CI', 'https://old.example/', 'generic', \
             '{run.created}', '{4}', false, true, '\\x0708', 'whsec_…abc=', 5, 6); \
             UPDATE configuration SET version = 1; SELECT nextval('webhook_ids')",
        )
        .await;
    }
}

/// Runs statements in it as the server's owner.
pub(crate) async fn run(database: &Database, sql: String) {
    let mut connection = PgConnection::connect(&database.url).await.expect("the tests' PostgreSQL answers");
    connection.execute(AssertSqlSafe(sql)).await.unwrap();
    connection.close().await.unwrap();
}
