//! Beginning transactions.

use sqlx::{PgPool, PgTransaction};

/// Begins a transaction with this statement, whether or not somebody goes on waiting for it: calls are given up (a caller
/// goes away, a time limit passes), and a `BEGIN` given up on its way would leave the connection in a transaction that
/// nobody ends. What uses it next would be refused, or never be committed.
#[expect(clippy::disallowed_methods, reason = "the task ends with its one statement, and nothing is lost with it")]
pub(super) async fn begin(pool: &PgPool, statement: &'static str) -> Result<PgTransaction<'static>, sqlx::Error> {
    let pool = pool.clone();
    let begun = tokio::spawn(async move { pool.begin_with(statement).await });
    begun.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
}
