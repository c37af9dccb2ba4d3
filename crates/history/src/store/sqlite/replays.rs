//! Replays: started, counted, and moved on step by step. Nobody else writes meanwhile.

use std::collections::HashSet;

use sqlx::{Sqlite, SqliteConnection, SqlitePool};
use uuid::Uuid;

use super::{
    record::insert_waits,
    retention,
    rows::{by_ids, write},
};
use crate::{
    merge::{StoredAttempt, Wait},
    model::{Delivery, WaitState},
    replay::{Counted, NewReplay, OVER, Outcome, Passed, Selection, Stand, Step, StoredReplay, TIDYING},
    store::{
        Position,
        replays::{
            BoundaryRow, CountRow, KEPT, TIDIED, outcomes, replay_columns, select_boundary, select_count, select_passed,
        },
    },
};

/// A replay to be started.
#[derive(Clone)]
pub(super) struct Start {
    pub(super) new: NewReplay,
    pub(super) events: String,
    pub(super) projects: Option<String>,
}

pub(super) async fn count(readers: &SqlitePool, wanted: &Selection, after: Position) -> Result<Counted, sqlx::Error> {
    let mut snapshot = readers.begin().await?;
    let boundary: Option<BoundaryRow> =
        select_boundary::<Sqlite>(wanted, after).build_query_as().fetch_optional(&mut *snapshot).await?;
    let next = boundary.map(Position::from);
    let CountRow { count, oldest, newest } =
        select_count::<Sqlite>(wanted, after, next).build_query_as().fetch_one(&mut *snapshot).await?;
    Ok(Counted { count, oldest, newest, next })
}

/// Answers the one that runs already, if there is one.
pub(super) async fn start(
    connection: &mut SqliteConnection,
    start: &Start,
) -> Result<Option<StoredReplay>, sqlx::Error> {
    let Start { new, events, projects } = start;
    let selection = &new.selection;
    let running: Option<StoredReplay> = sqlx::query_as(concat!(
        "SELECT ",
        replay_columns!(),
        " FROM replays WHERE webhook_id = ? AND phase < 2 AND reason = ''"
    ))
    .bind(selection.webhook_id)
    .fetch_optional(&mut *connection)
    .await?;
    if running.is_some() {
        return Ok(running);
    }
    sqlx::query(concat!(
        "INSERT INTO replays (",
        replay_columns!(),
        ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, '', ?8, 0, 0, 0, ?6, ?9, 0, ?10, ?11, ?10, 0)"
    ))
    .bind(new.id)
    .bind(&selection.instance)
    .bind(selection.webhook_id)
    .bind(events)
    .bind(projects)
    .bind(selection.from)
    .bind(selection.to)
    .bind(new.total)
    .bind(Uuid::nil())
    .bind(new.created_at)
    .bind(&new.created_by)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "DELETE FROM replays WHERE instance = ?1 AND webhook_id = ?2 AND phase = 3 AND id NOT IN (SELECT id FROM replays \
         WHERE instance = ?1 AND webhook_id = ?2 ORDER BY created_at DESC, id DESC LIMIT ?3)",
    )
    .bind(&selection.instance)
    .bind(selection.webhook_id)
    .bind(KEPT)
    .execute(&mut *connection)
    .await?;
    Ok(None)
}

pub(super) async fn list(
    readers: &SqlitePool,
    instance: &str,
    webhook_id: i64,
) -> Result<Vec<StoredReplay>, sqlx::Error> {
    sqlx::query_as(concat!(
        "SELECT ",
        replay_columns!(),
        " FROM replays WHERE instance = ? AND webhook_id = ? ORDER BY created_at DESC, id DESC LIMIT ?"
    ))
    .bind(instance)
    .bind(webhook_id)
    .bind(KEPT)
    .fetch_all(readers)
    .await
}

pub(super) async fn read(readers: &SqlitePool, instance: &str, id: Uuid) -> Result<Option<StoredReplay>, sqlx::Error> {
    sqlx::query_as(concat!("SELECT ", replay_columns!(), " FROM replays WHERE id = ? AND instance = ?"))
        .bind(id)
        .bind(instance)
        .fetch_optional(readers)
        .await
}

pub(super) async fn cancel(connection: &mut SqliteConnection, id: Uuid, reason: &str) -> Result<bool, sqlx::Error> {
    let done = sqlx::query("UPDATE replays SET reason = ?2 WHERE id = ?1 AND phase < 2 AND reason = ''")
        .bind(id)
        .bind(reason)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() > 0)
}

pub(super) async fn unfinished(readers: &SqlitePool) -> Result<Vec<(Uuid, i64)>, sqlx::Error> {
    sqlx::query_as("SELECT id, webhook_id FROM replays WHERE phase < 3 ORDER BY id").fetch_all(readers).await
}

pub(super) async fn advance(connection: &mut SqliteConnection, step: &Step) -> Result<bool, sqlx::Error> {
    let found: Option<StoredReplay> =
        sqlx::query_as(concat!("SELECT ", replay_columns!(), " FROM replays WHERE id = ? AND phase < 3"))
            .bind(step.id)
            .fetch_optional(&mut *connection)
            .await?;
    let Some(mut replay) = found else { return Ok(false) };
    let more = if replay.phase == TIDYING {
        tidy(connection, &mut replay).await?
    } else {
        work(connection, &mut replay, step).await?
    };
    store(connection, &replay).await?;
    Ok(more)
}

async fn work(connection: &mut SqliteConnection, replay: &mut StoredReplay, step: &Step) -> Result<bool, sqlx::Error> {
    if replay.is_cancelled() && step.stand != Stand::Gone {
        take_back(connection, replay.id, step.now).await?;
    }
    let outcomes: Vec<Outcome> =
        sqlx::query_as(outcomes!("?1", "0")).bind(replay.id).fetch_all(&mut *connection).await?;
    let (over, mut open) = replay.settle(&outcomes);
    if !over.is_empty() {
        sqlx::query(concat!(
            "UPDATE replay_items SET open = 0 WHERE replay_id = ?1 AND open AND delivery_id IN (SELECT delivery_id FROM (",
            outcomes!("?1", "0"),
            ") WHERE outcome <> 0)"
        ))
        .bind(replay.id)
        .execute(&mut *connection)
        .await?;
    }
    replay.heed(step, open);
    let room = replay.room(step, open);
    if room > 0 {
        open += fill(connection, replay, room, step.now).await?;
    }
    Ok(replay.close(step, open, room > 0))
}

/// Answers how many attempts were asked for.
async fn fill(
    connection: &mut SqliteConnection,
    replay: &mut StoredReplay,
    room: usize,
    now: i64,
) -> Result<usize, sqlx::Error> {
    let mut wanted = replay.selection().map_err(|error| sqlx::Error::Decode(error.into()))?;
    let settings = retention::settings(&mut *connection, &wanted.instance).await?;
    wanted.from = wanted.from.max(settings.visible_from(now));
    // More than there is room for: most failed entries may have been followed by others.
    let looked_for = room * 4 + 100;
    let passed: Vec<Passed> =
        select_passed::<Sqlite>(replay, &wanted, looked_for).build_query_as().fetch_all(&mut *connection).await?;
    let meant = replay.pass(passed, room, looked_for);
    if meant.is_empty() {
        return Ok(0);
    }
    let ids: Vec<Uuid> = meant.iter().map(|entry| entry.delivery.id).collect();
    let attempts: Vec<StoredAttempt> = by_ids(
        connection,
        "SELECT delivery_id, number, status, made, final, started_at, duration_us FROM attempts \
         WHERE delivery_id IN ",
        &ids,
    )
    .await?;
    // Those that wait were left out a moment ago, and nobody has written since.
    let chosen = replay.choose(&meant, &attempts, &HashSet::new());
    let waits: Vec<(&Delivery, Wait)> =
        chosen.iter().map(|(delivery, number)| (*delivery, Wait::requested(*number, now))).collect();
    insert_waits(connection, "", &waits).await?;
    let id = replay.id;
    let before = "INSERT INTO replay_items (replay_id, delivery_id, number, open)";
    write(connection, (before, ""), &chosen, |row, (delivery, number)| {
        row.push_bind(id).push_bind(delivery.id).push_bind(*number).push_bind(true);
    })
    .await?;
    let count = chosen.len();
    replay.asked_for(count, now);
    Ok(count)
}

/// Takes back what waits here and is not just being queued.
async fn take_back(connection: &mut SqliteConnection, id: Uuid, now: i64) -> Result<(), sqlx::Error> {
    sqlx::query(
        "DELETE FROM pending WHERE delivery_id IN (SELECT p.delivery_id FROM replay_items i CROSS JOIN pending p \
         ON p.delivery_id = i.delivery_id AND p.number = i.number \
         WHERE i.replay_id = ?1 AND i.open AND p.state = ?2 AND p.manual AND p.leased_until <= ?3)",
    )
    .bind(id)
    .bind(WaitState::Held.code())
    .bind(now)
    .execute(connection)
    .await
    .map(drop)
}

async fn tidy(connection: &mut SqliteConnection, replay: &mut StoredReplay) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "DELETE FROM replay_items WHERE replay_id = ?1 AND delivery_id IN (\
         SELECT delivery_id FROM replay_items WHERE replay_id = ?1 LIMIT ?2)",
    )
    .bind(replay.id)
    .bind(TIDIED)
    .execute(connection)
    .await?;
    let more = done.rows_affected() == TIDIED.unsigned_abs();
    if !more {
        replay.phase = OVER;
    }
    Ok(more)
}

async fn store(connection: &mut SqliteConnection, replay: &StoredReplay) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE replays SET phase = ?2, reason = ?3, total = ?4, queued = ?5, delivered = ?6, failed = ?7, at_time = ?8, \
         at_delivery = ?9, at_number = ?10, moved_at = ?11, ended_at = ?12 WHERE id = ?1",
    )
    .bind(replay.id)
    .bind(replay.phase)
    .bind(&replay.reason)
    .bind(replay.total)
    .bind(replay.queued)
    .bind(replay.delivered)
    .bind(replay.failed)
    .bind(replay.at_time)
    .bind(replay.at_delivery)
    .bind(replay.at_number)
    .bind(replay.moved_at)
    .bind(replay.ended_at)
    .execute(connection)
    .await
    .map(drop)
}
