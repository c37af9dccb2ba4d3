//! What the users of an instance decide about its history, and what follows for what can be seen of it.
//!
//! Entries are hidden by a watermark: nobody sees what is older, whether it is on the disk or not. It only ever rises, so
//! that what was hidden once stays hidden, and what is below it can be removed at leisure.

use std::collections::HashMap;

/// Microseconds of a day.
pub(crate) const DAY: i64 = 24 * 3600 * 1_000_000;
/// How many days history may be kept.
pub const RETENTIONS: [i32; 3] = [7, 30, 90];
/// How long it is kept where nobody has said anything: the longest.
pub(crate) const LONGEST: i32 = 90;
/// How long after a clear what it has hidden stays on the disk: a record of it that comes again is known by it.
pub(crate) const GRACE: i64 = 120 * 1_000_000;

/// What an instance has decided about its history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Settings {
    /// How many days it is kept.
    pub retention_days: i32,
    /// Entries before this were hidden by a shorter retention.
    pub hidden_before: i64,
    /// Entries before this were cleared.
    pub cleared_at: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { retention_days: LONGEST, hidden_before: 0, cleared_at: 0 }
    }
}

impl Settings {
    /// From when on entries are seen at this time.
    #[must_use]
    pub fn visible_from(&self, now: i64) -> i64 {
        now.saturating_sub(i64::from(self.retention_days) * DAY).max(self.hidden_before).max(self.cleared_at)
    }

    /// With another retention from now on. What is hidden now stays hidden.
    pub(crate) fn with_retention(self, retention_days: i32, now: i64) -> Self {
        let changed = Self { retention_days, ..self };
        // What was cleared has a mark of its own.
        let of_retention = |settings: Self| Self { cleared_at: 0, ..settings }.visible_from(now);
        Self { hidden_before: of_retention(self).max(of_retention(changed)), ..changed }
    }
}

/// What a reader sees of an instance's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Attempts from this time on; what waits is always seen.
    pub from: i64,
    /// The time now: what is looked for is rarely older than some days.
    pub now: i64,
}

/// What is hidden of the history of instances, for those that have hidden something for good.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks(HashMap<String, Mark>);

/// What is hidden of an instance's history.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mark {
    /// Entries before this are hidden.
    pub(crate) hidden_before: i64,
    /// Entries before this were cleared.
    pub(crate) cleared_at: i64,
}

impl Marks {
    /// Of an instance.
    pub(crate) fn of(&self, instance: &str) -> Mark {
        self.0.get(instance).copied().unwrap_or(Mark { hidden_before: i64::MIN, cleared_at: i64::MIN })
    }
}

/// An instance, and what it has hidden.
pub(crate) type MarkRow = (String, i64, i64);

impl FromIterator<MarkRow> for Marks {
    fn from_iter<T: IntoIterator<Item = MarkRow>>(rows: T) -> Self {
        let mark = |(instance, hidden_before, cleared_at): MarkRow| {
            (instance, Mark { hidden_before: hidden_before.max(cleared_at), cleared_at })
        };
        Self(rows.into_iter().map(mark).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1000 * DAY;

    #[test]
    fn a_shorter_retention_hides_and_a_longer_one_brings_nothing_back() {
        let settings = Settings::default();
        assert_eq!(settings.visible_from(NOW), NOW - 90 * DAY);
        let shorter = settings.with_retention(7, NOW);
        assert_eq!(shorter.visible_from(NOW), NOW - 7 * DAY);
        assert_eq!(shorter.visible_from(NOW + DAY), NOW - 6 * DAY);
        let longer = shorter.with_retention(90, NOW + DAY);
        assert_eq!(longer.visible_from(NOW + DAY), NOW - 6 * DAY);
        assert_eq!(longer.visible_from(NOW + 30 * DAY), NOW - 6 * DAY);
        assert_eq!(longer.visible_from(NOW + 100 * DAY), NOW + 10 * DAY);
        assert_eq!(longer.with_retention(90, NOW + DAY), longer);
    }

    #[test]
    fn a_clear_is_marked_apart() {
        let cleared = Settings { cleared_at: NOW, ..Settings::default() };
        assert_eq!(cleared.visible_from(NOW + DAY), NOW);
        let shorter = cleared.with_retention(30, NOW + DAY);
        assert_eq!((shorter.hidden_before, shorter.cleared_at), (NOW - 29 * DAY, NOW));
        let marks: Marks = [("acme".to_owned(), 5, 9)].into_iter().collect();
        assert_eq!((marks.of("acme").hidden_before, marks.of("acme").cleared_at), (9, 9));
        assert_eq!(marks.of("default").hidden_before, i64::MIN);
    }
}
