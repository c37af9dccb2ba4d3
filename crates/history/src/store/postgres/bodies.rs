//! Bodies: each is there once, in the day of its event, and again in a later day where it is needed for longer.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use sqlx::{PgConnection, PgTransaction};
use uuid::Uuid;

use super::{days::day_of, reach::since_any_match};
use crate::{
    merge::{LastingBody, NewBody},
    model::EventKey,
    opening::GENERIC,
    store::export::{Bodies, Wanted},
};

/// These bodies, as far as they are stored.
pub(super) async fn find(connection: &mut PgConnection, wanted: &[Wanted]) -> Result<Bodies, sqlx::Error> {
    let mut earliest: BTreeMap<&(EventKey, String), i64> = BTreeMap::new();
    for (key, matched_at) in wanted {
        let row = earliest.entry(key).or_insert(*matched_at);
        *row = (*row).min(*matched_at);
    }
    let days = || earliest.values().map(|matched_at| day_of(*matched_at));
    let (first, last) = (days().min(), days().max());
    let (Some(first), Some(last)) = (first, last) else { return Ok(Bodies::new()) };
    let mut found = look(connection, &earliest, (first - 1, last)).await?;
    let keys: HashSet<&(EventKey, String)> = found.keys().collect();
    let rest: BTreeMap<_, _> = earliest.into_iter().filter(|row| !keys.contains(row.0)).collect();
    if let Some(first) = rest.values().map(|matched_at| day_of(since_any_match(*matched_at))).min() {
        let rest = look(connection, &rest, (first, i64::MAX)).await?;
        found.extend(rest);
    }
    Ok(found)
}

/// Row by row: a join might read all bodies of a day.
async fn look(
    connection: &mut PgConnection,
    wanted: &BTreeMap<&(EventKey, String), i64>,
    (first, last): (i64, i64),
) -> Result<Bodies, sqlx::Error> {
    let rows: Vec<(String, Uuid, String, Vec<u8>)> = sqlx::query_as(
        "SELECT u.instance, u.event_id, u.format, b.content FROM UNNEST($1::text[], $2::uuid[], $3::text[]) \
         AS u (instance, event_id, format) \
         CROSS JOIN LATERAL (SELECT b.content FROM bodies b WHERE b.instance = u.instance AND b.event_id = u.event_id \
         AND b.format = u.format AND b.day >= $4 AND b.day <= $5 LIMIT 1) AS b",
    )
    .bind(wanted.keys().map(|key| key.0.instance.as_str()).collect::<Vec<_>>())
    .bind(wanted.keys().map(|key| key.0.event_id).collect::<Vec<_>>())
    .bind(wanted.keys().map(|key| key.1.as_str()).collect::<Vec<_>>())
    .bind(first)
    .bind(last)
    .fetch_all(connection)
    .await?;
    let body = |(instance, event_id, format, content): (String, Uuid, String, Vec<u8>)| {
        ((EventKey { instance, event_id }, format), Bytes::from(content))
    };
    Ok(rows.into_iter().map(body).collect())
}

/// Writes bodies, unless there are such of events that were matched at `first` or later; answers the events whose generic
/// one was written.
pub(super) async fn insert(
    transaction: &mut PgTransaction<'_>,
    rows: &[NewBody<'_>],
    first: i64,
) -> Result<HashSet<EventKey>, sqlx::Error> {
    if rows.is_empty() {
        return Ok(HashSet::new());
    }
    // The key keeps two of one day apart; another day's is looked for, row by row: a join might read all of them.
    let statement = "INSERT INTO bodies (instance, event_id, format, content, day, at) \
         SELECT u.instance, u.event_id, u.format, u.content, u.day, u.at \
         FROM UNNEST($1::text[], $2::uuid[], $3::text[], $4::bytea[], $5::bigint[], $6::bigint[]) \
         AS u (instance, event_id, format, content, day, at) \
         WHERE (SELECT b.day FROM bodies b WHERE b.instance = u.instance AND b.event_id = u.event_id \
         AND b.format = u.format AND b.day >= $7 LIMIT 1) IS NULL \
         ON CONFLICT DO NOTHING RETURNING instance, event_id, format";
    let written: Vec<(String, Uuid, String)> = sqlx::query_as(statement)
        .bind(rows.iter().map(|row| row.event.instance.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.event.event_id).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.format).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.content.as_ref()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| day_of(row.at)).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.at).collect::<Vec<_>>())
        .bind(day_of(first))
        .fetch_all(&mut **transaction)
        .await?;
    let generic = written.into_iter().filter(|row| row.2 == GENERIC);
    Ok(generic.map(|(instance, event_id, _)| EventKey { instance, event_id }).collect())
}

/// Keeps bodies for as long as the attempts that need them are seen.
pub(super) async fn keep(transaction: &mut PgTransaction<'_>, lasting: &[LastingBody<'_>]) -> Result<(), sqlx::Error> {
    // Each once for a day, as of the last attempt.
    let mut rows: BTreeMap<(&EventKey, &str, i64), (i64, i64)> = BTreeMap::new();
    for body in lasting {
        let row = rows.entry((&body.event, body.format, day_of(body.at))).or_insert((body.at, body.matched_at));
        *row = (row.0.max(body.at), row.1.min(body.matched_at));
    }
    let Some(first) = rows.values().map(|row| since_any_match(row.1)).min() else { return Ok(()) };
    let statement = "INSERT INTO bodies (instance, event_id, format, content, day, at) \
         SELECT u.instance, u.event_id, u.format, b.content, u.day, u.at \
         FROM UNNEST($1::text[], $2::uuid[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[]) \
         AS u (instance, event_id, format, day, at, first) \
         CROSS JOIN LATERAL (SELECT b.content FROM bodies b WHERE b.instance = u.instance AND b.event_id = u.event_id \
         AND b.format = u.format AND b.day >= u.first AND b.day >= $7 LIMIT 1) AS b \
         ON CONFLICT (instance, event_id, format, day) DO UPDATE SET at = greatest(bodies.at, excluded.at)";
    sqlx::query(statement)
        .bind(rows.keys().map(|key| key.0.instance.as_str()).collect::<Vec<_>>())
        .bind(rows.keys().map(|key| key.0.event_id).collect::<Vec<_>>())
        .bind(rows.keys().map(|key| key.1).collect::<Vec<_>>())
        .bind(rows.keys().map(|key| key.2).collect::<Vec<_>>())
        .bind(rows.values().map(|row| row.0).collect::<Vec<_>>())
        .bind(rows.values().map(|row| day_of(since_any_match(row.1))).collect::<Vec<_>>())
        .bind(day_of(first))
        .execute(&mut **transaction)
        .await
        .map(drop)
}
