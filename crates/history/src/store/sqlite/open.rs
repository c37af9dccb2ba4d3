//! Opening events: claim, look up what is in doubt, decide, write. Nobody else writes meanwhile.

use std::collections::HashSet;

use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection};
use uuid::Uuid;

use super::{
    counts,
    record::{insert_bodies, insert_waits},
    rows::by_ids,
};
use crate::{
    merge::Wait,
    model::{Delivery, EventKey, OpenEvent, Opened},
    opening::{self, Claims, Known, KnownWait},
};

/// Keys looked up with one statement.
const KEYS: usize = 200;

pub(super) async fn open(
    connection: &mut SqliteConnection,
    events: &[OpenEvent],
    now: i64,
) -> Result<Vec<Opened>, sqlx::Error> {
    let claims = claim(connection, events, now).await?;
    let known = look_up(connection, &opening::in_doubt(events, &claims)).await?;
    let decision = opening::decide(events, &claims, &known);
    let ids: Vec<Uuid> = decision.deliveries.iter().map(|delivery| delivery.id).collect();
    let attempted = attempted(connection, &ids).await?;
    let rows: Vec<(&Delivery, Wait)> = decision
        .deliveries
        .iter()
        .filter(|delivery| !attempted.contains(&delivery.id))
        .map(|delivery| (delivery, Wait::first(delivery)))
        .collect();
    insert_waits(connection, "OR IGNORE", &rows).await?;
    let first = insert_bodies(connection, &decision.bodies).await?;
    counts::add(connection, decision.counts(&first)).await?;
    Ok(decision.results)
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

async fn claim(connection: &mut SqliteConnection, events: &[OpenEvent], now: i64) -> Result<Claims, sqlx::Error> {
    let wanted: Vec<(&EventKey, Uuid)> = opening::wanted_claims(events).into_iter().collect();
    let mut claims = Claims::default();
    for group in wanted.chunks(KEYS) {
        let mut insert =
            QueryBuilder::<Sqlite>::new("INSERT OR IGNORE INTO claims (instance, event_id, publish_id, claimed_at) ");
        insert.push_values(group, |mut row, (key, publish_id)| {
            row.push_bind(key.instance.clone()).push_bind(key.event_id).push_bind(*publish_id).push_bind(now);
        });
        insert.push(" RETURNING instance, event_id, publish_id");
        let made: Vec<ClaimRow> = insert.build_query_as().fetch_all(&mut *connection).await?;
        claims.made.extend(made.iter().map(ClaimRow::key));
        claims.publishes.extend(made.iter().map(|row| (row.key(), row.publish_id)));
    }
    let keys: Vec<&EventKey> = wanted.iter().map(|(key, _)| *key).filter(|key| !claims.made.contains(key)).collect();
    let found: Vec<ClaimRow> = by_keys(connection, "c.instance, c.event_id, c.publish_id", "claims", &keys).await?;
    claims.publishes.extend(found.iter().map(|row| (row.key(), row.publish_id)));
    Ok(claims)
}

async fn look_up(connection: &mut SqliteConnection, events: &[&OpenEvent]) -> Result<Known, sqlx::Error> {
    let keys: Vec<&EventKey> = events.iter().map(|event| &event.key).collect();
    let columns = "c.instance, c.event_id, c.delivery_id, c.webhook_id, c.format, c.number, c.state";
    let waits: Vec<KnownWait> = by_keys(connection, columns, "pending", &keys).await?;
    let matched = events.iter().flat_map(|event| event.deliveries.iter().map(|to| (event.key.event_id, to.0)));
    let ids: HashSet<Uuid> = matched
        .map(|(event_id, webhook_id)| domain::delivery_id(event_id, webhook_id))
        .chain(waits.iter().map(|wait| wait.delivery_id))
        .collect();
    let attempted = attempted(connection, &ids.into_iter().collect::<Vec<_>>()).await?;
    let bodies: Vec<(String, Uuid)> = by_keys(connection, "c.instance, c.event_id", "bodies", &keys).await?;
    let bodies = bodies.into_iter().map(|(instance, event_id)| EventKey { instance, event_id }).collect();
    Ok(Known { waits, attempted, bodies })
}

async fn attempted(connection: &mut SqliteConnection, ids: &[Uuid]) -> Result<HashSet<Uuid>, sqlx::Error> {
    let rows: Vec<(Uuid,)> =
        by_ids(connection, "SELECT DISTINCT delivery_id FROM attempts WHERE delivery_id IN ", ids).await?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}

/// Reads these columns of all rows of `table`, called `c`, that belong to these events.
async fn by_keys<T>(
    connection: &mut SqliteConnection,
    columns: &'static str,
    table: &'static str,
    keys: &[&EventKey],
) -> Result<Vec<T>, sqlx::Error>
where
    T: for<'r> FromRow<'r, sqlx::sqlite::SqliteRow> + Send + Unpin,
{
    let mut found = Vec::new();
    for group in keys.chunks(KEYS) {
        // Not `(…, …) IN (VALUES …)`: SQLite reads the whole table for it.
        let mut query = QueryBuilder::<Sqlite>::new(format!("SELECT {columns} FROM ("));
        query.push_values(group, |mut row, key| {
            row.push_bind(key.instance.clone()).push_bind(key.event_id);
        });
        query.push(format_args!(") AS u CROSS JOIN {table} AS c ON c.instance = u.column1 AND c.event_id = u.column2"));
        found.extend(query.build_query_as().fetch_all(&mut *connection).await?);
    }
    Ok(found)
}
