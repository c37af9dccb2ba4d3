//! Encryption of signing secrets at rest, with keys that are not in the database: XChaCha20-Poly1305 with random
//! nonces. What is sealed says which key it needs, and opens only for what it was sealed for.

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use chacha20poly1305::{
    Key as CipherKey, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, KeyInit as _, Payload},
};
use domain::{IdSource, InstanceId};
use zeroize::Zeroizing;

use crate::{
    key_file::{KeyFile, KeyFileError},
    key_ring::{Key, KeyId, KeyIds, KeyRing},
};

/// First byte of what is sealed: format, then key id, nonce, ciphertext.
const FORMAT: u8 = 1;
const NONCE: usize = 24;
const HEAD: usize = 1 + 4 + NONCE;
/// How often the file is read at most because of a key that is not known.
const READ_AGAIN: Duration = Duration::from_millis(100);

/// Bytes that tell what is sealed with which key.
const PREFIX: usize = 5;
/// The same, as stores count.
pub(crate) const PREFIX_LENGTH: i32 = 5;

/// What everything begins with that is sealed with a key.
pub(crate) const fn prefix(key: KeyId) -> [u8; PREFIX] {
    let [a, b, c, d] = *key.as_bytes();
    [FORMAT, a, b, c, d]
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
    #[error("is sealed with key {needed}, and secrets.key_file holds {used}")]
    OtherKey { needed: KeyId, used: KeyIds },
    #[error("is damaged, or was sealed for something else")]
    Damaged,
}

/// Seals with one key.
pub(crate) fn seal(
    key: &Key,
    ids: &dyn IdSource,
    purpose: Purpose<'_>,
    text: &[u8],
) -> Result<Vec<u8>, SecretBoxError> {
    let mut nonce = [0; NONCE];
    ids.fill(&mut nonce);
    let associated = purpose.associated_data();
    let payload = Payload { msg: text, aad: &associated };
    let sealed = cipher(key).encrypt(&XNonce::from(nonce), payload).map_err(|_| SecretBoxError::Damaged)?;
    Ok([prefix(key.id).as_slice(), &nonce, &sealed].concat())
}

/// Opens with whichever key of a ring it needs.
pub(crate) fn open(ring: &KeyRing, purpose: Purpose<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SecretBoxError> {
    let needed = key_of(sealed).ok_or(SecretBoxError::Damaged)?;
    let (head, text) = sealed.split_at_checked(HEAD).ok_or(SecretBoxError::Damaged)?;
    let nonce = head.last_chunk::<NONCE>().ok_or(SecretBoxError::Damaged)?;
    let key = ring.key(needed).ok_or_else(|| SecretBoxError::OtherKey { needed, used: KeyIds(ring.ids()) })?;
    let associated = purpose.associated_data();
    let payload = Payload { msg: text, aad: &associated };
    let text = cipher(key).decrypt(&XNonce::from(*nonce), payload).map_err(|_| SecretBoxError::Damaged)?;
    Ok(Zeroizing::new(text))
}

/// The key that something is sealed with; `None`: it is not sealed.
pub(crate) fn key_of(sealed: &[u8]) -> Option<KeyId> {
    match *sealed.first_chunk::<PREFIX>()? {
        [FORMAT, a, b, c, d] => Some(KeyId::from_bytes([a, b, c, d])),
        _ => None,
    }
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&CipherKey::from(*key.bytes))
}

/// Seals and opens secrets with the keys of a file, which may change while it is in use. Never printed.
pub struct SecretBox {
    /// `None`: the keys do not change.
    file: Option<KeyFile>,
    state: Mutex<State>,
}

struct State {
    ring: Arc<KeyRing>,
    /// Rings of before that requests under way may have sealed with.
    before: Vec<Weak<KeyRing>>,
    /// Keys that have left the file. They open what was written while they left it.
    retired: Option<KeyRing>,
    /// When it was last read because of a key that is not known.
    looked_at: Option<Instant>,
    complained: bool,
}

/// The keys that a process has, and uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeysInUse {
    /// Those of the file, the one that seals first.
    pub(crate) keys: Vec<KeyId>,
    /// All that something on its way may be sealed with.
    pub(crate) sealing: Vec<KeyId>,
}

/// While it is held, the keys of when it was taken count as in use. A request holds it from before it reads or seals
/// something until that is stored, so that a key goes only when nothing is on the way that needs it.
#[derive(Debug)]
pub(crate) struct InUse {
    _ring: Arc<KeyRing>,
}

impl SecretBox {
    /// With the keys in a file: each 32 bytes in base64 on a line of its own; the first seals, all open.
    ///
    /// # Errors
    /// A file that cannot be read or holds no key.
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        let file = KeyFile::new(path);
        let ring = file.read()?;
        Ok(Self::with(Some(file), ring))
    }

    /// With one key, which stays.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self::with(None, KeyRing::of(Key::new(Zeroizing::new(*key))))
    }

    fn with(file: Option<KeyFile>, ring: KeyRing) -> Self {
        let state =
            State { ring: Arc::new(ring), before: Vec::new(), retired: None, looked_at: None, complained: false };
        Self { file, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn ring(&self) -> Arc<KeyRing> {
        Arc::clone(&self.state().ring)
    }

    /// The id of the key that seals.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        self.state().ring.first().id
    }

    /// The keys of the file, and all keys that something on its way may be sealed with.
    pub(crate) fn keys_in_use(&self) -> KeysInUse {
        let mut state = self.state();
        state.before.retain(|ring| ring.strong_count() > 0);
        let mut sealing = vec![state.ring.first().id];
        let before = state.before.iter().filter_map(Weak::upgrade).map(|ring| ring.first().id);
        for key in before {
            if !sealing.contains(&key) {
                sealing.push(key);
            }
        }
        KeysInUse { keys: state.ring.ids(), sealing }
    }

    /// To be held as long as a request that may store something is under way.
    pub(crate) fn in_use(&self) -> InUse {
        InUse { _ring: self.ring() }
    }

    /// Reads the file again; `true`: its keys have changed. A file that cannot be used leaves the keys as they are, and is
    /// complained about once.
    pub(crate) fn reload(&self) -> bool {
        let Some(file) = &self.file else { return false };
        let read = file.read();
        let mut state = self.state();
        let ring = match read {
            Ok(ring) => ring,
            Err(error) => {
                if !std::mem::replace(&mut state.complained, true) {
                    tracing::error!(%error, keys = ?state.ring.ids(), "the key file cannot be used; the keys stay as they were");
                }
                return false;
            }
        };
        state.complained = false;
        if state.ring.same(&ring) {
            return false;
        }
        tracing::info!(%file, keys = ?ring.ids(), "the key file has changed; the first key seals from now on");
        state.retire(&ring);
        let old = std::mem::replace(&mut state.ring, Arc::new(ring));
        state.before.push(Arc::downgrade(&old));
        true
    }

    pub(crate) fn seal(&self, ids: &dyn IdSource, purpose: Purpose<'_>, text: &str) -> Result<Vec<u8>, SecretBoxError> {
        seal(self.ring().first(), ids, purpose, text.as_bytes())
    }

    /// Opens; for a key that is not known, with what the file says now.
    pub(crate) fn open(&self, purpose: Purpose<'_>, sealed: &[u8]) -> Result<String, SecretBoxError> {
        let text = match open(&self.ring(), purpose, sealed) {
            Err(SecretBoxError::OtherKey { .. }) => self.open_otherwise(purpose, sealed)?,
            opened => opened?,
        };
        str::from_utf8(&text).map(str::to_owned).map_err(|_| SecretBoxError::Damaged)
    }

    fn open_otherwise(&self, purpose: Purpose<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SecretBoxError> {
        let retired = self.state().retired.clone();
        if let Some(Ok(text)) = retired.map(|ring| open(&ring, purpose, sealed)) {
            return Ok(text);
        }
        if self.may_look() {
            self.reload();
        }
        // Even if it was not read now: somebody else may have since the ring was looked at.
        open(&self.ring(), purpose, sealed)
    }

    /// Rows that need a key which nobody has must not cost a reading each.
    fn may_look(&self) -> bool {
        let mut state = self.state();
        let may = state.looked_at.is_none_or(|at| at.elapsed() >= READ_AGAIN);
        if may {
            state.looked_at = Some(Instant::now());
        }
        may
    }
}

impl State {
    /// Remembers the keys that `next` has no more.
    fn retire(&mut self, next: &KeyRing) {
        let leaving = self.ring.keys().filter(|key| next.key(key.id).is_none());
        for key in leaving {
            self.retired = Some(match self.retired.take() {
                Some(ring) if ring.key(key.id).is_some() => ring,
                Some(ring) => ring.with(key.clone()),
                None => KeyRing::of(key.clone()),
            });
        }
    }
}

impl fmt::Debug for SecretBox {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SecretBox").field("key_id", &self.key_id()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use domain::SystemIds;

    use super::*;

    fn key(byte: u8) -> Key {
        Key::new(Zeroizing::new([byte; 32]))
    }

    fn write(path: &Path, keys: &[u8]) {
        let lines: Vec<String> = keys.iter().map(|byte| KeyRing::of(key(*byte)).text().to_string()).collect();
        std::fs::write(path, lines.concat()).unwrap();
    }

    #[test]
    fn opens_with_the_same_key_for_the_same_webhook_only() {
        let (acme, other) = ("acme".parse().unwrap(), "other".parse().unwrap());
        let own = SecretBox::new(&[7; 32]);
        let purpose = Purpose::Signing { instance: &acme, webhook: 1 };
        let sealed = own.seal(&SystemIds, purpose, "whsec_x").unwrap();
        assert!(!sealed.windows(7).any(|window| window == b"whsec_x"));
        assert_ne!(sealed, own.seal(&SystemIds, purpose, "whsec_x").unwrap());
        assert_eq!(own.open(purpose, &sealed).as_deref(), Ok("whsec_x"));
        assert!(sealed.starts_with(&prefix(own.key_id())));
        for wrong in [
            Purpose::Signing { instance: &acme, webhook: 2 },
            Purpose::Signing { instance: &other, webhook: 1 },
            Purpose::KeyCheck,
        ] {
            assert_eq!(own.open(wrong, &sealed), Err(SecretBoxError::Damaged));
        }
        let other_key = SecretBox::new(&[8; 32]);
        let error = other_key.open(purpose, &sealed).unwrap_err();
        let used = KeyIds(vec![other_key.key_id()]);
        assert_eq!(error, SecretBoxError::OtherKey { needed: own.key_id(), used });
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
    fn the_file_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.key");
        write(&path, &[1]);
        let own = SecretBox::load(&path).unwrap();
        assert_eq!(format!("{own:?}"), format!("SecretBox {{ key_id: {}, .. }}", key(1).id));
        let old = own.seal(&SystemIds, Purpose::KeyCheck, "old").unwrap();
        assert!(!own.reload(), "nothing has changed");

        write(&path, &[2, 1]);
        assert!(own.reload() && !own.reload());
        assert_eq!(own.key_id(), key(2).id);
        assert_eq!(own.open(Purpose::KeyCheck, &old).as_deref(), Ok("old"));
        for broken in ["", "# no key", "garbage"] {
            std::fs::write(&path, broken).unwrap();
            assert!(!own.reload());
            assert_eq!(own.open(Purpose::KeyCheck, &old).as_deref(), Ok("old"));
        }
        write(&path, &[2]);
        assert!(own.reload());
        assert_eq!(own.keys_in_use().keys, [key(2).id]);
        // What was on its way while the key left the file is not lost.
        assert_eq!(own.open(Purpose::KeyCheck, &old).as_deref(), Ok("old"));
        assert!(SecretBox::load(&path).unwrap().open(Purpose::KeyCheck, &old).is_err());
    }

    #[test]
    fn a_key_that_is_not_known_is_looked_for_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.key");
        write(&path, &[1]);
        let own = SecretBox::load(&path).unwrap();
        let sealed = seal(&key(2), &SystemIds, Purpose::KeyCheck, b"new").unwrap();
        write(&path, &[1, 2]);
        own.state().looked_at = Some(Instant::now() + READ_AGAIN);
        assert!(own.open(Purpose::KeyCheck, &sealed).is_err(), "not within a moment after it was read");
        own.state().looked_at = None;
        assert_eq!(own.open(Purpose::KeyCheck, &sealed).as_deref(), Ok("new"));
    }

    #[test]
    fn a_key_seals_until_the_last_request_that_began_with_it_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.key");
        write(&path, &[1]);
        let own = SecretBox::load(&path).unwrap();
        let (first, second) = (own.in_use(), own.in_use());
        write(&path, &[2, 1]);
        assert!(own.reload());
        let (one, two) = (key(1).id, key(2).id);
        let in_use = |sealing: &[KeyId]| KeysInUse { keys: vec![two, one], sealing: sealing.to_vec() };
        assert_eq!(own.keys_in_use(), in_use(&[two, one]));
        drop(first);
        assert_eq!(own.keys_in_use(), in_use(&[two, one]));
        drop(second);
        assert_eq!(own.keys_in_use(), in_use(&[two]));
    }
}
