//! What can be refused before anything is written or connected to, so that a refused first start leaves nothing behind.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use dispatcher::Settings;
use runtime::config::Config;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use subscription::{JwtVerifier, SecretBox};

use super::{ADMIN_TOKEN, KEY, PUBLISHER_TOKEN, files::token_in};

/// How deliveries are made, if everything that is there can be used.
pub(super) fn check(config: &Config) -> anyhow::Result<Settings> {
    let settings = Settings::from_config(&config.delivery)?;
    if let (Some(pem), Some(path)) = (&settings.extra_roots, &config.delivery.ca_file) {
        check_roots(pem).with_context(|| format!("{} must hold certificates (delivery.ca_file)", path.display()))?;
    }
    let data = &config.data.dir;
    if present(data)? && !data.is_dir() {
        bail!("{} must be a folder (data.dir)", data.display());
    }
    if let Some(path) = named_or_present(config.secrets.key_file.as_deref(), data, KEY)? {
        SecretBox::load(&path)?;
    }
    JwtVerifier::from_config(&config.auth)?;
    let auth = &config.auth;
    for (key, named, own) in [
        ("auth.bootstrap_token_file", &auth.bootstrap_token_file, ADMIN_TOKEN),
        ("auth.bootstrap_publisher_token_file", &auth.bootstrap_publisher_token_file, PUBLISHER_TOKEN),
    ] {
        if let Some(path) = named_or_present(named.as_deref(), data, own)? {
            let token = token_in(&path);
            if named.is_some() { token.with_context(|| format!("{key} cannot be used")) } else { token }?;
        }
    }
    Ok(settings)
}

fn check_roots(pem: &[u8]) -> anyhow::Result<()> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate?)?;
    }
    if roots.is_empty() {
        bail!("there is no certificate in PEM (-----BEGIN CERTIFICATE-----)");
    }
    Ok(())
}

/// The file that is configured, whether it is there or not; else the one in the data folder, if it is there.
fn named_or_present(named: Option<&Path>, data: &Path, own: &str) -> anyhow::Result<Option<PathBuf>> {
    let own = data.join(own);
    Ok(match named {
        Some(path) => Some(path.to_path_buf()),
        None if present(&own)? => Some(own),
        None => None,
    })
}

fn present(path: &Path) -> anyhow::Result<bool> {
    path.try_exists().with_context(|| format!("cannot look for {}", path.display()))
}
