//! How receivers' certificates are checked, or are not.

use std::sync::Arc;

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};

/// TLS that cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Certificates that cannot be read.
    #[error("delivery.ca_file: not certificates in PEM: {0}")]
    Pem(rustls::pki_types::pem::Error),
    /// A certificate that cannot be a root.
    #[error("delivery.ca_file: a certificate in it cannot be used: {0}")]
    Certificate(rustls::Error),
    /// A file without a single certificate.
    #[error("delivery.ca_file holds no certificate in PEM (-----BEGIN CERTIFICATE-----)")]
    NoCertificates,
    /// The TLS library cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Setup(rustls::Error),
}

/// Certificates must be signed by an authority that the system trusts, or one of `extra` (PEM).
pub(crate) fn verifying(extra: Option<&[u8]>) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::warn!(%error, "certificates of the system that cannot be read are not trusted");
    }
    roots.add_parsable_certificates(system.certs);
    if let Some(pem) = extra {
        let mut certificates = CertificateDer::pem_slice_iter(pem).peekable();
        if certificates.peek().is_none() {
            return Err(TlsError::NoCertificates);
        }
        for certificate in certificates {
            roots.add(certificate.map_err(TlsError::Pem)?).map_err(TlsError::Certificate)?;
        }
    }
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(config.map_err(TlsError::Setup)?.with_root_certificates(roots).with_no_client_auth())
}

/// Any certificate is taken, for webhooks with `allow_insecure`: of whatever authority, host and time.
pub(crate) fn insecure() -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let trusting = Arc::new(Trusting(Arc::clone(&provider)));
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(TlsError::Setup)?.dangerous().with_custom_certificate_verifier(trusting);
    Ok(config.with_no_client_auth())
}

/// Believes everything. Whoever could forge a signature could as well show a certificate of their own.
#[derive(Debug)]
struct Trusting(Arc<CryptoProvider>);

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
