//! Encryption of signing secrets at rest, with a key that is not in the database: XChaCha20-Poly1305 with random
//! nonces. What is sealed says which key it needs, and opens only for what it was sealed for.

use std::{fmt, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chacha20poly1305::{
    Key, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, KeyInit as _, Payload},
};
use domain::{IdSource, InstanceId};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// First byte of what is sealed: format, then key id, nonce, ciphertext.
const FORMAT: u8 = 1;
const NONCE: usize = 24;
const HEAD: usize = 1 + 4 + NONCE;

/// Seals and opens secrets. Never printed.
pub struct SecretBox {
    cipher: XChaCha20Poly1305,
    key_id: KeyId,
}

/// What tells keys apart without telling of them: the first bytes of the key's SHA-256.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyId([u8; 4]);

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// A key file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read.
    #[error("cannot read the secrets key {path}: {source}; secrets.key_file must name a readable file")]
    Unreadable {
        /// The file.
        path: String,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// It holds something else than a key.
    #[error("{path} must hold 32 random bytes in base64 (secrets.key_file); make one with: openssl rand -base64 32")]
    NoKey {
        /// The file.
        path: String,
    },
}

/// What a sealed text is for; it opens for nothing else.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose<'a> {
    /// The signing secret of a webhook.
    Signing {
        /// The webhook's instance.
        instance: &'a InstanceId,
        /// The webhook's id.
        webhook: i64,
    },
    /// To see whether a key is the right one.
    KeyCheck,
}

impl Purpose<'_> {
    fn associated_data(self) -> Vec<u8> {
        match self {
            Self::Signing { instance, webhook } => format!("signing {instance} {webhook}").into_bytes(),
            Self::KeyCheck => b"key check".to_vec(),
        }
    }
}

/// What cannot be sealed or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SecretBoxError {
    #[error("is sealed with key {needed}, and secrets.key_file holds key {used}")]
    OtherKey { needed: KeyId, used: KeyId },
    #[error("is damaged, or was sealed for something else")]
    Damaged,
}

impl SecretBox {
    /// With the key in a file: 32 bytes in base64.
    ///
    /// # Errors
    /// A file that cannot be read or holds no key.
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        let shown = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|source| KeyFileError::Unreadable { path: shown.clone(), source })?;
        let text = Zeroizing::new(text);
        let bytes = STANDARD.decode(text.trim()).map(Zeroizing::new).ok();
        let key = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok());
        key.map(|key| Self::new(&Zeroizing::new(key))).ok_or(KeyFileError::NoKey { path: shown })
    }

    /// With a key.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(key));
        Self { cipher: XChaCha20Poly1305::new(&Key::from(*key)), key_id: KeyId([a, b, c, d]) }
    }

    /// Its key's id.
    #[must_use]
    pub const fn key_id(&self) -> KeyId {
        self.key_id
    }

    pub(crate) fn seal(&self, ids: &dyn IdSource, purpose: Purpose<'_>, text: &str) -> Result<Vec<u8>, SecretBoxError> {
        let mut nonce = [0; NONCE];
        ids.fill(&mut nonce);
        let associated = purpose.associated_data();
        let payload = Payload { msg: text.as_bytes(), aad: &associated };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| SecretBoxError::Damaged)?;
        let head = [&[FORMAT], self.key_id.0.as_slice(), &nonce].concat();
        Ok([head, sealed].concat())
    }

    pub(crate) fn open(&self, purpose: Purpose<'_>, sealed: &[u8]) -> Result<String, SecretBoxError> {
        let (head, sealed) = sealed.split_at_checked(HEAD).ok_or(SecretBoxError::Damaged)?;
        let head = <[u8; HEAD]>::try_from(head).map_err(|_| SecretBoxError::Damaged)?;
        let [FORMAT, a, b, c, d, nonce @ ..] = head else { return Err(SecretBoxError::Damaged) };
        let needed = KeyId([a, b, c, d]);
        if needed != self.key_id {
            return Err(SecretBoxError::OtherKey { needed, used: self.key_id });
        }
        let associated = purpose.associated_data();
        let payload = Payload { msg: sealed, aad: &associated };
        let text = self.cipher.decrypt(&XNonce::from(nonce), payload).map_err(|_| SecretBoxError::Damaged)?;
        String::from_utf8(text).map_err(|_| SecretBoxError::Damaged)
    }
}

impl fmt::Debug for SecretBox {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SecretBox").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use domain::SystemIds;

    use super::*;

    #[test]
    fn opens_with_the_same_key_for_the_same_webhook_only() {
        let (acme, other) = ("acme".parse().unwrap(), "other".parse().unwrap());
        let own = SecretBox::new(&[7; 32]);
        let purpose = Purpose::Signing { instance: &acme, webhook: 1 };
        let sealed = own.seal(&SystemIds, purpose, "whsec_x").unwrap();
        assert!(!sealed.windows(7).any(|window| window == b"whsec_x"));
        assert_ne!(sealed, own.seal(&SystemIds, purpose, "whsec_x").unwrap());
        assert_eq!(own.open(purpose, &sealed).as_deref(), Ok("whsec_x"));
        for wrong in [
            Purpose::Signing { instance: &acme, webhook: 2 },
            Purpose::Signing { instance: &other, webhook: 1 },
            Purpose::KeyCheck,
        ] {
            assert_eq!(own.open(wrong, &sealed), Err(SecretBoxError::Damaged));
        }
        let other_key = SecretBox::new(&[8; 32]);
        let error = other_key.open(purpose, &sealed).unwrap_err();
        assert_eq!(error, SecretBoxError::OtherKey { needed: own.key_id(), used: other_key.key_id() });
    }

    #[test]
    fn any_changed_or_missing_byte_is_seen() {
        let own = SecretBox::new(&[7; 32]);
        let sealed = own.seal(&SystemIds, Purpose::KeyCheck, "text").unwrap();
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(own.open(Purpose::KeyCheck, &changed).is_err());
            assert!(own.open(Purpose::KeyCheck, &sealed[..index]).is_err());
        }
    }

    #[test]
    fn a_key_file_is_read_or_refused_with_the_fix() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.key");
        let missing = SecretBox::load(&path).unwrap_err().to_string();
        assert!(missing.contains("secrets.key: ") && missing.contains("secrets.key_file"), "{missing}");
        for bad in ["", "AAAA", "not base64", &STANDARD.encode([1; 33])] {
            std::fs::write(&path, bad).unwrap();
            let error = SecretBox::load(&path).unwrap_err().to_string();
            assert!(error.contains("secrets.key must hold 32") && error.contains("openssl rand"), "{error}");
        }
        std::fs::write(&path, format!("{}\n", STANDARD.encode([7; 32]))).unwrap();
        let loaded = SecretBox::load(&path).unwrap();
        assert_eq!(loaded.key_id(), SecretBox::new(&[7; 32]).key_id());
        assert_eq!(format!("{loaded:?}"), format!("SecretBox {{ key_id: {}, .. }}", loaded.key_id()));
    }
}
