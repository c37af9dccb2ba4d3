//! The SQL of parked messages: what is listed, and what is put back or removed, a bounded number at a time.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::TryStreamExt as _;
use sqlx::{Row as _, sqlite::SqliteRow};
use uuid::Uuid;

use super::{Limit, Store, code, id_list};
use crate::{Lane, Parked, ParkedSelection};

/// Bounds of one transaction, so that publishers and consumers do not wait long for it.
pub(in crate::embedded) const CHUNK: Limit = Limit { rows: 500, bytes: 8 << 20 };

/// In front of the row number, which identifies a message whose id is not one of ours.
const ROW: &str = "row-";

/// A [`ParkedSelection`] as the statements take it.
#[derive(Clone, Debug)]
pub(in crate::embedded) struct Selected {
    lane: Option<i64>,
    /// A JSON array of ids as the statement spells them; `None`: all.
    ids: Option<String>,
    /// Rows that were not there when the call began are not meant: what is put back may be parked again at once.
    upto: i64,
}

impl Selected {
    pub(in crate::embedded) fn new(selection: &ParkedSelection, upto: i64) -> Self {
        let ids = match selection {
            ParkedSelection::All { .. } => None,
            ParkedSelection::Ids { ids, .. } => Some(spelled(ids)),
        };
        Self { lane: selection.lane().map(code), ids, upto }
    }
}

/// What is to become of the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::embedded) enum Action {
    /// Back into its lane, as the newest there: rows get ids from `first_id` on.
    Requeue {
        first_id: i64,
    },
    Drop,
}

/// A row that has left the parked queue.
#[derive(Debug)]
pub(in crate::embedded) struct Moved {
    /// Its id now.
    pub(in crate::embedded) id: i64,
    pub(in crate::embedded) lane: Lane,
    pub(in crate::embedded) bytes: u64,
}

/// Where a chunk ended: time of parking and id; `None` if it was the last.
pub(in crate::embedded) type Next = Option<(i64, i64)>;

impl Store {
    /// Number of parked messages.
    pub(in crate::embedded) async fn parked_count(&mut self) -> Result<u64, sqlx::Error> {
        let row = sqlx::query(
            "SELECT count(*) FROM messages INDEXED BY messages_parked \
             WHERE parked_reason IS NOT NULL AND lane BETWEEN 1 AND 4",
        )
        .fetch_one(&mut self.connection)
        .await?;
        Ok(row.try_get::<i64, _>(0)?.unsigned_abs())
    }

    /// Parked messages with their bodies, the oldest first; at least one, if there is one and `limit` has rows.
    pub(in crate::embedded) async fn list_parked(&mut self, limit: Limit) -> Result<Vec<Parked>, sqlx::Error> {
        let mut rows = sqlx::query(
            "SELECT id, lane, parked_at, deliveries, message_id, parked_reason, body \
             FROM messages INDEXED BY messages_parked WHERE parked_reason IS NOT NULL AND lane BETWEEN 1 AND 4 \
             ORDER BY parked_at, id LIMIT ?",
        )
        .bind(i64::try_from(limit.rows).unwrap_or(i64::MAX))
        .fetch(&mut self.connection);
        let mut listed = Vec::new();
        let mut bytes = 0;
        while bytes < limit.bytes
            && let Some(row) = rows.try_next().await?
        {
            let parked = parked(&row)?;
            bytes += parked.body.len();
            listed.push(parked);
        }
        Ok(listed)
    }

    /// Puts back or removes what is selected and comes after `after`, in one transaction.
    pub(in crate::embedded) async fn move_parked(
        &mut self,
        action: Action,
        selected: &Selected,
        after: (i64, i64),
    ) -> Result<(Vec<Moved>, Next), sqlx::Error> {
        let (mut rows, next) = self.select_parked(selected, after).await?;
        if rows.is_empty() {
            return Ok((rows, None));
        }
        self.run("BEGIN IMMEDIATE").await?;
        let moved = match action {
            Action::Requeue { first_id } => self.requeue_rows(&mut rows, first_id).await,
            Action::Drop => self.drop_rows(&rows).await,
        };
        self.end_transaction(moved).await?;
        Ok((rows, next))
    }

    async fn select_parked(
        &mut self,
        selected: &Selected,
        after: (i64, i64),
    ) -> Result<(Vec<Moved>, Next), sqlx::Error> {
        let mut rows = sqlx::query(
            "SELECT id, lane, size, parked_at FROM messages INDEXED BY messages_parked \
             WHERE parked_reason IS NOT NULL AND (parked_at, id) > (?1, ?2) AND id <= ?3 \
             AND lane BETWEEN 1 AND 4 AND (?4 IS NULL OR lane = ?4) \
             AND (?5 IS NULL OR CASE length(message_id) WHEN 16 THEN lower(hex(message_id)) ELSE 'row-' || id END \
                  IN (SELECT value FROM json_each(?5))) \
             ORDER BY parked_at, id LIMIT ?6",
        )
        .bind(after.0)
        .bind(after.1)
        .bind(selected.upto)
        .bind(selected.lane)
        .bind(selected.ids.as_deref())
        .bind(i64::try_from(CHUNK.rows).unwrap_or(i64::MAX))
        .fetch(&mut self.connection);
        let mut found = Vec::new();
        let mut last = None;
        let mut bytes = 0;
        while let Some(row) = rows.try_next().await? {
            let moved = Moved {
                id: row.try_get(0)?,
                lane: lane(row.try_get(1)?)?,
                bytes: row.try_get::<i64, _>(2)?.unsigned_abs(),
            };
            last = Some((row.try_get(3)?, moved.id));
            bytes += moved.bytes;
            found.push(moved);
            if bytes >= CHUNK.bytes as u64 {
                return Ok((found, last));
            }
        }
        let is_last = found.len() < CHUNK.rows;
        Ok((found, last.filter(|_| !is_last)))
    }

    async fn requeue_rows(&mut self, rows: &mut [Moved], first_id: i64) -> Result<(), sqlx::Error> {
        for (row, id) in rows.iter_mut().zip(first_id..) {
            sqlx::query(
                "UPDATE messages SET id = ?, due_at = 0, deliveries = 0, parked_reason = NULL, \
                 parked_at = max(parked_at, 1) WHERE id = ?",
            )
            .bind(id)
            .bind(row.id)
            .execute(&mut self.connection)
            .await?;
            row.id = id;
        }
        Ok(())
    }

    async fn drop_rows(&mut self, rows: &[Moved]) -> Result<(), sqlx::Error> {
        let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
        sqlx::query("DELETE FROM messages WHERE id IN (SELECT value FROM json_each(?))")
            .bind(id_list(&ids))
            .execute(&mut self.connection)
            .await
            .map(drop)
    }
}

/// The ids as a JSON array. What cannot be the id of a message is left out, so that nothing has to be escaped.
fn spelled(ids: &BTreeSet<String>) -> String {
    let spelled = ids.iter().filter_map(|id| match id.strip_prefix(ROW) {
        Some(row) => row.parse::<i64>().ok().map(|row| format!("\"{ROW}{row}\"")),
        None => Uuid::parse_str(id).ok().map(|id| format!("\"{}\"", id.simple())),
    });
    format!("[{}]", spelled.collect::<Vec<_>>().join(","))
}

fn parked(row: &SqliteRow) -> Result<Parked, sqlx::Error> {
    let id: i64 = row.try_get(0)?;
    let message_id: Vec<u8> = row.try_get(4)?;
    let body = Bytes::from(row.try_get::<Vec<u8>, _>(6)?);
    Ok(Parked {
        id: Uuid::from_slice(&message_id).map_or_else(|_| format!("{ROW}{id}"), |id| id.to_string()),
        lane: Some(lane(row.try_get(1)?)?),
        reason: row.try_get(5)?,
        parked_at: Some(row.try_get(2)?).filter(|at| *at > 0),
        bytes: body.len() as u64,
        redeliveries: u32::try_from(row.try_get::<i64, _>(3)?).ok(),
        body,
    })
}

fn lane(number: i64) -> Result<Lane, sqlx::Error> {
    let lane = Lane::ALL.into_iter().find(|lane| code(*lane) == number);
    lane.ok_or_else(|| sqlx::Error::Protocol(format!("queue file has no lane {number}")))
}
