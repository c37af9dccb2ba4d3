//! The receiving side of the demo: verifies each signature as a receiver should, and answers as its part in the story
//! wants. Those of chats speak TLS, at addresses that look like the real ones.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use domain::{Clock as _, IdSource, Secret, StandardHeaders, SystemClock, WebhookKind};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::mpsc,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use super::message::headline;

/// How far the time in the headers of a delivery may be from now.
const TOLERANCE: Duration = Duration::from_mins(5);

/// How a receiver answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// As it should; with what chats answer.
    Healthy,
    /// 503 to the first two attempts of each delivery, then 200.
    FailsTwice,
    /// 410.
    Gone,
}

/// What a receiver saw.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) receiver: &'static str,
    pub(super) event: String,
    pub(super) delivery: String,
    pub(super) attempt: u32,
    pub(super) answered: u16,
    /// Whether both signatures fit the body, and the time is now.
    pub(super) verified: bool,
    /// What a person reads in the chat, if it is one; or what is wrong with the body.
    pub(super) headline: Result<Option<String>, String>,
}

/// A receiver.
pub(super) struct Receiver {
    pub(super) name: &'static str,
    pub(super) kind: WebhookKind,
    pub(super) manner: Manner,
    address: SocketAddr,
    /// The path, with the query if it has one.
    path: String,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    /// Known once its webhook exists.
    pub(super) secret: Arc<Mutex<Option<Secret>>>,
}

impl Receiver {
    /// One for programs.
    pub(super) async fn generic(name: &'static str, manner: Manner) -> anyhow::Result<Self> {
        Self::bind(name, WebhookKind::Generic, manner, format!("/{name}"), None).await
    }

    /// One that stands for a chat, over TLS.
    pub(super) async fn chat(kind: WebhookKind, tls: &TlsAcceptor, ids: &dyn IdSource) -> anyhow::Result<Self> {
        Self::bind(kind.name(), kind, Manner::Healthy, chat_path(kind, ids), Some(tls.clone())).await
    }

    async fn bind(
        name: &'static str,
        kind: WebhookKind,
        manner: Manner,
        path: String,
        tls: Option<TlsAcceptor>,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        Ok(Self { name, kind, manner, address, path, listener, tls, secret: Arc::default() })
    }

    /// Where to post to.
    pub(super) fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{}", self.address, self.path)
    }

    /// Receives for ever.
    pub(super) async fn run(self, arrivals: mpsc::UnboundedSender<Arrival>) {
        let receiver = Arc::new(self);
        let mut connections = JoinSet::new();
        loop {
            let accepted = receiver.listener.accept().await;
            let Ok((stream, _)) = accepted else { continue };
            let (receiver, arrivals) = (Arc::clone(&receiver), arrivals.clone());
            connections.spawn(async move {
                let Some(tls) = receiver.tls.clone() else { return serve(receiver, arrivals, stream).await };
                // A sender that does not trust the certificate goes away; the story says what is missing.
                if let Ok(stream) = tls.accept(stream).await {
                    serve(receiver, arrivals, stream).await;
                }
            });
            while connections.try_join_next().is_some() {}
        }
    }

    /// What it answers, and with which body.
    fn answer(&self, path: &str, attempt: u32) -> (StatusCode, &'static str) {
        match (self.manner, self.kind) {
            _ if path != self.path => (StatusCode::NOT_FOUND, "there is nothing here"),
            (Manner::FailsTwice, _) if attempt <= 2 => (StatusCode::SERVICE_UNAVAILABLE, "not now"),
            (Manner::Gone, _) => (StatusCode::GONE, "gone"),
            (_, WebhookKind::Generic) => (StatusCode::OK, "thanks"),
            (_, WebhookKind::Slack) => (StatusCode::OK, "ok"),
            (_, WebhookKind::Teams) => (StatusCode::ACCEPTED, ""),
            (_, WebhookKind::Discord) => (StatusCode::NO_CONTENT, ""),
        }
    }

    fn verify(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        let secret = self.secret.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(secret) = secret else { return false };
        let standard = StandardHeaders {
            id: text(headers, "webhook-id"),
            timestamp: text(headers, "webhook-timestamp"),
            signatures: text(headers, "webhook-signature"),
        };
        secret.verify_body(body, text(headers, "x-testmo-signature-256")).is_ok()
            && secret.verify_standard(&standard, body).is_ok()
            && standard.check_time(SystemClock.now(), TOLERANCE).is_ok()
    }
}

/// A path as the chat's own addresses have. In all of them it is a secret, which history does not show.
fn chat_path(kind: WebhookKind, ids: &dyn IdSource) -> String {
    let secret = || ids.uuid().simple().to_string();
    match kind {
        WebhookKind::Generic => "/".to_owned(),
        WebhookKind::Slack => format!("/services/T0DEMO/B0DEMO/{}", secret()),
        WebhookKind::Teams => format!(
            "/workflows/{}/triggers/manual/paths/invoke?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig={}",
            secret(),
            secret()
        ),
        WebhookKind::Discord => format!("/api/webhooks/1234567890/{}", secret()),
    }
}

/// The value of a header; empty if there is none, or none in ASCII.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

async fn serve<S>(receiver: Arc<Receiver>, arrivals: mpsc::UnboundedSender<Arrival>, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let service = service_fn(move |request| answer(Arc::clone(&receiver), arrivals.clone(), request));
    // The sender going away is its own affair.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(
    receiver: Arc<Receiver>,
    arrivals: mpsc::UnboundedSender<Arrival>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let header = |name| text(&head.headers, name);
    let attempt = header("x-testmo-attempt").parse().unwrap_or_default();
    let path = head.uri.path_and_query().map_or("", |path| path.as_str());
    let (status, answer) = receiver.answer(path, attempt);
    let headline = headline(receiver.kind, header("x-testmo-event"), &body);
    let arrival = Arrival {
        receiver: receiver.name,
        event: header("x-testmo-event").to_owned(),
        delivery: header("x-testmo-delivery").to_owned(),
        attempt,
        answered: status.as_u16(),
        verified: receiver.verify(&head.headers, &body),
        headline: headline.map_err(|error| error.to_string()),
    };
    // The story may be over already.
    let _ = arrivals.send(arrival);
    let mut response = Response::new(Full::new(Bytes::from_static(answer.as_bytes())));
    *response.status_mut() = status;
    Ok(response)
}
