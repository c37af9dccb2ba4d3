//! Certificates for receivers and for a product that speak TLS.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ClientConfig, RootCertStore, ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
};

use crate::run;

/// A certificate authority that nobody knows who was not given its file.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: PathBuf,
}

/// Whether a certificate is in its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Validity {
    Valid,
    Expired,
}

impl Authority {
    /// A new one, with its certificate in a file.
    #[must_use]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "Authority of the tests");
        let key = KeyPair::generate().expect("a new key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate of its own");
        let file = run::folder("authority").join("ca.pem");
        fs::write(&file, issuer.pem()).expect("a file in a new folder");
        Self { issuer, file }
    }

    /// What to give the product as one of its `ca_file`s.
    #[must_use]
    pub fn file(&self) -> String {
        self.file.display().to_string()
    }

    /// Its certificate in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Writes a certificate for this machine, and its key, into a folder: `cert.pem`, `key.pem`.
    pub fn issue(&self, folder: &Path) {
        let key = KeyPair::generate().expect("a new key");
        let params = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()]).expect("addresses");
        let certificate = params.signed_by(&key, &self.issuer).expect("a signed certificate");
        fs::write(folder.join("cert.pem"), certificate.pem()).expect("room for it");
        fs::write(folder.join("key.pem"), key.serialize_pem()).expect("room for it");
    }

    /// Trusts what this authority has signed, and nothing else.
    #[must_use]
    pub fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("a certificate that may sign");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().expect("the provider knows the default versions");
        Arc::new(config.with_root_certificates(roots).with_no_client_auth())
    }

    /// Speaks TLS with a certificate that this authority has signed for a host or address.
    pub(super) fn acceptor(&self, name: &str, validity: Validity) -> TlsAcceptor {
        let key = KeyPair::generate().expect("a new key");
        let mut params = CertificateParams::new([name.to_owned()]).expect("a host or an address");
        if validity == Validity::Expired {
            params.not_after = rcgen::date_time_ymd(2020, 1, 31);
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        }
        let certificate = params.signed_by(&key, &self.issuer).expect("a signed certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key that was just made");
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider knows the default versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a certificate and its key");
        // As many servers do. A sender that chose HTTP/2 would not be understood.
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
