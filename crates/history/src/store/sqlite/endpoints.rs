//! What attempts say of endpoints.

use sqlx::SqlitePool;

use super::rows::read;
use crate::store::{Endpoint, FailingEndpoint};

/// Goes from one webhook to the next in the index, however many rows each has.
pub(super) async fn failing_webhooks(readers: &SqlitePool) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar(
        "WITH RECURSIVE w (id) AS (SELECT min(webhook_id) FROM pending WHERE state = 2 AND hold_reason = 7 UNION ALL \
         SELECT (SELECT min(webhook_id) FROM pending WHERE state = 2 AND hold_reason = 7 AND webhook_id > w.id) FROM w \
         WHERE w.id IS NOT NULL) SELECT id FROM w WHERE id IS NOT NULL",
    )
    .fetch_all(readers)
    .await
}

/// Ends without an attempt count as failures here: they pass with the next success.
pub(super) async fn is_well(readers: &SqlitePool, instance: &str, webhook_id: i64) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT coalesce((SELECT max(started_at) FROM attempts WHERE instance = ?1 AND webhook_id = ?2 AND status = 2), 0) \
         > coalesce((SELECT max(started_at) FROM attempts WHERE instance = ?1 AND webhook_id = ?2 AND status = 1), 0)",
    )
    .bind(instance)
    .bind(webhook_id)
    .fetch_one(readers)
    .await
}

/// For each endpoint a few steps into the index by webhook, status and time, however many attempts it has.
pub(super) async fn failing(
    readers: &SqlitePool,
    endpoints: &[Endpoint],
    apart: i64,
) -> Result<Vec<FailingEndpoint>, sqlx::Error> {
    let before = "WITH e AS MATERIALIZED (SELECT column1 AS instance, column2 AS webhook_id, max(column3, coalesce(\
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
