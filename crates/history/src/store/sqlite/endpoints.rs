//! What attempts say of endpoints.

use sqlx::SqlitePool;

use super::rows::read;
use crate::store::{Endpoint, FailingEndpoint, NewestAttempt};

/// For each webhook two steps into the index by webhook, status and time. What is hidden does not count: some of it may be
/// removed already.
pub(super) async fn newest_attempts(
    readers: &SqlitePool,
    webhooks: &[(String, i64)],
) -> Result<Vec<NewestAttempt>, sqlx::Error> {
    let before = "SELECT a.webhook_id, a.status, a.made, a.started_at, a.duration_us FROM (";
    let after = ") AS w CROSS JOIN (SELECT 1 AS status UNION ALL SELECT 2) AS s CROSS JOIN attempts AS a ON a.rowid = (\
         SELECT rowid FROM attempts WHERE instance = w.column1 AND webhook_id = w.column2 AND status = s.status \
         AND started_at >= coalesce((SELECT max(hidden_before, cleared_at) FROM settings \
         WHERE instance = w.column1), 0) ORDER BY started_at DESC LIMIT 1)";
    read(&mut *readers.acquire().await?, (before, after), webhooks, |row, (instance, webhook_id)| {
        row.push_bind(instance.clone()).push_bind(*webhook_id);
    })
    .await
    .map(NewestAttempt::of_each)
}

/// For each endpoint a few steps into the index by webhook, status and time, however many attempts it has.
pub(super) async fn failing(
    readers: &SqlitePool,
    endpoints: &[Endpoint],
    apart: i64,
) -> Result<Vec<FailingEndpoint>, sqlx::Error> {
    let before = "WITH e AS MATERIALIZED (SELECT column1 AS instance, column2 AS webhook_id, max(column3, coalesce(\
         (SELECT max(hidden_before, cleared_at) FROM settings WHERE instance = column1), column3), coalesce(\
         (SELECT max(started_at) FROM attempts WHERE instance = column1 AND webhook_id = column2 AND status = 2), \
         column3)) AS since, column4 AS apart FROM (";
    let after = ")), f AS MATERIALIZED (SELECT e.*, (SELECT a.started_at FROM attempts AS a WHERE a.instance = e.instance \
         AND a.webhook_id = e.webhook_id AND a.status = 1 AND a.started_at > e.since AND a.made AND NOT a.is_test \
         ORDER BY a.started_at LIMIT 1) AS started_at FROM e), \
         l AS MATERIALIZED (SELECT f.webhook_id, f.started_at, (SELECT a.rowid FROM attempts AS a \
         WHERE a.instance = f.instance AND a.webhook_id = f.webhook_id AND a.status = 1 \
         AND a.started_at >= f.started_at + f.apart AND a.made AND NOT a.is_test ORDER BY a.started_at DESC LIMIT 1) AS last \
         FROM f) \
         SELECT l.webhook_id, l.started_at AS first_failed_at, a.started_at AS last_failed_at, a.error_class, a.error \
         FROM l CROSS JOIN attempts AS a ON a.rowid = l.last";
    read(&mut *readers.acquire().await?, (before, after), endpoints, |row, endpoint| {
        row.push_bind(endpoint.instance.clone()).push_bind(endpoint.webhook_id);
        row.push_bind(endpoint.since).push_bind(apart);
    })
    .await
}
