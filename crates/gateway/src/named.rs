//! Values by name, from a query or a body: taken one by one, with every mistake kept until the end.

use std::collections::BTreeMap;

use proto::error::ApiError;

use crate::error::Failure;

/// So many mistakes are told; a body could hold tens of thousands, and the answer would be many times its size.
const TOLD: usize = 100;

/// What a caller sent under names. Take what is known, then [`Named::finish`]: what is left is unknown.
pub(crate) struct Named<V> {
    /// `field` or `query parameter`.
    what: &'static str,
    values: BTreeMap<String, V>,
    known: Vec<&'static str>,
    faults: Vec<(String, String)>,
}

impl<V> Named<V> {
    pub(crate) fn new(what: &'static str) -> Self {
        Self { what, values: BTreeMap::new(), known: Vec::new(), faults: Vec::new() }
    }

    /// Adds what was sent. A name that comes twice is a mistake, because either value could be the one that was meant.
    pub(crate) fn add(&mut self, name: String, value: V) {
        if self.values.contains_key(&name) {
            if self.faults.len() < TOLD && !self.faults.iter().any(|(faulty, _)| *faulty == name) {
                self.faults.push((name, "comes twice; send it once".to_owned()));
            }
            return;
        }
        self.values.insert(name, value);
    }

    /// The value of this name, which is a known one from now on.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<V> {
        self.known.push(name);
        self.values.remove(name)
    }

    /// Whether there is a value of this name that was not taken yet.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Takes a value away unread; false: there was none.
    pub(crate) fn drop(&mut self, name: &str) -> bool {
        self.values.remove(name).is_some()
    }

    /// Keeps a mistake.
    pub(crate) fn fault(&mut self, name: &str, message: impl Into<String>) {
        self.faults.push((name.to_owned(), message.into()));
    }

    /// The mistakes at once, unknown names among them.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        let known = match self.known.as_slice() {
            [] => "none is taken here".to_owned(),
            known => format!("known are {}", known.join(", ")),
        };
        let unknown = self.values.into_keys().map(|name| (name, format!("unknown {}; {known}", self.what)));
        self.faults.extend(unknown.take(TOLD));
        self.faults.truncate(TOLD);
        if self.faults.is_empty() { Ok(()) } else { Err(ApiError::fields(self.faults).into()) }
    }
}
