//! Replays: started, counted, and moved on step by step. Whoever moves one on holds its row; other tables come after it,
//! in their usual order.

use std::collections::{BTreeMap, HashSet};

use sqlx::{PgPool, PgTransaction, Postgres};
use uuid::Uuid;

use super::{
    begin::begin,
    reach::{Reach, since_any_match, since_match},
    record::{STARTS, lock, update_waits},
    retention,
};
use crate::{
    merge::Wait,
    model::{Delivery, WaitState},
    replay::{Counted, NewReplay, OVER, Outcome, Passed, Selection, Stand, Step, StoredReplay, TIDYING},
    store::{
        Position,
        replays::{
            BoundaryRow, CountRow, KEPT, TIDIED, outcomes, replay_columns, select_boundary, select_count, select_passed,
        },
    },
};

pub(super) async fn count(pool: &PgPool, wanted: &Selection, after: Position) -> Result<Counted, sqlx::Error> {
    let boundary: Option<BoundaryRow> =
        select_boundary::<Postgres>(wanted, after).build_query_as().fetch_optional(pool).await?;
    let next = boundary.map(Position::from);
    let CountRow { count, oldest, newest } =
        select_count::<Postgres>(wanted, after, next).build_query_as().fetch_one(pool).await?;
    Ok(Counted { count, oldest, newest, next })
}

/// Answers the one that runs already, if there is one.
pub(super) async fn start(
    pool: &PgPool,
    new: &NewReplay,
    events: &str,
    projects: Option<&str>,
) -> Result<Option<StoredReplay>, sqlx::Error> {
    let NewReplay { selection, .. } = new;
    for _ in 0..STARTS {
        let mut transaction = begin(pool, "BEGIN").await?;
        if insert(&mut transaction, new, events, projects).await? {
            sqlx::query(
                "DELETE FROM replays WHERE instance = $1 AND webhook_id = $2 AND phase = 3 AND id NOT IN (\
                 SELECT id FROM replays WHERE instance = $1 AND webhook_id = $2 ORDER BY created_at DESC, id DESC LIMIT $3)",
            )
            .bind(&selection.instance)
            .bind(selection.webhook_id)
            .bind(KEPT)
            .execute(&mut *transaction)
            .await?;
            transaction.commit().await?;
            return Ok(None);
        }
        let running: Option<StoredReplay> = sqlx::query_as(concat!(
            "SELECT ",
            replay_columns!(),
            " FROM replays WHERE webhook_id = $1 AND phase < 2 AND reason = ''"
        ))
        .bind(selection.webhook_id)
        .fetch_optional(&mut *transaction)
        .await?;
        // It may have ended since.
        if running.is_some() {
            return Ok(running);
        }
    }
    Err(sqlx::Error::Protocol("others kept starting replays of the same webhook".into()))
}

/// False: one of the webhook runs.
async fn insert(
    transaction: &mut PgTransaction<'_>,
    new: &NewReplay,
    events: &str,
    projects: Option<&str>,
) -> Result<bool, sqlx::Error> {
    let NewReplay { selection, .. } = new;
    let made = sqlx::query(concat!(
        "INSERT INTO replays (",
        replay_columns!(),
        ") VALUES ($1, $2, $3, $4, $5, $6, $7, 0, '', $8, 0, 0, 0, $6, $9, 0, $10, $11, $10, 0) ON CONFLICT DO NOTHING"
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
    .execute(&mut **transaction)
    .await?;
    Ok(made.rows_affected() > 0)
}

pub(super) async fn list(pool: &PgPool, instance: &str, webhook_id: i64) -> Result<Vec<StoredReplay>, sqlx::Error> {
    sqlx::query_as(concat!(
        "SELECT ",
        replay_columns!(),
        " FROM replays WHERE instance = $1 AND webhook_id = $2 ORDER BY created_at DESC, id DESC LIMIT $3"
    ))
    .bind(instance)
    .bind(webhook_id)
    .bind(KEPT)
    .fetch_all(pool)
    .await
}

pub(super) async fn read(pool: &PgPool, instance: &str, id: Uuid) -> Result<Option<StoredReplay>, sqlx::Error> {
    sqlx::query_as(concat!("SELECT ", replay_columns!(), " FROM replays WHERE id = $1 AND instance = $2"))
        .bind(id)
        .bind(instance)
        .fetch_optional(pool)
        .await
}

pub(super) async fn cancel(pool: &PgPool, id: Uuid, reason: &str) -> Result<bool, sqlx::Error> {
    let done = sqlx::query("UPDATE replays SET reason = $2 WHERE id = $1 AND phase < 2 AND reason = ''")
        .bind(id)
        .bind(reason)
        .execute(pool)
        .await?;
    Ok(done.rows_affected() > 0)
}

pub(super) async fn unfinished(pool: &PgPool) -> Result<Vec<(Uuid, i64)>, sqlx::Error> {
    sqlx::query_as("SELECT id, webhook_id FROM replays WHERE phase < 3 ORDER BY id").fetch_all(pool).await
}

pub(super) async fn advance(pool: &PgPool, step: &Step) -> Result<bool, sqlx::Error> {
    let mut transaction = begin(pool, "BEGIN").await?;
    let found: Option<StoredReplay> = sqlx::query_as(concat!(
        "SELECT ",
        replay_columns!(),
        " FROM replays WHERE id = $1 AND phase < 3 FOR UPDATE SKIP LOCKED"
    ))
    .bind(step.id)
    .fetch_optional(&mut *transaction)
    .await?;
    // Somebody else is at it.
    let Some(mut replay) = found else { return Ok(false) };
    let more = if replay.phase == TIDYING {
        tidy(&mut transaction, &mut replay).await?
    } else {
        // Not all deliveries could be locked: nothing of this step is kept.
        let Some(more) = work(&mut transaction, &mut replay, step).await? else { return Ok(false) };
        more
    };
    store(&mut transaction, &replay).await?;
    transaction.commit().await?;
    Ok(more)
}

async fn work(
    transaction: &mut PgTransaction<'_>,
    replay: &mut StoredReplay,
    step: &Step,
) -> Result<Option<bool>, sqlx::Error> {
    if replay.is_cancelled() && step.stand != Stand::Gone {
        take_back(transaction, replay.id, step.now).await?;
    }
    // What it has asked for was made after it was started.
    let since = since_match(replay.created_at);
    let outcomes: Vec<Outcome> =
        sqlx::query_as(outcomes!("$1", "$2")).bind(replay.id).bind(since).fetch_all(&mut **transaction).await?;
    let (over, mut open) = replay.settle(&outcomes);
    if !over.is_empty() {
        sqlx::query("UPDATE replay_items SET open = FALSE WHERE replay_id = $1 AND delivery_id = ANY($2)")
            .bind(replay.id)
            .bind(over)
            .execute(&mut **transaction)
            .await?;
    }
    replay.heed(step, open);
    let room = replay.room(step, open);
    if room > 0 {
        let Some(queued) = fill(transaction, replay, room, step.now).await? else { return Ok(None) };
        open += queued;
    }
    Ok(Some(replay.close(step, open, room > 0)))
}

/// Answers how many attempts were asked for; `None`: not all deliveries could be locked.
async fn fill(
    transaction: &mut PgTransaction<'_>,
    replay: &mut StoredReplay,
    room: usize,
    now: i64,
) -> Result<Option<usize>, sqlx::Error> {
    let mut wanted = replay.selection().map_err(|error| sqlx::Error::Decode(error.into()))?;
    let settings = retention::settings(&mut **transaction, &wanted.instance).await?;
    wanted.from = wanted.from.max(settings.visible_from(now));
    // More than there is room for: most failed entries may have been followed by others.
    let looked_for = room * 4 + 100;
    let passed: Vec<Passed> =
        select_passed::<Postgres>(replay, &wanted, looked_for).build_query_as().fetch_all(&mut **transaction).await?;
    let meant = replay.pass(passed, room, looked_for);
    if meant.is_empty() {
        return Ok(Some(0));
    }
    let deliveries: BTreeMap<Uuid, &Delivery> =
        meant.iter().map(|entry| (entry.delivery.id, &entry.delivery)).collect();
    let ids: Vec<Uuid> = deliveries.keys().copied().collect();
    let Some(waits) = lock(transaction, &deliveries).await? else { return Ok(None) };
    let waiting: HashSet<Uuid> =
        waits.iter().filter(|(_, locked)| locked.stored.wait.number > 0).map(|(id, _)| *id).collect();
    let mut reach = Reach::default();
    deliveries.values().for_each(|delivery| reach.add(delivery.id, since_any_match(delivery.matched_at)));
    let attempts = reach.attempts(transaction).await?;
    let chosen = replay.choose(&meant, &attempts, &waiting);
    let waits: Vec<(&Delivery, Wait)> =
        chosen.iter().map(|(delivery, number)| (*delivery, Wait::requested(*number, now))).collect();
    update_waits(transaction, &waits).await?;
    // Rows that were only there to be locked.
    sqlx::query("DELETE FROM pending WHERE delivery_id = ANY($1) AND number = 0")
        .bind(ids)
        .execute(&mut **transaction)
        .await?;
    sqlx::query(
        "INSERT INTO replay_items (replay_id, delivery_id, number, open) \
         SELECT $1, u.id, u.number, TRUE FROM UNNEST($2::uuid[], $3::int[]) AS u (id, number)",
    )
    .bind(replay.id)
    .bind(chosen.iter().map(|row| row.0.id).collect::<Vec<_>>())
    .bind(chosen.iter().map(|row| row.1).collect::<Vec<_>>())
    .execute(&mut **transaction)
    .await?;
    let count = chosen.len();
    replay.asked_for(count, now);
    Ok(Some(count))
}

/// Takes back what waits here and is not just being queued.
async fn take_back(transaction: &mut PgTransaction<'_>, id: Uuid, now: i64) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "SELECT p.delivery_id FROM pending p JOIN replay_items i ON i.delivery_id = p.delivery_id AND i.number = p.number \
         WHERE i.replay_id = $1 AND i.open AND p.state = $2 AND p.manual AND p.leased_until <= $3 \
         ORDER BY p.delivery_id FOR UPDATE OF p",
    )
    .bind(id)
    .bind(WaitState::Held.code())
    .bind(now)
    .fetch_all(&mut **transaction)
    .await?;
    sqlx::query("DELETE FROM pending WHERE delivery_id = ANY($1)").bind(ids).execute(&mut **transaction).await.map(drop)
}

async fn tidy(transaction: &mut PgTransaction<'_>, replay: &mut StoredReplay) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "DELETE FROM replay_items WHERE replay_id = $1 AND delivery_id = ANY(ARRAY(\
         SELECT delivery_id FROM replay_items WHERE replay_id = $1 LIMIT $2))",
    )
    .bind(replay.id)
    .bind(TIDIED)
    .execute(&mut **transaction)
    .await?;
    let more = done.rows_affected() == TIDIED.unsigned_abs();
    if !more {
        replay.phase = OVER;
    }
    Ok(more)
}

async fn store(transaction: &mut PgTransaction<'_>, replay: &StoredReplay) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE replays SET phase = $2, reason = $3, total = $4, queued = $5, delivered = $6, failed = $7, at_time = $8, \
         at_delivery = $9, at_number = $10, moved_at = $11, ended_at = $12 WHERE id = $1",
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
    .execute(&mut **transaction)
    .await
    .map(drop)
}
