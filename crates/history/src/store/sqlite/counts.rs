//! Counts for statistics: adding to them, reading and forgetting them.

use sqlx::{SqliteConnection, SqlitePool};

use super::rows::write;
use crate::{
    counts::Tally,
    store::{Count, Stats, StatsQuery},
};

pub(super) async fn add(connection: &mut SqliteConnection, tally: Tally<'_>) -> Result<(), sqlx::Error> {
    let before = "INSERT INTO counts (instance, webhook_id, hour, what, count)";
    let after = "ON CONFLICT (instance, webhook_id, hour, what) DO UPDATE SET count = count + excluded.count";
    write(connection, (before, after), &tally.changes(), |row, (key, count)| {
        row.push_bind(key.instance.to_owned())
            .push_bind(key.webhook_id)
            .push_bind(key.hour)
            .push_bind(key.what)
            .push_bind(*count);
    })
    .await
}

pub(super) async fn stats(readers: &SqlitePool, query: &StatsQuery) -> Result<Vec<Stats>, sqlx::Error> {
    let mut snapshot = readers.begin().await?;
    let mut stats = Vec::with_capacity(query.webhook_ids.len());
    for webhook_id in &query.webhook_ids {
        stats.push(stats_of(&mut snapshot, query, *webhook_id).await?);
    }
    Ok(stats)
}

async fn stats_of(
    connection: &mut SqliteConnection,
    query: &StatsQuery,
    webhook_id: i64,
) -> Result<Stats, sqlx::Error> {
    let counts: Vec<Count> = sqlx::query_as(
        "SELECT hour, what, count FROM counts WHERE instance = ? AND webhook_id = ? AND hour >= ? AND hour < ?",
    )
    .bind(&query.instance)
    .bind(webhook_id)
    .bind(query.hours.start)
    .bind(query.hours.end)
    .fetch_all(&mut *connection)
    .await?;
    let (pending, oldest_pending) = sqlx::query_as(
        "SELECT COUNT(*), MIN(since) FROM (SELECT since FROM pending \
         WHERE instance = ? AND webhook_id = ? AND NOT is_test ORDER BY since LIMIT ?)",
    )
    .bind(&query.instance)
    .bind(webhook_id)
    .bind(query.pending_limit)
    .fetch_one(&mut *connection)
    .await?;
    Ok(Stats { counts, pending, oldest_pending })
}

pub(super) async fn forget(connection: &mut SqliteConnection, before: i64, limit: i64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        "DELETE FROM counts WHERE (instance, webhook_id, hour, what) IN (\
         SELECT instance, webhook_id, hour, what FROM counts WHERE hour < ? ORDER BY hour LIMIT ?)",
    )
    .bind(before)
    .bind(limit)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
