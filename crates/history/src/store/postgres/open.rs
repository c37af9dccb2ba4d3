//! Opening events: claim, look up what is in doubt, decide, write.

use std::collections::HashSet;

use sqlx::{FromRow, PgPool, PgTransaction};
use uuid::Uuid;

use super::{
    begin::begin,
    bodies,
    counts::{self, Shards},
    days::day_of,
    reach::{Reach, since_any_match, since_match},
    record::insert_waits,
};
use crate::{
    merge::Wait,
    model::{Delivery, EventKey, OpenEvent, Opened, WaitState},
    opening::{self, Claims, Known},
};

pub(super) async fn open(
    pool: &PgPool,
    shards: &Shards,
    events: &[OpenEvent],
    now: i64,
) -> Result<Vec<Opened>, sqlx::Error> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let mut transaction = begin(pool, "BEGIN").await?;
    let claims = claim(&mut transaction, events, now).await?;
    let doubtful = opening::in_doubt(events, &claims);
    let known = look_up(&mut transaction, &doubtful).await?;
    let decision = opening::decide(events, &claims, &known);
    let since = since(events).unwrap_or_default();
    write_waits(&mut transaction, &decision.deliveries, since).await?;
    let first = bodies::insert(&mut transaction, &decision.bodies, since).await?;
    let shard = shards.take();
    counts::add(&mut transaction, &shard, decision.counts(&first)).await?;
    transaction.commit().await?;
    Ok(decision.results)
}

/// From when on attempts and bodies of these events may be there. (The id of an event that was published days ago, and whose
/// claim was forgotten, is a new event's.)
fn since(events: &[OpenEvent]) -> Option<i64> {
    let since = |event: &OpenEvent| {
        if event.redelivered { since_any_match(event.matched_at) } else { since_match(event.matched_at) }
    };
    events.iter().map(since).min()
}

#[derive(FromRow)]
struct ClaimRow {
    instance: String,
    event_id: Uuid,
    publish_id: Uuid,
}

impl ClaimRow {
    fn key(&self) -> EventKey {
        EventKey { instance: self.instance.clone(), event_id: self.event_id }
    }
}

async fn claim(transaction: &mut PgTransaction<'_>, events: &[OpenEvent], now: i64) -> Result<Claims, sqlx::Error> {
    let wanted = opening::wanted_claims(events);
    let mut claims = Claims::default();
    if wanted.is_empty() {
        return Ok(claims);
    }
    let instances: Vec<&str> = wanted.keys().map(|key| key.instance.as_str()).collect();
    let event_ids: Vec<Uuid> = wanted.keys().map(|key| key.event_id).collect();
    let made: Vec<ClaimRow> = sqlx::query_as(
        "INSERT INTO claims (instance, event_id, publish_id, claimed_at) \
         SELECT u.*, $4::bigint FROM UNNEST($1::text[], $2::uuid[], $3::uuid[]) AS u ON CONFLICT DO NOTHING \
         RETURNING instance, event_id, publish_id",
    )
    .bind(&instances)
    .bind(&event_ids)
    .bind(wanted.values().copied().collect::<Vec<_>>())
    .bind(now)
    .fetch_all(&mut **transaction)
    .await?;
    claims.made = made.iter().map(ClaimRow::key).collect();
    claims.publishes = made.iter().map(|row| (row.key(), row.publish_id)).collect();
    if claims.made.len() < wanted.len() {
        // A statement of its own: only now what was in the way is certain to be seen.
        let found: Vec<ClaimRow> = sqlx::query_as(
            "SELECT c.instance, c.event_id, c.publish_id FROM claims c \
             JOIN UNNEST($1::text[], $2::uuid[]) AS u (instance, event_id) USING (instance, event_id)",
        )
        .bind(&instances)
        .bind(&event_ids)
        .fetch_all(&mut **transaction)
        .await?;
        claims.publishes.extend(found.iter().map(|row| (row.key(), row.publish_id)));
    }
    Ok(claims)
}

async fn look_up(transaction: &mut PgTransaction<'_>, events: &[&OpenEvent]) -> Result<Known, sqlx::Error> {
    if events.is_empty() {
        return Ok(Known::default());
    }
    let mut known = Known::default();
    let instances: Vec<&str> = events.iter().map(|event| event.key.instance.as_str()).collect();
    let event_ids: Vec<Uuid> = events.iter().map(|event| event.key.event_id).collect();
    known.waits = sqlx::query_as(
        "SELECT p.instance, p.event_id, p.delivery_id, p.webhook_id, p.format, p.number, p.state FROM pending p \
         JOIN UNNEST($1::text[], $2::uuid[]) AS u (instance, event_id) USING (instance, event_id)",
    )
    .bind(&instances)
    .bind(&event_ids)
    .fetch_all(&mut **transaction)
    .await?;
    let matched = events.iter().flat_map(|event| event.deliveries.iter().map(|to| (event.key.event_id, to.0)));
    let ids: HashSet<Uuid> = matched
        .map(|(event_id, webhook_id)| domain::delivery_id(event_id, webhook_id))
        .chain(known.waits.iter().map(|wait| wait.delivery_id))
        .collect();
    let first = events.iter().map(|event| since_any_match(event.matched_at)).min().unwrap_or_default();
    known.attempted = attempted(transaction, ids.into_iter().collect(), first).await?;
    let bodies: Vec<(String, Uuid)> = sqlx::query_as(
        "SELECT u.instance, u.event_id FROM UNNEST($1::text[], $2::uuid[]) AS u (instance, event_id) \
         WHERE (SELECT b.day FROM bodies b WHERE b.instance = u.instance AND b.event_id = u.event_id AND b.day >= $3 \
         LIMIT 1) IS NOT NULL",
    )
    .bind(&instances)
    .bind(&event_ids)
    .bind(day_of(first))
    .fetch_all(&mut **transaction)
    .await?;
    known.bodies = bodies.into_iter().map(|(instance, event_id)| EventKey { instance, event_id }).collect();
    Ok(known)
}

/// Those of these deliveries that have an attempt.
async fn attempted(
    transaction: &mut PgTransaction<'_>,
    ids: Vec<Uuid>,
    since: i64,
) -> Result<HashSet<Uuid>, sqlx::Error> {
    let mut reach = Reach::default();
    ids.into_iter().for_each(|id| reach.add(id, since));
    let found = reach.attempted(transaction).await?;
    Ok(found.into_iter().map(|row| row.delivery_id).collect())
}

/// Writes first waits, unless a delivery waits already or has an attempt. That is looked at after the rows are there:
/// whoever records an attempt at the same time has either been waited for, or finds the row and ends it.
async fn write_waits(
    transaction: &mut PgTransaction<'_>,
    deliveries: &[Delivery],
    since: i64,
) -> Result<(), sqlx::Error> {
    if deliveries.is_empty() {
        return Ok(());
    }
    let rows: Vec<(&Delivery, Wait)> = deliveries.iter().map(|delivery| (delivery, Wait::first(delivery))).collect();
    insert_waits(transaction, &rows).await?;
    let ids = deliveries.iter().map(|delivery| delivery.id).collect();
    let attempted = attempted(transaction, ids, since).await?;
    if attempted.is_empty() {
        return Ok(());
    }
    sqlx::query("DELETE FROM pending WHERE delivery_id = ANY($1) AND number = 1 AND state = $2")
        .bind(attempted.into_iter().collect::<Vec<_>>())
        .bind(WaitState::Event.code())
        .execute(&mut **transaction)
        .await
        .map(drop)
}
