//! JSON Web Tokens as Testmo core signs them (RFC 7515, 7519): by its own code, not by the product's.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{random, run};

/// What an Ed25519 public key begins with as SubjectPublicKeyInfo (RFC 8410).
const ED25519_INFO: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A key that signs with Ed25519.
pub struct EdKey(Ed25519KeyPair);

impl EdKey {
    /// A random one.
    #[must_use]
    pub fn random() -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&random::bytes()).expect("a seed of 32 bytes"))
    }

    /// Its public half, in PEM.
    #[must_use]
    pub fn public_pem(&self) -> String {
        let der = [&ED25519_INFO, self.0.public_key().as_ref()].concat();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64_STANDARD.encode(der))
    }

    /// A token with these claims.
    #[must_use]
    pub fn sign(&self, claims: &Value) -> String {
        compact(&json!({"alg": "EdDSA", "typ": "JWT"}), claims, |text| self.0.sign(text).as_ref().to_vec())
    }
}

/// A token with these claims, signed with a shared secret.
#[must_use]
pub fn hs256(secret: &str, claims: &Value) -> String {
    compact(&json!({"alg": "HS256", "typ": "JWT"}), claims, |text| hmac(secret, text))
}

/// A token of any header, with what `sign` makes of the first two parts as the third.
#[must_use]
pub fn compact(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(header), part(claims));
    let signature = sign(text.as_bytes());
    format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

/// HMAC-SHA256.
#[must_use]
pub fn hmac(secret: &str, text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length will do");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

/// The time in `seconds` from now, as the claim `exp` has it.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the product compares the claim with the time of the day")]
pub fn in_seconds(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    i64::try_from(now).expect("a time before the year 292,277,026,596") + seconds
}

/// A new file that holds `key`, for `auth.jwt_key_file`.
#[must_use]
pub fn key_file(key: &str) -> String {
    let path = run::folder("jwt").join("key");
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).expect("a new file");
    file.write_all(key.as_bytes()).expect("room for a key");
    path.display().to_string()
}
