//! HTTP/1.1 as REST, console and health are served with: each connection with bounds for its heads and its time.

use std::{io, pin::Pin, time::Duration};

use axum::{Router, body::Body, extract::Request, http::HeaderValue, middleware::map_request};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt as _;

use crate::{
    connections::{Connection, Incoming},
    tls,
};

/// How long a request's head may take to arrive, and how long a connection may wait for its next request.
const HEAD: Duration = Duration::from_secs(20);
/// The longest head: request line and headers, in bytes. What is longer is answered 431.
const HEAD_BYTES: usize = 64 << 10;
/// Header fields at most; more are answered 431.
const HEADERS: usize = 100;
/// How long a last answer may take to be sent.
const FAREWELL: Duration = Duration::from_secs(1);
/// To a head that did not come to its end in time.
const TOO_LATE: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Serves until `closing`, and then until what is under way has ended.
pub(crate) async fn serve(incoming: Incoming, tls: Option<TlsAcceptor>, router: Router, closing: CancellationToken) {
    let router = if tls.is_some() { router.layer(map_request(over_tls)) } else { router };
    let connections = TaskTracker::new();
    while let Some(connection) = closing.run_until_cancelled(incoming.accept()).await {
        let (tls, router, closing) = (tls.clone(), router.clone(), closing.clone());
        connections.spawn(async move {
            let peer = connection.peer();
            if let Err(error) = attend(connection, tls, router, closing).await {
                // Whoever can connect can cause as many of these as they like.
                tracing::trace!(?peer, %error, "connection ended");
            }
        });
    }
    drop(incoming);
    connections.close();
    connections.wait().await;
}

/// What becomes of a connection.
async fn attend(
    connection: Connection,
    tls: Option<TlsAcceptor>,
    router: Router,
    closing: CancellationToken,
) -> io::Result<()> {
    let Some(spoken) = closing.run_until_cancelled(connection.spoken()).await else { return Ok(()) };
    match tls {
        Some(tls) => converse(tls::accept(&tls, spoken?).await?, router, closing).await,
        None => converse(spoken?, router, closing).await,
    }
}

/// As a proxy that ends TLS tells it.
async fn over_tls(mut request: Request) -> Request {
    request.headers_mut().insert("x-forwarded-proto", HeaderValue::from_static("https"));
    request
}

async fn converse<S>(stream: S, router: Router, closing: CancellationToken) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = router.map_request(|request: hyper::Request<hyper::body::Incoming>| request.map(Body::new));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let ended = match closing.run_until_cancelled(&mut connection).await {
        Some(ended) => ended,
        None => {
            Pin::new(&mut connection).graceful_shutdown();
            (&mut connection).await
        }
    };
    let Err(error) = ended else { return Ok(()) };
    let parts = connection.into_parts();
    // Nobody expects an answer who has not begun to ask.
    if error.is_timeout() && !parts.read_buf.is_empty() {
        let mut stream = parts.io.into_inner();
        let farewell = async {
            stream.write_all(TOO_LATE).await?;
            stream.shutdown().await
        };
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
    }
    Err(io::Error::other(error))
}
