//! HTTP clients that connect only where the address policy permits, and that no receiver can make hold much memory.
//!
//! A name is looked up once per connection, every address it gives is checked, and one of exactly these is dialled, so
//! that a name that changes its mind between check and connection gains nothing. A literal address never reaches the
//! resolver: `post.rs` checks it.
//!
//! HTTP/1.1 alone: over HTTP/2 all webhooks of a host would share a connection, and with it its flow control and its
//! bound on streams, so that one that hangs could hold up another.

use std::{
    io::ErrorKind,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use domain::AddressPolicy;
use futures::future::BoxFuture;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{
        Client as HyperClient,
        connect::{HttpConnector, dns::Name},
    },
    rt::{TokioExecutor, TokioTimer},
};
use runtime::Resolver;
use tower::{BoxError, Service};

use crate::{
    Settings,
    gate::Gate,
    stopwatch::{self, Mark, Plain},
    tls,
};

/// A client of one TLS mode.
pub(crate) type Client = HyperClient<Gate<HttpsConnector<Plain<HttpConnector<Guarded>>>>, Full<Bytes>>;

/// Shorter than the usual keep-alive of receivers (Node.js: 5 s): a connection that the other side is about to close
/// would cost an attempt.
const IDLE: Duration = Duration::from_secs(4);
/// Bytes of an answer that are held before they are understood: more than any head needs, and all that a receiver can
/// make a connection hold. Larger heads are refused; one read may exceed it, but never by as much again.
const BUFFER: usize = 64 << 10;

/// One client for each TLS mode.
#[derive(Clone)]
pub(crate) struct Clients {
    verifying: Client,
    insecure: Client,
}

impl Clients {
    pub(crate) fn new(settings: &Settings, resolver: Arc<dyn Resolver>) -> Result<Self, tls::TlsError> {
        // Less than connecting may take in all, so that it is told apart from an endpoint that does not answer.
        let patience = settings.connect_timeout * 4 / 5;
        let guarded = Guarded { resolver, policy: settings.policy.clone(), patience };
        let verifying = tls::verifying(settings.extra_roots.as_deref())?;
        Ok(Self {
            verifying: client(verifying, guarded.clone(), settings.connect_timeout),
            insecure: client(tls::insecure()?, guarded, settings.connect_timeout),
        })
    }

    pub(crate) const fn get(&self, insecure: bool) -> &Client {
        if insecure { &self.insecure } else { &self.verifying }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the place that holds the address policy")]
fn client(tls: rustls::ClientConfig, guarded: Guarded, connect_timeout: Duration) -> Client {
    let mut tcp = HttpConnector::new_with_resolver(guarded);
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    // Shares the time among the addresses that are tried.
    tcp.set_connect_timeout(Some(connect_timeout));
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(Plain(tcp));
    HyperClient::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE)
        .pool_timer(TokioTimer::new())
        .http1_max_buf_size(BUFFER)
        .build(Gate::new(connector, connect_timeout))
}

/// Addresses of one name that are dialled, of each family. All are checked; but the time to connect is shared by those
/// that are tried, and an answer with hundreds would have hundreds tried in vain.
const DIALLED: usize = 4;

/// A resolver that gives only addresses that may be connected to.
#[derive(Clone)]
pub(crate) struct Guarded {
    resolver: Arc<dyn Resolver>,
    policy: AddressPolicy,
    /// How long looking up a name may take.
    patience: Duration,
}

/// A name that could not be looked up; told apart from other failures to connect.
#[derive(Debug, thiserror::Error)]
#[error("host name does not resolve: {0}")]
pub(crate) struct LookupFailed(std::io::Error);

impl Service<Name> for Guarded {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let Self { resolver, policy, patience } = self.clone();
        Box::pin(async move {
            let known = policy.check_name(name.as_str())?;
            let addresses = if known.is_empty() {
                stopwatch::mark(Mark::Lookup);
                let answer = tokio::time::timeout(patience, resolver.resolve(name.as_str())).await;
                answer.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into())).map_err(LookupFailed)?
            } else {
                known
            };
            // One bad address refuses the name: which one is dialled is chance.
            addresses.iter().try_for_each(|address| policy.check(*address))?;
            stopwatch::mark(Mark::Checked);
            let dialled: Vec<_> = some_of_each_family(&addresses).map(|address| SocketAddr::new(address, 0)).collect();
            Ok(dialled.into_iter())
        })
    }
}

/// The first few of each family, in their order.
fn some_of_each_family(addresses: &[IpAddr]) -> impl Iterator<Item = IpAddr> + use<> {
    let mut chosen: Vec<IpAddr> = Vec::new();
    for address in addresses {
        let of_family = chosen.iter().filter(|other| other.is_ipv4() == address.is_ipv4()).count();
        if of_family < DIALLED && !chosen.contains(address) {
            chosen.push(*address);
        }
    }
    chosen.into_iter()
}
