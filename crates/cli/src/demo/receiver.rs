//! The receiving side of the demo: verifies each signature by itself and answers as its part in the story wants.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use domain::{Secret, Timestamp};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet};

/// How a receiver answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// 200.
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
    /// Whether both signatures fit the body.
    pub(super) verified: bool,
}

/// A receiver.
pub(super) struct Receiver {
    pub(super) name: &'static str,
    pub(super) manner: Manner,
    pub(super) address: SocketAddr,
    listener: TcpListener,
    /// Known once its webhook exists.
    pub(super) secret: Arc<Mutex<Option<Secret>>>,
}

impl Receiver {
    pub(super) async fn bind(name: &'static str, manner: Manner) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        Ok(Self { name, manner, address: listener.local_addr()?, listener, secret: Arc::default() })
    }

    /// Receives for ever.
    pub(super) async fn run(self, arrivals: mpsc::UnboundedSender<Arrival>) {
        let receiver = Arc::new(self);
        let mut connections = JoinSet::new();
        loop {
            let accepted = receiver.listener.accept().await;
            let Ok((stream, _)) = accepted else { continue };
            let (receiver, arrivals) = (Arc::clone(&receiver), arrivals.clone());
            let service = service_fn(move |request| answer(Arc::clone(&receiver), arrivals.clone(), request));
            connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            while connections.try_join_next().is_some() {}
        }
    }

    fn verify(&self, headers: &HashMap<String, String>, body: &[u8]) -> bool {
        let secret = self.secret.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let header = |name: &str| headers.get(name).map(String::as_str).unwrap_or_default();
        let (Some(secret), Ok(id), Ok(seconds)) =
            (secret, header("webhook-id").parse(), header("webhook-timestamp").parse::<i64>())
        else {
            return false;
        };
        let time = Timestamp::from_micros(seconds.saturating_mul(1_000_000));
        secret.verify_body(body, header("x-testmo-signature-256"))
            && secret.verify_standard(id, time, body, header("webhook-signature"))
    }
}

async fn answer(
    receiver: Arc<Receiver>,
    arrivals: mpsc::UnboundedSender<Arrival>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers: HashMap<String, String> =
        request.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let body = request.into_body().collect().await?.to_bytes();
    let header = |name: &str| headers.get(name).cloned().unwrap_or_default();
    let attempt = header("x-testmo-attempt").parse().unwrap_or_default();
    let status = match receiver.manner {
        Manner::FailsTwice if attempt <= 2 => StatusCode::SERVICE_UNAVAILABLE,
        Manner::Healthy | Manner::FailsTwice => StatusCode::OK,
        Manner::Gone => StatusCode::GONE,
    };
    let arrival = Arrival {
        receiver: receiver.name,
        event: header("x-testmo-event"),
        delivery: header("x-testmo-delivery"),
        attempt,
        answered: status.as_u16(),
        verified: receiver.verify(&headers, &body),
    };
    // The story may be over already.
    let _ = arrivals.send(arrival);
    let mut response = Response::new(Full::new(Bytes::from_static(b"thanks")));
    *response.status_mut() = status;
    Ok(response)
}
