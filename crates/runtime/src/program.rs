//! A program: listeners, services behind them, and an orderly end.

use std::{net::SocketAddr, pin::pin, time::Duration};

use axum::{Router, serve::ListenerExt as _};
use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{service::Routes, transport::server::TcpIncoming};

use crate::{Health, Tasks, config::Config, descriptors, traces};

/// Why a program ended otherwise than asked to.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// An address that cannot be listened on.
    #[error("cannot listen on {address} ({key}): {source}")]
    Listen {
        /// The configuration key.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A server failed while running.
    #[error("{name} server failed: {reason}")]
    Server {
        /// Which one.
        name: &'static str,
        /// What happened.
        reason: String,
    },
    /// A task panicked, or could not go on.
    #[error("a task failed; see the log")]
    Panicked,
    /// What was in flight did not end in time.
    #[error("what was in flight did not end within {} s; it will be done again after the next start", .0.as_secs())]
    Impatient(Duration),
}

/// Open listeners. Bound before anything else, so that a taken port is found out first.
#[derive(Debug)]
pub struct Listeners {
    /// For REST and console; only where there is a gateway.
    pub http: Option<TcpListener>,
    /// For gRPC.
    pub grpc: Option<TcpListener>,
    /// For health and metrics.
    pub admin: TcpListener,
}

impl Listeners {
    /// Binds what the program serves, once it may have as many connections as it can get.
    ///
    /// # Errors
    /// An address that cannot be listened on.
    pub async fn bind(config: &Config, http: bool, grpc: bool) -> Result<Self, ProgramError> {
        descriptors::raise_limit();
        Ok(Self {
            http: if http { Some(listen("http.listen", config.http.listen).await?) } else { None },
            grpc: if grpc { Some(listen("grpc.listen", config.grpc.listen).await?) } else { None },
            admin: listen("admin.listen", config.admin.listen).await?,
        })
    }

    /// Where they listen; for port 0 the port that the operating system chose.
    ///
    /// # Errors
    /// The operating system does not say.
    pub fn addresses(&self) -> std::io::Result<Addresses> {
        let address = |listener: &Option<TcpListener>| listener.as_ref().map(TcpListener::local_addr).transpose();
        Ok(Addresses { http: address(&self.http)?, grpc: address(&self.grpc)?, admin: self.admin.local_addr()? })
    }
}

/// Where a program listens.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// REST and console; only where there is a gateway.
    pub http: Option<SocketAddr>,
    /// gRPC; only where it is served.
    pub grpc: Option<SocketAddr>,
    /// Health and metrics.
    pub admin: SocketAddr,
}

async fn listen(key: &'static str, address: SocketAddr) -> Result<TcpListener, ProgramError> {
    TcpListener::bind(address).await.map_err(|source| ProgramError::Listen { key, address, source })
}

/// The services of a process, ready to be served.
pub struct Program {
    /// gRPC services.
    pub grpc: Routes,
    /// REST and console.
    pub http: Option<Router>,
    /// What must hold to be ready.
    pub health: Health,
    /// Everything that runs in the background.
    pub tasks: Tasks,
    /// How long what is in flight may take to end.
    pub patience: Duration,
    /// What is closed when all tasks have ended: brokers, stores.
    pub at_end: Vec<BoxFuture<'static, ()>>,
}

impl Program {
    /// Serves until `stop` returns, then ends in order: no new requests, then tasks, each as long as `patience` permits.
    ///
    /// # Errors
    /// A server or task that failed, or did not end in time.
    pub async fn run(self, listeners: Listeners, stop: impl Future<Output = ()>) -> Result<(), ProgramError> {
        let closing = CancellationToken::new();
        let mut servers = tokio::task::JoinSet::new();
        if let (Some(router), Some(listener)) = (self.http, listeners.http) {
            servers.spawn(serve_http("http", listener, router, closing.clone()));
        }
        if let Some(listener) = listeners.grpc {
            servers.spawn(serve_grpc(listener, self.grpc, self.health.clone(), closing.clone()));
        }
        // Health stays to be asked until the end.
        let mut health = pin!(serve_http("admin", listeners.admin, self.health.router(), CancellationToken::new()));
        let ended = tokio::select! {
            () = stop => None,
            () = self.tasks.failed() => Some(Err(ProgramError::Panicked)),
            Some(result) = servers.join_next() => Some(flatten(result)),
            result = &mut health => Some(result),
        };
        tracing::info!("shutting down");
        closing.cancel();
        // Requests and tasks first, together; what they use is closed after them.
        let requests = tokio::time::timeout(REQUEST_PATIENCE, async { while servers.join_next().await.is_some() {} });
        let (requests, orderly) = tokio::join!(requests, self.tasks.shut_down(self.patience));
        if requests.is_err() {
            tracing::warn!("some connections did not end in time; they are dropped");
        }
        for close in self.at_end {
            close.await;
        }
        traces::end().await;
        match ended {
            Some(result) => result,
            None if orderly => Ok(()),
            None => Err(ProgramError::Impatient(self.patience)),
        }
    }
}

/// How long requests under way may take to end.
const REQUEST_PATIENCE: Duration = Duration::from_secs(5);

fn flatten(result: Result<Result<(), ProgramError>, tokio::task::JoinError>) -> Result<(), ProgramError> {
    result.unwrap_or(Err(ProgramError::Panicked))
}

async fn serve_http(
    name: &'static str,
    listener: TcpListener,
    router: Router,
    closing: CancellationToken,
) -> Result<(), ProgramError> {
    // Waiting for more to send would cost 40 ms where an answer is sent in two parts.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    let server = axum::serve(listener, router).with_graceful_shutdown(closing.cancelled_owned());
    server.await.map_err(|error| ProgramError::Server { name, reason: error.to_string() })
}

async fn serve_grpc(
    listener: TcpListener,
    routes: Routes,
    health: Health,
    closing: CancellationToken,
) -> Result<(), ProgramError> {
    let failed = |error: String| ProgramError::Server { name: "grpc", reason: error };
    let (reporter, health_service) = tonic_health::server::health_reporter();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
        .build_v1()
        .map_err(|error| failed(error.to_string()))?;
    let watch = report_health(reporter, health, closing.clone());
    // As above; an answer of over 1 KiB and its trailers are two parts.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let server = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .add_routes(routes)
        .add_service(health_service)
        .add_service(reflection)
        .serve_with_incoming_shutdown(incoming, closing.cancelled_owned());
    let (served, ()) = tokio::join!(server, watch);
    served.map_err(|error| failed(error.to_string()))
}

/// Keeps the gRPC health service saying what `/readyz` says.
async fn report_health(reporter: tonic_health::server::HealthReporter, health: Health, closing: CancellationToken) {
    loop {
        let ready = health.ask().await.iter().all(|(_, answer)| answer.is_ok());
        let status = if ready { tonic_health::ServingStatus::Serving } else { tonic_health::ServingStatus::NotServing };
        reporter.set_service_status("", status).await;
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(2)) => {}
            () = closing.cancelled() => return,
        }
    }
}

impl Program {
    /// Returns when the process is asked to end: Ctrl-C or SIGTERM.
    pub async fn signal() {
        let terminate = async {
            match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
                Ok(mut signal) => drop(signal.recv().await),
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = terminate => {}
        }
    }
}
