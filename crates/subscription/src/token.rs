//! API tokens: their text, which only their owner has, and who a text stands for.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{Clock, IdSource, Identity, Timestamp};
use proto::error::{ApiError, ErrorCode};
use sha2::{Digest as _, Sha256};
use tonic::Status;

use crate::{
    failure,
    jwt::{self, JwtVerifier},
    store::Store,
};

const PREFIX: &str = "tmwh_";
/// 160 bits.
const RANDOM_BYTES: usize = 20;
/// Characters of a text that are shown to tell tokens apart, at most.
const SHOWN: usize = 10;

/// A new text.
pub(crate) fn generate(ids: &dyn IdSource) -> String {
    let mut bytes = [0; RANDOM_BYTES];
    ids.fill(&mut bytes);
    format!("{PREFIX}{}", hex::encode(bytes))
}

/// What is stored of a text.
pub(crate) fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// What is shown of a text; of a short one, which somebody else made, less.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(SHOWN.min(text.len() / 4)).collect()
}

/// Who a token stands for, and until when.
pub(crate) struct Known {
    pub(crate) identity: Identity,
    /// `None`: until it is revoked.
    pub(crate) expires_at: Option<Timestamp>,
}

/// Looks tokens up in the store itself, so that a revoked one is refused at once; JWTs tell by themselves.
pub(crate) struct StoreAuthenticator {
    pub(crate) store: Arc<dyn Store>,
    /// `None`: no JWT is accepted.
    pub(crate) jwt: Option<JwtVerifier>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl StoreAuthenticator {
    /// Who it is, and until when.
    pub(crate) async fn identify(&self, token: &str) -> Result<Known, ApiError> {
        let now = self.clock.now();
        let is_jwt = jwt::is_jwt(token);
        if let Some(verifier) = self.jwt.as_ref().filter(|_| is_jwt) {
            let verified = verifier.verify(token, now);
            let verified = verified.map_err(|error| unauthenticated(format!("the JWT is not valid: {error}")))?;
            return Ok(Known { identity: verified.identity, expires_at: Some(verified.expires_at) });
        }
        let found = self.store.token_by_hash(&hash(token)).await.map_err(failure::of_store)?;
        let Some(token) = found.filter(|token| token.is_valid(now)) else {
            let jwt = if is_jwt { ". It is a JWT, and none is accepted without auth.jwt_key_file" } else { "" };
            return Err(unauthenticated(format!(
                "token is not valid; it is unknown, expired or revoked: ask a system_admin for a new one{jwt}"
            )));
        };
        let identity = Identity { role: token.role, instance: token.instance, name: token.name };
        Ok(Known { identity, expires_at: token.expires_at })
    }
}

fn unauthenticated(message: String) -> ApiError {
    ApiError::new(ErrorCode::Unauthenticated, message)
}

#[async_trait]
impl runtime::Authenticator for StoreAuthenticator {
    async fn authenticate(&self, token: &str) -> Result<Identity, Status> {
        Ok(self.identify(token).await?.identity)
    }
}

#[cfg(test)]
mod tests {
    use domain::SystemIds;

    use super::*;

    #[test]
    fn texts_are_long_and_all_different() {
        let text = generate(&SystemIds);
        assert!(text.starts_with("tmwh_") && text.len() == 45, "{text}");
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
        assert_ne!(text, generate(&SystemIds));
    }

    #[test]
    fn little_of_a_text_is_shown() {
        assert_eq!(shown("tmwh_0123456789012345678901234567890123456789"), "tmwh_01234");
        assert_eq!(shown("sesame-open"), "se");
    }
}
