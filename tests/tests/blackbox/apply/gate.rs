//! A gate between `apply` and the server: it lets requests through, and holds one up until the test opens it.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
};

/// What belongs to one gate.
struct Shared {
    server: SocketAddr,
    method: &'static str,
    path: &'static str,
    /// One request is held up; those after it go through.
    held: AtomicBool,
    reached: Notify,
    opened: Notify,
}

/// A gate; it ends with the test.
pub(super) struct Gate {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
}

impl Gate {
    /// A gate before `server` that holds up the first request with this method, below this path and without a query.
    pub(super) async fn before(server: SocketAddr, method: &'static str, path: &'static str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port on 127.0.0.1");
        let address = listener.local_addr().expect("the address just bound");
        let (held, reached, opened) = (AtomicBool::new(false), Notify::new(), Notify::new());
        let shared = Arc::new(Shared { server, method, path, held, reached, opened });
        let of_connections = Arc::clone(&shared);
        blackbox::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&of_connections);
                let service = service_fn(move |request| pass(Arc::clone(&shared), request));
                let connection =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                blackbox::spawn(async move { drop(connection.await) });
            }
        });
        Self { address, shared }
    }

    /// Returns when the request waits.
    pub(super) async fn reached(&self) {
        self.shared.reached.notified().await;
    }

    /// Lets it through.
    pub(super) fn open(&self) {
        self.shared.opened.notify_one();
    }
}

async fn pass(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.expect("a whole request").to_bytes();
    let meant = head.method == shared.method && head.uri.path().starts_with(shared.path) && head.uri.query().is_none();
    if meant && !shared.held.swap(true, Ordering::SeqCst) {
        shared.reached.notify_one();
        shared.opened.notified().await;
    }
    let stream = TcpStream::connect(shared.server).await.expect("a server that listens");
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.expect("a connection");
    blackbox::spawn(async move { drop(connection.await) });
    let answer = sender.send_request(Request::from_parts(head, Full::new(body))).await.expect("an answer");
    let (head, body) = answer.into_parts();
    let body = body.collect().await.expect("a whole answer").to_bytes();
    Ok(Response::from_parts(head, Full::new(body)))
}
