//! What a receiver does to know that a delivery is genuine, written from the documentation alone.

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::receiver::Received;

/// Panics unless both of the request's signatures are right for `secret`, as it was shown (`whsec_…`).
#[track_caller]
pub fn verify(request: &Received, secret: &str) {
    verify_testmo(request, secret);
    verify_standard(request, secret);
}

fn verify_testmo(request: &Received, secret: &str) {
    assert_eq!(request.expect_header("x-testmo-signature-256"), sign_testmo(secret, &request.body));
}

fn verify_standard(request: &Received, secret: &str) {
    let id = request.expect_header("webhook-id");
    let timestamp = request.expect_header("webhook-timestamp");
    let _: u64 = timestamp.parse().expect("a timestamp in seconds");
    let expected = sign_standard(secret, id, timestamp, &request.body);
    let signatures: Vec<_> = request.expect_header("webhook-signature").split(' ').collect();
    assert_eq!(signatures, [expected.as_str()], "webhook-signature for {id}.{timestamp}.<body>");
}

/// `X-Testmo-Signature-256: sha256=<hex>` of the raw body, keyed with the secret's text.
#[must_use]
pub fn sign_testmo(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// `webhook-signature` of Standard Webhooks, keyed with the bytes that the secret stands for.
#[must_use]
#[track_caller]
pub fn sign_standard(secret: &str, id: &str, timestamp: &str, body: &[u8]) -> String {
    let key = secret.strip_prefix("whsec_").expect("a secret that starts with whsec_");
    let key = BASE64_STANDARD.decode(key).expect("a secret in base64");
    assert_eq!(key.len(), 32, "a secret is 32 bytes");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key of any length");
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
}
