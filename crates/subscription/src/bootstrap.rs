//! Tokens that exist before anybody could make one: the first administrator's, and those of `standalone`.

use domain::{InstanceId, Role};

use crate::{
    Subscription,
    store::{NewToken, StoreError},
    token,
};

/// What became of a token that was to exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnsuredToken {
    /// It was made.
    Made,
    /// It was there already, and stays as it is.
    Present,
    /// It was there and is not valid any more: revoked or expired. It stays so; another text is needed.
    Ended,
}

/// Characters of a text that somebody else made. Those of 32 hexadecimal digits, the least that a usual generator makes,
/// hold 128 bits.
const LEAST: usize = 32;

/// A token that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum EnsureTokenError {
    /// Its text can be guessed, or cannot travel in a header.
    #[error("the text of token `{0}` must be one word of at least {LEAST} printable ASCII characters")]
    Text(String),
    /// Only publishers work in all instances.
    #[error("token `{0}` needs an instance; only a publisher may be for all")]
    Instance(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Subscription {
    /// Makes a token of a given text unless there is one with this text, which then stays as it is. `instance` `None`
    /// stands for all instances, for publishers only.
    ///
    /// # Errors
    /// A text that is too short or can be no token, an instance missing, or a store that fails.
    pub async fn ensure_token(
        &self,
        text: &str,
        name: &str,
        role: Role,
        instance: Option<InstanceId>,
    ) -> Result<EnsuredToken, EnsureTokenError> {
        if text.len() < LEAST || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(EnsureTokenError::Text(name.to_owned()));
        }
        if instance.is_none() && role != Role::Publisher {
            return Err(EnsureTokenError::Instance(name.to_owned()));
        }
        let now = self.clock.now();
        let hash = token::hash(text);
        let new = NewToken {
            instance,
            name: name.to_owned(),
            role,
            hash,
            prefix: token::shown(text),
            at: now,
            expires_at: None,
        };
        if self.store.add_token(&new).await?.is_some() {
            return Ok(EnsuredToken::Made);
        }
        let kept = self.store.token_by_hash(&hash).await?;
        let valid = kept.is_some_and(|token| token.is_valid(now));
        Ok(if valid { EnsuredToken::Present } else { EnsuredToken::Ended })
    }
}
