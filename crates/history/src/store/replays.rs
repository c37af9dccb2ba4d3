//! Statements about replays that both stores run.

use sqlx::QueryBuilder;
use uuid::Uuid;

use super::{
    DAY,
    list::{Bindable, Position, delivery_columns},
};
use crate::{
    merge::FAILED,
    replay::{Selection, StoredReplay},
};

/// How long after its first attempts an event may be matched anew, because its message came again.
pub(super) const AGAIN: i64 = 7 * DAY;
/// Entries of one part of history that is counted.
pub(super) const PART: i64 = 5_000;
/// Replays of a webhook that are kept.
pub(super) const KEPT: i64 = 100;
/// Items that are removed in one transaction.
pub(super) const TIDIED: i64 = 2_000;

/// The columns of [`StoredReplay`].
macro_rules! replay_columns {
    () => {
        "id, instance, webhook_id, events, projects, from_at, to_at, phase, reason, total, queued, delivered, failed, \
         at_time, at_delivery, at_number, created_at, created_by, moved_at, ended_at"
    };
}
pub(super) use replay_columns;

/// What became of what a replay has asked for, from a time on. An attempt that was made at the same time for another reason
/// counts too.
macro_rules! outcomes {
    ($replay:literal, $since:literal) => {
        concat!(
            "SELECT i.delivery_id, CASE \
             WHEN EXISTS (SELECT 1 FROM attempts a WHERE a.delivery_id = i.delivery_id AND a.status = 2 \
             AND a.started_at >= ",
            $since,
            ") THEN 2 \
             WHEN EXISTS (SELECT 1 FROM attempts a WHERE a.delivery_id = i.delivery_id AND a.number = i.number \
             AND a.started_at >= ",
            $since,
            ") THEN 1 \
             WHEN NOT EXISTS (SELECT 1 FROM pending p WHERE p.delivery_id = i.delivery_id AND p.number = i.number) \
             THEN 3 ELSE 0 END AS outcome FROM replay_items i WHERE i.open AND i.replay_id = ",
            $replay
        )
    };
}
pub(super) use outcomes;

/// Reads the position `PART` entries on.
pub(super) fn select_boundary<DB: Bindable>(wanted: &Selection, after: Position) -> QueryBuilder<DB>
where
    DB::Arguments: Default,
{
    let mut query = QueryBuilder::new("SELECT started_at, delivery_id, number FROM attempts WHERE ");
    entries(&mut query, wanted, after);
    query.push(" ORDER BY started_at, delivery_id, number LIMIT 1 OFFSET ");
    DB::integer(&mut query, PART - 1);
    query
}

/// Counts what is meant of the entries up to a position, or of all that are left.
pub(super) fn select_count<DB: Bindable>(
    wanted: &Selection,
    after: Position,
    boundary: Option<Position>,
) -> QueryBuilder<DB>
where
    DB::Arguments: Default,
{
    let mut query = QueryBuilder::new(
        "SELECT count(*) AS count, min(w.started_at) AS oldest, max(w.started_at) AS newest FROM attempts w WHERE ",
    );
    entries(&mut query, wanted, after);
    if let Some(boundary) = boundary {
        position(&mut query, " <= ", boundary);
    }
    query.push(" AND ");
    meant(&mut query, wanted, None);
    query
}

/// Reads the next entries, and whether each is meant: [`Passed`](crate::replay::Passed).
pub(super) fn select_passed<DB: Bindable>(
    replay: &StoredReplay,
    wanted: &Selection,
    looked_for: usize,
) -> QueryBuilder<DB>
where
    DB::Arguments: Default,
{
    let after = Position { time: replay.at_time, delivery_id: replay.at_delivery, number: replay.at_number };
    let mut query = QueryBuilder::new(concat!("SELECT ", delivery_columns!(), ", number, started_at, ("));
    meant(&mut query, wanted, Some(replay.id));
    query.push(concat!(
        ") AS meant FROM (SELECT ",
        delivery_columns!(),
        ", number, started_at, final FROM attempts WHERE "
    ));
    entries(&mut query, wanted, after);
    query.push(" ORDER BY started_at, delivery_id, number LIMIT ");
    DB::integer(&mut query, i64::try_from(looked_for).unwrap_or(i64::MAX));
    query.push(") w ORDER BY started_at, delivery_id, number");
    query
}

/// The failed entries of the webhook after a position, as its index has them.
fn entries<DB: Bindable>(query: &mut QueryBuilder<DB>, wanted: &Selection, after: Position) {
    DB::text(query.push("instance = "), &wanted.instance);
    DB::integer(query.push(" AND webhook_id = "), wanted.webhook_id);
    DB::status(query.push(" AND status = "), FAILED);
    DB::integer(query.push(" AND started_at < "), wanted.to);
    DB::integer(query.push(" AND started_at >= "), wanted.from.max(after.time));
    position(query, " > ", after);
}

fn position<DB: Bindable>(query: &mut QueryBuilder<DB>, operator: &str, at: Position) {
    query.push(" AND (started_at, delivery_id, number)").push(operator).push("(");
    DB::integer(query, at.time);
    DB::id(query.push(", "), at.delivery_id);
    DB::integer(query.push(", "), at.number.into());
    query.push(")");
}

/// Whether the entry `w` is the last of a delivery that has failed for good and can be tried again; with a replay, that
/// this has not asked for it yet.
fn meant<DB: Bindable>(query: &mut QueryBuilder<DB>, wanted: &Selection, replay: Option<Uuid>) {
    query.push("w.final AND NOT w.is_test AND w.number < ");
    DB::integer(query, domain::MOST_ATTEMPTS.into());
    if let Some(projects) = &wanted.projects {
        // An empty list is no SQL; no project has the number 0.
        query.push(" AND w.project_id IN (0");
        projects.iter().for_each(|project| DB::integer(query.push(", "), *project));
        query.push(")");
    }
    if let Some(types) = wanted.types() {
        query.push(" AND w.event_type IN (''");
        types.iter().for_each(|name| DB::text(query.push(", "), name));
        query.push(")");
    }
    // The times are there for those who divide attempts by them; see `postgres/reach.rs`. Entry by entry: joins with EXISTS
    // may be planned to read all there is.
    query.push(format_args!(
        " AND (SELECT 1 FROM attempts n WHERE n.delivery_id = w.delivery_id \
         AND n.started_at >= w.matched_at - {AGAIN} AND (n.number > w.number OR n.status = 2) LIMIT 1) IS NULL \
         AND NOT EXISTS (SELECT 1 FROM pending p WHERE p.delivery_id = w.delivery_id AND p.number > 0) \
         AND (SELECT 1 FROM bodies b WHERE b.instance = w.instance AND b.event_id = w.event_id \
         AND b.format = w.format AND b.day >= (w.matched_at - {AGAIN}) / {DAY} LIMIT 1) IS NOT NULL"
    ));
    if let Some(id) = replay {
        query.push(
            " AND NOT EXISTS (SELECT 1 FROM replay_items i WHERE i.delivery_id = w.delivery_id AND i.replay_id = ",
        );
        DB::id(query, id);
        query.push(")");
    }
}

/// A count as the statement answers it.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub(super) struct CountRow {
    pub(super) count: i64,
    pub(super) oldest: Option<i64>,
    pub(super) newest: Option<i64>,
}

/// A position as the statement answers it.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub(super) struct BoundaryRow {
    started_at: i64,
    delivery_id: Uuid,
    number: i32,
}

impl From<BoundaryRow> for Position {
    fn from(row: BoundaryRow) -> Self {
        Self { time: row.started_at, delivery_id: row.delivery_id, number: row.number }
    }
}
