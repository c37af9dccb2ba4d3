//! What attempts say of endpoints, of any time.

use sqlx::PgPool;

use crate::store::{Endpoint, FailingEndpoint, NewestAttempt};

/// For each webhook two steps into the index by webhook, status and time. What is hidden does not count: some of it may be
/// removed already.
pub(super) async fn newest_attempts(
    far: &PgPool,
    webhooks: &[(String, i64)],
) -> Result<Vec<NewestAttempt>, sqlx::Error> {
    let found = sqlx::query_as(
        "SELECT a.webhook_id, a.status, a.made, a.started_at, a.duration_us \
         FROM UNNEST($1::text[], $2::bigint[]) AS w (instance, id) CROSS JOIN (VALUES (1), (2)) AS s (status) \
         LEFT JOIN settings h ON h.instance = w.instance \
         CROSS JOIN LATERAL (SELECT * FROM attempts WHERE instance = w.instance AND webhook_id = w.id \
         AND status = s.status AND started_at >= greatest(0, h.hidden_before, h.cleared_at) \
         ORDER BY started_at DESC LIMIT 1) AS a",
    )
    .bind(webhooks.iter().map(|webhook| webhook.0.as_str()).collect::<Vec<_>>())
    .bind(webhooks.iter().map(|webhook| webhook.1).collect::<Vec<_>>())
    .fetch_all(far)
    .await?;
    Ok(NewestAttempt::of_each(found))
}

/// For each endpoint a few steps into the index by webhook, status and time, however many attempts it has.
pub(super) async fn failing(
    far: &PgPool,
    endpoints: &[Endpoint],
    apart: i64,
) -> Result<Vec<FailingEndpoint>, sqlx::Error> {
    sqlx::query_as(
        "SELECT e.webhook_id, f.started_at AS first_failed_at, l.started_at AS last_failed_at, l.error_class, l.error \
         FROM UNNEST($1::text[], $2::bigint[], $3::bigint[]) AS e (instance, webhook_id, since) \
         LEFT JOIN settings h ON h.instance = e.instance \
         CROSS JOIN LATERAL (SELECT greatest(e.since, h.hidden_before, h.cleared_at, (SELECT d.started_at FROM attempts d \
         WHERE d.instance = e.instance AND d.webhook_id = e.webhook_id AND d.status = 2 ORDER BY d.started_at DESC \
         LIMIT 1)) AS started_at) AS s \
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
    .fetch_all(far)
    .await
}
