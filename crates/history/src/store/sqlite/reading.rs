//! Lists, whole deliveries and bodies, each from one moment.

use bytes::Bytes;
use sqlx::{SqliteConnection, SqlitePool};
use uuid::Uuid;

use super::{
    packing::{PackedRow, packed_columns, unpack},
    rows,
};
use crate::{
    model::{CheckItem, Checked, EventKey},
    store::{
        Entry, ListQuery, Sight, WholeDelivery, check,
        list::{AttemptRow, Source, WaitRow, attempt_columns, wait_columns},
        read,
    },
};

pub(super) async fn page(readers: &SqlitePool, query: &ListQuery) -> Result<(Vec<Entry>, bool), sqlx::Error> {
    let mut snapshot = readers.begin().await?;
    let mut entries = Vec::new();
    for source in query.sources() {
        match source {
            Source::Waits => {
                let mut select = query.select(source, wait_columns!());
                let rows: Vec<WaitRow> = select.build_query_as().fetch_all(&mut *snapshot).await?;
                entries.extend(rows.into_iter().map(Entry::from));
            }
            Source::Attempts(_) => {
                let mut select = query.select(source, attempt_columns!());
                let rows: Vec<AttemptRow> = select.build_query_as().fetch_all(&mut *snapshot).await?;
                entries.extend(rows.into_iter().map(Entry::from));
            }
        }
    }
    Ok(query.page(entries))
}

pub(super) async fn delivery(
    readers: &SqlitePool,
    instance: &str,
    id: Uuid,
    sight: Sight,
) -> Result<Option<WholeDelivery>, sqlx::Error> {
    let mut snapshot = readers.begin().await?;
    let wait: Option<WaitRow> =
        sqlx::query_as(concat!("SELECT ", wait_columns!(), " FROM pending WHERE delivery_id = ? AND instance = ?"))
            .bind(id)
            .bind(instance)
            .fetch_optional(&mut *snapshot)
            .await?;
    let attempts: Vec<PackedRow> = sqlx::query_as(concat!(
        "SELECT ",
        packed_columns!(),
        " FROM attempts WHERE delivery_id = ? AND instance = ? AND started_at >= ? ORDER BY number"
    ))
    .bind(id)
    .bind(instance)
    .bind(sight.from)
    .fetch_all(&mut *snapshot)
    .await?;
    let attempts = attempts.into_iter().map(PackedRow::unpack).collect::<Result<_, _>>()?;
    let Some(found) = read::entries(attempts, wait) else { return Ok(None) };
    let body = read_body(&mut snapshot, &found.0.event(), &found.0.format).await?;
    Ok(Some(read::whole(found, body)))
}

pub(super) async fn read_body(
    connection: &mut SqliteConnection,
    event: &EventKey,
    format: &str,
) -> Result<Option<Bytes>, sqlx::Error> {
    let statement = "SELECT packing, content FROM bodies WHERE instance = ? AND event_id = ? AND format = ?";
    let found = sqlx::query_as(statement).bind(&event.instance).bind(event.event_id).bind(format);
    let found: Option<(i64, Vec<u8>)> = found.fetch_optional(connection).await?;
    found.map(|(packing, content)| unpack(packing, content)).transpose()
}

/// The body of an event that may be seen: it is young enough, or waited for.
pub(super) async fn event_body(
    readers: &SqlitePool,
    event: &EventKey,
    format: &str,
    sight: Sight,
) -> Result<Option<Bytes>, sqlx::Error> {
    let found: Option<(i64, Vec<u8>)> = sqlx::query_as(
        "SELECT packing, content FROM bodies WHERE instance = ?1 AND event_id = ?2 AND format = ?3 \
         AND (at >= ?4 OR EXISTS (SELECT 1 FROM pending WHERE instance = ?1 AND event_id = ?2))",
    )
    .bind(&event.instance)
    .bind(event.event_id)
    .bind(format)
    .bind(sight.from)
    .fetch_optional(readers)
    .await?;
    found.map(|(packing, content)| unpack(packing, content)).transpose()
}

pub(super) async fn check(readers: &SqlitePool, items: &[CheckItem]) -> Result<Vec<Checked>, sqlx::Error> {
    let ids: Vec<Uuid> = items.iter().map(|item| item.delivery_id).collect();
    let mut snapshot = readers.begin().await?;
    let waits = rows::by_ids(
        &mut snapshot,
        "SELECT delivery_id, number, state, generation, leased_until, manual, matched_at FROM pending \
         WHERE delivery_id IN ",
        &ids,
    )
    .await?;
    let attempted = rows::by_ids(
        &mut snapshot,
        "SELECT delivery_id, number, made, final FROM attempts WHERE delivery_id IN ",
        &ids,
    )
    .await?;
    Ok(check::answers(items, &attempted, &waits))
}
