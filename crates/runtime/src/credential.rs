//! The credential that the services have in common.

use std::{fmt, path::Path};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::IdSource;
use proto::{
    channel::GrpcChannel,
    error::{ApiError, ErrorCode},
};
use subtle::ConstantTimeEq as _;
use tonic::{Status, metadata::MetadataMap};
use tower::{
    Layer as _,
    util::{BoxCloneSyncService, MapRequestLayer},
};
use zeroize::Zeroizing;

/// Proves one service to another. Never printed.
#[derive(Clone)]
pub struct ServiceCredential(Zeroizing<String>);

/// A credential that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}; services.token_file must name a file that all services share")]
    Unreadable {
        /// The file.
        path: String,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// Too short to be a secret, or not fit for a header.
    #[error("{path} must hold at least 32 printable characters on one line (services.token_file)")]
    Weak {
        /// The file.
        path: String,
    },
}

impl ServiceCredential {
    /// From the file that all services share.
    ///
    /// # Errors
    /// A file that cannot be read, or holds too little.
    pub fn load(path: &Path) -> Result<Self, CredentialError> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| CredentialError::Unreadable { path: shown.clone(), source })?;
        let text = text.trim();
        if text.len() < 32 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(CredentialError::Weak { path: shown });
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// A fresh one, for services of one process.
    #[must_use]
    pub fn random(ids: &dyn IdSource) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        ids.fill(&mut *bytes);
        Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes)))
    }

    /// Checks the caller of an internal service, in constant time.
    ///
    /// # Errors
    /// PERMISSION_DENIED: UNAUTHENTICATED would look as if the token asked about were wrong.
    pub fn check(&self, metadata: &MetadataMap) -> Result<(), Status> {
        let given = crate::auth::bearer(metadata).unwrap_or_default();
        if bool::from(given.as_bytes().ct_eq(self.0.as_bytes())) {
            return Ok(());
        }
        Err(ApiError::new(
            ErrorCode::Forbidden,
            "this service is for the other services; services.token_file must be the same for all",
        )
        .into())
    }

    /// A channel whose calls carry it.
    #[must_use]
    pub fn attach(&self, channel: GrpcChannel) -> GrpcChannel {
        let value = http::HeaderValue::from_str(&format!("Bearer {}", self.0.as_str())).ok().map(|mut value| {
            value.set_sensitive(true);
            value
        });
        BoxCloneSyncService::new(
            MapRequestLayer::new(move |mut request: http::Request<tonic::body::Body>| {
                if let Some(value) = value.clone() {
                    request.headers_mut().insert(http::header::AUTHORIZATION, value);
                }
                request
            })
            .layer(channel),
        )
    }
}

impl fmt::Debug for ServiceCredential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ServiceCredential(…)")
    }
}

#[cfg(test)]
mod tests {
    use domain::SystemIds;

    use super::*;

    #[test]
    fn only_the_same_credential_passes() {
        let own = ServiceCredential::random(&SystemIds);
        let mut metadata = MetadataMap::new();
        assert!(own.check(&metadata).is_err());
        metadata.insert("authorization", format!("Bearer {}", *own.0).parse().unwrap());
        assert!(own.check(&metadata).is_ok());
        assert!(ServiceCredential::random(&SystemIds).check(&metadata).is_err());
    }

    #[test]
    fn a_short_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "short\n").unwrap();
        assert!(ServiceCredential::load(&path).unwrap_err().to_string().contains("at least 32"));
        std::fs::write(&path, format!("{}\n", "x".repeat(40))).unwrap();
        assert!(ServiceCredential::load(&path).is_ok());
        assert!(
            ServiceCredential::load(&folder.path().join("none"))
                .unwrap_err()
                .to_string()
                .contains("services.token_file")
        );
    }
}
