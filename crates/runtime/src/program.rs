//! A program: listeners, services behind them, and an orderly end.

use std::{net::SocketAddr, path::PathBuf, pin::pin, time::Duration};

use axum::Router;
use futures::future::BoxFuture;
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::{Health, Tasks, config::Config, connections::Incoming, descriptors, http, tls::Certificate, traces};

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
    /// A certificate that cannot be used.
    #[error("{key}: {reason}")]
    Certificate {
        /// The configuration key.
        key: String,
        /// What is wrong.
        reason: String,
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

/// The listener that a section of the configuration describes.
macro_rules! listen {
    ($config:ident, $section:ident) => {
        listen(
            stringify!($section),
            concat!(stringify!($section), ".listen"),
            $config.$section.listen,
            $config.$section.cert_file.as_ref(),
            $config.$section.key_file.as_ref(),
        )
    };
}

/// Open listeners. Bound before anything else, so that a taken port is found out first.
#[derive(Debug)]
pub struct Listeners {
    /// For REST and console; only where there is a gateway.
    pub http: Option<Listener>,
    /// For gRPC.
    pub grpc: Option<Listener>,
    /// For health and metrics.
    pub admin: Listener,
}

/// An open listener.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    /// With one it speaks TLS.
    certificate: Option<Certificate>,
}

impl Listeners {
    /// Binds what the program serves, once it may have as many connections as it can get.
    ///
    /// # Errors
    /// An address that cannot be listened on, or a certificate that cannot be used.
    pub fn bind(config: &Config, http: bool, grpc: bool) -> Result<Self, ProgramError> {
        descriptors::raise_limit();
        Ok(Self {
            http: if http { Some(listen!(config, http)?) } else { None },
            grpc: if grpc { Some(listen!(config, grpc)?) } else { None },
            admin: listen!(config, admin)?,
        })
    }

    /// Where they listen; for port 0 the port that the operating system chose.
    ///
    /// # Errors
    /// The operating system does not say.
    pub fn addresses(&self) -> std::io::Result<Addresses> {
        let address =
            |listener: &Option<Listener>| listener.as_ref().map(|listener| listener.tcp.local_addr()).transpose();
        Ok(Addresses { http: address(&self.http)?, grpc: address(&self.grpc)?, admin: self.admin.tcp.local_addr()? })
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

fn listen(
    section: &str,
    key: &'static str,
    address: SocketAddr,
    cert_file: Option<&PathBuf>,
    key_file: Option<&PathBuf>,
) -> Result<Listener, ProgramError> {
    let certificate = Certificate::read(section, cert_file, key_file);
    let certificate = certificate.map_err(|(key, reason)| ProgramError::Certificate { key, reason })?;
    let tcp = bind(address).map_err(|source| ProgramError::Listen { key, address, source })?;
    Ok(Listener { tcp, certificate })
}

/// As `TcpListener::bind`, but for the queue: where many connect at once, whoever finds no room tries again a second later.
fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)
}

/// Connections that wait to be accepted; the operating system may have a lower limit (`net.core.somaxconn`).
const QUEUE: u32 = 8_192;

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
            servers.spawn(serve_http(listener, router, closing.clone()));
        }
        if let Some(listener) = listeners.grpc {
            servers.spawn(serve_grpc(listener, self.grpc, self.health.clone(), closing.clone()));
        }
        // Health stays to be asked until the end.
        let mut health = pin!(serve_http(listeners.admin, self.health.router(), CancellationToken::new()));
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

/// HTTP/2's preface and the head of the frame of settings, in bytes: all clients send so much at once.
const GREETING: usize = 24 + 9;
/// How often a client of gRPC is asked whether it is there, and how long it may take to answer.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Calls of one connection at once. Where none is given, tonic has no limit.
const STREAMS: u32 = 256;
/// The headers of a call, in bytes.
const HEADER_BYTES: u32 = 16 << 10;
/// Calls of one connection that were reset before they were looked at, and those that broke the protocol. Beyond it the
/// connection ends. Where none is given, tonic has no limit for the latter.
const RESETS: usize = 20;
const ERRORS: usize = 100;
/// What anybody may ask of health and reflection without a token, in bytes.
const QUESTION_BYTES: usize = 16 << 10;
/// How long requests under way may take to end.
const REQUEST_PATIENCE: Duration = Duration::from_secs(5);

fn flatten(result: Result<Result<(), ProgramError>, tokio::task::JoinError>) -> Result<(), ProgramError> {
    result.unwrap_or(Err(ProgramError::Panicked))
}

async fn serve_http(listener: Listener, router: Router, closing: CancellationToken) -> Result<(), ProgramError> {
    let tls = listener.certificate.as_ref().map(|certificate| certificate.acceptor("http/1.1"));
    http::serve(Incoming::new(listener.tcp, 1), tls, router, closing).await;
    Ok(())
}

async fn serve_grpc(
    listener: Listener,
    routes: Routes,
    health: Health,
    closing: CancellationToken,
) -> Result<(), ProgramError> {
    let failed = |error: String| ProgramError::Server { name: "grpc", reason: error };
    let (reporter, health_service) = tonic_health::server::health_reporter();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
        .build_v1()
        .map_err(|error| failed(error.to_string()))?
        .max_decoding_message_size(QUESTION_BYTES);
    let health_service = health_service.max_decoding_message_size(QUESTION_BYTES);
    let watch = report_health(reporter, health, closing.clone());
    let tls = listener.certificate.as_ref().map(|certificate| certificate.acceptor("h2"));
    let incoming = Incoming::new(listener.tcp, GREETING).stream(tls);
    let server = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE))
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .max_concurrent_streams(STREAMS)
        .http2_max_header_list_size(HEADER_BYTES)
        .http2_max_pending_accept_reset_streams(Some(RESETS))
        .http2_max_local_error_reset_streams(Some(ERRORS))
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
