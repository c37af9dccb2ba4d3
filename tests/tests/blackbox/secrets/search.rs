//! Looking for secrets in whatever was written or said, in each form that they may have there.

use std::{collections::HashMap, fs, path::Path};

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD},
};
use blackbox::{product::Mode, rest::Answer};

/// A place with what it holds.
pub(super) type Place = (String, Vec<u8>);

/// The secrets of a test: what each is, and its forms.
#[derive(Default)]
pub(super) struct Canaries {
    texts: Vec<String>,
    forms: Vec<(String, Vec<u8>)>,
}

impl Canaries {
    /// Adds a secret text, and returns it.
    pub(super) fn text(&mut self, what: &str, text: impl Into<String>) -> String {
        let text = text.into();
        self.bytes(what, text.trim().as_bytes());
        let percent: String = url::form_urlencoded::byte_serialize(text.trim().as_bytes()).collect();
        self.add(what, "percent-encoded", percent.replace('+', "%20").into());
        self.texts.push(text.clone());
        text
    }

    /// Adds a signing secret, with the key that it stands for.
    pub(super) fn secret(&mut self, what: &str, secret: &str) {
        let text = secret.strip_prefix("whsec_").expect("whsec_…");
        self.bytes(what, text.as_bytes());
        self.bytes(what, &BASE64_STANDARD.decode(text).expect("base64"));
    }

    /// Adds the keys of a file.
    pub(super) fn key_file(&mut self, path: &Path) {
        let text = fs::read_to_string(path).expect("the file of the secrets key");
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            self.bytes("the secrets key", line.as_bytes());
            self.bytes("the secrets key", &BASE64_STANDARD.decode(line).expect("base64"));
        }
    }

    /// Whether `text` is one of the secret texts.
    pub(super) fn holds(&self, text: &str) -> bool {
        self.texts.iter().any(|known| known == text)
    }

    fn bytes(&mut self, what: &str, bytes: &[u8]) {
        self.add(what, "as it is", bytes.to_vec());
        self.add(what, "hexadecimal", hex::encode(bytes).into());
        self.add(what, "as a list of numbers", bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(", ").into());
        // Within a longer text it begins at any of three places of a group; what its neighbours share is left out.
        for shift in 0..3 {
            let shifted = [&vec![0; shift][..], bytes].concat();
            let whole = shifted.len() / 3 * 3;
            for engine in [&BASE64_STANDARD_NO_PAD, &BASE64_URL_SAFE_NO_PAD] {
                let text = engine.encode(&shifted[..whole]);
                self.add(what, "in base64", text[if shift == 0 { 0 } else { 4 }..].into());
            }
        }
    }

    fn add(&mut self, what: &str, form: &str, bytes: Vec<u8>) {
        assert!(bytes.len() >= 16, "{what} is too short to be looked for");
        self.forms.push((format!("{what}, {form}"), bytes));
    }

    /// Panics with every place in which there is a secret.
    pub(super) fn assert_nowhere(&self, places: &[Place]) {
        let index = Index::new(self.forms.iter().map(|(_, bytes)| bytes.as_slice()).collect());
        let mut found: Vec<String> = Vec::new();
        for (place, bytes) in places {
            for (form, at) in index.find(bytes) {
                let line_start = bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
                let context = String::from_utf8_lossy(&bytes[line_start.max(at.saturating_sub(300))..at]).into_owned();
                found.push(format!("{} is in {place}, after: {context}", self.forms[form].0));
            }
        }
        assert!(found.is_empty(), "{} secrets in the wrong places:\n{}", found.len(), found.join("\n"));
    }
}

/// What was answered, its headers included.
pub(super) fn answer(what: &str, answer: &Answer) -> Place {
    (format!("the answer of {what}"), [format!("{:?}", answer.headers).as_bytes(), &answer.bytes].concat())
}

/// Panics unless the search finds what is in stores and queues: the id of an event whose delivery is under way.
pub(super) fn assert_found(places: &[Place], event: &str, mode: Mode) {
    let digits = event.replace('-', "");
    let bytes = hex::decode(&digits).expect("a UUID");
    let index = Index::new(vec![event.as_bytes(), digits.as_bytes(), &bytes]);
    let kinds: &[&str] = match mode {
        Mode::Embedded => &["/data/"],
        Mode::Distributed => &["the database", "/postgres-", "/rabbitmq-"],
    };
    for kind in kinds {
        let found = places.iter().any(|(place, bytes)| place.contains(kind) && !index.find(bytes).is_empty());
        let sizes: Vec<_> = places.iter().filter(|(place, _)| place.contains(kind)).map(|(_, b)| b.len()).collect();
        assert!(found, "the search does not find event {event} in {kind}, where it must be; sizes: {sizes:?}");
    }
}

/// Patterns by their first two bytes: the files of the servers are large, and the patterns many.
struct Index<'a> {
    patterns: Vec<&'a [u8]>,
    starts: Vec<bool>,
    by_start: HashMap<u16, Vec<usize>>,
}

impl<'a> Index<'a> {
    fn new(patterns: Vec<&'a [u8]>) -> Self {
        let mut starts = vec![false; 1 << 16];
        let mut by_start: HashMap<u16, Vec<usize>> = HashMap::new();
        for (number, pattern) in patterns.iter().enumerate() {
            let start = u16::from_be_bytes([pattern[0], pattern[1]]);
            starts[usize::from(start)] = true;
            by_start.entry(start).or_default().push(number);
        }
        Self { patterns, starts, by_start }
    }

    /// The patterns that are in `bytes`, each with its first place.
    fn find(&self, bytes: &[u8]) -> HashMap<usize, usize> {
        let mut found = HashMap::new();
        let mut start = 0_u16;
        for (end, byte) in bytes.iter().enumerate() {
            start = start << 8 | u16::from(*byte);
            if end == 0 || !self.starts[usize::from(start)] {
                continue;
            }
            for number in &self.by_start[&start] {
                if bytes[end - 1..].starts_with(self.patterns[*number]) {
                    found.entry(*number).or_insert(end - 1);
                }
            }
        }
        found
    }
}
