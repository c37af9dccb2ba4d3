//! One POST: headers and signatures, one deadline over everything, and what is read of the answer.

use std::{error::Error, io::ErrorKind, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use domain::{
    AddressPolicy, Clock, ErrorClass, InvalidTarget, MASKED, Timestamp, TraceContext, Verdict, classify_status,
};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::{CaptureConnection, HttpInfo, capture_connection};
use tokio::sync::Semaphore;
use url::Url;
use uuid::Uuid;

use crate::{
    client::{Client, Clients, LookupFailed},
    gate::{TooSlow, Withdrawn},
    stopwatch::{Mark, OpenedFor, Stopwatch, Timings},
    webhooks::Webhook,
};

/// Bytes of an answer's body that are read and kept.
const MAX_ANSWER: usize = 64 << 10;
/// Informational answers (1xx) before the real one that are waited out; each costs time to read, and they are of no use.
const MAX_INFORMATIONAL: u32 = 32;

/// What is to be posted.
pub(crate) struct Letter<'a> {
    pub(crate) webhook: &'a Webhook,
    pub(crate) event_type: &'a str,
    pub(crate) delivery_id: Uuid,
    pub(crate) number: i32,
    pub(crate) body: Bytes,
    /// What the receiver goes on from, if it is told.
    pub(crate) trace: TraceContext,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Posted {
    pub(crate) started_at: Timestamp,
    pub(crate) timings: Timings,
    pub(crate) request_headers: Vec<(String, String)>,
    /// The secrets that signed, the current one first.
    pub(crate) secret_ids: Vec<i64>,
    pub(crate) remote_address: Option<SocketAddr>,
    pub(crate) answer: Option<Answer>,
    /// `None`: delivered.
    pub(crate) error: Option<(ErrorClass, String)>,
}

/// What the endpoint answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) truncated: bool,
}

/// Posts letters.
#[derive(Clone)]
pub(crate) struct Poster {
    clients: Clients,
    policy: AddressPolicy,
    timeout: Duration,
    clock: Arc<dyn Clock>,
}

impl Poster {
    pub(crate) fn new(clients: Clients, policy: AddressPolicy, timeout: Duration, clock: Arc<dyn Clock>) -> Self {
        Self { clients, policy, timeout, clock }
    }

    /// Makes the attempt; it ends by its deadline, whatever the endpoint does. `None`: none was made, because the webhook
    /// was deactivated or deleted while connecting.
    pub(crate) async fn post(&self, letter: &Letter<'_>) -> Option<Posted> {
        let started_at = self.clock.now();
        let watch = Stopwatch::start();
        let headers = headers(letter, started_at);
        let mut progress = Progress::new(Arc::clone(&watch));
        let exchange = watch.time(self.exchange(letter, headers.clone(), &mut progress));
        let error = match tokio::time::timeout(self.timeout, exchange).await {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some(failure),
            Err(_) => Some((ErrorClass::Timeout, format!("no complete answer within {} ms", self.timeout.as_millis()))),
        };
        if progress.withdrawn {
            return None;
        }
        let status = progress.answer.as_ref().and_then(|answer| {
            classify_status(answer.status).map(|class| (class, format!("the endpoint answered {}", answer.status)))
        });
        let connection = progress.connection();
        Some(Posted {
            started_at,
            timings: watch.read(connection.get::<OpenedFor>()),
            request_headers: masked(&headers),
            secret_ids: letter.webhook.secrets(started_at).map(|key| key.id).collect(),
            remote_address: connection.get::<HttpInfo>().map(HttpInfo::remote_addr).or(progress.remote_address),
            answer: progress.answer,
            // A 2xx that breaks off is not known to be whole; a refusal is one, whatever becomes of its body.
            error: match status {
                Some((class, text)) if class.verdict() == Verdict::Permanent => Some((class, text)),
                status => error.or(status),
            },
        })
    }

    async fn exchange(
        &self,
        letter: &Letter<'_>,
        headers: HeaderMap,
        progress: &mut Progress,
    ) -> Result<(), (ErrorClass, String)> {
        let url = &letter.webhook.url;
        let literal = self.policy.check_host(url).map_err(|error| (ErrorClass::AddressRefused, refused(&error)))?;
        let client = self.clients.get(letter.webhook.allow_insecure);
        let request = request(url, headers, letter.body.clone())?;
        // Until there is a connection: where a literal leads is known, also if the deadline passes.
        let port = url.port_or_known_default().unwrap_or_default();
        progress.remote_address = literal.first().map(|address| SocketAddr::new(*address, port));
        let mut response = send(client, request, progress).await?;
        let answer = progress.answer.insert(Answer {
            status: response.status().as_u16(),
            headers: texts(response.headers()),
            body: Vec::new(),
            truncated: false,
        });
        while let Some(frame) = response.body_mut().frame().await {
            let frame = frame.map_err(|error| classify(&error, Stage::Connected))?;
            let Some(chunk) = frame.data_ref() else { continue };
            let room = MAX_ANSWER - answer.body.len();
            answer.body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                answer.truncated = true;
                break;
            }
        }
        Ok(())
    }
}

fn request(url: &Url, headers: HeaderMap, body: Bytes) -> Result<Request<Full<Bytes>>, (ErrorClass, String)> {
    let uri = Uri::try_from(url.as_str())
        .map_err(|error| (ErrorClass::Protocol, format!("not sent: the URL cannot stand in a request: {error}")))?;
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok(request)
}

/// Sends it, and waits for the head of the answer.
async fn send(
    client: &Client,
    mut request: Request<Full<Bytes>>,
    progress: &mut Progress,
) -> Result<Response<Incoming>, (ErrorClass, String)> {
    progress.connection = Some(capture_connection(&mut request));
    let informational = Arc::new(Semaphore::new(0));
    let counted = Arc::clone(&informational);
    hyper::ext::on_informational(&mut request, move |_| counted.add_permits(1));
    let answer = tokio::select! {
        biased;
        _ = informational.acquire_many(MAX_INFORMATIONAL + 1) => {
            let text = format!("more than {MAX_INFORMATIONAL} informational answers (1xx) before the real one");
            return Err((ErrorClass::Protocol, text));
        }
        answer = client.request(request) => answer,
    };
    answer.inspect(|_| progress.watch.mark(Mark::Answered)).map_err(|error| {
        if error.is_connect() {
            progress.remote_address = None;
            progress.withdrawn = causes(&error).any(|cause| cause.is::<Withdrawn>());
        }
        classify(&error, if error.is_connect() { Stage::Connecting } else { Stage::Connected })
    })
}

/// What is known when the deadline passes.
struct Progress {
    watch: Arc<Stopwatch>,
    /// The connection that the request is sent over, once there is one.
    connection: Option<CaptureConnection>,
    /// Where it leads that there is no connection to yet.
    remote_address: Option<SocketAddr>,
    answer: Option<Answer>,
    withdrawn: bool,
}

impl Progress {
    const fn new(watch: Arc<Stopwatch>) -> Self {
        Self { watch, connection: None, remote_address: None, answer: None, withdrawn: false }
    }

    /// What is known of the connection: [`HttpInfo`] and [`OpenedFor`]. Without one nothing is.
    fn connection(&self) -> Extensions {
        let mut known = Extensions::new();
        if let Some(captured) = &self.connection
            && let Some(connected) = &*captured.connection_metadata()
        {
            connected.get_extras(&mut known);
        }
        known
    }
}

fn refused(reason: impl std::fmt::Display) -> String {
    format!("not sent: the URL {reason}; the operator of the service can open networks with delivery.allow_networks")
}

/// How far an exchange got before it failed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connecting,
    Connected,
}

/// An error and what it comes from, outermost first.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        // An I/O error keeps what it wraps from `source`.
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        wrapped.map_or_else(|| error.source(), |wrapped| Some(wrapped))
    })
}

/// The class and text of a failed exchange. The text never holds the URL.
fn classify(error: &(dyn Error + 'static), stage: Stage) -> (ErrorClass, String) {
    let mut innermost = String::new();
    for error in causes(error) {
        if let Some(error) = error.downcast_ref::<InvalidTarget>() {
            // Without the address: whoever owns a name could otherwise point it at the names of the internal network,
            // and read in history what they resolve to.
            let text = match error {
                InvalidTarget::Address(_) => refused("must not lead to a private, internal or reserved address"),
                error => refused(error),
            };
            return (ErrorClass::AddressRefused, text);
        }
        if let Some(error) = error.downcast_ref::<LookupFailed>() {
            return (ErrorClass::Dns, error.to_string());
        }
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            // The usual reason for an alert, and not to be seen from its name.
            let alert = matches!(error, rustls::Error::AlertReceived(_));
            let hint = if alert { "; old ciphers and versions before TLS 1.2 are not spoken" } else { "" };
            return (ErrorClass::Tls, format!("TLS handshake failed: {error}{hint}"));
        }
        let timed_out = error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::TimedOut);
        if timed_out || error.is::<TooSlow>() {
            return (ErrorClass::Timeout, TooSlow.to_string());
        }
        innermost = error.to_string();
    }
    match stage {
        Stage::Connecting => (ErrorClass::Connect, format!("cannot connect: {innermost}")),
        Stage::Connected => {
            (ErrorClass::Protocol, format!("the connection broke or the answer is not HTTP: {innermost}"))
        }
    }
}

fn headers(letter: &Letter<'_>, now: Timestamp) -> HeaderMap {
    let Letter { webhook, delivery_id, body, .. } = letter;
    let current = webhook.secrets(now).next().map(|key| key.secret.sign_body(body)).unwrap_or_default();
    let standard: Vec<String> =
        webhook.secrets(now).map(|key| key.secret.sign_standard(*delivery_id, now, body)).collect();
    let own = [
        ("content-type", "application/json; charset=utf-8".to_owned()),
        ("user-agent", concat!("Testmo-Webhooks/", env!("CARGO_PKG_VERSION")).to_owned()),
        ("x-testmo-signature-256", current),
        ("x-testmo-event", letter.event_type.to_owned()),
        ("x-testmo-webhook", webhook.id.to_string()),
        ("x-testmo-delivery", delivery_id.to_string()),
        ("x-testmo-attempt", letter.number.to_string()),
        ("webhook-id", delivery_id.to_string()),
        ("webhook-timestamp", now.as_seconds().to_string()),
        ("webhook-signature", standard.join(" ")),
    ];
    let trace = webhook.send_traceparent.then(|| ("traceparent", letter.trace.to_string()));
    let mut headers = HeaderMap::with_capacity(own.len() + 2);
    for (name, text) in own.into_iter().chain(trace) {
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    for (name, value) in &webhook.headers {
        if !headers.contains_key(name) {
            headers.insert(name, value.clone());
        }
    }
    headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    headers
}

/// What was sent, as it is recorded: values of custom headers are secrets. Should the endpoint's answer repeat one, it
/// is the endpoint that shows it.
fn masked(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut texts = texts(headers);
    for ((_, text), value) in texts.iter_mut().zip(headers.values()) {
        if value.is_sensitive() {
            MASKED.clone_into(text);
        }
    }
    texts
}

fn texts(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

#[cfg(test)]
mod tests;
