//! Lists, whole deliveries and bodies. A day that nothing is read from must cost nothing: planning a statement takes a
//! fifth of a millisecond for each, so lists are read in stretches of time, and for what may be anywhere the plan is kept.

use std::collections::HashMap;

use bytes::Bytes;
use sqlx::{FromRow, PgConnection, PgPool, PgTransaction, postgres::PgRow};
use uuid::Uuid;

use super::{
    begin::begin,
    days::day_of,
    reach::{Reach, since_any_match, since_match},
};
use crate::{
    model::{CheckItem, EventKey},
    store::{
        DAY, Entry, ListQuery, Sight, WholeDelivery, check,
        check::Waits,
        list::{AttemptRow, Source, WaitRow, attempt_columns, wait_columns},
        read::{self, WholeRow, whole_columns},
    },
};

/// Stretches up to this long are planned each time.
const PLANNED: i64 = 2 * DAY;

pub(super) async fn page(pool: &PgPool, query: &ListQuery) -> Result<(Vec<Entry>, bool), sqlx::Error> {
    let mut entries = Vec::new();
    for source in query.sources() {
        match source {
            Source::Waits => {
                let mut select = query.select(source, wait_columns!());
                let rows: Vec<WaitRow> = select.build_query_as().fetch_all(pool).await?;
                entries.extend(rows.into_iter().map(Entry::from));
            }
            Source::Attempts(_) => entries.extend(attempts(pool, query, source).await?.into_iter().map(Entry::from)),
        }
    }
    Ok(query.page(entries))
}

async fn attempts(pool: &PgPool, query: &ListQuery, source: Source) -> Result<Vec<AttemptRow>, sqlx::Error> {
    let mut found: Vec<AttemptRow> = Vec::new();
    for stretch in query.stretches() {
        let room = query.limit.saturating_sub(found.len());
        let mut select = ListQuery { limit: room, ..stretch.clone() }.select(source, attempt_columns!());
        let length = stretch.to.unwrap_or(query.sight.now).saturating_sub(stretch.from.unwrap_or_default());
        if length <= PLANNED {
            found.extend(select.build_query_as().fetch_all(pool).await?);
        } else {
            let mut planned = keeping_plans(pool).await?;
            found.extend(select.build_query_as::<AttemptRow>().fetch_all(&mut *planned).await?);
            planned.commit().await?;
        }
        if found.len() > query.limit {
            break;
        }
    }
    Ok(found)
}

/// A transaction whose statements are planned once for each connection.
pub(super) async fn keeping_plans(pool: &PgPool) -> Result<PgTransaction<'static>, sqlx::Error> {
    let mut transaction = begin(pool, "BEGIN READ ONLY").await?;
    keep_plans(&mut transaction, true).await?;
    Ok(transaction)
}

/// Whether the statements of a transaction are planned once for each connection, from now on.
async fn keep_plans(transaction: &mut PgTransaction<'_>, kept: bool) -> Result<(), sqlx::Error> {
    let mode = ["SET LOCAL plan_cache_mode = force_custom_plan", "SET LOCAL plan_cache_mode = force_generic_plan"];
    sqlx::query(mode[usize::from(kept)]).execute(&mut **transaction).await.map(drop)
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
    pool: &PgPool,
    instance: &str,
    id: Uuid,
    sight: Sight,
) -> Result<Option<WholeDelivery>, sqlx::Error> {
    // From one moment: a wait that has become an attempt meanwhile would be missed, or taken for the end.
    let mut snapshot = begin(pool, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let wait: Option<WaitRow> =
        sqlx::query_as(concat!("SELECT ", wait_columns!(), " FROM pending WHERE delivery_id = $1 AND instance = $2"))
            .bind(id)
            .bind(instance)
            .fetch_optional(&mut *snapshot)
            .await?;
    let matched_at = wait.as_ref().map(WaitRow::matched_at);
    let attempts = attempts_of(&mut snapshot, instance, id, matched_at, sight).await?;
    let found = match read::entries(attempts, wait) {
        None => None,
        Some(found) => {
            let body = body(&mut snapshot, &found.0.event(), &found.0.format, found.0.matched_at).await?;
            Some(read::whole(found, body.map(Bytes::from)))
        }
    };
    snapshot.commit().await?;
    Ok(found)
}

const ATTEMPTS: &str = concat!(
    "SELECT ",
    whole_columns!(),
    " FROM attempts WHERE delivery_id = $1 AND instance = $2 AND started_at >= $3 ORDER BY number, started_at"
);

/// Looks into the last days first, where most of what is asked for is.
async fn attempts_of(
    transaction: &mut PgTransaction<'_>,
    instance: &str,
    id: Uuid,
    matched_at: Option<i64>,
    sight: Sight,
) -> Result<Vec<WholeRow>, sqlx::Error> {
    let from = |since: i64| sqlx::query_as(ATTEMPTS).bind(id).bind(instance).bind(since.max(sight.from));
    let recently = sight.now.saturating_sub(2 * DAY);
    let mut since = matched_at.map_or(recently, since_any_match);
    let mut found: Vec<WholeRow> = from(since).fetch_all(&mut **transaction).await?;
    if found.is_empty() && matched_at.is_none() {
        since = sight.from;
        keep_plans(transaction, true).await?;
        found = from(since).fetch_all(&mut **transaction).await?;
        keep_plans(transaction, false).await?;
    }
    let earliest = found.iter().map(WholeRow::matched_at).min().map(since_any_match);
    match earliest {
        Some(earliest) if earliest.max(sight.from) < since => from(earliest).fetch_all(&mut **transaction).await,
        _ => Ok(found),
    }
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
    pool: &PgPool,
    event: &EventKey,
    format: &str,
    sight: Sight,
) -> Result<Option<Bytes>, sqlx::Error> {
    const STATEMENT: &str = "SELECT content FROM bodies WHERE instance = $1 AND event_id = $2 AND format = $3 \
         AND day >= $4 AND (at >= $5 OR EXISTS (SELECT 1 FROM pending WHERE instance = $1 AND event_id = $2)) LIMIT 1";
    let from = |day: i64| {
        let query = sqlx::query_scalar::<_, Vec<u8>>(STATEMENT).bind(&event.instance).bind(event.event_id);
        query.bind(format).bind(day).bind(sight.from)
    };
    let mut found = from(day_of(sight.now) - 1).fetch_optional(pool).await?;
    if found.is_none() {
        let mut planned = keeping_plans(pool).await?;
        // What waits may be older than what is seen.
        found = from(day_of(since_any_match(sight.from))).fetch_optional(&mut *planned).await?;
        planned.commit().await?;
    }
    Ok(found.map(Bytes::from))
}

pub(super) async fn check(pool: &PgPool, items: &[CheckItem]) -> Result<Vec<bool>, sqlx::Error> {
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
