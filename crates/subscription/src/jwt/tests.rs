//! Good JWTs, and every way to make one that is none.

use proptest::prelude::*;
use ring::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use serde_json::{Value, json};

use super::*;

const NOW: i64 = 1_795_000_000;
const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

fn now() -> Timestamp {
    Timestamp::from_micros(NOW * 1_000_000)
}

fn pair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn public(seed: u8) -> [u8; 32] {
    pair(seed).public_key().as_ref().try_into().unwrap()
}

/// Accepts EdDSA of the key made of seed 1.
fn eddsa() -> JwtVerifier {
    JwtVerifier::new(JwtKey::ed25519(public(1)), None, None)
}

/// Accepts HS256.
fn hs256() -> JwtVerifier {
    JwtVerifier::new(JwtKey::secret(SECRET), None, None)
}

fn part(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

fn ed25519_signed(seed: u8, signed: &str) -> String {
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(pair(seed).sign(signed.as_bytes())))
}

fn hmac_signed(secret: &[u8], signed: &str) -> String {
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn good() -> Value {
    json!({"instance": "acme", "role": "system_admin", "exp": NOW + 60, "iat": NOW, "nbf": NOW, "name": "core"})
}

/// The good claims with others in their place; `Null` takes one out.
fn with(changes: Value) -> Value {
    let mut claims = good();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

fn token(claims: &Value) -> String {
    ed25519_signed(1, &format!("{}.{}", part(&json!({"alg": "EdDSA", "typ": "JWT"})), part(claims)))
}

fn refusal(verifier: &JwtVerifier, token: &str) -> String {
    verifier.verify(token, now()).expect_err(token).to_string()
}

#[test]
fn a_good_one_stands_for_its_owner() {
    let verified = eddsa().verify(&token(&good()), now()).unwrap();
    assert_eq!(format!("{:?}", verified.identity), "system_admin@acme (core)");
    assert_eq!(verified.expires_at.as_seconds(), NOW + 60);

    let header = part(&json!({"alg": "HS256", "kid": "1"}));
    let same = hs256().verify(&hmac_signed(SECRET, &format!("{header}.{}", part(&good()))), now()).unwrap();
    assert_eq!(same, verified);
    for (changes, expected) in [
        (json!({"instance": null}), "system_admin@default (core)"),
        (json!({"role": "project_admin", "projects": [7, 3, 7]}), "project_admin@acme (core)"),
        (json!({"role": "member", "projects": []}), "member@acme (core)"),
        (json!({"role": "publisher", "name": null, "sub": " user-7 "}), "publisher@acme (user-7)"),
        (json!({"name": null, "iat": null, "nbf": null, "x": {"y": [null]}}), "system_admin@acme (Testmo core)"),
        (json!({"iat": NOW + 30, "nbf": NOW as f64 + 29.5, "exp": NOW as f64 + 0.5}), "system_admin@acme (core)"),
        (json!({"exp": 1e18, "iss": "any"}), "system_admin@acme (core)"),
    ] {
        let verified = eddsa().verify(&token(&with(changes.clone())), now()).unwrap();
        assert_eq!(format!("{:?}", verified.identity), expected, "{changes}");
    }
    let projects = with(json!({"role": "project_admin", "projects": [7, 3, 7]}));
    let identity = eddsa().verify(&token(&projects), now()).unwrap().identity;
    assert_eq!(identity.role, domain::Role::ProjectAdmin(vec![3, 7]));
}

#[test]
fn wrong_claims_are_named() {
    for (changes, expected) in [
        (json!({"exp": NOW}), "expired"),
        (json!({"exp": NOW as f64 - 0.000_001}), "expired"),
        (json!({"exp": -1e300}), "expired"),
        (json!({"nbf": NOW + 31}), "not valid yet"),
        (json!({"iat": NOW + 31}), "not valid yet"),
        (json!({"exp": null}), "exp are required"),
        (json!({"exp": "9999999999"}), "must have its type"),
        (json!({"nbf": "0"}), "must have its type"),
        (json!({"role": null}), "role and exp are required"),
        (json!({"role": "king"}), "role must be one of"),
        (json!({"role": "project_admin"}), "at least one project"),
        (json!({"role": "project_admin", "projects": []}), "at least one project"),
        (json!({"role": "project_admin", "projects": [0]}), "start at 1"),
        (json!({"role": "project_admin", "projects": ["1"]}), "must have its type"),
        (json!({"projects": [1]}), "must be empty or absent"),
        (json!({"role": "publisher", "projects": [1]}), "must be empty or absent"),
        (json!({"instance": ""}), "name of an instance"),
        (json!({"instance": "*"}), "name of an instance"),
        (json!({"name": "a\nb"}), "control character"),
        (json!({"name": " "}), "1 to 255"),
        (json!({"name": "x".repeat(256)}), "1 to 255"),
        (json!({"aud": "other"}), "auth.jwt_audience is not set"),
    ] {
        let refusal = refusal(&eddsa(), &token(&with(changes.clone())));
        assert!(refusal.contains(expected), "{changes}: {refusal}");
    }
    // `null` is not absent: it would stand for the instance `default`.
    let mut claims = good();
    claims["instance"] = Value::Null;
    assert!(refusal(&eddsa(), &token(&claims)).contains("must have its type"));
    let header = part(&json!({"alg": "EdDSA"}));
    for text in [r#"{"role":"member","role":"system_admin","exp":9999999999}"#, "[]", "null", "{", ""] {
        let token = ed25519_signed(1, &format!("{header}.{}", URL_SAFE_NO_PAD.encode(text)));
        assert!(refusal(&eddsa(), &token).contains("its claims"), "{text}");
    }
}

#[test]
fn issuer_and_audience_count_where_they_are_configured() {
    let key = || JwtKey::ed25519(public(1));
    let picky = JwtVerifier::new(key(), Some("core".into()), Some("webhooks".into()));
    for (changes, expected) in [
        (json!({"iss": "core", "aud": "webhooks"}), None),
        (json!({"iss": "core", "aud": ["other", "webhooks"]}), None),
        (json!({"aud": "webhooks"}), Some("iss must")),
        (json!({"iss": "other", "aud": "webhooks"}), Some("iss must")),
        (json!({"iss": "core"}), Some("aud must")),
        (json!({"iss": "core", "aud": []}), Some("aud must")),
        (json!({"iss": "core", "aud": "other"}), Some("aud must")),
    ] {
        let found = picky.verify(&token(&with(changes.clone())), now()).map_err(|error| error.to_string());
        match expected {
            None => assert!(found.is_ok(), "{changes}: {found:?}"),
            Some(expected) => assert!(found.as_ref().unwrap_err().contains(expected), "{changes}: {found:?}"),
        }
    }
}

#[test]
fn the_key_decides_the_algorithm() {
    let claims = part(&good());
    let header = |alg: &str| part(&json!({"alg": alg}));
    for alg in ["none", "None", "HS256", "hs256", "RS256", "ES256", "eddsa", "HS512", ""] {
        let signed = format!("{}.{claims}", header(alg));
        for token in [ed25519_signed(1, &signed), format!("{signed}."), hmac_signed(&public(1), &signed)] {
            assert!(refusal(&eddsa(), &token).contains("must say alg EdDSA"), "{alg}");
        }
    }
    for alg in ["none", "EdDSA", "HS384", "hs256"] {
        let token = hmac_signed(SECRET, &format!("{}.{claims}", header(alg)));
        assert!(refusal(&hs256(), &token).contains("must say alg HS256"), "{alg}");
    }
    // A public key is no HS256 secret, in whatever form somebody may know it.
    let der = [&[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00][..], &public(1)].concat();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", URL_SAFE_NO_PAD.encode(&der));
    for secret in [&public(1)[..], &der, pem.as_bytes(), pem.trim().as_bytes()] {
        let token = hmac_signed(secret, &format!("{}.{claims}", header("HS256")));
        assert!(refusal(&eddsa(), &token).contains("must say alg EdDSA"));
        let token = hmac_signed(secret, &format!("{}.{claims}", header("EdDSA")));
        assert!(refusal(&eddsa(), &token).contains("signature"));
    }
}

#[test]
fn headers_are_read_strictly() {
    let claims = part(&good());
    for (header, expected) in [
        (r#"{"alg":"EdDSA","crit":["exp"],"exp":1}"#, "crit"),
        (r#"{"alg":"EdDSA","crit":null}"#, "crit"),
        (r#"{"alg":"EdDSA","crit":[]}"#, "crit"),
        (r#"{"alg":"EdDSA","alg":"EdDSA"}"#, "header"),
        (r#"{"alg":["EdDSA"]}"#, "header"),
        (r#"{"typ":"JWT"}"#, "header"),
        (r#"{"alg":"EdDSA"} x"#, "header"),
        ("", "header"),
    ] {
        let token = ed25519_signed(1, &format!("{}.{claims}", URL_SAFE_NO_PAD.encode(header)));
        assert!(refusal(&eddsa(), &token).contains(expected), "{header}");
    }
    let long = token(&with(json!({"x": "x".repeat(MOST_BYTES)})));
    assert!(refusal(&eddsa(), &long).contains("longer than 8192 bytes"));
}

#[test]
fn another_key_does_not_fit() {
    let signed = format!("{}.{}", part(&json!({"alg": "EdDSA"})), part(&good()));
    assert!(refusal(&eddsa(), &ed25519_signed(2, &signed)).contains("signature"));
    assert!(refusal(&eddsa(), &format!("{signed}.")).contains("signature"));
    let signed = format!("{}.{}", part(&json!({"alg": "HS256"})), part(&good()));
    assert!(refusal(&hs256(), &hmac_signed(&[SECRET, b"x"].concat(), &signed)).contains("signature"));
    let whole = hmac_signed(SECRET, &signed);
    assert!(refusal(&hs256(), &whole[..whole.len() - 4]).contains("signature"), "a part of it is not enough");
}

#[test]
fn every_alteration_of_a_byte_is_seen() {
    let hmac_token = hmac_signed(SECRET, &format!("{}.{}", part(&json!({"alg": "HS256"})), part(&good())));
    for (verifier, good) in [(eddsa(), token(&good())), (hs256(), hmac_token)] {
        assert!(verifier.verify(&good, now()).is_ok());
        for index in 0..good.len() {
            for other in b"ABgw7_-.=+/ \0" {
                let mut changed = good.clone().into_bytes();
                if std::mem::replace(&mut changed[index], *other) != *other {
                    let changed = String::from_utf8(changed).unwrap();
                    assert!(verifier.verify(&changed, now()).is_err(), "{index}: {changed}");
                }
            }
            let shorter = format!("{}{}", &good[..index], &good[index + 1..]);
            assert!(verifier.verify(&shorter, now()).is_err(), "{index}");
            let longer = format!("{}A{}", &good[..index], &good[index..]);
            assert!(verifier.verify(&longer, now()).is_err(), "{index}");
        }
        for appended in ["A", "=", ".", "\n"] {
            assert!(verifier.verify(&format!("{good}{appended}"), now()).is_err());
        }
    }
}

#[test]
fn other_tokens_are_no_jwts() {
    assert!(is_jwt(&token(&good())));
    assert!(is_jwt(&format!("{}.x.", part(&json!({})))), "what is broken in it is told as such");
    let header = part(&json!({"alg": "EdDSA"}));
    for text in
        ["", "tmwh_0123456789012345678901234567890123456789", "a.b.c", "..", &header, &format!("{header}.a"), "W10.a.b"]
    {
        assert!(!is_jwt(text), "{text}");
    }
}

proptest! {
    #[test]
    fn garbage_is_refused(text in ".{0,200}") {
        prop_assert!(eddsa().verify(&text, now()).is_err());
        prop_assert!(hs256().verify(&text, now()).is_err());
        is_jwt(&text);
    }

    #[test]
    fn garbage_of_the_right_form_is_refused(
        claims in proptest::collection::vec(any::<u8>(), 0..100),
        signature in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let [claims, signature] = [claims, signature].map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
        for (verifier, alg) in [(eddsa(), "EdDSA"), (hs256(), "HS256")] {
            let token = format!("{}.{claims}.{signature}", part(&json!({"alg": alg})));
            prop_assert_eq!(verifier.verify(&token, now()).unwrap_err(), JwtError::Signature);
        }
    }

    #[test]
    fn signed_garbage_is_refused(claims in proptest::collection::vec(any::<u8>(), 0..100)) {
        let signed = format!("{}.{}", part(&json!({"alg": "EdDSA"})), URL_SAFE_NO_PAD.encode(claims));
        prop_assert!(matches!(eddsa().verify(&ed25519_signed(1, &signed), now()), Err(JwtError::Claims(_))));
    }
}
