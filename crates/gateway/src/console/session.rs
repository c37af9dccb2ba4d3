//! The session: a cookie that holds the token, sealed. There is nothing on the server, so that any gateway process can
//! answer any request, and a revoked token ends every session with it.
//!
//! The cookie cannot be read by scripts, goes along only with requests that the console's own pages make
//! (`SameSite=Strict`), and has an end. Over TLS its name begins with `__Host-`: then no other host, and nobody on an
//! unencrypted connection, can set one in its place.

use std::{fmt, sync::Arc, time::Duration};

use axum::http::{HeaderMap, HeaderValue, header};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use chacha20poly1305::{
    Key, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, KeyInit as _, Payload},
};
use domain::{Clock, IdSource};
use tokio_util::sync::CancellationToken;

const NONCE: usize = 24;
/// The end, in seconds, before the token.
const END: usize = 8;
/// Random bytes of the token in forms.
const PROOF: usize = 16;
const PURPOSE: &[u8] = b"testmo-webhooks console session 1";
/// How long a session lasts: a working day.
const LIFE: Duration = Duration::from_secs(12 * 60 * 60);
/// Browsers keep cookies of 4,096 bytes, name and attributes included.
const LONGEST: usize = 3_800;

const PLAIN_NAME: &str = "testmo_webhooks";
const SECURE_NAME: &str = "__Host-testmo_webhooks";

/// The keys that sessions are sealed with, as they are now: the first one seals, all open. All gateway processes must
/// have the same ones.
pub type SessionKeys = Arc<dyn Fn() -> Vec<[u8; 32]> + Send + Sync>;

/// What the console works with.
#[derive(Clone)]
pub struct Sessions {
    /// Seals sessions.
    pub keys: SessionKeys,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for nonces.
    pub ids: Arc<dyn IdSource>,
    /// Cancelled when the process ends: pages that are followed live end then.
    pub closing: CancellationToken,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Sessions")
    }
}

/// Somebody's session.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) token: String,
    /// What every form of this session carries, so that nobody else's page can post one.
    pub(super) proof: String,
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Session")
    }
}

impl Sessions {
    /// The header that begins a session; `None`: the token is too long for a cookie.
    pub(super) fn begin(&self, token: &str, headers: &HeaderMap) -> Option<HeaderValue> {
        let sealed = self.seal(token)?;
        if sealed.len() > LONGEST {
            return None;
        }
        cookie(&sealed, LIFE, is_secure(headers))
    }

    /// The session of a request.
    pub(super) fn of(&self, headers: &HeaderMap) -> Option<Session> {
        let wanted = if is_secure(headers) { SECURE_NAME } else { PLAIN_NAME };
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut sealed = pairs.filter(|(name, _)| *name == wanted).map(|(_, value)| value);
        sealed.find_map(|value| self.open(value))
    }

    fn seal(&self, token: &str) -> Option<String> {
        let key = (self.keys)().into_iter().next()?;
        let (mut nonce, mut proof) = ([0; NONCE], [0; PROOF]);
        self.ids.fill(&mut nonce);
        self.ids.fill(&mut proof);
        let end = self.clock.now().plus(LIFE).as_seconds();
        let text = [end.to_be_bytes().as_slice(), &proof, token.as_bytes()].concat();
        let payload = Payload { msg: &text, aad: PURPOSE };
        let sealed = XChaCha20Poly1305::new(&Key::from(key)).encrypt(&XNonce::from(nonce), payload).ok()?;
        Some(BASE64_URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat()))
    }

    fn open(&self, sealed: &str) -> Option<Session> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE>()?;
        let open = |key: [u8; 32]| {
            let payload = Payload { msg: sealed, aad: PURPOSE };
            XChaCha20Poly1305::new(&Key::from(key)).decrypt(&XNonce::from(*nonce), payload).ok()
        };
        let text = (self.keys)().into_iter().find_map(open)?;
        let (end, rest) = text.split_first_chunk::<END>()?;
        let (proof, token) = rest.split_first_chunk::<PROOF>()?;
        if self.clock.now().as_seconds() >= i64::from_be_bytes(*end) {
            return None;
        }
        let token = str::from_utf8(token).ok()?.to_owned();
        Some(Session { token, proof: BASE64_URL_SAFE_NO_PAD.encode(proof) })
    }
}

/// The header that ends a session.
pub(super) fn end(headers: &HeaderMap) -> Option<HeaderValue> {
    cookie("", Duration::ZERO, is_secure(headers))
}

fn cookie(value: &str, life: Duration, secure: bool) -> Option<HeaderValue> {
    let (name, flag) = if secure { (SECURE_NAME, "; Secure") } else { (PLAIN_NAME, "") };
    let life = life.as_secs();
    HeaderValue::try_from(format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={life}{flag}")).ok()
}

/// Whether the browser speaks TLS: the listener says so, or a proxy before it. Whoever claims it without either has the
/// browser keep the cookie for TLS, which harms nobody else.
fn is_secure(headers: &HeaderMap) -> bool {
    let value = headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(',').next().is_some_and(|first| first.trim().eq_ignore_ascii_case("https"))
}

#[cfg(test)]
mod tests {
    use domain::{ManualClock, SystemIds, Timestamp};

    use super::*;

    struct Set {
        sessions: Sessions,
        clock: Arc<ManualClock>,
    }

    fn with(keys: &[u8]) -> Set {
        let keys: Vec<[u8; 32]> = keys.iter().map(|byte| [*byte; 32]).collect();
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_800_000_000_000_000)));
        let sessions = Sessions {
            keys: Arc::new(move || keys.clone()),
            clock: clock.clone(),
            ids: Arc::new(SystemIds),
            closing: CancellationToken::new(),
        };
        Set { sessions, clock }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    /// What the browser sends back.
    fn sent(cookie: &HeaderValue) -> String {
        cookie.to_str().unwrap().split(';').next().unwrap().to_owned()
    }

    #[test]
    fn any_process_with_the_key_opens_what_another_sealed_until_its_end() {
        let (one, two) = (with(&[1]), with(&[2, 1]));
        let cookie = one.sessions.begin("tmw_secret", &HeaderMap::new()).unwrap();
        assert!(!cookie.to_str().unwrap().contains("secret"));
        assert!(cookie.to_str().unwrap().ends_with("; Path=/; HttpOnly; SameSite=Strict; Max-Age=43200"));
        let back = headers(&[("cookie", &format!("other=1; {}", sent(&cookie)))]);
        let session = two.sessions.of(&back).unwrap();
        assert_eq!((session.token.as_str(), session.proof.len()), ("tmw_secret", 22));
        assert_eq!(one.sessions.of(&back), Some(session));
        assert_eq!(with(&[3]).sessions.of(&back), None, "another key");
        two.clock.advance(LIFE - Duration::from_secs(1));
        assert!(two.sessions.of(&back).is_some());
        two.clock.advance(Duration::from_secs(1));
        assert_eq!(two.sessions.of(&back), None, "it has ended");
    }

    #[test]
    fn what_was_changed_or_cut_does_not_open() {
        let one = with(&[1]);
        let sealed = one.sessions.seal("tmw_secret").unwrap();
        for index in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(one.sessions.open(&changed).is_none_or(|session| session.token == "tmw_secret"), "{index}");
            assert!(one.sessions.open(&sealed[..index]).is_none(), "{index}");
        }
    }

    #[test]
    fn over_tls_the_cookie_is_for_tls_alone() {
        let one = with(&[1]);
        let tls = headers(&[("x-forwarded-proto", "https, http")]);
        let cookie = one.sessions.begin("tmw_secret", &tls).unwrap();
        assert!(cookie.to_str().unwrap().starts_with("__Host-testmo_webhooks="));
        assert!(cookie.to_str().unwrap().ends_with("; Secure"));
        assert_eq!(one.sessions.of(&headers(&[("cookie", &sent(&cookie))])), None);
        let back = headers(&[("cookie", &sent(&cookie)), ("x-forwarded-proto", "https")]);
        assert!(one.sessions.of(&back).is_some());
        let plain = one.sessions.begin("tmw_secret", &HeaderMap::new()).unwrap();
        let back = headers(&[("cookie", &sent(&plain)), ("x-forwarded-proto", "https")]);
        assert_eq!(one.sessions.of(&back), None, "one set over plain HTTP is none over TLS");
        assert!(one.sessions.begin(&"x".repeat(4_000), &tls).is_none(), "too long for a cookie");
    }
}
