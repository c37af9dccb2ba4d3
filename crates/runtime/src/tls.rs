//! TLS of the program's own listeners.

use std::{fs, io, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{
    TlsAcceptor, TlsConnector, client,
    rustls::{
        ClientConfig, DigitallySignedStruct, Error, ServerConfig, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
    },
    server::TlsStream,
};

/// How long a client may take until its connection is encrypted.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A certificate with its key, or why there is none: the key of the configuration and what is wrong.
type Read<T> = Result<T, (String, String)>;

/// What a listener proves itself with.
#[derive(Clone)]
pub(crate) struct Certificate {
    chain: Vec<CertificateDer<'static>>,
    config: ServerConfig,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Certificate").field("chain", &self.chain.len()).finish_non_exhaustive()
    }
}

impl Certificate {
    /// Of the files that `section.cert_file` and `section.key_file` name, in PEM; `None`: they name none.
    pub(crate) fn read(section: &str, cert_file: Option<&PathBuf>, key_file: Option<&PathBuf>) -> Read<Option<Self>> {
        let (Some(cert_file), Some(key_file)) = (cert_file, key_file) else { return Ok(None) };
        let (of_cert, of_key) = (format!("{section}.cert_file"), format!("{section}.key_file"));
        let text = |key: &String, file: &PathBuf| {
            fs::read(file).map_err(|error| (key.clone(), format!("cannot read {}: {error}", file.display())))
        };
        let (cert_pem, key_pem) = (text(&of_cert, cert_file)?, text(&of_key, key_file)?);
        let chain = CertificateDer::pem_slice_iter(&cert_pem).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| (of_cert.clone(), format!("must be certificates in PEM: {error}")))?;
        if chain.is_empty() {
            return Err((of_cert, "holds no certificate in PEM (-----BEGIN CERTIFICATE-----)".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_slice(&key_pem);
        let key =
            key.map_err(|_| (of_key.clone(), "holds no private key in PEM (-----BEGIN PRIVATE KEY-----)".to_owned()))?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(chain.clone(), key));
        let config = config.map_err(|error| (of_key, format!("does not go with {of_cert}: {error}")))?;
        Ok(Some(Self { chain, config }))
    }

    /// For a server that speaks `protocol`, by its name in TLS (RFC 7301).
    pub(crate) fn acceptor(&self, protocol: &str) -> TlsAcceptor {
        let mut config = self.config.clone();
        config.alpn_protocols = vec![protocol.into()];
        TlsAcceptor::from(Arc::new(config))
    }

    /// Connects to the listener that shows exactly this certificate, whatever name is in it.
    pub(crate) async fn connect(&self, stream: TcpStream) -> io::Result<client::TlsStream<TcpStream>> {
        let provider = Arc::new(ring::default_provider());
        let own = self.chain.first().cloned().ok_or(io::ErrorKind::InvalidInput)?;
        let known = Arc::new(Known { own, provider: Arc::clone(&provider) });
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(io::Error::other)?.dangerous().with_custom_certificate_verifier(known);
        let name = ServerName::from(stream.peer_addr()?.ip());
        TlsConnector::from(Arc::new(config.with_no_client_auth())).connect(name, stream).await
    }
}

/// Takes one certificate, and no other.
#[derive(Debug)]
struct Known {
    own: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Known {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if *shown == self.own {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Error::General("it shows another certificate than the configured one".to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Encrypts a connection that a client has opened; one that takes long has to go.
pub(crate) async fn accept<S>(acceptor: &TlsAcceptor, stream: S) -> io::Result<TlsStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await.map_err(|_| io::ErrorKind::TimedOut)?
}
