//! What went wrong where a signature does not fit, for a person who holds the secret and looks for the reason. Not for
//! receivers, for which it is enough that a signature does not fit.

use super::{PREFIX, Secret, StandardHeaders, verify_body, verify_standard};

/// A mistake that explains a signature that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningMistake {
    /// The body has a line break more at its end than what was signed.
    #[error("without the line break at its end the body fits: editors and echo add one; save the raw bytes")]
    LineBreakAdded,
    /// A line feed more was signed than the body has.
    #[error(
        "with a line feed at its end the body would fit: echo adds one; sign the raw bytes, for example with printf %s"
    )]
    LineBreakSigned,
    /// The body has white space between its tokens that was not signed.
    #[error("without white space between its tokens the body fits: it was reformatted; save the raw bytes as received")]
    Reformatted,
    /// The signature of the body is keyed with the decoded secret.
    #[error("it was made with the decoded secret as key: use the text as it was shown, whsec_ included")]
    KeyDecoded,
    /// The signature of the body is keyed with the secret's text without its first part.
    #[error("it was made without whsec_ in the key: use the text as it was shown, whsec_ included")]
    KeyWithoutPrefix,
    /// The signature of Standard Webhooks is keyed with the secret's text, or with a part of it.
    #[error("it was made with the secret's text as key: use the bytes that the base64 after whsec_ stands for")]
    KeyNotDecoded,
}

impl Secret {
    /// The mistake that explains why `X-Testmo-Signature-256` does not fit, if it is a known one.
    #[must_use]
    pub fn body_mistake(&self, body: &[u8], signature: &str) -> Option<SigningMistake> {
        let fits = |key: &[u8], body: &[u8]| verify_body(key, body, signature).is_ok();
        let (text, bare) = (self.text.as_bytes(), self.bare());
        let keys = [(&self.key[..], SigningMistake::KeyDecoded), (bare, SigningMistake::KeyWithoutPrefix)];
        find(text, keys, body, fits)
    }

    /// The mistake that explains why `webhook-signature` does not fit, if it is a known one.
    #[must_use]
    pub fn standard_mistake(&self, headers: &StandardHeaders<'_>, body: &[u8]) -> Option<SigningMistake> {
        let fits = |key: &[u8], body: &[u8]| verify_standard(key, headers, body).is_ok();
        let (text, bare) = (self.text.as_bytes(), self.bare());
        find(&self.key, [text, bare].map(|key| (key, SigningMistake::KeyNotDecoded)), body, fits)
    }

    fn bare(&self) -> &[u8] {
        &self.text.as_bytes()[PREFIX.len()..]
    }
}

/// `key` is the right one, `keys` are those taken for it.
fn find(
    key: &[u8],
    keys: [(&[u8], SigningMistake); 2],
    body: &[u8],
    fits: impl Fn(&[u8], &[u8]) -> bool,
) -> Option<SigningMistake> {
    if let Some((_, mistake)) = keys.into_iter().find(|(wrong, _)| fits(wrong, body)) {
        return Some(mistake);
    }
    let without = body.strip_suffix(b"\n").map(|rest| rest.strip_suffix(b"\r").unwrap_or(rest));
    if without.is_some_and(|body| fits(key, body)) {
        return Some(SigningMistake::LineBreakAdded);
    }
    if fits(key, &[body, b"\n"].concat()) {
        return Some(SigningMistake::LineBreakSigned);
    }
    fits(key, &compact(body)).then_some(SigningMistake::Reformatted)
}

/// JSON without white space between its tokens; white space in texts stays.
fn compact(json: &[u8]) -> Vec<u8> {
    let (mut in_text, mut escaped) = (false, false);
    let keep = |byte: &u8| {
        let space = matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        if *byte == b'"' && !escaped {
            in_text = !in_text;
        }
        escaped = in_text && *byte == b'\\' && !escaped;
        in_text || !space
    };
    json.iter().copied().filter(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    const BODY: &[u8] = br#"{"a":"x \" y\\","b":[1,2]}"#;

    fn secret() -> Secret {
        "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".parse().unwrap()
    }

    fn signed(key: &[u8], body: &[u8]) -> String {
        format!("sha256={}", hex::encode(super::super::digest(key, &[body])))
    }

    #[test]
    fn known_mistakes_are_found() {
        let secret = secret();
        let right = secret.sign_body(BODY);
        let with_break = |end: &[u8]| [BODY, end].concat();
        let pretty = b"{\n  \"a\": \"x \\\" y\\\\\",\r\n\t\"b\": [1, 2]\n}\n";
        assert_eq!(compact(pretty), BODY);
        for (signature, body, expected) in [
            (&right, with_break(b"\n"), Some(SigningMistake::LineBreakAdded)),
            (&right, with_break(b"\r\n"), Some(SigningMistake::LineBreakAdded)),
            (&secret.sign_body(&with_break(b"\n")), BODY.to_vec(), Some(SigningMistake::LineBreakSigned)),
            (&right, pretty.to_vec(), Some(SigningMistake::Reformatted)),
            (&signed(&secret.key, BODY), BODY.to_vec(), Some(SigningMistake::KeyDecoded)),
            (&signed(secret.bare(), BODY), BODY.to_vec(), Some(SigningMistake::KeyWithoutPrefix)),
            (&signed(b"other", BODY), BODY.to_vec(), None),
            (&right, b"{\"a\":2}".to_vec(), None),
        ] {
            assert_eq!(secret.body_mistake(&body, signature), expected, "{signature}");
        }
    }

    #[test]
    fn known_mistakes_with_standard_webhooks_are_found() {
        let secret = secret();
        let (id, time) = (uuid::Uuid::nil(), Timestamp::from_micros(9_000_000));
        let found = |key: &[u8], signed: &[u8], body: &[u8]| {
            let signer = Secret { text: String::new(), key: key.to_vec() };
            let (id_text, signatures) = (id.to_string(), signer.sign_standard(id, time, signed));
            let headers = StandardHeaders { id: &id_text, timestamp: "9", signatures: &signatures };
            secret.standard_mistake(&headers, body)
        };
        let with_break = [BODY, b"\n"].concat();
        assert_eq!(found(secret.text.as_bytes(), BODY, BODY), Some(SigningMistake::KeyNotDecoded));
        assert_eq!(found(secret.bare(), BODY, BODY), Some(SigningMistake::KeyNotDecoded));
        assert_eq!(found(&secret.key, BODY, &with_break), Some(SigningMistake::LineBreakAdded));
        assert_eq!(found(&secret.key, &with_break, BODY), Some(SigningMistake::LineBreakSigned));
        assert_eq!(found(b"other", BODY, BODY), None);
    }
}
