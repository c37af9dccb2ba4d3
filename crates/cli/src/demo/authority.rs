//! A certificate authority for one run of the demo: webhooks of chats must be https, also on this machine.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use domain::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use time::OffsetDateTime;
use tokio_rustls::TlsAcceptor;

/// What the certificates are for.
const HOST: &str = "127.0.0.1";
/// How long they are valid; longer than anybody watches a demo, and less than the strictest verifiers permit.
const VALIDITY: Duration = Duration::from_hours(30 * 24);
/// They are valid from so long before now on, lest a clock that is just being set refuses them.
const BEFORE: Duration = Duration::from_hours(24);

/// Its certificate, and what it made. Its key is gone.
pub(super) struct Authority {
    /// Its certificate, which whoever connects to the demo's receivers must trust (`delivery.ca_file`).
    pub(super) certificate_pem: String,
    /// The receivers' side of TLS.
    pub(super) acceptor: TlsAcceptor,
}

impl Authority {
    pub(super) fn new(now: Timestamp) -> anyhow::Result<Self> {
        let mut params = params(now, "Testmo Webhooks demo", Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;

        let mut params = self::params(now, "Testmo Webhooks demo receivers", vec![HOST.to_owned()])?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let chain = vec![params.signed_by(&key, &issuer)?.der().clone()];
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let config = config.with_no_client_auth().with_single_cert(chain, key)?;
        Ok(Self { certificate_pem: issuer.pem(), acceptor: TlsAcceptor::from(Arc::new(config)) })
    }
}

fn params(now: Timestamp, name: &str, hosts: Vec<String>) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new(hosts)?;
    params.distinguished_name.push(DnType::CommonName, name);
    let time = |at: Timestamp| OffsetDateTime::from_unix_timestamp(at.as_seconds());
    params.not_before = time(now.minus(BEFORE)).context("the clock of this machine is wrong")?;
    params.not_after = time(now.plus(VALIDITY)).context("the clock of this machine is wrong")?;
    Ok(params)
}

#[cfg(test)]
mod tests {
    use rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    };
    use tokio_rustls::TlsConnector;

    use super::*;

    async fn handshake(trusted: &Authority, server: &Authority, host: &'static str) -> bool {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(trusted.certificate_pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let connector = TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()));
        let (near, far) = tokio::io::duplex(64 << 10);
        let connect = connector.connect(ServerName::try_from(host).unwrap(), near);
        let (connected, _accepted) = tokio::join!(connect, server.acceptor.accept(far));
        connected.is_ok()
    }

    #[tokio::test]
    async fn receivers_are_trusted_through_their_authority_alone() {
        let now = domain::Clock::now(&domain::SystemClock);
        let [own, other] = [Authority::new(now).unwrap(), Authority::new(now).unwrap()];
        assert!(handshake(&own, &own, HOST).await);
        assert!(!handshake(&other, &own, HOST).await);
        assert!(!handshake(&own, &own, "127.0.0.2").await);
        let past = Authority::new(now.minus(2 * VALIDITY)).unwrap();
        assert!(!handshake(&past, &past, HOST).await);
    }
}
