//! What attempts say of endpoints.

use sqlx::PgPool;

use crate::store::{Endpoint, FailingEndpoint};

/// Goes from one webhook to the next in the index, however many rows each has.
pub(super) async fn failing_webhooks(pool: &PgPool) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar(
        "WITH RECURSIVE w (id) AS (SELECT min(webhook_id) FROM pending WHERE state = 2 AND hold_reason = 7 UNION ALL \
         SELECT (SELECT min(webhook_id) FROM pending WHERE state = 2 AND hold_reason = 7 AND webhook_id > w.id) FROM w \
         WHERE w.id IS NOT NULL) SELECT id FROM w WHERE id IS NOT NULL",
    )
    .fetch_all(pool)
    .await
}

/// Ends without an attempt count as failures here: they pass with the next success.
pub(super) async fn is_well(pool: &PgPool, instance: &str, webhook_id: i64) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT coalesce((SELECT max(started_at) FROM attempts WHERE instance = $1 AND webhook_id = $2 AND status = 2), 0) \
         > coalesce((SELECT max(started_at) FROM attempts WHERE instance = $1 AND webhook_id = $2 AND status = 1), 0)",
    )
    .bind(instance)
    .bind(webhook_id)
    .fetch_one(pool)
    .await
}

/// For each endpoint a few steps into the index by webhook, status and time, however many attempts it has.
pub(super) async fn failing(
    pool: &PgPool,
    endpoints: &[Endpoint],
    apart: i64,
) -> Result<Vec<FailingEndpoint>, sqlx::Error> {
    sqlx::query_as(
        "SELECT e.webhook_id, f.started_at AS first_failed_at, l.started_at AS last_failed_at, l.error_class, l.error \
         FROM UNNEST($1::text[], $2::bigint[], $3::bigint[]) AS e (instance, webhook_id, since) \
         CROSS JOIN LATERAL (SELECT greatest(e.since, max(d.started_at)) AS started_at FROM attempts d \
         WHERE d.instance = e.instance AND d.webhook_id = e.webhook_id AND d.status = 2) AS s \
         CROSS JOIN LATERAL (SELECT a.started_at FROM attempts a WHERE a.instance = e.instance \
         AND a.webhook_id = e.webhook_id AND a.status = 1 AND a.started_at > s.started_at AND a.made AND NOT a.is_test \
         ORDER BY a.started_at LIMIT 1) AS f \
         CROSS JOIN LATERAL (SELECT a.started_at, a.error_class, a.error FROM attempts a WHERE a.instance = e.instance \
         AND a.webhook_id = e.webhook_id AND a.status = 1 AND a.started_at >= f.started_at + $4 AND a.made \
         AND NOT a.is_test ORDER BY a.started_at DESC LIMIT 1) AS l",
    )
    .bind(endpoints.iter().map(|endpoint| endpoint.instance.as_str()).collect::<Vec<_>>())
    .bind(endpoints.iter().map(|endpoint| endpoint.webhook_id).collect::<Vec<_>>())
    .bind(endpoints.iter().map(|endpoint| endpoint.since).collect::<Vec<_>>())
    .bind(apart)
    .fetch_all(pool)
    .await
}
