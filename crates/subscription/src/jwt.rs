//! JWTs that Testmo core signs: who such a token stands for, without asking anybody.
//!
//! Only what is needed of RFC 7515 and 7519: the compact form, one key, one algorithm, which the key decides and not the
//! token. (`jsonwebtoken` was weighed: 9.x has an advisory, CVE-2026-25537; 10.x brings a second
//! crypto library or leaves verification to its user, and takes the time from the machine.)

mod claims;
mod key;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{Identity, Timestamp};
use runtime::config::Auth;
use serde::Deserialize;
use serde_json::Value;

use claims::Claims;
pub use key::{JwtKey, JwtKeyError};

/// Longer texts are refused before anything else is done with them.
const MOST_BYTES: usize = 8 * 1024;

/// Who a JWT stands for, and until when.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verified {
    pub(crate) identity: Identity,
    pub(crate) expires_at: Timestamp,
}

/// Why a JWT is not valid. Repeats nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JwtError {
    #[error("it is longer than {MOST_BYTES} bytes")]
    TooLong,
    #[error("its header is not what RFC 7515 says")]
    Header,
    #[error("its header must say alg {0}, as the key in auth.jwt_key_file")]
    Algorithm(&'static str),
    #[error("its header has crit, which is not supported")]
    Critical,
    #[error("its signature does not match the key in auth.jwt_key_file")]
    Signature,
    #[error("its claims are not what is expected: {0}")]
    Claims(&'static str),
    #[error("it has expired")]
    Expired,
    #[error("it is not valid yet; its nbf or iat is in the future")]
    NotYet,
}

/// Which JWTs are accepted.
#[derive(Debug)]
pub struct JwtVerifier {
    key: JwtKey,
    issuer: Option<String>,
    audience: Option<String>,
}

/// Of a header what matters; a name that stands there twice is an error.
#[derive(Deserialize)]
struct Header {
    alg: String,
    /// Extensions that must be understood.
    #[serde(default, deserialize_with = "present")]
    crit: bool,
}

/// Whatever it is, `null` included, it is there.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    serde::de::IgnoredAny::deserialize(deserializer).map(|_| true)
}

impl JwtVerifier {
    /// For JWTs signed with this key. With an issuer only those with this `iss`; with an audience those with this `aud`,
    /// without one those without any.
    #[must_use]
    pub const fn new(key: JwtKey, issuer: Option<String>, audience: Option<String>) -> Self {
        Self { key, issuer, audience }
    }

    /// As it is configured; `None`: no JWT is accepted.
    ///
    /// # Errors
    /// A key file that cannot be used.
    pub fn from_config(auth: &Auth) -> Result<Option<Self>, JwtKeyError> {
        let Some(path) = &auth.jwt_key_file else { return Ok(None) };
        let key = JwtKey::load(path)?;
        Ok(Some(Self::new(key, auth.jwt_issuer.clone(), auth.jwt_audience.clone())))
    }

    /// Who it stands for.
    pub(crate) fn verify(&self, token: &str, now: Timestamp) -> Result<Verified, JwtError> {
        if token.len() > MOST_BYTES {
            return Err(JwtError::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(JwtError::Header)?;
        let (header, claims) = signed.split_once('.').ok_or(JwtError::Header)?;
        let header = decode(header).ok_or(JwtError::Header)?;
        let header: Header = serde_json::from_slice(&header).map_err(|_| JwtError::Header)?;
        if header.alg != self.key.algorithm() {
            return Err(JwtError::Algorithm(self.key.algorithm()));
        }
        if header.crit {
            return Err(JwtError::Critical);
        }
        let signature = decode(signature).ok_or(JwtError::Signature)?;
        if !self.key.verifies(signed.as_bytes(), &signature) {
            return Err(JwtError::Signature);
        }
        // Nobody but the owner of the key has written what follows.
        let claims = decode(claims).ok_or(JwtError::Claims("they are not base64url"))?;
        let claims = Claims::parse(&claims)?;
        claims.check_parties(self.issuer.as_deref(), self.audience.as_deref())?;
        claims.check_times(now)?;
        claims.verified()
    }
}

/// Whether a text is one: three parts, the first of which is a JSON object. Other tokens are no such thing.
pub(crate) fn is_jwt(text: &str) -> bool {
    let mut parts = text.split('.');
    let header = parts.next().and_then(decode);
    let object =
        header.is_some_and(|header| serde_json::from_slice::<Value>(&header).is_ok_and(|json| json.is_object()));
    object && parts.count() == 2
}

/// Strictly: bits that nobody looks at must be zero, so that no other text means the same.
fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests;
