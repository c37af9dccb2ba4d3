//! Channels to services elsewhere.

use std::{path::PathBuf, time::Duration};

use proto::channel::{GrpcChannel, remote};
use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use url::{Host, Url};

use crate::config::Services;

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
    /// Roots that cannot be used.
    #[error("services.ca_file: cannot use {}: {reason}", file.display())]
    Roots {
        /// What it names.
        file: PathBuf,
        /// Why not.
        reason: String,
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
/// An address that is none, or that is plain text to another host; roots that cannot be read.
pub fn connect(key: &'static str, address: &str, services: &Services) -> Result<GrpcChannel, ConnectError> {
    Ok(remote(endpoint(key, address, services)?.connect_lazy()))
}

pub(crate) fn endpoint(key: &'static str, address: &str, services: &Services) -> Result<Endpoint, ConnectError> {
    let wrong = || ConnectError::Address { key, address: address.to_owned() };
    let url = Url::parse(address).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(wrong());
    }
    if url.scheme() == "http" && !services.allow_plaintext && !is_loopback(&url) {
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
        let mut tls = ClientTlsConfig::new().with_native_roots();
        if let Some(file) = &services.ca_file {
            let roots = |reason: String| ConnectError::Roots { file: file.clone(), reason };
            let pem = std::fs::read(file).map_err(|error| roots(error.to_string()))?;
            match CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>() {
                Ok(found) if !found.is_empty() => tls = tls.ca_certificate(Certificate::from_pem(pem)),
                _ => return Err(roots("it must hold certificates in PEM (-----BEGIN CERTIFICATE-----)".to_owned())),
            }
        }
        endpoint = endpoint.tls_config(tls).map_err(|_| wrong())?;
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
            let services = Services { allow_plaintext: allow, ..Services::default() };
            connect("services.history", address, &services).map(drop).map_err(|error| error.to_string())
        };
        assert!(verdict("http://127.0.0.1:1", false).is_ok());
        assert!(verdict("http://localhost:1", false).is_ok());
        assert!(verdict("http://history:50051", false).unwrap_err().contains("services.allow_plaintext"));
        assert!(verdict("http://history:50051", true).is_ok());
        assert!(verdict("history:50051", true).unwrap_err().contains("must look like"));
    }
}
