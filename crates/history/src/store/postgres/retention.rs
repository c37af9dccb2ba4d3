//! What instances keep of their history, and removing the rest: a day whose entries nobody sees any more at once, what one
//! instance has hidden of a day bit by bit. One process does it at a time.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use sqlx::{AssertSqlSafe, FromRow, PgConnection, PgExecutor, PgPool, PgTransaction};

use super::{
    begin::begin,
    days::{self, Days, day_of},
};
use crate::store::{
    DAY, LONGEST, Settings,
    removing::{Due, Kept, STEP},
};

/// Rows removed in one transaction: whoever writes meanwhile waits for its part of the log to reach the disk.
const AT_ONCE: i64 = 250;
/// How long to wait for somebody who is using a day before leaving it for later. Others wait behind.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '100ms'";
/// Held by whoever removes something; the number is that of nothing else.
const TRY_LOCK: &str = "SELECT pg_try_advisory_xact_lock(7246002)";
/// How many days ahead partitions are made.
const AHEAD: i64 = 2;

pub(super) async fn settings(connection: impl PgExecutor<'_>, instance: &str) -> Result<Settings, sqlx::Error> {
    let statement = "SELECT retention_days, hidden_before, cleared_at FROM settings WHERE instance = $1";
    let found = sqlx::query_as(statement).bind(instance).fetch_optional(connection).await?;
    Ok(found.unwrap_or_default())
}

pub(super) async fn set_retention(pool: &PgPool, instance: &str, days: i32, now: i64) -> Result<Settings, sqlx::Error> {
    let mut transaction = begin(pool, "BEGIN").await?;
    let settings = lock(&mut transaction, instance).await?.with_retention(days, now);
    sqlx::query("UPDATE settings SET retention_days = $2, hidden_before = $3 WHERE instance = $1")
        .bind(instance)
        .bind(settings.retention_days)
        .bind(settings.hidden_before)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(settings)
}

/// What is there by a clock that is ahead is cleared as well, within reason.
pub(super) async fn clear(pool: &PgPool, instance: &str, now: i64) -> Result<(), sqlx::Error> {
    const AHEAD: i64 = 600 * 1_000_000;
    let mut transaction = begin(pool, "BEGIN").await?;
    lock(&mut transaction, instance).await?;
    sqlx::query(
        "UPDATE settings SET cleared_at = greatest(cleared_at, $2, 1 + (SELECT max(last) FROM \
         (VALUES (1::smallint), (2::smallint)) AS v (status) CROSS JOIN LATERAL (SELECT a.started_at AS last \
         FROM attempts a WHERE a.instance = $1 AND a.status = v.status AND a.started_at >= $2 AND a.started_at < $3 \
         ORDER BY a.started_at DESC LIMIT 1) AS a)) WHERE instance = $1",
    )
    .bind(instance)
    .bind(now)
    .bind(now.saturating_add(AHEAD))
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await
}

/// The row of an instance, made if it is missing, and locked.
async fn lock(transaction: &mut PgTransaction<'_>, instance: &str) -> Result<Settings, sqlx::Error> {
    sqlx::query(
        "INSERT INTO settings (instance, retention_days, hidden_before, cleared_at, removed_before) \
         VALUES ($1, $2, 0, 0, 0) ON CONFLICT DO NOTHING",
    )
    .bind(instance)
    .bind(LONGEST)
    .execute(&mut **transaction)
    .await?;
    sqlx::query("SELECT FROM settings WHERE instance = $1 FOR UPDATE")
        .bind(instance)
        .execute(&mut **transaction)
        .await?;
    settings(&mut **transaction, instance).await
}

/// The days of which somebody sees something, as long as everybody sees the same: so many need not be looked at each time.
#[derive(Default)]
pub(super) struct Seen(Mutex<Looks>);

#[derive(Default)]
struct Looks {
    /// From when on each instance sees its history; the last stands for all that have decided nothing.
    sight: Vec<(String, i64)>,
    /// The names of the parts that were looked at since that changed.
    parts: HashSet<String>,
}

impl Seen {
    /// Those of these days that are worth a look.
    fn unknown(&self, parts: &[Part], kept: &[Kept], now: i64) -> Vec<Part> {
        let others = (String::new(), Settings::default().visible_from(now) / STEP);
        let sight = kept.iter().map(|kept| (kept.instance.clone(), kept.removable_before(now) / STEP));
        let sight = sight.chain([others]).collect();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.sight != sight {
            *known = Looks { sight, parts: HashSet::new() };
        }
        parts.iter().filter(|part| !known.parts.contains(&part.name)).cloned().collect()
    }

    fn add(&self, part: &Part) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).parts.insert(part.name.clone());
    }
}

pub(super) async fn tidy(pool: &PgPool, days: &Days, seen: &Seen, now: i64) -> Result<bool, sqlx::Error> {
    days.ensure(pool, &(day_of(now)..=day_of(now) + AHEAD).collect()).await?;
    let kept: Vec<Kept> = sqlx::query_as(
        "SELECT instance, retention_days, hidden_before, cleared_at, removed_before FROM settings \
         ORDER BY instance COLLATE \"C\"",
    )
    .fetch_all(pool)
    .await?;
    let parts = parts(pool).await?;
    let hidden = kept.iter().map(|kept| kept.removable_before(now));
    let hidden = hidden.chain([Settings::default().visible_from(now)]).max().unwrap_or_default();
    for part in seen.unknown(&parts, &kept, now) {
        if part.ends_at <= hidden {
            match empty(pool, &part, &kept, now).await? {
                Emptied::Now => return Ok(true),
                Emptied::Busy => continue,
                Emptied::NeedNot => {}
            }
            if drop_old(pool, &part, now).await? {
                return Ok(true);
            }
        }
        seen.add(&part);
    }
    for kept in &kept {
        if let Some(due) = kept.due(now)
            && remove(pool, &parts, &due).await?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A partition.
#[derive(Clone, Debug, FromRow)]
struct Part {
    name: String,
    of_bodies: bool,
    /// From this time on …
    starts_at: i64,
    /// … and before this one.
    ends_at: i64,
    is_empty: bool,
    /// Whether it is a partition; or was, until its removal was cut short.
    attached: bool,
}

/// The partitions, oldest first; attempts before bodies. Their names are made by `add_day`.
async fn parts(pool: &PgPool) -> Result<Vec<Part>, sqlx::Error> {
    sqlx::query_as(
        "SELECT name, of_bodies, CASE name WHEN 'attempts_past' THEN -9e18::bigint WHEN 'bodies_past' THEN -9e18::bigint \
         ELSE day * 86400000000 END AS starts_at, CASE WHEN name LIKE '%_past' THEN $1 * 86400000000 \
         WHEN name LIKE '%_future' THEN 9e18::bigint ELSE (day + 1) * 86400000000 END AS ends_at, is_empty, attached FROM (\
         SELECT c.relname::text AS name, c.relname LIKE 'bodies%' AS of_bodies, CASE \
         WHEN c.relname LIKE '%_past' THEN 0 WHEN c.relname LIKE '%_future' THEN $2 ELSE \
         (extract(epoch FROM to_date(right(c.relname, 8), 'YYYYMMDD')) / 86400)::bigint END AS day, \
         pg_relation_size(c.oid) = 0 AS is_empty, i.inhrelid IS NOT NULL AND NOT i.inhdetachpending AS attached \
         FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid \
         WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' \
         AND c.relname ~ '^(attempts|bodies)_([0-9]{8}|past|future)$') AS p ORDER BY starts_at, of_bodies",
    )
    .bind(days::OWN.start)
    .bind(days::OWN.end)
    .fetch_all(pool)
    .await
}

/// What became of a part that was to be emptied.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Emptied {
    /// It was.
    Now,
    /// Somebody sees something of it, or it is empty.
    NeedNot,
    /// It was in use: another time.
    Busy,
}

/// Empties a part of history of which nobody sees anything.
async fn empty(pool: &PgPool, part: &Part, kept: &[Kept], now: i64) -> Result<Emptied, sqlx::Error> {
    if part.is_empty || !part.attached {
        return Ok(Emptied::NeedNot);
    }
    let mut transaction = begin(pool, "BEGIN").await?;
    let emptied = emptied(&mut transaction, part, kept, now).await?;
    if emptied == Emptied::Now {
        transaction.commit().await?;
        tracing::info!(table = part.name, "a day of history that nobody sees any more is removed");
    } else {
        // Dropped, it would be rolled back at some time, and hold its lock until then.
        transaction.rollback().await?;
    }
    Ok(emptied)
}

/// Drops an empty day that is older than anything can be; answers whether it did.
async fn drop_old(pool: &PgPool, part: &Part, now: i64) -> Result<bool, sqlx::Error> {
    // What is recorded of so long ago is rare, and hidden.
    let is_old = part.ends_at <= now.saturating_sub(i64::from(LONGEST + 2) * DAY);
    if !is_old || part.attached && !part.is_empty || part.name.ends_with("_past") {
        return Ok(false);
    }
    let mut connection = pool.acquire().await?;
    let parent = if part.of_bodies { "bodies" } else { "attempts" };
    let name = &part.name;
    if part.attached {
        // It waits for whoever uses the table, and holds up nobody meanwhile. Cut short, it is finished the next time.
        run(&mut connection, format!("ALTER TABLE {parent} DETACH PARTITION {name} CONCURRENTLY")).await?;
    } else if let Err(error) =
        run(&mut connection, format!("ALTER TABLE {parent} DETACH PARTITION {name} FINALIZE")).await
    {
        tracing::debug!(%error, table = name, "there is nothing to finish");
    }
    run(&mut connection, format!("DROP TABLE IF EXISTS {name}")).await?;
    Ok(true)
}

async fn run(connection: &mut PgConnection, statement: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await.map(drop)
}

async fn emptied(
    transaction: &mut PgTransaction<'_>,
    part: &Part,
    kept: &[Kept],
    now: i64,
) -> Result<Emptied, sqlx::Error> {
    let name = &part.name;
    let free: bool = sqlx::query_scalar(TRY_LOCK).fetch_one(&mut **transaction).await?;
    if !free {
        return Ok(Emptied::Busy);
    }
    if is_seen(transaction, part, kept, now).await? {
        return Ok(Emptied::NeedNot);
    }
    run(transaction, LOCK_TIMEOUT.to_owned()).await?;
    let locked = run(transaction, format!("LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")).await;
    if let Err(sqlx::Error::Database(error)) = &locked
        && error.code().as_deref() == Some("55P03")
    {
        // Somebody reads it, such as an export that began before.
        return Ok(Emptied::Busy);
    }
    locked?;
    // Once more: now nobody can write to it.
    if is_seen(transaction, part, kept, now).await? {
        return Ok(Emptied::NeedNot);
    }
    if part.of_bodies {
        // What waits needs its body.
        let kept = format!(
            "INSERT INTO bodies (instance, event_id, format, content, day, at) \
             SELECT DISTINCT ON (b.instance, b.event_id, b.format) b.instance, b.event_id, b.format, b.content, {}, {now} \
             FROM pending p JOIN {name} b ON b.instance = p.instance AND b.event_id = p.event_id ON CONFLICT DO NOTHING",
            day_of(now)
        );
        run(transaction, kept).await?;
    }
    run(transaction, format!("TRUNCATE {name}")).await?;
    Ok(Emptied::Now)
}

/// Whether some instance sees something of a day: goes from one instance to the next in the index.
async fn is_seen(
    transaction: &mut PgTransaction<'_>,
    part: &Part,
    kept: &[Kept],
    now: i64,
) -> Result<bool, sqlx::Error> {
    let mut last = String::new();
    loop {
        let statement = format!(
            "SELECT min(instance COLLATE \"C\") FROM (SELECT instance FROM {} WHERE instance > $1 ORDER BY instance \
                     LIMIT 1) AS next",
            part.name
        );
        let next = sqlx::query_scalar(AssertSqlSafe(statement)).persistent(false).bind(&last);
        let next: Option<String> = next.fetch_one(&mut **transaction).await?;
        let Some(instance) = next else { return Ok(false) };
        let known = kept.binary_search_by(|kept| kept.instance.as_str().cmp(&instance)).ok();
        let default = Kept { instance: instance.clone(), settings: Settings::default(), removed_before: 0 };
        let kept = known.and_then(|index| kept.get(index)).unwrap_or(&default);
        let hidden = if part.of_bodies { kept.removable_bodies_before(now) } else { kept.removable_before(now) };
        if hidden < part.ends_at {
            return Ok(true);
        }
        last = instance;
    }
}

/// Removes some of what an instance has hidden; answers whether there was something.
async fn remove(pool: &PgPool, parts: &[Part], due: &Due) -> Result<bool, sqlx::Error> {
    let mut transaction = begin(pool, "BEGIN").await?;
    let free: bool = sqlx::query_scalar(TRY_LOCK).fetch_one(&mut *transaction).await?;
    if !free {
        transaction.rollback().await?;
        return Ok(false);
    }
    let due_part =
        |part: &&Part| part.attached && !part.is_empty && part.starts_at < due.before && part.ends_at > due.from;
    let mut removed = 0;
    let mut reached = due.from;
    for part in parts.iter().filter(due_part) {
        removed += if part.of_bodies {
            remove_bodies(&mut transaction, part, due).await?
        } else {
            remove_attempts(&mut transaction, part, due).await?
        };
        if removed >= AT_ONCE {
            break;
        }
        // Its bodies come after its attempts.
        reached = part.starts_at;
    }
    let whole = removed < AT_ONCE;
    let reached = if whole { due.before } else { reached };
    sqlx::query("UPDATE settings SET removed_before = greatest(removed_before, $2) WHERE instance = $1")
        .bind(&due.instance)
        .bind(reached)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(!whole)
}

async fn remove_attempts(transaction: &mut PgTransaction<'_>, part: &Part, due: &Due) -> Result<i64, sqlx::Error> {
    let name = &part.name;
    let statement = format!(
        "DELETE FROM {name} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {name} WHERE instance = $1 \
         AND status = ANY('{{1,2}}') AND started_at < $2 LIMIT $3))"
    );
    let query = sqlx::query(AssertSqlSafe(statement)).persistent(false);
    let done = query.bind(&due.instance).bind(due.before).bind(AT_ONCE).execute(&mut **transaction).await?;
    Ok(i64::try_from(done.rows_affected()).unwrap_or(i64::MAX))
}

async fn remove_bodies(transaction: &mut PgTransaction<'_>, part: &Part, due: &Due) -> Result<i64, sqlx::Error> {
    let name = &part.name;
    let statement = format!(
        "DELETE FROM {name} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {name} b WHERE instance = $1 AND at < $2 \
         AND NOT EXISTS (SELECT 1 FROM pending p WHERE p.instance = b.instance AND p.event_id = b.event_id) LIMIT $3))"
    );
    let query = sqlx::query(AssertSqlSafe(statement)).persistent(false);
    let done = query.bind(&due.instance).bind(due.bodies_before).bind(AT_ONCE).execute(&mut **transaction).await?;
    Ok(i64::try_from(done.rows_affected()).unwrap_or(i64::MAX))
}
