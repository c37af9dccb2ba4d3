//! Entries in the text of an export, counted as it passes: each stands on a line of its own, in either format.

use std::fmt;

/// What has passed so far.
#[derive(Debug)]
pub(super) struct Count {
    /// Entries that are whole.
    pub(super) entries: i64,
    /// Bytes.
    pub(super) bytes: u64,
    at_start: bool,
    in_entry: bool,
}

impl Count {
    pub(super) const fn new() -> Self {
        Self { entries: 0, bytes: 0, at_start: true, in_entry: false }
    }

    pub(super) fn add(&mut self, text: &[u8]) {
        for piece in text.split_inclusive(|byte| *byte == b'\n') {
            if self.at_start {
                self.in_entry = piece.starts_with(b"{");
            }
            self.at_start = piece.ends_with(b"\n");
            self.entries += i64::from(self.at_start && self.in_entry);
            self.bytes += piece.len() as u64;
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = if self.entries == 1 { "entry" } else { "entries" };
        write!(formatter, "{} {entries}, {}", self.entries, size(self.bytes))
    }
}

/// `1.5 MiB`
fn size(bytes: u64) -> String {
    let (mut whole, mut tenths) = (bytes, 0);
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if whole < 1024 {
            return if unit == "B" { format!("{whole} B") } else { format!("{whole}.{tenths} {unit}") };
        }
        (whole, tenths) = (whole / 1024, whole % 1024 * 10 / 1024);
    }
    format!("{whole}.{tenths} TiB")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn count(parts: &[&[u8]]) -> Count {
        let mut count = Count::new();
        parts.iter().for_each(|part| count.add(part));
        count
    }

    #[test]
    fn sizes_are_short() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536 << 10, "1.5 MiB"),
            (5 << 30, "5.0 GiB"),
            (3 << 40, "3.0 TiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(count(&[b"{}\n"]).to_string(), "1 entry, 3 B");
    }

    proptest! {
        #[test]
        fn entries_are_counted_however_they_are_cut(
            entries in prop::collection::vec(r#"\{[a-z",{}\[\]]{0,20}\}"#, 0..20),
            array: bool,
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        ) {
            let text = match (array, entries.is_empty()) {
                (true, true) => "[]\n".to_owned(),
                (true, false) => format!("[\n{}\n]\n", entries.join(",\n")),
                (false, _) => entries.iter().map(|entry| format!("{entry}\n")).collect(),
            };
            let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            places.extend([0, text.len()]);
            places.sort_unstable();
            let parts: Vec<_> = places.windows(2).map(|pair| &text.as_bytes()[pair[0]..pair[1]]).collect();
            let counted = count(&parts);
            prop_assert_eq!((counted.entries, counted.bytes), (entries.len() as i64, text.len() as u64));
        }
    }
}
