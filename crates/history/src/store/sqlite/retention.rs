//! What instances keep of their history, and removing the rest bit by bit: each time so little that nobody waits for it.

use sqlx::{Sqlite, SqliteConnection, SqliteExecutor, SqlitePool};

use super::rows::read;
use crate::store::{
    LONGEST, MarkRow, Marks, Settings,
    removing::{Due, Kept},
};

/// Rows removed in one transaction.
const AT_ONCE: i64 = 200;
/// Pages given back to the file system in one transaction.
const PAGES: i64 = 100;
/// So many free pages are left in the file, for what is written next.
const SPARE: i64 = 1000;

pub(super) async fn settings(connection: impl SqliteExecutor<'_>, instance: &str) -> Result<Settings, sqlx::Error> {
    let statement = "SELECT retention_days, hidden_before, cleared_at FROM settings WHERE instance = ?";
    let found = sqlx::query_as(statement).bind(instance).fetch_optional(connection).await?;
    Ok(found.unwrap_or_default())
}

/// What is hidden of these instances.
pub(super) async fn marks(connection: &mut SqliteConnection, instances: &[&str]) -> Result<Marks, sqlx::Error> {
    let before = "SELECT s.instance, s.hidden_before, s.cleared_at FROM (";
    let after = ") AS u CROSS JOIN settings s ON s.instance = u.column1";
    let rows: Vec<MarkRow> = read(connection, (before, after), instances, |row, instance| {
        row.push_bind((*instance).to_owned());
    })
    .await?;
    Ok(rows.into_iter().collect())
}

pub(super) async fn set_retention(
    connection: &mut SqliteConnection,
    instance: &str,
    days: i32,
    now: i64,
) -> Result<Settings, sqlx::Error> {
    let settings = made(connection, instance).await?.with_retention(days, now);
    sqlx::query("UPDATE settings SET retention_days = ?2, hidden_before = ?3 WHERE instance = ?1")
        .bind(instance)
        .bind(settings.retention_days)
        .bind(settings.hidden_before)
        .execute(connection)
        .await?;
    Ok(settings)
}

/// What is there by a clock that is ahead is cleared as well, within reason.
pub(super) async fn clear(connection: &mut SqliteConnection, instance: &str, now: i64) -> Result<(), sqlx::Error> {
    const AHEAD: i64 = 600 * 1_000_000;
    made(connection, instance).await?;
    sqlx::query(
        "UPDATE settings SET cleared_at = max(cleared_at, ?2, 1 + (SELECT coalesce(max(last), 0) FROM (\
         SELECT max(started_at) AS last FROM attempts WHERE instance = ?1 AND status = 1 AND started_at >= ?2 \
         AND started_at < ?3 UNION ALL \
         SELECT max(started_at) FROM attempts WHERE instance = ?1 AND status = 2 AND started_at >= ?2 \
         AND started_at < ?3))) WHERE instance = ?1",
    )
    .bind(instance)
    .bind(now)
    .bind(now.saturating_add(AHEAD))
    .execute(connection)
    .await
    .map(drop)
}

/// The row of an instance, made if it is missing.
async fn made(connection: &mut SqliteConnection, instance: &str) -> Result<Settings, sqlx::Error> {
    sqlx::query(
        "INSERT OR IGNORE INTO settings (instance, retention_days, hidden_before, cleared_at, removed_before) \
         VALUES (?, ?, 0, 0, 0)",
    )
    .bind(instance)
    .bind(LONGEST)
    .execute(&mut *connection)
    .await?;
    settings(connection, instance).await
}

/// What is to be removed of some instance; `None`: nothing.
pub(super) async fn due(readers: &SqlitePool, now: i64) -> Result<Option<Due>, sqlx::Error> {
    let mut connection = readers.acquire().await?;
    for instance in instances(&mut connection).await? {
        let kept: Option<Kept> = sqlx::query_as(
            "SELECT instance, retention_days, hidden_before, cleared_at, removed_before FROM settings WHERE instance = ?",
        )
        .bind(&instance)
        .fetch_optional(&mut *connection)
        .await?;
        let unsaid = Kept { instance, settings: Settings::default(), removed_before: 0 };
        let due = kept.unwrap_or(unsaid).all(now);
        let some: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM attempts WHERE instance = ?1 AND status = 1 AND started_at < ?2) \
             OR EXISTS (SELECT 1 FROM attempts WHERE instance = ?1 AND status = 2 AND started_at < ?2) \
             OR EXISTS (SELECT 1 FROM bodies b WHERE b.instance = ?1 AND b.at < ?3 AND NOT EXISTS (\
             SELECT 1 FROM pending p WHERE p.instance = b.instance AND p.event_id = b.event_id))",
        )
        .bind(&due.instance)
        .bind(due.before)
        .bind(due.bodies_before)
        .fetch_one(&mut *connection)
        .await?;
        if some {
            return Ok(Some(due));
        }
    }
    Ok(None)
}

/// The instances that have something: goes from one to the next in the index.
async fn instances(connection: &mut SqliteConnection) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "WITH RECURSIVE a (name) AS (SELECT min(instance) FROM attempts UNION ALL \
         SELECT (SELECT min(instance) FROM attempts WHERE instance > a.name) FROM a WHERE a.name IS NOT NULL), \
         b (name) AS (SELECT min(instance) FROM bodies UNION ALL \
         SELECT (SELECT min(instance) FROM bodies WHERE instance > b.name) FROM b WHERE b.name IS NOT NULL) \
         SELECT name FROM a WHERE name IS NOT NULL UNION SELECT name FROM b WHERE name IS NOT NULL",
    )
    .fetch_all(connection)
    .await
}

/// Removes some of what is due; answers whether there may be more.
pub(super) async fn remove(connection: &mut SqliteConnection, due: &Due) -> Result<bool, sqlx::Error> {
    let mut removed = 0;
    for status in [crate::merge::FAILED, crate::merge::DELIVERED] {
        let done = sqlx::query::<Sqlite>(
            "DELETE FROM attempts WHERE rowid IN (SELECT rowid FROM attempts \
             WHERE instance = ? AND status = ? AND started_at < ? ORDER BY started_at LIMIT ?)",
        )
        .bind(&due.instance)
        .bind(status)
        .bind(due.before)
        .bind(AT_ONCE - removed)
        .execute(&mut *connection)
        .await?;
        removed += i64::try_from(done.rows_affected()).unwrap_or(AT_ONCE);
    }
    let done = sqlx::query(
        "DELETE FROM bodies WHERE rowid IN (SELECT b.rowid FROM bodies b WHERE b.instance = ?1 AND b.at < ?2 \
         AND NOT EXISTS (SELECT 1 FROM pending p WHERE p.instance = b.instance AND p.event_id = b.event_id) \
         ORDER BY b.at LIMIT ?3)",
    )
    .bind(&due.instance)
    .bind(due.bodies_before)
    .bind(AT_ONCE - removed)
    .execute(connection)
    .await?;
    removed += i64::try_from(done.rows_affected()).unwrap_or(AT_ONCE);
    Ok(removed > 0)
}

/// Whether the file has more free pages than it is worth keeping, and can be made shorter bit by bit.
pub(super) async fn has_free_pages(readers: &SqlitePool) -> Result<bool, sqlx::Error> {
    const INCREMENTAL: i64 = 2;
    let mut connection = readers.acquire().await?;
    let vacuum: i64 = sqlx::query_scalar("PRAGMA auto_vacuum").fetch_one(&mut *connection).await?;
    let free: i64 = sqlx::query_scalar("PRAGMA freelist_count").fetch_one(&mut *connection).await?;
    Ok(vacuum == INCREMENTAL && free > SPARE)
}

/// Gives some pages back; answers whether there are more.
pub(super) async fn give_back(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // It works for as long as rows are asked for.
    sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA incremental_vacuum({PAGES})"))).fetch_all(&mut *connection).await?;
    let free: i64 = sqlx::query_scalar("PRAGMA freelist_count").fetch_one(connection).await?;
    Ok(free > SPARE)
}
