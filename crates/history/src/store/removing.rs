//! What is to be removed of an instance's history, worked out without a database.

use super::{DAY, GRACE, Settings};

/// How far the retention moves on before what it leaves behind is removed.
pub(super) const STEP: i64 = 600 * 1_000_000;

/// What an instance keeps, and what was removed already.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct Kept {
    pub(super) instance: String,
    #[sqlx(flatten)]
    pub(super) settings: Settings,
    pub(super) removed_before: i64,
}

/// What is to be removed of an instance's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) instance: String,
    /// What is older has been removed before.
    pub(super) from: i64,
    /// Attempts before this.
    pub(super) before: i64,
    /// Bodies before this that nothing waits for.
    pub(super) bodies_before: i64,
}

impl Kept {
    /// Attempts before this may be removed: those that are hidden, but for what was cleared just now.
    pub(super) fn removable_before(&self, now: i64) -> i64 {
        self.waiting(now).visible_from(now)
    }

    /// The same of bodies: each is kept for as long as an attempt of a day later, unless it was cleared.
    pub(super) fn removable_bodies_before(&self, now: i64) -> i64 {
        let settings = self.waiting(now);
        settings.cleared_at.max(settings.visible_from(now).saturating_sub(DAY))
    }

    /// The settings, without a clear that was just now.
    fn waiting(&self, now: i64) -> Settings {
        let settings = self.settings;
        let cleared_at = if settings.cleared_at.saturating_add(GRACE) <= now { settings.cleared_at } else { 0 };
        Settings { cleared_at, ..settings }
    }

    /// All that may be removed.
    pub(super) fn all(&self, now: i64) -> Due {
        Due {
            instance: self.instance.clone(),
            // Bodies are removed later than attempts.
            from: self.removed_before.saturating_sub(2 * DAY),
            before: self.removable_before(now),
            bodies_before: self.removable_bodies_before(now),
        }
    }

    /// What is to be removed; `None`: nothing that is worth it.
    pub(super) fn due(&self, now: i64) -> Option<Due> {
        let due = self.all(now);
        let settings = self.waiting(now);
        let for_good = settings.hidden_before.max(settings.cleared_at);
        let is_due = self.removed_before < for_good || self.removed_before.saturating_add(STEP) < due.before;
        is_due.then_some(due)
    }
}
