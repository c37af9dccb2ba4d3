//! Whether the program is alive and ready, over HTTP.

use std::{sync::Arc, time::Duration};

use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use futures::future::{BoxFuture, join_all};
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
            .route("/metrics", get(|| async { crate::telemetry::scrape() }))
            .with_state(Arc::new(self))
    }
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
