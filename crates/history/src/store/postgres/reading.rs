//! Lists, whole deliveries and bodies. A day that nothing is read from must cost nothing: planning a statement takes a
//! fifth of a millisecond for each, so lists look into their first days apart from the rest, and what may be anywhere
//! has connections that keep their plans.

use std::collections::HashMap;

use bytes::Bytes;
use futures::future::try_join_all;
use sqlx::{FromRow, PgConnection, PgPool, QueryBuilder, postgres::PgRow};
use uuid::Uuid;

use super::{
    Pools,
    begin::begin,
    days::day_of,
    reach::{Reach, since_any_match, since_match},
};
use crate::{
    model::{CheckItem, Checked, Delivery, EventKey},
    store::{
        Entry, ListQuery, Sight, WholeDelivery, WholeEntry, check,
        check::Waits,
        list::{AttemptRow, Source, WaitRow, attempt_columns, wait_columns},
        read::{self, WholeRow, whole_columns},
        stretches::last_days,
    },
};

pub(super) async fn page(pools: &Pools, query: &ListQuery) -> Result<(Vec<Entry>, bool), sqlx::Error> {
    let (waits, statuses): (Vec<_>, Vec<_>) = query.sources().partition(|source| matches!(source, Source::Waits));
    let mut entries = Vec::new();
    // Before attempts: what is recorded in between is then in both, and not in none.
    for source in waits {
        let mut select = query.select(source, wait_columns!());
        let rows: Vec<WaitRow> = select.build_query_as().fetch_all(&pools.near).await?;
        entries.extend(rows.into_iter().map(Entry::from));
    }
    let attempts = statuses.into_iter().map(|source| attempts(pools, query, source));
    entries.extend(try_join_all(attempts).await?.into_iter().flatten().map(Entry::from));
    Ok(query.page(entries))
}

async fn attempts(pools: &Pools, query: &ListQuery, source: Source) -> Result<Vec<AttemptRow>, sqlx::Error> {
    let mut found: Vec<AttemptRow> = Vec::new();
    for stretch in query.stretches() {
        let room = query.limit.saturating_sub(found.len());
        let pool = if stretch.is_far() { &pools.far } else { &pools.near };
        let mut select = ListQuery { limit: room, ..stretch }.select(source, attempt_columns!());
        found.extend(select.build_query_as().fetch_all(pool).await?);
        if found.len() > query.limit {
            break;
        }
    }
    Ok(found)
}

/// As [`attempts`], whole and within a transaction.
pub(super) async fn whole_attempts<R>(
    connection: &mut PgConnection,
    query: &ListQuery,
    source: Source,
) -> Result<Vec<R>, sqlx::Error>
where
    R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    let mut found: Vec<R> = Vec::new();
    for stretch in query.stretches() {
        let room = query.limit.saturating_sub(found.len());
        let mut select = ListQuery { limit: room, ..stretch }.select(source, whole_columns!());
        found.extend(select.build_query_as().fetch_all(&mut *connection).await?);
        if found.len() > query.limit {
            break;
        }
    }
    Ok(found)
}

pub(super) async fn delivery(
    pools: &Pools,
    instance: &str,
    id: Uuid,
    sight: Sight,
) -> Result<Option<WholeDelivery>, sqlx::Error> {
    // From one moment: a wait that has become an attempt meanwhile would be missed, or taken for the end.
    let mut snapshot = begin(&pools.far, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let found = entries(&mut snapshot, instance, id, sight).await?;
    snapshot.commit().await?;
    let Some(found) = found else { return Ok(None) };
    let mut near = pools.near.acquire().await?;
    let body = body(&mut near, &found.0.event(), &found.0.format, found.0.matched_at).await?;
    Ok(Some(read::whole(found, body.map(Bytes::from))))
}

/// A delivery with its entries.
pub(super) async fn entries(
    connection: &mut PgConnection,
    instance: &str,
    id: Uuid,
    sight: Sight,
) -> Result<Option<(Delivery, Vec<WholeEntry>)>, sqlx::Error> {
    let wait: Option<WaitRow> =
        sqlx::query_as(concat!("SELECT ", wait_columns!(), " FROM pending WHERE delivery_id = $1 AND instance = $2"))
            .bind(id)
            .bind(instance)
            .fetch_optional(&mut *connection)
            .await?;
    let mut attempts: Vec<WholeRow> = Vec::new();
    let last_days = last_days(sight.now);
    for days in ["<", ">="] {
        let mut select = QueryBuilder::new(concat!("SELECT ", whole_columns!(), " FROM attempts WHERE delivery_id = "));
        select.push_bind(id).push(" AND instance = ").push_bind(instance);
        select.push(" AND started_at >= ").push_bind(sight.from);
        select.push(format_args!(" AND started_at {days} {last_days} ORDER BY number, started_at"));
        attempts.extend(select.build_query_as::<WholeRow>().fetch_all(&mut *connection).await?);
    }
    Ok(read::entries(attempts, wait))
}

/// The body of an event that was matched then. A body that was needed for long is found in a later day.
pub(super) async fn body(
    connection: &mut PgConnection,
    event: &EventKey,
    format: &str,
    matched_at: i64,
) -> Result<Option<Vec<u8>>, sqlx::Error> {
    let day = day_of(matched_at);
    let within = |from: i64, to: i64| {
        let statement = "SELECT content FROM bodies WHERE instance = $1 AND event_id = $2 AND format = $3 \
             AND day >= $4 AND day <= $5 LIMIT 1";
        sqlx::query_scalar(statement).bind(&event.instance).bind(event.event_id).bind(format).bind(from).bind(to)
    };
    // Matched anew, it may have been stored when it was matched first.
    let found = within(day - 1, day).fetch_optional(&mut *connection).await?;
    if found.is_some() {
        return Ok(found);
    }
    within(day_of(since_any_match(matched_at)), i64::MAX).fetch_optional(connection).await
}

/// The body of an event that may have been matched at any time, and may be seen: it is young enough, or waited for.
pub(super) async fn event_body(
    far: &PgPool,
    event: &EventKey,
    format: &str,
    sight: Sight,
) -> Result<Option<Bytes>, sqlx::Error> {
    const STATEMENT: &str = "SELECT content FROM bodies WHERE instance = $1 AND event_id = $2 AND format = $3 \
         AND day >= $4 AND (at >= $5 OR EXISTS (SELECT 1 FROM pending WHERE instance = $1 AND event_id = $2)) LIMIT 1";
    let query = sqlx::query_scalar(STATEMENT).bind(&event.instance).bind(event.event_id).bind(format);
    // What waits may be older than what is seen.
    let query = query.bind(day_of(since_any_match(sight.from))).bind(sight.from);
    let found: Option<Vec<u8>> = query.fetch_optional(far).await?;
    Ok(found.map(Bytes::from))
}

pub(super) async fn check(pool: &PgPool, items: &[CheckItem]) -> Result<Vec<Checked>, sqlx::Error> {
    let ids: Vec<Uuid> = items.iter().map(|item| item.delivery_id).collect();
    let waits: Vec<Waits> = sqlx::query_as(
        "SELECT delivery_id, number, state, generation, leased_until, manual, matched_at FROM pending \
         WHERE delivery_id = ANY($1)",
    )
    .bind(&ids)
    .fetch_all(pool)
    .await?;
    let matched: HashMap<Uuid, i64> = waits.iter().map(|wait| (wait.delivery_id, wait.matched_at)).collect();
    let mut reach = Reach::default();
    for item in items {
        // Where nothing waits, the dispatcher has it from the message, which may be of an event matched anew.
        let known = matched.get(&item.delivery_id);
        let since = known.map_or_else(|| since_any_match(item.matched_at), |matched_at| since_match(*matched_at));
        reach.add(item.delivery_id, since);
    }
    // After the waits: what is recorded in between is then seen as recorded.
    let attempted = reach.attempted(&mut *pool.acquire().await?).await?;
    Ok(check::answers(items, &attempted, &waits))
}
