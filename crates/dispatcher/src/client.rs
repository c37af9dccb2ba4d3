//! HTTP clients that connect only where the address policy permits.
//!
//! A name is looked up once per connection, every address it gives is checked, and one of exactly these is dialled, so
//! that a name that changes its mind between check and connection gains nothing. A literal address never reaches the
//! resolver: `post.rs` checks it.

use std::{
    io::ErrorKind,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use domain::AddressPolicy;
use reqwest::{
    Certificate, Client,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};
use runtime::Resolver;

use crate::{Settings, gate::GateLayer};

/// Clients that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Certificates that cannot be read.
    #[error("delivery.ca_file: not certificates in PEM: {0}")]
    Certificates(reqwest::Error),
    /// A file without a single certificate.
    #[error("delivery.ca_file holds no certificate in PEM (-----BEGIN CERTIFICATE-----)")]
    NoCertificates,
    /// The TLS library cannot be set up.
    #[error("cannot set up the HTTP client: {0}")]
    Setup(reqwest::Error),
}

/// Shorter than the usual keep-alive of receivers (Node.js: 5 s): a connection that the other side is about to close
/// would cost an attempt.
const IDLE: Duration = Duration::from_secs(4);

/// One client for each TLS mode.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    verifying: Client,
    insecure: Client,
}

impl Clients {
    pub(crate) fn new(settings: &Settings, resolver: Arc<dyn Resolver>) -> Result<Self, ClientError> {
        // Set by another part of the process before: that is the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Less than connecting may take in all, so that it is told apart from an endpoint that does not answer.
        let patience = settings.connect_timeout * 4 / 5;
        let guarded = Arc::new(Guarded { resolver, policy: settings.policy.clone(), patience });
        let roots = match &settings.extra_roots {
            Some(pem) => Certificate::from_pem_bundle(pem).map_err(ClientError::Certificates)?,
            None => Vec::new(),
        };
        if settings.extra_roots.is_some() && roots.is_empty() {
            return Err(ClientError::NoCertificates);
        }
        let client = |insecure: bool| {
            let roots = roots.clone();
            builder(settings.connect_timeout, Arc::clone(&guarded))
                .tls_danger_accept_invalid_certs(insecure)
                .tls_danger_accept_invalid_hostnames(insecure)
                .tls_certs_merge(roots)
                .build()
                .map_err(ClientError::Setup)
        };
        Ok(Self { verifying: client(false)?, insecure: client(true)? })
    }

    pub(crate) const fn get(&self, insecure: bool) -> &Client {
        if insecure { &self.insecure } else { &self.verifying }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the place that holds the address policy")]
fn builder(connect_timeout: Duration, guarded: Arc<Guarded>) -> reqwest::ClientBuilder {
    Client::builder()
        .dns_resolver(guarded)
        .connect_timeout(connect_timeout)
        .connector_layer(GateLayer)
        .pool_idle_timeout(IDLE)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .tcp_nodelay(true)
}

/// Addresses of one name that are dialled, of each family. All are checked; but the time to connect is shared by those
/// that are tried, and an answer with hundreds would have hundreds tried in vain.
const DIALLED: usize = 4;

/// A resolver that gives only addresses that may be connected to.
struct Guarded {
    resolver: Arc<dyn Resolver>,
    policy: AddressPolicy,
    /// How long looking up a name may take.
    patience: Duration,
}

/// A name that could not be looked up; told apart from other failures to connect.
#[derive(Debug, thiserror::Error)]
#[error("host name does not resolve: {0}")]
pub(crate) struct LookupFailed(std::io::Error);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let (resolver, policy, patience) = (Arc::clone(&self.resolver), self.policy.clone(), self.patience);
        Box::pin(async move {
            let known = policy.check_name(name.as_str())?;
            let addresses = if known.is_empty() {
                let answer = tokio::time::timeout(patience, resolver.resolve(name.as_str())).await;
                answer.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into())).map_err(LookupFailed)?
            } else {
                known
            };
            // One bad address refuses the name: which one is dialled is chance.
            addresses.iter().try_for_each(|address| policy.check(*address))?;
            let addresses: Addrs = Box::new(some_of_each_family(&addresses).map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
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
