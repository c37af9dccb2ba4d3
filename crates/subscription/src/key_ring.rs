//! The keys that signing secrets are encrypted with: the text of the key file, and what is known of each key.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::IdSource;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// What tells keys apart without telling of them: the first bytes of the key's SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 4]);

impl KeyId {
    /// From its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 4] {
        &self.0
    }

    /// From what [`KeyId`] shows.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 4];
        hex::decode_to_slice(text, &mut bytes).ok().map(|()| Self(bytes))
    }
}

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

/// Several ids for people: `key 1a2b3c4d`, or `keys 1a2b3c4d, 5e6f7a8b`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyIds(pub Vec<KeyId>);

impl fmt::Display for KeyIds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<String> = self.0.iter().map(KeyId::to_string).collect();
        write!(formatter, "{} {}", if ids.len() == 1 { "key" } else { "keys" }, ids.join(", "))
    }
}

/// A key. Never printed.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) id: KeyId,
    pub(crate) bytes: Zeroizing<[u8; 32]>,
}

impl Key {
    pub(crate) fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(bytes.as_slice()));
        Self { id: KeyId([a, b, c, d]), bytes }
    }

    pub(crate) fn generate(ids: &dyn IdSource) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        ids.fill(bytes.as_mut_slice());
        Self::new(bytes)
    }

    fn parse(line: &str) -> Option<Self> {
        let bytes = STANDARD.decode(line).map(Zeroizing::new).ok()?;
        <[u8; 32]>::try_from(bytes.as_slice()).ok().map(|bytes| Self::new(Zeroizing::new(bytes)))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Key({})", self.id)
    }
}

/// The keys of a file: the first one seals, all can open. There is at least one.
#[derive(Clone, Debug)]
pub(crate) struct KeyRing {
    first: Key,
    others: Vec<Key>,
    /// What its owner wrote beside the keys.
    comments: Vec<String>,
}

/// What is wrong with the text of a key file. Does not repeat it: it may be a key with a slip of the pen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyTextError {
    /// There is no key in it.
    NoKey,
    /// A line is neither a key nor a comment; counted from 1.
    Line(usize),
}

impl KeyRing {
    /// A ring of one key.
    pub(crate) const fn of(first: Key) -> Self {
        Self { first, others: Vec::new(), comments: Vec::new() }
    }

    /// From the text of a file: a key on each line, blank lines and `#` comments aside. A key that stands there again
    /// counts once.
    pub(crate) fn parse(text: &str) -> Result<Self, KeyTextError> {
        let mut keys: Vec<Key> = Vec::new();
        let mut comments = Vec::new();
        for (index, line) in text.lines().map(str::trim).enumerate() {
            if line.starts_with('#') {
                comments.push(line.to_owned());
            } else if !line.is_empty() {
                let key = Key::parse(line).ok_or(KeyTextError::Line(index + 1))?;
                if keys.iter().all(|known| known.bytes != key.bytes) {
                    keys.push(key);
                }
            }
        }
        let mut keys = keys.into_iter();
        let first = keys.next().ok_or(KeyTextError::NoKey)?;
        Ok(Self { first, others: keys.collect(), comments })
    }

    /// The text of a file with these keys.
    pub(crate) fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(1_024));
        for comment in &self.comments {
            text.push_str(comment);
            text.push('\n');
        }
        for key in self.keys() {
            let line = Zeroizing::new(STANDARD.encode(key.bytes.as_slice()));
            text.push_str(&line);
            text.push('\n');
        }
        text
    }

    /// The key that seals.
    pub(crate) const fn first(&self) -> &Key {
        &self.first
    }

    /// All keys, the one that seals first.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// Their ids, in the same order.
    pub(crate) fn ids(&self) -> Vec<KeyId> {
        self.keys().map(|key| key.id).collect()
    }

    pub(crate) fn key(&self, id: KeyId) -> Option<&Key> {
        self.keys().find(|key| key.id == id)
    }

    /// With another key at the end, which opens and does not seal.
    #[must_use]
    pub(crate) fn with(mut self, key: Key) -> Self {
        self.others.push(key);
        self
    }

    /// With the key of this id first; as it is where there is none.
    #[must_use]
    pub(crate) fn led_by(mut self, id: KeyId) -> Self {
        if let Some(place) = self.others.iter().position(|key| key.id == id) {
            let key = self.others.remove(place);
            self.others.insert(0, std::mem::replace(&mut self.first, key));
        }
        self
    }

    /// The first key alone.
    #[must_use]
    pub(crate) fn alone(mut self) -> Self {
        self.others.clear();
        self
    }

    /// Whether both hold the same keys in the same order.
    pub(crate) fn same(&self, other: &Self) -> bool {
        self.keys().map(|key| &key.bytes).eq(other.keys().map(|key| &key.bytes))
    }
}

#[cfg(test)]
mod tests {
    use domain::SystemIds;

    use super::*;

    fn line(byte: u8) -> String {
        STANDARD.encode([byte; 32])
    }

    #[test]
    fn the_first_line_seals_and_all_open() {
        let text = format!("# ours\n\n {} \n{}\r\n# old\n{}\n{}", line(1), line(2), line(3), line(2));
        let ring = KeyRing::parse(&text).unwrap();
        assert_eq!(ring.ids().len(), 3);
        assert_eq!(ring.first().id, Key::new(Zeroizing::new([1; 32])).id);
        assert_eq!(ring.text().as_str(), format!("# ours\n# old\n{}\n{}\n{}\n", line(1), line(2), line(3)));
        assert!(KeyRing::parse(&ring.text()).unwrap().same(&ring));

        let [_, second, third] = ring.ids()[..] else { panic!("three keys") };
        let led = ring.clone().led_by(third);
        assert_eq!((led.first().id, led.ids().len(), led.same(&ring)), (third, 3, false));
        assert!(led.led_by(ring.first().id).ids().starts_with(&[ring.first().id, third]));
        assert_eq!(ring.clone().alone().ids(), [ring.first().id]);
        assert!(ring.key(second).is_some() && ring.alone().key(second).is_none());
    }

    #[test]
    fn what_is_no_key_is_told_by_its_line() {
        assert_eq!(KeyRing::parse("").unwrap_err(), KeyTextError::NoKey);
        assert_eq!(KeyRing::parse("# nothing\n\n").unwrap_err(), KeyTextError::NoKey);
        for bad in ["AAAA", "not base64", &STANDARD.encode([1; 33]), &line(9)[1..], &format!("{} x", line(9))] {
            assert_eq!(KeyRing::parse(bad).unwrap_err(), KeyTextError::Line(1), "{bad}");
            let later = format!("{}\n\n{bad}\n", line(1));
            assert_eq!(KeyRing::parse(&later).unwrap_err(), KeyTextError::Line(3), "{bad}");
        }
    }

    #[test]
    fn ids_are_read_as_they_are_shown_and_keys_are_not_shown() {
        let key = Key::generate(&SystemIds);
        assert_eq!(KeyId::parse(&key.id.to_string()), Some(key.id));
        for wrong in ["", "1a2b3c", "1a2b3c4d5e", "zzzzzzzz"] {
            assert_eq!(KeyId::parse(wrong), None, "{wrong}");
        }
        assert_eq!(format!("{key:?}"), format!("Key({})", key.id));
        let ids = |ids: &[KeyId]| KeyIds(ids.to_vec()).to_string();
        assert_eq!(ids(&[key.id]), format!("key {}", key.id));
        assert_eq!(ids(&[key.id, key.id]), format!("keys {0}, {0}", key.id));
        assert_ne!(key.id, Key::generate(&SystemIds).id);
    }
}
