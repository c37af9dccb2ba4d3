//! What is held, and what is to end: found, taken and let go.

use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use super::{begin::begin, bodies};
use crate::{
    model::{Delivery, HoldReason, WaitState},
    opening::TRACE,
    store::{Held, Released, TakeHeld, TakeTests, Waiting, by_kind, held_webhooks, list::delivery_columns},
};

pub(super) async fn held_webhooks(pool: &PgPool, held: Held, due_by: i64) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar(by_kind!(held, held_webhooks)).bind(due_by).fetch_all(pool).await
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
async fn take_for_news(pool: &PgPool, webhooks: &[i64], take: TakeHeld) -> Result<Vec<Taken>, sqlx::Error> {
    sqlx::query_as(concat!(
        "UPDATE pending SET generation = generation + 1, leased_until = $1, not_before = $1, config_version = $3 \
         WHERE delivery_id = ANY(ARRAY(SELECT h.delivery_id FROM UNNEST($2::bigint[]) AS w (id) CROSS JOIN LATERAL (\
         SELECT delivery_id FROM pending WHERE state = 2 AND hold_reason < 3 AND webhook_id = w.id \
         AND (config_version <= $3 OR due_at < $6) AND leased_until <= $4 AND not_before <= $4 ORDER BY since LIMIT $5 \
         FOR UPDATE SKIP LOCKED) AS h)) RETURNING ",
        delivery_columns!(),
        ", number, generation, manual"
    ))
    .bind(take.leased_until)
    .bind(webhooks)
    .bind(take.config_version)
    .bind(take.now)
    .bind(take.limit)
    .bind(take.held_before)
    .fetch_all(pool)
    .await
}

/// Takes what is held for other things than news.
macro_rules! take_timed {
    ($condition:literal) => {
        concat!(
            "UPDATE pending SET generation = generation + 1, leased_until = $1 WHERE delivery_id = ANY(ARRAY(\
             SELECT h.delivery_id FROM UNNEST($2::bigint[]) AS w (id) CROSS JOIN LATERAL (\
             SELECT delivery_id FROM pending WHERE ",
            $condition,
            " AND webhook_id = w.id AND due_at <= $5 AND leased_until <= $3 ORDER BY due_at LIMIT greatest(0, $4 - (\
             SELECT count(*) FROM pending WHERE state = 1 AND generation > 0 AND webhook_id = w.id)) \
             FOR UPDATE SKIP LOCKED) AS h)) RETURNING ",
            delivery_columns!(),
            ", number, generation, manual"
        )
    };
}

/// Takes what is held for other things than news.
async fn take_timed(pool: &PgPool, webhooks: &[i64], take: TakeHeld) -> Result<Vec<Taken>, sqlx::Error> {
    sqlx::query_as(by_kind!(take.held, take_timed))
        .bind(take.leased_until)
        .bind(webhooks)
        .bind(take.now)
        .bind(take.limit)
        .bind(take.due_by())
        .fetch_all(pool)
        .await
}

pub(super) async fn take_tests(pool: &PgPool, take: TakeTests) -> Result<Vec<Released>, sqlx::Error> {
    let taken = sqlx::query_as(concat!(
        "UPDATE pending SET generation = generation + 1, leased_until = $1, not_before = $1, config_version = $2 \
         WHERE delivery_id = ANY(ARRAY(\
         SELECT delivery_id FROM pending WHERE state = 2 AND is_test AND leased_until <= $3 AND not_before <= $3 AND due_at <= $3 \
         ORDER BY not_before LIMIT $4 FOR UPDATE SKIP LOCKED)) RETURNING ",
        delivery_columns!(),
        ", number, generation, manual"
    ))
    .bind(take.leased_until)
    .bind(take.config_version)
    .bind(take.now)
    .bind(take.limit)
    .fetch_all(pool)
    .await?;
    with_bodies(pool, taken, take.leased_until).await
}

pub(super) async fn take_held(pool: &PgPool, webhooks: &[i64], take: TakeHeld) -> Result<Vec<Released>, sqlx::Error> {
    let taken = match take.held {
        Held::ForNews => take_for_news(pool, webhooks, take).await?,
        Held::Busy | Held::Failing | Held::UntilTime => take_timed(pool, webhooks, take).await?,
    };
    with_bodies(pool, taken, take.leased_until).await
}

async fn with_bodies(pool: &PgPool, taken: Vec<Taken>, leased_until: i64) -> Result<Vec<Released>, sqlx::Error> {
    if taken.is_empty() {
        return Ok(Vec::new());
    }
    let key = |delivery: &Delivery, format: &str| (delivery.event(), format.to_owned());
    let wanted = |row: &Taken| {
        let Taken { delivery, .. } = row;
        [delivery.format.as_str(), TRACE].map(|format| (key(delivery, format), delivery.matched_at))
    };
    let wanted: Vec<_> = taken.iter().flat_map(wanted).collect();
    let bodies = bodies::find(&mut *pool.acquire().await?, &wanted).await?;
    let released = taken.into_iter().map(|row| {
        let kept = |format: &str| bodies.get(&key(&row.delivery, format)).cloned();
        let (body, trace) = (kept(&row.delivery.format), kept(TRACE).unwrap_or_default());
        Released {
            body,
            delivery: Delivery { trace, ..row.delivery },
            number: row.number,
            generation: row.generation,
            manual: row.manual,
            leased_until,
        }
    });
    Ok(released.collect())
}

/// Ends the lease of what was taken and is as it was then: as queued again, or as held and free to be taken.
pub(super) async fn settle(pool: &PgPool, released: &[Released], queued: bool) -> Result<(), sqlx::Error> {
    if released.is_empty() {
        return Ok(());
    }
    let mut rows: Vec<_> =
        released.iter().map(|row| (row.delivery.id, row.number, row.generation, row.leased_until)).collect();
    rows.sort_unstable();
    let ids: Vec<Uuid> = rows.iter().map(|row| row.0).collect();
    let mut transaction = begin(pool, "BEGIN").await?;
    sqlx::query("SELECT 1 FROM pending WHERE delivery_id = ANY($1) ORDER BY delivery_id FOR UPDATE")
        .bind(&ids)
        .execute(&mut *transaction)
        .await?;
    sqlx::query(
        "UPDATE pending p SET state = $5, leased_until = 0, not_before = CASE WHEN $6 THEN p.not_before ELSE 0 END \
         FROM UNNEST($1::uuid[], $2::int[], $3::int[], $4::bigint[]) AS r (id, number, generation, leased_until) \
         CROSS JOIN LATERAL (SELECT ctid FROM pending WHERE delivery_id = r.id OFFSET 0) AS c \
         WHERE p.ctid = c.ctid AND p.number = r.number AND p.generation = r.generation \
         AND p.leased_until = r.leased_until AND p.state = 2",
    )
    .bind(ids)
    .bind(rows.iter().map(|row| row.1).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.2).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.3).collect::<Vec<_>>())
    .bind(if queued { WaitState::Message.code() } else { WaitState::Held.code() })
    .bind(queued)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await
}

pub(super) async fn waiting_for(
    pool: &PgPool,
    webhooks: &[(String, i64)],
    limit: i64,
) -> Result<Vec<Waiting>, sqlx::Error> {
    sqlx::query_as(concat!(
        "SELECT ",
        delivery_columns!(),
        ", number, hold_reason FROM pending JOIN UNNEST($1::text[], $2::bigint[]) AS u (instance, webhook_id) \
         USING (instance, webhook_id) LIMIT $3"
    ))
    .bind(webhooks.iter().map(|webhook| webhook.0.as_str()).collect::<Vec<_>>())
    .bind(webhooks.iter().map(|webhook| webhook.1).collect::<Vec<_>>())
    .bind(limit)
    .fetch_all(pool)
    .await
}

pub(super) async fn held_since(pool: &PgPool, before: i64, limit: i64) -> Result<Vec<Waiting>, sqlx::Error> {
    sqlx::query_as(concat!(
        "SELECT ",
        delivery_columns!(),
        ", number, hold_reason FROM pending WHERE state = 2 AND since < $1 AND leased_until < $1 ORDER BY since LIMIT $2"
    ))
    .bind(before)
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// Without an index of its own: it is asked for rarely, and writing one would cost every delivery.
pub(super) async fn clock_was_set_back(pool: &PgPool, now: i64, tolerance: i64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE pending SET due_at = due_at - greatest(0, since - $1), since = least(since, $1), \
         leased_until = least(leased_until, $2), not_before = least(not_before, $2) \
         WHERE delivery_id = ANY(ARRAY(SELECT delivery_id FROM pending \
         WHERE state = 2 AND (since > $2 OR leased_until > $2 OR not_before > $2) ORDER BY delivery_id FOR UPDATE))",
    )
    .bind(now)
    .bind(now.saturating_add(tolerance))
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}

pub(super) async fn hold_overdue(pool: &PgPool, before: i64, now: i64, limit: i64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE pending SET state = $1, hold_reason = $2, leased_until = 0, not_before = $3 \
         WHERE delivery_id = ANY(ARRAY(SELECT delivery_id FROM pending \
         WHERE state <> $1 AND number > 0 AND due_at < $4 LIMIT $5 FOR UPDATE SKIP LOCKED))",
    )
    .bind(WaitState::Held.code())
    .bind(HoldReason::Overdue.code())
    .bind(now)
    .bind(before)
    .bind(limit)
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}

pub(super) async fn forget_claims(pool: &PgPool, before: i64, limit: i64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        "DELETE FROM claims WHERE ctid = ANY(ARRAY(\
         SELECT ctid FROM claims WHERE claimed_at < $1 ORDER BY claimed_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
    )
    .bind(before)
    .bind(limit)
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}
