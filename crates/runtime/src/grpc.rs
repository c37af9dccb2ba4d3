//! Channels to services elsewhere.

use std::time::Duration;

use proto::channel::{GrpcChannel, remote};
use tonic::transport::{ClientTlsConfig, Endpoint};
use url::{Host, Url};

/// An address that no channel can be made to.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Not an address.
    #[error("{key}: `{address}` must look like http://127.0.0.1:50051 or https://history.example.com:50051")]
    Address {
        /// The configuration key.
        key: &'static str,
        /// What it holds.
        address: String,
    },
    /// Plain text to another host.
    #[error(
        "{key}: {address} would send secrets in plain text to another host; use https://, or set services.allow_plaintext on a network that you trust"
    )]
    Plaintext {
        /// The configuration key.
        key: &'static str,
        /// What it holds.
        address: String,
    },
}

/// A channel to a service, which connects when it is first used and again whenever needed.
///
/// # Errors
/// An address that is none, or that is plain text to another host.
pub fn connect(key: &'static str, address: &str, allow_plaintext: bool) -> Result<GrpcChannel, ConnectError> {
    Ok(remote(endpoint(key, address, allow_plaintext)?.connect_lazy()))
}

pub(crate) fn endpoint(key: &'static str, address: &str, allow_plaintext: bool) -> Result<Endpoint, ConnectError> {
    let wrong = || ConnectError::Address { key, address: address.to_owned() };
    let url = Url::parse(address).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(wrong());
    }
    if url.scheme() == "http" && !allow_plaintext && !is_loopback(&url) {
        return Err(ConnectError::Plaintext { key, address: address.to_owned() });
    }
    let mut endpoint = Endpoint::from_shared(address.to_owned())
        .map_err(|_| wrong())?
        .connect_timeout(Duration::from_secs(3))
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(5))
        .keep_alive_while_idle(true)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .tcp_nodelay(true);
    if url.scheme() == "https" {
        endpoint = endpoint.tls_config(ClientTlsConfig::new().with_native_roots()).map_err(|_| wrong())?;
    }
    Ok(endpoint)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn plain_text_stays_on_the_host() {
        let verdict = |address: &str, allow| {
            connect("services.history", address, allow).map(drop).map_err(|error| error.to_string())
        };
        assert!(verdict("http://127.0.0.1:1", false).is_ok());
        assert!(verdict("http://localhost:1", false).is_ok());
        assert!(verdict("http://history:50051", false).unwrap_err().contains("services.allow_plaintext"));
        assert!(verdict("http://history:50051", true).is_ok());
        assert!(verdict("history:50051", true).unwrap_err().contains("must look like"));
    }
}
