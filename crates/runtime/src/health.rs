//! Whether the program is alive and ready, over HTTP.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use futures::future::{BoxFuture, join_all};
use opentelemetry::{KeyValue, metrics::Gauge};
use serde_json::{Map, Value, json};

/// A question whose answer is `Ok`, or what is wrong.
type Check = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// What must hold for the program to be ready.
#[derive(Clone, Default)]
pub struct Health {
    checks: Vec<(&'static str, Check)>,
}

impl std::fmt::Debug for Health {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.checks.iter().map(|(name, _)| name)).finish()
    }
}

/// How long a check may take; slower is not ready.
const PATIENCE: Duration = Duration::from_secs(2);

impl Health {
    /// Adds a condition: what is to be asked of a part of the program.
    pub fn watch<T, A>(&mut self, name: &'static str, part: &Arc<T>, ask: impl Fn(Arc<T>) -> A + Send + Sync + 'static)
    where
        T: Send + Sync + ?Sized + 'static,
        A: Future<Output = Result<(), String>> + Send + 'static,
    {
        let part = Arc::clone(part);
        self.checks.push((name, Arc::new(move || Box::pin(ask(Arc::clone(&part))))));
    }

    /// All conditions with their answers.
    pub async fn ask(&self) -> Vec<(&'static str, Result<(), String>)> {
        join_all(self.checks.iter().map(|(name, check)| async move {
            let answer = tokio::time::timeout(PATIENCE, check()).await;
            (*name, answer.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs()))))
        }))
        .await
    }

    /// `/livez`, `/readyz` and `/metrics`, for `admin.listen`.
    pub fn router(self) -> Router {
        Router::new()
            .route("/livez", get(|| async { Json(json!({"status": "ok"})) }))
            .route("/readyz", get(ready))
            .route("/metrics", get(measured))
            .with_state(Arc::new(self))
    }
}

/// Whether a condition of being ready holds.
static READY: LazyLock<Gauge<u64>> = LazyLock::new(|| {
    let meter = crate::metrics("runtime");
    meter
        .u64_gauge("webhooks.ready")
        .with_description("Whether a condition of being ready holds, by check: 1 or 0")
        .build()
});

async fn measured(State(health): State<Arc<Health>>) -> Response {
    for (name, answer) in health.ask().await {
        READY.record(answer.is_ok().into(), &[KeyValue::new("check", name)]);
    }
    crate::telemetry::scrape()
}

async fn ready(State(health): State<Arc<Health>>) -> impl IntoResponse {
    let answers = health.ask().await;
    let ok = answers.iter().all(|(_, answer)| answer.is_ok());
    let text = |answer: Result<(), String>| Value::from(answer.err().unwrap_or_else(|| "ok".to_owned()));
    let checks: Map<String, Value> =
        answers.into_iter().map(|(name, answer)| (name.to_owned(), text(answer))).collect();
    let status = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({"status": if ok { "ok" } else { "unavailable" }, "checks": checks})))
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, extract::Request};
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn what_does_not_hold_shows_in_the_metrics() {
        let mut health = Health::default();
        health.watch("holds", &Arc::new(()), |_| async { Ok(()) });
        health.watch("fails", &Arc::new(()), |_| async { Err("it is away".to_owned()) });
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let answer = health.router().oneshot(request).await.unwrap();
        let bytes = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let line = |check: &str| {
            let name = format!("check=\"{check}\"");
            text.lines().find(|line| line.starts_with("webhooks_ready{") && line.contains(&name)).map(str::to_owned)
        };
        assert!(line("holds").is_some_and(|line| line.ends_with(" 1")), "{text}");
        assert!(line("fails").is_some_and(|line| line.ends_with(" 0")), "{text}");
    }
}
