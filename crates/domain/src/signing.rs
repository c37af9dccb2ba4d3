//! Signing secrets, and both schemes of signature: how they are made, and how a receiver verifies them.

mod mistake;

use std::{fmt, str::FromStr, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{IdSource, Timestamp};

pub use mistake::SigningMistake;

const PREFIX: &str = "whsec_";
/// What `X-Testmo-Signature-256` starts with.
const BODY_SCHEME: &str = "sha256=";
/// What a signature of Standard Webhooks with a shared secret starts with.
const STANDARD_SCHEME: &str = "v1,";

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

/// The three headers of Standard Webhooks, as they came.
#[derive(Clone, Copy, Debug)]
pub struct StandardHeaders<'a> {
    /// `webhook-id`.
    pub id: &'a str,
    /// `webhook-timestamp`: seconds since the Unix epoch, as text.
    pub timestamp: &'a str,
    /// `webhook-signature`: one or more signatures, separated by spaces. While a regenerated secret overlaps with the
    /// older one there are two, and either is enough.
    pub signatures: &'a str,
}

/// Why a signature does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not the text of `X-Testmo-Signature-256`.
    #[error("`sha256=` is missing at its start")]
    NoBodyScheme,
    /// No digest.
    #[error("`sha256=` must be followed by 64 hex digits")]
    NotHex,
    /// Nothing that a shared secret can verify.
    #[error("`v1,` is missing: none of its signatures starts with it")]
    NoStandardScheme,
    /// No digest.
    #[error("`v1,` must be followed by base64 of 32 bytes")]
    NotBase64,
    /// No time.
    #[error("webhook-timestamp must be whole seconds since 1970")]
    NoTimestamp,
    /// A digest of something else, or with another key.
    #[error("the body or the secret differs: sign the raw bytes as received, before any JSON parsing")]
    Differs,
    /// Perhaps recorded and sent again by somebody else.
    #[error("it fits, but webhook-timestamp is {age} s old; more than {tolerance} s counts as a replay")]
    TooOld {
        /// In seconds.
        age: u64,
        /// In seconds.
        tolerance: u64,
    },
    /// One of two clocks is wrong.
    #[error("it fits, but webhook-timestamp is {ahead} s in the future; set this machine's clock")]
    TooNew {
        /// In seconds.
        ahead: u64,
    },
}

impl StandardHeaders<'_> {
    /// Refuses a time that is further than `tolerance` from `now`, so that a delivery that somebody recorded cannot be
    /// sent again later. The time is to be believed only if [`Secret::verify_standard`] succeeds.
    ///
    /// # Errors
    /// The time is none, too old, or in the future.
    pub fn check_time(&self, now: Timestamp, tolerance: Duration) -> Result<(), SignatureError> {
        let sent: i64 = self.timestamp.parse().map_err(|_| SignatureError::NoTimestamp)?;
        let (apart, tolerance) = (now.as_seconds().abs_diff(sent), tolerance.as_secs());
        if apart <= tolerance {
            return Ok(());
        }
        Err(if sent > now.as_seconds() {
            SignatureError::TooNew { ahead: apart }
        } else {
            SignatureError::TooOld { age: apart, tolerance }
        })
    }
}

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
        format!("{BODY_SCHEME}{}", hex::encode(digest(self.text.as_bytes(), &[body])))
    }

    /// One signature of `webhook-signature` (Standard Webhooks): `v1,` and base64, keyed with the decoded bytes.
    #[must_use]
    pub fn sign_standard(&self, message_id: Uuid, time: Timestamp, body: &[u8]) -> String {
        let head = format!("{message_id}.{}.", time.as_seconds());
        format!("{STANDARD_SCHEME}{}", STANDARD.encode(digest(&self.key, &[head.as_bytes(), body])))
    }

    /// Verifies the value of `X-Testmo-Signature-256`, in constant time.
    ///
    /// # Errors
    /// What is wrong with the signature.
    pub fn verify_body(&self, body: &[u8], signature: &str) -> Result<(), SignatureError> {
        verify_body(self.text.as_bytes(), body, signature)
    }

    /// Verifies the headers of Standard Webhooks, in constant time; [`StandardHeaders::check_time`] belongs to it. Any
    /// one of several signatures is enough.
    ///
    /// # Errors
    /// What is wrong with the signatures.
    pub fn verify_standard(&self, headers: &StandardHeaders<'_>, body: &[u8]) -> Result<(), SignatureError> {
        verify_standard(&self.key, headers, body)
    }
}

/// SHA-256 of a body, by which a receiver can tell that it has what was sent.
#[must_use]
pub fn body_sha256(body: &[u8]) -> [u8; 32] {
    Sha256::digest(body).into()
}

fn verify_body(key: &[u8], body: &[u8], signature: &str) -> Result<(), SignatureError> {
    let digits = signature.strip_prefix(BODY_SCHEME).ok_or(SignatureError::NoBodyScheme)?;
    let mut given = [0; 32];
    hex::decode_to_slice(digits, &mut given).map_err(|_| SignatureError::NotHex)?;
    same(&given, &digest(key, &[body])).then_some(()).ok_or(SignatureError::Differs)
}

fn verify_standard(key: &[u8], headers: &StandardHeaders<'_>, body: &[u8]) -> Result<(), SignatureError> {
    // The bytes as they came, whatever they are meant to say.
    let parts = [headers.id.as_bytes(), b".", headers.timestamp.as_bytes(), b".", body];
    let expected = digest(key, &parts);
    let mut reason = SignatureError::NoStandardScheme;
    for text in headers.signatures.split(' ').filter_map(|signature| signature.strip_prefix(STANDARD_SCHEME)) {
        match STANDARD.decode(text).ok().and_then(|given| given.try_into().ok()) {
            Some(given) if same(&given, &expected) => return Ok(()),
            Some(_) => reason = SignatureError::Differs,
            None if reason == SignatureError::NoStandardScheme => reason = SignatureError::NotBase64,
            None => {}
        }
    }
    Err(reason)
}

/// In constant time.
fn same(given: &[u8; 32], expected: &[u8; 32]) -> bool {
    given.ct_eq(expected).into()
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
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    /// Worked out with `openssl dgst -sha256 -hmac` (hex) and `-mac HMAC -macopt hexkey:` (base64).
    #[test]
    fn signatures_agree_with_openssl() {
        let secret: Secret = TEXT.parse().unwrap();
        assert_eq!(
            secret.sign_body(b"{\"a\":1}"),
            "sha256=d3f1ea16147b8b8d0304fe2a9559b4b4b84d057af19b132191df3378cbd1234a"
        );
        let id: Uuid = "11111111-2222-4333-8444-555555555555".parse().unwrap();
        let time = Timestamp::from_micros(1_700_000_000_999_999);
        let standard = secret.sign_standard(id, time, b"{\"a\":1}");
        assert_eq!(standard, "v1,VNHbOk94kLkjcUs6iMSxnLEwbauWBjjAg9ojFC2RYuk=");
    }

    #[test]
    fn what_is_wrong_with_a_signature_is_told() {
        use SignatureError::{Differs, NoBodyScheme, NoStandardScheme, NotBase64, NotHex};
        let secret: Secret = TEXT.parse().unwrap();
        let right = secret.sign_body(b"{}");
        let upper = format!("sha256={}", right[7..].to_uppercase());
        for (signature, expected) in [
            (right.as_str(), Ok(())),
            (&upper, Ok(())),
            (&right[7..], Err(NoBodyScheme)),
            ("", Err(NoBodyScheme)),
            (&right[..70], Err(NotHex)),
            (&format!("{right}00"), Err(NotHex)),
            (&format!("sha256={}", "é".repeat(32)), Err(NotHex)),
            (&secret.sign_body(b"[]"), Err(Differs)),
        ] {
            assert_eq!(secret.verify_body(b"{}", signature), expected, "{signature}");
        }
        let right = secret.sign_standard(Uuid::nil(), Timestamp::from_micros(9_000_000), b"{}");
        let id = Uuid::nil().to_string();
        let other = secret.sign_standard(Uuid::nil(), Timestamp::from_micros(9_000_000), b"[]");
        for (signatures, expected) in [
            (right.as_str(), Ok(())),
            (&format!("{other} {right}"), Ok(())),
            (&format!("v1a,abc v1,? {right} {other}"), Ok(())),
            (&format!("v1a,{}", &right[3..]), Err(NoStandardScheme)),
            (&right[3..], Err(NoStandardScheme)),
            ("v1,abc v1,?", Err(NotBase64)),
            (&format!("v1,? {other} v1,?"), Err(Differs)),
        ] {
            let headers = StandardHeaders { id: &id, timestamp: "9", signatures };
            assert_eq!(secret.verify_standard(&headers, b"{}"), expected, "{signatures}");
        }
    }

    #[test]
    fn times_far_from_now_are_refused() {
        let check = |timestamp, tolerance| {
            StandardHeaders { id: "", timestamp, signatures: "" }
                .check_time(Timestamp::from_micros(1_000_999_999), Duration::from_secs(tolerance))
        };
        for (timestamp, tolerance, expected) in [
            ("1000", 0, Ok(())),
            ("700", 300, Ok(())),
            ("1300", 300, Ok(())),
            ("699", 300, Err(SignatureError::TooOld { age: 301, tolerance: 300 })),
            ("1301", 300, Err(SignatureError::TooNew { ahead: 301 })),
            ("", 300, Err(SignatureError::NoTimestamp)),
            ("1000.5", 300, Err(SignatureError::NoTimestamp)),
            ("99999999999999999999", 300, Err(SignatureError::NoTimestamp)),
        ] {
            assert_eq!(check(timestamp, tolerance), expected, "{timestamp} within {tolerance}");
        }
        assert!(check(&i64::MIN.to_string(), 300).is_err());
    }

    /// The bytes with one of them changed.
    fn changed(bytes: &[u8], place: prop::sample::Index, by: u8) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        let place = place.index(bytes.len());
        bytes[place] ^= by;
        bytes
    }

    proptest! {
        #[test]
        fn what_is_signed_verifies_and_nothing_else(
            keys: [[u8; 32]; 2],
            body in prop::collection::vec(any::<u8>(), 1..200),
            id: u128,
            seconds in 0..10_000_000_000_i64,
            place: prop::sample::Index,
            by in 1..=255_u8,
        ) {
            prop_assume!(keys[0] != keys[1]);
            let [secret, other] = keys.map(|key| Secret { text: format!("{PREFIX}{}", STANDARD.encode(key)), key: key.to_vec() });
            let (id, time) = (Uuid::from_u128(id), Timestamp::from_micros(seconds * 1_000_000));
            let (testmo, standard) = (secret.sign_body(&body), secret.sign_standard(id, time, &body));
            let (id, timestamp) = (id.to_string(), seconds.to_string());
            let headers = StandardHeaders { id: &id, timestamp: &timestamp, signatures: &standard };
            let wrong = changed(&body, place, by);

            prop_assert_eq!(secret.verify_body(&body, &testmo), Ok(()));
            prop_assert_eq!(secret.verify_body(&wrong, &testmo), Err(SignatureError::Differs));
            prop_assert_eq!(other.verify_body(&body, &testmo), Err(SignatureError::Differs));
            prop_assert_eq!(secret.verify_standard(&headers, &body), Ok(()));
            prop_assert_eq!(secret.verify_standard(&headers, &wrong), Err(SignatureError::Differs));
            prop_assert_eq!(other.verify_standard(&headers, &body), Err(SignatureError::Differs));

            // While two secrets overlap, either may verify, in either order.
            let both = format!("{} {standard}", other.sign_standard(id.parse().unwrap(), time, &body));
            let overlap = StandardHeaders { signatures: &both, ..headers };
            prop_assert_eq!(secret.verify_standard(&overlap, &body), Ok(()));
            prop_assert_eq!(other.verify_standard(&overlap, &body), Ok(()));

            // Another letter anywhere. Hex has two spellings; base64 has one of each length.
            let letter = |text: &str| {
                let place = place.index(text.len());
                let old = text.as_bytes()[place];
                let new = if old == b'0' { '1' } else { '0' };
                format!("{}{new}{}", &text[..place], &text[place + 1..])
            };
            prop_assert!(secret.verify_body(&body, &letter(&testmo)).is_err());
            let (id, timestamp, signatures) = (letter(&id), letter(&timestamp), letter(&standard));
            for changed in [
                StandardHeaders { id: &id, ..headers },
                StandardHeaders { timestamp: &timestamp, ..headers },
                StandardHeaders { signatures: &signatures, ..headers },
            ] {
                prop_assert!(secret.verify_standard(&changed, &body).is_err(), "{:?}", changed);
            }
        }
    }

    #[test]
    fn a_secret_does_not_show() {
        let secret: Secret = TEXT.parse().unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(secret.masked(), "whsec_…Hh8=");
        assert!("whsec_AAEC".parse::<Secret>().is_err());
    }
}
