//! What is held, and what is to end: found, taken and let go.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection, SqlitePool};
use uuid::Uuid;

use super::{
    packing::unpack,
    rows::{read, write},
};
use crate::{
    model::{Delivery, HoldReason, WaitState},
    opening::TRACE,
    store::{Held, Released, TakeHeld, TakeTests, Waiting, by_kind, held_webhooks, list::delivery_columns},
};

pub(super) async fn held_webhooks(readers: &SqlitePool, held: Held, due_by: i64) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar(by_kind!(held, held_webhooks)).bind(due_by).fetch_all(readers).await
}

#[derive(FromRow)]
struct Taken {
    #[sqlx(flatten)]
    delivery: Delivery,
    number: i32,
    generation: i32,
    manual: bool,
}

/// Takes what is held for its webhook.
async fn take_for_news(
    connection: &mut SqliteConnection,
    webhook_id: i64,
    take: TakeHeld,
) -> Result<Vec<Taken>, sqlx::Error> {
    sqlx::query_as(concat!(
        "UPDATE pending SET generation = generation + 1, leased_until = ?1, not_before = ?1, config_version = ?3 \
         WHERE delivery_id IN (\
         SELECT delivery_id FROM pending WHERE state = 2 AND hold_reason < 3 AND webhook_id = ?2 AND (config_version <= ?3 \
         OR due_at < ?6) AND leased_until <= ?4 AND not_before <= ?4 ORDER BY since LIMIT ?5) RETURNING ",
        delivery_columns!(),
        ", number, generation, manual"
    ))
    .bind(take.leased_until)
    .bind(webhook_id)
    .bind(take.config_version)
    .bind(take.now)
    .bind(take.limit)
    .bind(take.held_before)
    .fetch_all(connection)
    .await
}

/// Takes what is held for other things than news.
macro_rules! take_timed {
    ($condition:literal) => {
        concat!(
            "UPDATE pending SET generation = generation + 1, leased_until = ?1 WHERE delivery_id IN (\
             SELECT delivery_id FROM pending WHERE ",
            $condition,
            " AND webhook_id = ?2 AND due_at <= ?5 AND leased_until <= ?3 ORDER BY due_at LIMIT max(0, ?4 - (\
             SELECT count(*) FROM pending WHERE state = 1 AND generation > 0 AND webhook_id = ?2))) RETURNING ",
            delivery_columns!(),
            ", number, generation, manual"
        )
    };
}

/// Takes what is held for other things than news.
async fn take_timed(
    connection: &mut SqliteConnection,
    webhook_id: i64,
    take: TakeHeld,
) -> Result<Vec<Taken>, sqlx::Error> {
    sqlx::query_as(by_kind!(take.held, take_timed))
        .bind(take.leased_until)
        .bind(webhook_id)
        .bind(take.now)
        .bind(take.limit)
        .bind(take.due_by())
        .fetch_all(connection)
        .await
}

pub(super) async fn take_tests(
    connection: &mut SqliteConnection,
    take: TakeTests,
) -> Result<Vec<Released>, sqlx::Error> {
    let taken = sqlx::query_as(concat!(
        "UPDATE pending SET generation = generation + 1, leased_until = ?1, not_before = ?1, config_version = ?2 \
         WHERE delivery_id IN (\
         SELECT delivery_id FROM pending WHERE state = 2 AND is_test AND leased_until <= ?3 AND not_before <= ?3 AND due_at <= ?3 \
         ORDER BY not_before LIMIT ?4) RETURNING ",
        delivery_columns!(),
        ", number, generation, manual"
    ))
    .bind(take.leased_until)
    .bind(take.config_version)
    .bind(take.now)
    .bind(take.limit)
    .fetch_all(&mut *connection)
    .await?;
    with_bodies(connection, taken, take.leased_until).await
}

pub(super) async fn take_held(
    connection: &mut SqliteConnection,
    webhooks: &[i64],
    take: TakeHeld,
) -> Result<Vec<Released>, sqlx::Error> {
    let mut taken = Vec::new();
    for webhook_id in webhooks {
        taken.extend(match take.held {
            Held::ForNews => take_for_news(connection, *webhook_id, take).await?,
            Held::Busy | Held::Failing | Held::UntilTime => take_timed(connection, *webhook_id, take).await?,
        });
    }
    with_bodies(connection, taken, take.leased_until).await
}

async fn with_bodies(
    connection: &mut SqliteConnection,
    taken: Vec<Taken>,
    leased_until: i64,
) -> Result<Vec<Released>, sqlx::Error> {
    let bodies = bodies(connection, &taken).await?;
    let released = taken.into_iter().map(|row| Released {
        body: bodies.get(&key(&row.delivery, &row.delivery.format)).cloned(),
        delivery: Delivery {
            trace: bodies.get(&key(&row.delivery, TRACE)).cloned().unwrap_or_default(),
            ..row.delivery
        },
        number: row.number,
        generation: row.generation,
        manual: row.manual,
        leased_until,
    });
    Ok(released.collect())
}

type BodyKey = (String, Uuid, String);

fn key(delivery: &Delivery, format: &str) -> BodyKey {
    (delivery.instance.clone(), delivery.event_id, format.to_owned())
}

/// The stored bodies of deliveries and the trace contexts of their events, each read once.
async fn bodies(connection: &mut SqliteConnection, taken: &[Taken]) -> Result<HashMap<BodyKey, Bytes>, sqlx::Error> {
    let keys = |row: &Taken| [row.delivery.format.as_str(), TRACE].map(|format| key(&row.delivery, format));
    let wanted: BTreeSet<BodyKey> = taken.iter().flat_map(keys).collect();
    let wanted: Vec<BodyKey> = wanted.into_iter().collect();
    let before = "SELECT b.instance, b.event_id, b.format, b.packing, b.content FROM (";
    let after = ") AS u CROSS JOIN bodies AS b ON b.instance = u.column1 AND b.event_id = u.column2 \
         AND b.format = u.column3";
    let rows: Vec<(String, Uuid, String, i64, Vec<u8>)> = read(connection, (before, after), &wanted, |row, key| {
        row.push_bind(key.0.clone()).push_bind(key.1).push_bind(key.2.clone());
    })
    .await?;
    let body = |row: (String, Uuid, String, i64, Vec<u8>)| Ok(((row.0, row.1, row.2), unpack(row.3, row.4)?));
    rows.into_iter().map(body).collect()
}

/// What [`settle`] needs of a [`Released`].
#[derive(Clone, Copy)]
pub(super) struct Lease {
    id: Uuid,
    number: i32,
    generation: i32,
    leased_until: i64,
}

pub(super) fn leases(released: &[Released]) -> Vec<Lease> {
    let lease = |row: &Released| Lease {
        id: row.delivery.id,
        number: row.number,
        generation: row.generation,
        leased_until: row.leased_until,
    };
    released.iter().map(lease).collect()
}

/// Ends the lease of what was taken and is as it was then: as queued again, or as held and free to be taken.
pub(super) async fn settle(
    connection: &mut SqliteConnection,
    leases: &[Lease],
    queued: bool,
) -> Result<(), sqlx::Error> {
    let (state, not_before) = if queued { (WaitState::Message, "not_before") } else { (WaitState::Held, "0") };
    let before = format!(
        "UPDATE pending SET state = {}, leased_until = 0, not_before = {not_before} WHERE delivery_id IN (\
         SELECT p.delivery_id FROM (",
        state.code()
    );
    let after = ") AS u CROSS JOIN pending AS p ON p.delivery_id = u.column1 AND p.number = u.column2 \
         AND p.generation = u.column3 AND p.leased_until = u.column4 AND p.state = 2)";
    write(connection, (&before, after), leases, |row, lease| {
        row.push_bind(lease.id).push_bind(lease.number).push_bind(lease.generation).push_bind(lease.leased_until);
    })
    .await
}

pub(super) async fn waiting_for(
    readers: &SqlitePool,
    webhooks: &[(String, i64)],
    limit: i64,
) -> Result<Vec<Waiting>, sqlx::Error> {
    if webhooks.is_empty() {
        return Ok(Vec::new());
    }
    let mut query =
        QueryBuilder::<Sqlite>::new(concat!("SELECT ", delivery_columns!(), ", number, hold_reason FROM ("));
    query.push_values(webhooks, |mut row, (instance, webhook_id)| {
        row.push_bind(instance.clone()).push_bind(*webhook_id);
    });
    query.push(") AS u CROSS JOIN pending ON instance = u.column1 AND webhook_id = u.column2 LIMIT ");
    query.push_bind(limit);
    query.build_query_as().fetch_all(readers).await
}

pub(super) async fn held_since(readers: &SqlitePool, before: i64, limit: i64) -> Result<Vec<Waiting>, sqlx::Error> {
    sqlx::query_as(concat!(
        "SELECT ",
        delivery_columns!(),
        ", number, hold_reason FROM pending WHERE state = 2 AND since < ?1 AND leased_until < ?1 ORDER BY since LIMIT ?2"
    ))
    .bind(before)
    .bind(limit)
    .fetch_all(readers)
    .await
}

/// Without an index of its own: it is asked for rarely, and writing one would cost every delivery.
pub(super) async fn clock_was_set_back(
    connection: &mut SqliteConnection,
    now: i64,
    tolerance: i64,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE pending SET due_at = due_at - max(0, since - ?1), since = min(since, ?1), \
         leased_until = min(leased_until, ?2), not_before = min(not_before, ?2) \
         WHERE state = 2 AND (since > ?2 OR leased_until > ?2 OR not_before > ?2)",
    )
    .bind(now)
    .bind(now.saturating_add(tolerance))
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

pub(super) async fn hold_overdue(
    connection: &mut SqliteConnection,
    before: i64,
    now: i64,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE pending SET state = ?1, hold_reason = ?2, leased_until = 0, not_before = ?3 WHERE delivery_id IN (\
         SELECT delivery_id FROM pending WHERE state <> ?1 AND number > 0 AND due_at < ?4 LIMIT ?5)",
    )
    .bind(WaitState::Held.code())
    .bind(HoldReason::Overdue.code())
    .bind(now)
    .bind(before)
    .bind(limit)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

pub(super) async fn forget_claims(
    connection: &mut SqliteConnection,
    before: i64,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        "DELETE FROM claims WHERE (instance, event_id) IN (\
         SELECT instance, event_id FROM claims WHERE claimed_at < ? ORDER BY claimed_at LIMIT ?)",
    )
    .bind(before)
    .bind(limit)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
