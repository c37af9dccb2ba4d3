//! A list in parts: where attempts are divided by time, looking into all that there is takes long, and a page is mostly in the
//! last days.

use super::{DAY, ListQuery, Page, Position};

impl ListQuery {
    /// The time of the first attempt that can be in it.
    pub(super) fn first(&self) -> i64 {
        self.from.map_or(self.sight.from, |from| from.max(self.sight.from))
    }

    /// The page in parts, in its order: each is the same list of another stretch of time, the first of them short. Where
    /// attempts are divided by time, looking into all of them takes long, and a page is mostly in few.
    pub(super) fn stretches(&self) -> Vec<Self> {
        /// Where stretches end, in days from where the page begins.
        const ENDS: [i64; 3] = [2, 8, 32];
        let first = self.first();
        let within = |from: i64, to: Option<i64>| {
            let to = to.into_iter().chain(self.to).min();
            let is_empty = to.is_some_and(|to| to <= from);
            (!is_empty).then(|| Self { from: Some(from), to, ..self.clone() })
        };
        if let Page::NewerThan(Position { time, .. }) = self.page {
            let start = time.max(first);
            let ends = ENDS.map(|days| start.saturating_add(days * DAY));
            let starts = [start, ends[0], ends[1], ends[2]];
            let stretch = |(from, to)| within(from, to);
            return starts.into_iter().zip(ends.map(Some).into_iter().chain([None])).filter_map(stretch).collect();
        }
        let (end, begins) = match self.page {
            Page::OlderThan(Position { time, .. }) => (Some(time.saturating_add(1)), time),
            _ => (None, self.to.map_or(self.sight.now, |to| to.min(self.sight.now))),
        };
        let starts = ENDS.map(|days| begins.saturating_sub(days * DAY).max(first));
        let ends = [end, Some(starts[0]), Some(starts[1]), Some(starts[2])];
        let stretch = |(from, to)| within(from, to);
        starts.into_iter().chain([first]).zip(ends).filter_map(stretch).collect()
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
        assert_eq!(newest, [(998, None), (992, Some(998)), (968, Some(992)), (910, Some(968))]);
        assert_eq!(stretches(Page::OlderThan(at(950)), None, None)[..2], [(948, Some(950)), (942, Some(948))]);
        let older = stretches(Page::OlderThan(at(920)), None, None);
        assert_eq!(older, [(918, Some(920)), (912, Some(918)), (910, Some(912))]);
        let newer = stretches(Page::NewerThan(at(950)), None, None);
        assert_eq!(newer, [(950, Some(952)), (952, Some(958)), (958, Some(982)), (982, None)]);
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
