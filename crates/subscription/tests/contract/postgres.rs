//! A database of the tests' PostgreSQL as a place for a store.

use std::sync::Arc;

use blackbox::servers::Database;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use subscription::store::{OpenError, Store, open_postgres};

use crate::backend::Backend;

impl Backend for Database {
    async fn open(&self, migrate: bool) -> Result<Arc<dyn Store>, OpenError> {
        open_postgres(&self.url, migrate).await
    }

    async fn execute(&self, sql: &'static str) {
        run(self, format!("SET search_path = subscription; {sql}")).await;
    }
}

/// Runs statements in it as the server's owner.
pub(crate) async fn run(database: &Database, sql: String) {
    let mut connection = PgConnection::connect(&database.url).await.expect("the tests' PostgreSQL answers");
    connection.execute(AssertSqlSafe(sql)).await.unwrap();
    connection.close().await.unwrap();
}
