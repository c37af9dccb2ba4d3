//! Signing secrets, and both schemes of signature.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use uuid::Uuid;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{IdSource, Timestamp};

const PREFIX: &str = "whsec_";

/// A signing secret: `whsec_` and base64 of 32 random bytes. Never printed; [`Secret::reveal`] is for the two places
/// that must have the text.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Secret {
    text: String,
    key: Vec<u8>,
}

/// Text that is no signing secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("signing secret must be `whsec_` and base64 of 32 bytes")]
pub struct InvalidSecret;

impl Secret {
    /// A new random secret.
    #[must_use]
    pub fn generate(ids: &dyn IdSource) -> Self {
        let mut key = vec![0; 32];
        ids.fill(&mut key);
        Self { text: format!("{PREFIX}{}", STANDARD.encode(&key)), key }
    }

    /// The text, for showing it once to its owner and for encrypting it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// What later reads show: the last four characters.
    #[must_use]
    pub fn masked(&self) -> String {
        format!("{PREFIX}…{}", &self.text[self.text.len() - 4..])
    }

    /// The value of `X-Testmo-Signature-256` for a body: `sha256=` and lower-case hex, keyed with the text as shown.
    #[must_use]
    pub fn sign_body(&self, body: &[u8]) -> String {
        format!("sha256={}", hex::encode(digest(self.text.as_bytes(), &[body])))
    }

    /// One signature of `webhook-signature` (Standard Webhooks): `v1,` and base64, keyed with the decoded bytes.
    #[must_use]
    pub fn sign_standard(&self, message_id: Uuid, time: Timestamp, body: &[u8]) -> String {
        let head = format!("{message_id}.{}.", time.as_seconds());
        format!("v1,{}", STANDARD.encode(digest(&self.key, &[head.as_bytes(), body])))
    }

    /// Whether `signature` is [`Secret::sign_body`] of the body, in constant time.
    #[must_use]
    pub fn verify_body(&self, body: &[u8], signature: &str) -> bool {
        self.sign_body(body).as_bytes().ct_eq(signature.as_bytes()).into()
    }

    /// Whether one of the space-separated `signatures` is [`Secret::sign_standard`] of the rest, in constant time each.
    #[must_use]
    pub fn verify_standard(&self, message_id: Uuid, time: Timestamp, body: &[u8], signatures: &str) -> bool {
        let expected = self.sign_standard(message_id, time, body);
        signatures.split(' ').any(|signature| expected.as_bytes().ct_eq(signature.as_bytes()).into())
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn digest(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

impl FromStr for Secret {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Self, InvalidSecret> {
        let encoded = text.strip_prefix(PREFIX).ok_or(InvalidSecret)?;
        let key = STANDARD.decode(encoded).map_err(|_| InvalidSecret)?;
        if key.len() == 32 { Ok(Self { text: text.to_owned(), key }) } else { Err(InvalidSecret) }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Worked out with `openssl dgst -sha256 -hmac` (hex) and `-mac HMAC -macopt hexkey:` (base64).
    #[test]
    fn signatures_agree_with_openssl() {
        let secret: Secret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".parse().unwrap();
        assert_eq!(
            secret.sign_body(b"{\"a\":1}"),
            "sha256=d3f1ea16147b8b8d0304fe2a9559b4b4b84d057af19b132191df3378cbd1234a"
        );
        let id: Uuid = "11111111-2222-4333-8444-555555555555".parse().unwrap();
        let time = Timestamp::from_micros(1_700_000_000_999_999);
        let standard = secret.sign_standard(id, time, b"{\"a\":1}");
        assert_eq!(standard, "v1,VNHbOk94kLkjcUs6iMSxnLEwbauWBjjAg9ojFC2RYuk=");
        assert!(secret.verify_standard(id, time, b"{\"a\":1}", &format!("v1,other {standard}")));
        assert!(!secret.verify_standard(id, time, b"{\"a\":2}", &standard));
        assert!(secret.verify_body(b"x", &secret.sign_body(b"x")));
    }

    #[test]
    fn a_secret_does_not_show() {
        let secret: Secret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".parse().unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(secret.masked(), "whsec_…Hh8=");
        assert!("whsec_AAEC".parse::<Secret>().is_err());
    }
}
