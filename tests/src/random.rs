//! Random values of the harness.

use base64::{Engine, prelude::BASE64_STANDARD};

/// 32 random bytes.
#[must_use]
pub fn bytes() -> [u8; 32] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("random bytes of the operating system");
    bytes
}

/// A random UUID.
#[must_use]
pub fn uuid() -> uuid::Uuid {
    let bytes: [u8; 16] = bytes()[..16].try_into().expect("16 of 32 bytes");
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

/// 40 hexadecimal digits.
#[must_use]
pub fn hex40() -> String {
    hex::encode(&bytes()[..20])
}

/// 32 bytes in base64, as `secrets.key_file` wants them.
#[must_use]
pub fn key() -> String {
    BASE64_STANDARD.encode(bytes())
}
