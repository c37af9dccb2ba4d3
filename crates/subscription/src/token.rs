//! API tokens: their text, which only their owner has, and who a text stands for.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{Clock, IdSource, Identity};
use proto::error::{ApiError, ErrorCode};
use sha2::{Digest as _, Sha256};
use tonic::Status;

use crate::{failure, store::Store};

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

/// Looks tokens up in the store itself, so that a revoked one is refused at once.
pub(crate) struct StoreAuthenticator {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
}

#[async_trait]
impl runtime::Authenticator for StoreAuthenticator {
    async fn authenticate(&self, token: &str) -> Result<Identity, Status> {
        let found = self.store.token_by_hash(&hash(token)).await.map_err(failure::of_store)?;
        let now = self.clock.now();
        let Some(token) = found.filter(|token| token.is_valid(now)) else {
            let message = "token is not valid; it is unknown, expired or revoked: ask a system_admin for a new one";
            return Err(ApiError::new(ErrorCode::Unauthenticated, message).into());
        };
        Ok(Identity { role: token.role, instance: token.instance, name: token.name })
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
