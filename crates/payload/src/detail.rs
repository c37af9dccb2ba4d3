//! How much of an event a message shows, so that it stays inside its target's limits whatever the event holds.

use crate::link::Link;

/// Lengths in UTF-16 units after escaping.
#[derive(Debug)]
pub(crate) struct Detail {
    /// Of a name.
    pub(crate) name: usize,
    /// Of a value before or after a change, and of a fact.
    pub(crate) value: usize,
    /// Of what somebody wrote.
    pub(crate) quote: usize,
    /// Rows of changes or links.
    pub(crate) rows: usize,
    /// Of an address other than the main link and the project's, which are always there.
    pub(crate) url: usize,
}

/// From what almost every event gets to what any event can have: with the last one, every message fits.
pub(crate) const LEVELS: [Detail; 3] = [
    Detail { name: 160, value: 180, quote: 900, rows: 10, url: 2048 },
    Detail { name: 100, value: 80, quote: 300, rows: 6, url: 600 },
    Detail { name: 60, value: 40, quote: 120, rows: 4, url: 160 },
];

impl Detail {
    /// A link, unless it is too long for this amount of detail.
    pub(crate) fn link<'a>(&self, link: Option<&'a Link>) -> Option<&'a Link> {
        link.filter(|link| link.as_str().len() <= self.url)
    }
}

/// The first body that fits, from the most detailed on.
pub(crate) fn first_that_fits<T>(build: impl Fn(&Detail) -> T, fits: impl Fn(&T) -> bool) -> T {
    let [levels @ .., last] = &LEVELS;
    levels.iter().map(&build).find(fits).unwrap_or_else(|| build(last))
}
