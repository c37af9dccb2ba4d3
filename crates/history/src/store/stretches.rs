//! A list in parts: where attempts are divided by time, looking into all that there is takes long, and a page is mostly in the
//! last days.

use uuid::Uuid;

use super::{DAY, ListQuery, Page, Position};

/// How long the first stretch is.
const NEAR: i64 = 2 * DAY;

impl ListQuery {
    /// The time of the first attempt that can be in it.
    pub(super) fn first(&self) -> i64 {
        self.from.map_or(self.sight.from, |from| from.max(self.sight.from))
    }

    /// The page in parts, in its order: each is the same list of another stretch of time, the first of them short.
    pub(super) fn stretches(&self) -> Vec<Self> {
        let first = self.first();
        let within = |from: i64, to: Option<i64>| {
            let to = to.into_iter().chain(self.to).min();
            let is_empty = to.is_some_and(|to| to <= from);
            (!is_empty).then(|| Self { from: Some(from), to, ..self.clone() })
        };
        let (near, far) = match self.page {
            Page::NewerThan(Position { time, .. }) => {
                let start = time.max(first);
                let end = start.saturating_add(NEAR);
                (within(start, Some(end)), within(end, None))
            }
            Page::OlderThan(Position { time, .. }) => {
                let start = time.saturating_sub(NEAR).max(first);
                (within(start, Some(time.saturating_add(1))), within(first, Some(start)))
            }
            Page::Newest => {
                let begins = self.to.map_or(self.sight.now, |to| to.min(self.sight.now));
                let start = begins.saturating_sub(NEAR).max(first);
                // In the words of a page that is not the first, which it is not in its list: fewer plans are to be kept.
                let page = Page::OlderThan(Position { time: start, delivery_id: Uuid::nil(), number: 0 });
                (within(start, None), within(first, Some(start)).map(|far| Self { page, ..far }))
            }
        };
        near.into_iter().chain(far).collect()
    }

    /// Whether it is about more than a few days.
    pub(super) fn is_far(&self) -> bool {
        self.to.unwrap_or(self.sight.now).saturating_sub(self.first()) > NEAR + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Sight;

    const NOW: i64 = 1000 * DAY;

    fn stretches(page: Page, from: Option<i64>, to: Option<i64>) -> Vec<(i64, Option<i64>)> {
        let query = ListQuery {
            instance: "acme".to_owned(),
            webhook_id: None,
            projects: None,
            status: None,
            event_type: None,
            from: from.map(|days| days * DAY),
            to: to.map(|days| days * DAY),
            is_test: None,
            sight: Sight { from: NOW - 90 * DAY, now: NOW },
            page,
            limit: 100,
        };
        let days = |stretch: ListQuery| (stretch.from.unwrap() / DAY, stretch.to.map(|to| to / DAY));
        query.stretches().into_iter().map(days).collect()
    }

    fn at(days: i64) -> Position {
        Position { time: days * DAY, delivery_id: uuid::Uuid::nil(), number: 1 }
    }

    #[test]
    fn they_follow_each_other_without_a_gap() {
        let newest = stretches(Page::Newest, None, None);
        assert_eq!(newest, [(998, None), (910, Some(998))]);
        assert_eq!(stretches(Page::OlderThan(at(950)), None, None), [(948, Some(950)), (910, Some(948))]);
        assert_eq!(stretches(Page::NewerThan(at(950)), None, None), [(950, Some(952)), (952, None)]);
    }

    #[test]
    fn they_stay_within_what_is_asked_for_and_seen() {
        assert_eq!(stretches(Page::Newest, Some(995), Some(996)), [(995, Some(996))]);
        assert_eq!(stretches(Page::Newest, Some(100), Some(912)), [(910, Some(912))]);
        assert_eq!(stretches(Page::NewerThan(at(950)), None, Some(951)), [(950, Some(951))]);
        assert_eq!(stretches(Page::NewerThan(at(5)), None, None)[0], (910, Some(912)));
        assert_eq!(stretches(Page::OlderThan(at(900)), None, None), []);
        assert_eq!(stretches(Page::Newest, None, Some(900)), []);
    }
}
