//! An endpoint for webhooks: records every request and answers as told.
//!
//! It speaks HTTP/1.1 by itself, so that it sees the bytes as they were sent and can answer with any bytes at all,
//! or none.

mod connection;
mod listener;
mod script;
mod tls;

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

pub use listener::Listener;
pub use script::{Answer, Script};
pub use tls::Authority;
use tls::Validity;
use tokio_rustls::TlsAcceptor;

use crate::wait::{eventually, stays};

/// A request as it came in.
#[derive(Clone, Debug)]
pub struct Received {
    /// `POST`, if all is well.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// What came after `?`.
    pub query: Option<String>,
    /// Names as sent, in the order sent.
    pub headers: Vec<(String, String)>,
    /// The body's bytes as sent.
    pub body: Bytes,
    /// When its last byte was there.
    pub at: Instant,
    /// Who sent it.
    pub peer: SocketAddr,
}

impl Received {
    /// The value of the header `name`, whatever its case; panics if it is there twice.
    #[must_use]
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        let first = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "header {name} is there more than once: {:?}", self.headers);
        first
    }

    /// Like [`Received::header`]; panics if it is absent.
    #[must_use]
    #[track_caller]
    pub fn expect_header(&self, name: &str) -> &str {
        self.header(name).unwrap_or_else(|| panic!("no header {name} in {:?}", self.headers))
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a body in JSON")
    }
}

#[derive(Default)]
struct Endpoint {
    script: Script,
    answered: usize,
    requests: Vec<Arc<Received>>,
}

#[derive(Default)]
pub(crate) struct Shared {
    endpoints: Mutex<HashMap<String, Endpoint>>,
    connections: AtomicUsize,
}

impl Shared {
    fn endpoints(&self) -> MutexGuard<'_, HashMap<String, Endpoint>> {
        self.endpoints.lock().expect("no panic while a request is recorded")
    }

    /// Records a request and says what to answer.
    fn record(&self, request: Received) -> Answer {
        let mut endpoints = self.endpoints();
        if !endpoints.contains_key(&request.path) {
            endpoints.insert(request.path.clone(), Endpoint::default());
        }
        let endpoint = endpoints.get_mut(&request.path).expect("inserted if it was not there");
        let answer = endpoint.script.answer(&request, endpoint.answered);
        endpoint.answered += 1;
        endpoint.requests.push(Arc::new(request));
        answer
    }
}

/// A server on 127.0.0.1; it ends when dropped.
pub struct Receiver {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl Receiver {
    /// Starts one that answers 200 to everything.
    pub async fn start() -> Self {
        Self::listen("http", None).await
    }

    /// Starts one that speaks TLS, with a certificate that `authority` has signed for `name`; 127.0.0.1 is the right one.
    pub async fn start_tls(authority: &Authority, name: &str) -> Self {
        Self::listen("https", Some(authority.acceptor(name, Validity::Valid))).await
    }

    /// Like [`Receiver::start_tls`], with a certificate that has expired years ago.
    pub async fn start_tls_expired(authority: &Authority, name: &str) -> Self {
        Self::listen("https", Some(authority.acceptor(name, Validity::Expired))).await
    }

    async fn listen(scheme: &'static str, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port on 127.0.0.1");
        let address = listener.local_addr().expect("the address just bound");
        let shared = Arc::new(Shared::default());
        let accepting = crate::spawn(accept(listener, tls, Arc::clone(&shared)));
        Self { address, scheme, shared, accepting }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of a path, which starts with `/`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// Answers requests for `path` by `script` from now on, from its first answer.
    pub fn script(&self, path: &str, script: impl Into<Script>) {
        let mut endpoints = self.shared.endpoints();
        let endpoint = endpoints.entry(path.to_owned()).or_default();
        endpoint.script = script.into();
        endpoint.answered = 0;
    }

    /// What came for `path`, in the order of arrival.
    #[must_use]
    pub fn requests(&self, path: &str) -> Vec<Arc<Received>> {
        self.shared.endpoints().get(path).map(|endpoint| endpoint.requests.clone()).unwrap_or_default()
    }

    /// How many came for `path`.
    #[must_use]
    pub fn count(&self, path: &str) -> usize {
        self.shared.endpoints().get(path).map_or(0, |endpoint| endpoint.requests.len())
    }

    /// How many connections were accepted so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Waits for the `n`th request for `path`; returns all that have come.
    pub async fn wait_for(&self, path: &str, n: usize, timeout: Duration) -> Vec<Arc<Received>> {
        let what = format!("{n} requests for {path}");
        eventually(timeout, Progress(&what, || self.count(path)), async || {
            (self.count(path) >= n).then(|| self.requests(path))
        })
        .await
    }

    /// Panics if there come to be more than `n` requests for `path` within `period`, or if there are fewer.
    pub async fn stays_at(&self, path: &str, n: usize, period: Duration) {
        stays(period, Progress(&format!("{n} requests for {path}"), || self.count(path)), async || {
            self.count(path) == n
        })
        .await;
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Says how far it got, at the time when it is asked.
struct Progress<'a, F>(&'a str, F);

impl<F: Fn() -> usize> std::fmt::Display for Progress<'_, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (there are {})", self.0, self.1())
    }
}

/// Accepts until it is aborted, which aborts all connections with it.
async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        if let Ok((stream, peer)) = listener.accept().await {
            shared.connections.fetch_add(1, Ordering::Relaxed);
            let (tls, shared) = (tls.clone(), Arc::clone(&shared));
            connections.spawn(async move {
                // The sender going away, or refusing the certificate, is its own affair.
                let _ = converse(stream, tls, peer, &shared).await;
            });
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(
    mut stream: TcpStream,
    tls: Option<TlsAcceptor>,
    peer: SocketAddr,
    shared: &Shared,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    match tls {
        Some(tls) => connection::serve(&mut tls.accept(stream).await?, peer, shared).await,
        None => connection::serve(&mut stream, peer, shared).await,
    }
}
