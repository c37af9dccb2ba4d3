//! The key that JWTs are verified with; which one it is decides the algorithm.

use std::{fmt, io, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::{hmac, signature};
use zeroize::Zeroizing;

/// What a public key for Ed25519 begins with in DER (RFC 8410); its 32 bytes follow.
const ED25519_DER: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const PEM_BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const PEM_END: &str = "-----END PUBLIC KEY-----";
/// What forms of public keys begin with that somebody could take for a secret: DER in base64, JWK.
const PUBLIC: [&str; 3] = ["MCow", "MII", "{"];
/// Of an HS256 secret: as many as its hash has (RFC 7518, 3.2).
const LEAST_BYTES: usize = 32;

/// A key that verifies JWTs. Never printed.
pub enum JwtKey {
    /// Verifies EdDSA.
    Ed25519(signature::UnparsedPublicKey<[u8; 32]>),
    /// Verifies HS256.
    Secret(hmac::Key),
}

impl fmt::Debug for JwtKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "JwtKey({})", self.algorithm())
    }
}

/// A key file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JwtKeyError {
    /// It cannot be read.
    #[error("cannot read the key for JWTs {path}: {source}; auth.jwt_key_file must name a readable file")]
    Unreadable {
        /// The file.
        path: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// PEM of something else.
    #[error(
        "{path} must hold a public key for Ed25519 in PEM ({PEM_BEGIN}) and nothing else (auth.jwt_key_file); get it \
         from a private key with: openssl pkey -in FILE -pubout"
    )]
    Pem {
        /// The file.
        path: String,
    },
    /// Neither PEM nor a secret.
    #[error(
        "{path} must hold a public key for Ed25519 in PEM ({PEM_BEGIN}), or a secret for HS256 of one line and at least \
         {LEAST_BYTES} bytes (auth.jwt_key_file)"
    )]
    Secret {
        /// The file.
        path: String,
    },
}

impl JwtKey {
    /// From a file: a public key in PEM, or a secret for HS256.
    ///
    /// # Errors
    /// A file that cannot be read, or holds something else.
    pub fn load(path: &Path) -> Result<Self, JwtKeyError> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map(Zeroizing::new);
        let text = text.map_err(|source| JwtKeyError::Unreadable { path: shown.clone(), source })?;
        let text = text.trim();
        if text.contains("-----") {
            return public(text).map(Self::ed25519).ok_or(JwtKeyError::Pem { path: shown });
        }
        let fits = text.len() >= LEAST_BYTES
            && !text.contains(char::is_whitespace)
            && !PUBLIC.iter().any(|begin| text.starts_with(begin));
        if fits { Ok(Self::secret(text.as_bytes())) } else { Err(JwtKeyError::Secret { path: shown }) }
    }

    pub(crate) fn ed25519(bytes: [u8; 32]) -> Self {
        Self::Ed25519(signature::UnparsedPublicKey::new(&signature::ED25519, bytes))
    }

    pub(crate) fn secret(bytes: &[u8]) -> Self {
        Self::Secret(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The only `alg` that it verifies.
    pub(super) const fn algorithm(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "EdDSA",
            Self::Secret(_) => "HS256",
        }
    }

    pub(super) fn verifies(&self, signed: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Ed25519(key) => key.verify(signed, signature).is_ok(),
            Self::Secret(key) => hmac::verify(key, signed, signature).is_ok(),
        }
    }
}

/// The key in a PEM text that holds nothing else.
fn public(pem: &str) -> Option<[u8; 32]> {
    let base64: String = pem.strip_prefix(PEM_BEGIN)?.strip_suffix(PEM_END)?.split_whitespace().collect();
    let der = STANDARD.decode(base64).ok()?;
    der.strip_prefix(ED25519_DER.as_slice())?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &[u8]) -> Result<JwtKey, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jwt.key");
        std::fs::write(&path, text).unwrap();
        JwtKey::load(&path).map_err(|error| error.to_string())
    }

    fn pem(label: &str, der: &[u8]) -> String {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
    }

    #[test]
    fn the_text_of_the_file_decides_the_algorithm() {
        let der = [ED25519_DER.as_slice(), &[7; 32]].concat();
        assert_eq!(load(pem("PUBLIC KEY", &der).as_bytes()).unwrap().algorithm(), "EdDSA");
        assert_eq!(load(pem("PUBLIC KEY", &der).replace('\n', "\r\n").as_bytes()).unwrap().algorithm(), "EdDSA");
        let secret = load(b"0123456789abcdef0123456789abcdef\n").unwrap();
        assert_eq!(format!("{secret:?}"), "JwtKey(HS256)");
    }

    #[test]
    fn what_is_no_key_or_could_be_a_public_one_is_refused() {
        let der = [ED25519_DER.as_slice(), &[7; 32]].concat();
        let public = pem("PUBLIC KEY", &der);
        let rsa = STANDARD.decode("MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKYi").unwrap();
        for text in [
            pem("PRIVATE KEY", &der),
            pem("CERTIFICATE", &der),
            pem("PUBLIC KEY", &rsa),
            pem("PUBLIC KEY", &der[..43]),
            pem("PUBLIC KEY", &[&der[..], &[0]].concat()),
            format!("{public}{public}"),
            format!("# ours\n{public}"),
            public.replace("-----END PUBLIC KEY-----", ""),
        ] {
            let error = load(text.as_bytes()).unwrap_err();
            assert!(error.contains("jwt.key must hold a public key") && error.contains("openssl pkey"), "{error}");
        }
        for text in [
            "",
            "short",
            "0123456789abcdef0123456789abcde",
            "0123456789abcdef 0123456789abcdef",
            &STANDARD.encode(&der),
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHYXzrVvzV5GrV1pC7Xp core@testmo",
        ] {
            let error = load(text.as_bytes()).unwrap_err();
            assert!(error.contains("jwt.key must hold") && error.contains("at least 32 bytes"), "{text}: {error}");
        }
        assert!(load(b"\xff\xfe").unwrap_err().contains("cannot read"));
        let missing = JwtKey::load(Path::new("/nowhere/jwt.key")).unwrap_err().to_string();
        assert!(missing.contains("/nowhere/jwt.key") && missing.contains("auth.jwt_key_file"), "{missing}");
    }
}
