//! The router over the fake services, and its answers.

use std::{
    convert::Infallible,
    io::{self, Write},
    sync::{Arc, Mutex, Once},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Method, Request, header},
};
use domain::{SystemClock, SystemIds};
use gateway::{Catalogue, Services, Sessions, router};
use proto::{
    channel::LocalServices,
    v1::{history_server::HistoryServer, webhooks_server::WebhooksServer},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tower::ServiceExt as _;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::{
    conformance::{self, check, operation},
    fake::Fake,
};

/// What all tests of this program have logged. One log for all: with a subscriber for each test, what is logged first
/// by a test without one stays off for those with one.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn start_logging() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        tracing_subscriber::fmt()
            .with_writer(|| Log)
            .with_max_level(tracing::Level::TRACE)
            .with_span_events(FmtSpan::NEW)
            .with_ansi(false)
            .init();
    });
}

/// What all tests of this program have logged up to now.
pub(crate) fn logged() -> String {
    String::from_utf8(LOG.lock().unwrap().clone()).unwrap()
}

/// The API over a fake.
pub(crate) struct Api {
    pub(crate) fake: Fake,
    router: Router,
    /// Whether answers are held against the document.
    documented: bool,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// Null where the body is empty.
    pub(crate) json: Value,
    pub(crate) text: String,
}

/// With samples whose bytes show whether they are kept.
pub(crate) fn catalogue() -> Catalogue {
    Catalogue::new(|kind| Ok::<_, Infallible>(format!(r#"{{"id":"1","event":"{kind}","a":1.10}}"#).into_bytes()))
        .unwrap()
}

/// Sessions of this process alone.
pub(crate) fn sessions() -> Sessions {
    Sessions {
        keys: Arc::new(|| vec![[7; 32]]),
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
        closing: CancellationToken::new(),
    }
}

impl Api {
    pub(crate) fn new() -> Self {
        let fake = Fake::default();
        start_logging();
        let local = LocalServices::default();
        local.set(Routes::new(WebhooksServer::new(fake.clone())).add_service(HistoryServer::new(fake.clone())));
        let services = Services {
            webhooks: local.channel(),
            history: local.channel(),
            catalogue: catalogue(),
            sessions: sessions(),
        };
        Self { fake, router: router(services), documented: true }
    }

    pub(crate) fn over(services: Services) -> Self {
        start_logging();
        Self { fake: Fake::default(), router: router(services), documented: true }
    }

    /// For services that answer what they never should.
    pub(crate) fn undocumented() -> Self {
        Self { documented: false, ..Self::new() }
    }

    /// The document that the router serves.
    pub(crate) async fn document(&self) -> &'static Value {
        let request = self.request("GET", "/openapi.json").body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        conformance::document(|| serde_json::from_slice(&bytes).unwrap())
    }

    /// As somebody with this token (that is, with the header `Bearer <token>`).
    pub(crate) async fn send(&self, token: &str, method: &str, path: &str, body: Option<&str>) -> Answer {
        let mut request = self.request(method, path).header(header::AUTHORIZATION, format!("Bearer {token}"));
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        self.answer(request.body(Body::from(body.unwrap_or_default().to_owned())).unwrap()).await
    }

    /// As the administrator.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("admin", "GET", path, None).await
    }

    /// As the administrator.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("admin", "POST", path, Some(&body.to_string())).await
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> axum::http::request::Builder {
        Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(format!("/api/v1{path}"))
    }

    /// An answer that is not read yet.
    pub(crate) async fn raw(&self, request: Request<Body>) -> (axum::http::response::Parts, Body) {
        self.router.clone().oneshot(request).await.unwrap().into_parts()
    }

    /// Every answer has the security headers, and is as the document says.
    pub(crate) async fn answer(&self, request: Request<Body>) -> Answer {
        let what = format!("{} {}", request.method(), request.uri());
        let (method, path) = (request.method().as_str().to_owned(), request.uri().path().to_owned());
        let (head, body) = self.raw(request).await;
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let is_json = head.headers.get("content-type").is_some_and(|value| value == "application/json");
        let json = if is_json && !text.is_empty() { serde_json::from_str(&text).unwrap() } else { Value::Null };
        let answer = Answer { status: head.status.as_u16(), headers: head.headers, json, text };
        assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{what}");
        assert_eq!(answer.headers["cache-control"], "no-store", "{what}");
        if self.documented && method != "HEAD" {
            let document = self.document().await;
            let operation = path.strip_prefix("/api/v1").and_then(|path| operation(document, &method, path));
            check(document, &what, operation, answer.status, &answer.headers, &answer.text);
        }
        if answer.status >= 400 {
            assert_eq!(answer.headers["content-type"], "application/json", "{what}");
            assert!(answer.json["message"].as_str().is_some_and(|text| !text.is_empty()), "{what}: {answer:?}");
            assert!(answer.json["code"].is_string() && answer.json["errors"].is_object(), "{what}: {answer:?}");
            assert_eq!(answer.json.as_object().unwrap().len(), 3, "{what}: {answer:?}");
        }
        answer
    }
}

impl Answer {
    /// Panics unless it has this status.
    pub(crate) fn ok(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// Panics unless it is this error, about exactly these fields (in alphabetical order).
    pub(crate) fn refused(self, status: u16, code: &str, fields: &[&str]) -> Self {
        assert_eq!((self.status, &self.json["code"]), (status, &json!(code)), "{}", self.text);
        let errors = self.json["errors"].as_object().unwrap();
        assert_eq!(errors.keys().map(String::as_str).collect::<Vec<_>>(), fields, "{}", self.text);
        for complaints in errors.values() {
            assert!(complaints.as_array().unwrap().iter().all(Value::is_string), "{}", self.text);
        }
        self
    }
}
