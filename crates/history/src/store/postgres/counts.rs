//! Counts for statistics: adding to them, reading and forgetting them.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
};

use sqlx::{PgConnection, PgPool, PgTransaction};

use crate::{
    counts::Tally,
    store::{Count, Stats, StatsQuery},
};

/// Hands out shards: rows of their own for transactions that count at the same time, in this process and in others, so
/// that none waits until another one is committed. Lower ones come first, so that few are used.
pub(super) struct Shards {
    /// The first one of this process.
    first: i32,
    taken: Mutex<BTreeSet<i32>>,
}

/// A shard, until it is dropped.
pub(super) struct Shard<'a> {
    number: i32,
    shards: &'a Shards,
}

impl Shards {
    /// For this process, which the server process behind its first connection tells from others.
    pub(super) async fn new(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        /// More than one process uses at once. Were it to use more, it would wait for others now and then.
        const EACH: i32 = 64;
        let process: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(connection).await?;
        Ok(Self { first: process.wrapping_mul(EACH), taken: Mutex::default() })
    }

    pub(super) fn take(&self) -> Shard<'_> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let number = (0..).find(|number| !taken.contains(number)).unwrap_or_default();
        taken.insert(number);
        Shard { number, shards: self }
    }
}

impl Drop for Shard<'_> {
    fn drop(&mut self) {
        self.shards.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

/// Changes counts; to be called last in a transaction, because of the rows that it locks.
pub(super) async fn add(
    transaction: &mut PgTransaction<'_>,
    shard: &Shard<'_>,
    tally: Tally<'_>,
) -> Result<(), sqlx::Error> {
    let rows = tally.changes();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO counts (instance, webhook_id, hour, what, shard, count) \
         SELECT u.instance, u.webhook_id, u.hour, u.what, $6::int, u.count \
         FROM UNNEST($1::text[], $2::bigint[], $3::bigint[], $4::smallint[], $5::bigint[]) \
         AS u (instance, webhook_id, hour, what, count) \
         ON CONFLICT (instance, webhook_id, hour, what, shard) DO UPDATE SET count = counts.count + excluded.count",
    )
    .bind(rows.iter().map(|row| row.0.instance).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.0.webhook_id).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.0.hour).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.0.what).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.1).collect::<Vec<_>>())
    .bind(shard.shards.first.wrapping_add(shard.number))
    .execute(&mut **transaction)
    .await
    .map(drop)
}

pub(super) async fn stats(pool: &PgPool, query: &StatsQuery) -> Result<Vec<Stats>, sqlx::Error> {
    #[derive(sqlx::FromRow)]
    struct Found {
        webhook_id: i64,
        #[sqlx(flatten)]
        count: Count,
    }
    let found: Vec<Found> = sqlx::query_as(
        "SELECT webhook_id, hour, what, SUM(count)::bigint AS count FROM counts \
         WHERE instance = $1 AND webhook_id = ANY($2) AND hour >= $3 AND hour < $4 GROUP BY webhook_id, hour, what",
    )
    .bind(&query.instance)
    .bind(&query.webhook_ids)
    .bind(query.hours.start)
    .bind(query.hours.end)
    .fetch_all(pool)
    .await?;
    let mut counts: HashMap<i64, Vec<Count>> = HashMap::new();
    for Found { webhook_id, count } in found {
        counts.entry(webhook_id).or_default().push(count);
    }
    let waiting: Vec<(i64, i64, Option<i64>)> = sqlx::query_as(
        "SELECT webhook.id, waiting.number, waiting.oldest \
         FROM UNNEST($2::bigint[]) WITH ORDINALITY AS webhook (id, place) CROSS JOIN LATERAL (\
             SELECT COUNT(*) AS number, MIN(since) AS oldest FROM (\
                 SELECT since FROM pending WHERE instance = $1 AND webhook_id = webhook.id AND NOT is_test \
                 ORDER BY since LIMIT $3) AS first_ones\
         ) AS waiting ORDER BY webhook.place",
    )
    .bind(&query.instance)
    .bind(&query.webhook_ids)
    .bind(query.pending_limit)
    .fetch_all(pool)
    .await?;
    let stats = waiting.into_iter().map(|(webhook_id, pending, oldest_pending)| Stats {
        counts: counts.remove(&webhook_id).unwrap_or_default(),
        pending,
        oldest_pending,
    });
    Ok(stats.collect())
}

pub(super) async fn forget(pool: &PgPool, before: i64, limit: i64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        "DELETE FROM counts WHERE ctid = ANY(ARRAY(\
         SELECT ctid FROM counts WHERE hour < $1 ORDER BY hour LIMIT $2 FOR UPDATE SKIP LOCKED))",
    )
    .bind(before)
    .bind(limit)
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}
