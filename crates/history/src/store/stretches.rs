//! A list in parts: where attempts are divided by time, looking into all that there is takes long, and a page is mostly in the
//! last days.

use uuid::Uuid;

use super::{DAY, ListQuery, Page, Position};

/// How long the first stretch is, at least; it ends with a day.
const NEAR: i64 = 2 * DAY;

/// The first of the last days, into which most is written. What is prepared for the days before it stays good until it
/// moves on: it is no parameter of a statement, but a part of it.
pub(super) const fn last_days(now: i64) -> i64 {
    day_begin(now.saturating_sub(NEAR))
}

const fn day_begin(time: i64) -> i64 {
    time.div_euclid(DAY).saturating_mul(DAY)
}

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
                let start = day_begin(time.saturating_sub(NEAR)).max(first);
                (within(start, Some(time.saturating_add(1))), within(first, Some(start)))
            }
            Page::Newest => {
                let begins = self.to.map_or(self.sight.now, |to| to.min(self.sight.now));
                let start = last_days(begins).max(first);
                // In the words of a page that is not the first, which it is not in its list: fewer plans are to be kept.
                let page = Page::OlderThan(Position { time: start, delivery_id: Uuid::nil(), number: 0 });
                (within(start, None), within(first, Some(start)).map(|far| Self { page, ..far }))
            }
        };
        near.into_iter().chain(far).collect()
    }

    /// Whether it is about more than a few days.
    pub(super) fn is_far(&self) -> bool {
        self.to.unwrap_or(self.sight.now).saturating_sub(self.first()) > NEAR + DAY
    }

    /// Before when all of it lies, if that is before the last days.
    pub(super) fn before_last_days(&self) -> Option<i64> {
        let last_days = last_days(self.sight.now);
        self.to.is_some_and(|to| to <= last_days).then_some(last_days)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Sight;

    const NOW: i64 = 1000 * DAY;

    fn query(page: Page, from: Option<i64>, to: Option<i64>) -> ListQuery {
        ListQuery {
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
        }
    }

    fn stretches(page: Page, from: Option<i64>, to: Option<i64>) -> Vec<(i64, Option<i64>)> {
        let days = |stretch: ListQuery| (stretch.from.unwrap() / DAY, stretch.to.map(|to| to / DAY));
        query(page, from, to).stretches().into_iter().map(days).collect()
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
    fn the_last_days_begin_with_a_day_and_are_apart() {
        let late = NOW + DAY - 1;
        assert_eq!([last_days(NOW), last_days(late), last_days(late + 1)].map(|at| at / DAY), [998, 998, 999]);
        let query = |page, to| ListQuery { sight: Sight { from: 0, now: late }, ..query(page, None, to) };
        let before = |query: ListQuery| -> Vec<bool> {
            query.stretches().iter().map(|it| it.before_last_days().is_some()).collect()
        };
        assert_eq!(before(query(Page::Newest, None)), vec![false, true]);
        assert_eq!(before(query(Page::OlderThan(at(950)), None)), vec![true, true]);
        assert_eq!(before(query(Page::OlderThan(at(999)), None)), vec![false, true]);
        assert_eq!(before(query(Page::NewerThan(at(950)), None)), vec![true, false]);
        assert_eq!(before(query(Page::NewerThan(at(950)), Some(998))), vec![true, true]);
        assert_eq!(before(query(Page::NewerThan(at(950)), Some(999))), vec![true, false]);
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
