//! Which deliveries of a channel are settled, so that acknowledgements can be sent for many at once.
//!
//! Tags of a channel count from 1 without gaps. `basic.ack` with `multiple` takes everything up to a tag, so it may
//! only be sent for a tag below which nothing is open.

use std::collections::BTreeSet;

/// Acknowledgements to send.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Acks {
    /// Everything up to this tag.
    pub(super) up_to: Option<u64>,
    /// Tags above one that is still open.
    pub(super) single: Vec<u64>,
}

/// State of one channel's deliveries.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    delivered: u64,
    /// Everything up to here is settled and the broker has been told.
    floor: u64,
    /// Above the floor: the broker has been told.
    told: BTreeSet<u64>,
    /// Above the floor: acknowledged, the broker has yet to be told.
    acked: BTreeSet<u64>,
}

impl Tracker {
    /// A message has been delivered.
    pub(super) fn delivered(&mut self, tag: u64) {
        self.delivered = self.delivered.max(tag);
    }

    /// A message is done with; [`Tracker::take_acks`] says what to send.
    pub(super) fn acked(&mut self, tag: u64) {
        if tag > self.floor && !self.told.contains(&tag) {
            self.acked.insert(tag);
        }
    }

    /// The broker has been told otherwise about a message (`basic.nack`).
    pub(super) fn told(&mut self, tag: u64) {
        if tag > self.floor {
            self.told.insert(tag);
        }
    }

    /// Messages that nobody has settled yet.
    pub(super) fn open(&self) -> u64 {
        self.delivered.saturating_sub(self.floor + self.told.len() as u64 + self.acked.len() as u64)
    }

    /// The highest tag that nobody has settled yet.
    pub(super) fn last_open(&self) -> Option<u64> {
        (self.floor + 1..=self.delivered).rev().find(|tag| !self.told.contains(tag) && !self.acked.contains(tag))
    }

    /// What to tell the broker now.
    pub(super) fn take_acks(&mut self) -> Acks {
        let mut up_to = None;
        loop {
            let next = self.floor + 1;
            if self.acked.remove(&next) {
                up_to = Some(next);
            } else if !self.told.remove(&next) {
                break;
            }
            self.floor = next;
        }
        let single: Vec<u64> = std::mem::take(&mut self.acked).into_iter().collect();
        self.told.extend(&single);
        Acks { up_to, single }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracker(delivered: u64, acked: &[u64]) -> Tracker {
        let mut tracker = Tracker::default();
        tracker.delivered(delivered);
        acked.iter().for_each(|tag| tracker.acked(*tag));
        tracker
    }

    #[test]
    fn what_is_contiguous_goes_at_once() {
        let mut tracker = tracker(4, &[2, 1, 3]);
        assert_eq!(tracker.take_acks(), Acks { up_to: Some(3), single: vec![] });
        assert_eq!(tracker.open(), 1);
        assert_eq!(tracker.take_acks(), Acks::default());
    }

    #[test]
    fn what_is_above_an_open_one_goes_singly_and_once() {
        let mut tracker = tracker(5, &[1, 3, 5]);
        assert_eq!(tracker.take_acks(), Acks { up_to: Some(1), single: vec![3, 5] });
        tracker.acked(2);
        assert_eq!(tracker.take_acks(), Acks { up_to: Some(2), single: vec![] });
        tracker.acked(4);
        assert_eq!(tracker.take_acks(), Acks { up_to: Some(4), single: vec![] });
        assert_eq!(tracker.open(), 0);
    }

    #[test]
    fn the_last_open_one_is_found_among_those_that_are_settled() {
        assert_eq!(tracker(0, &[]).last_open(), None);
        let mut tracker = tracker(5, &[1, 5]);
        assert_eq!(tracker.last_open(), Some(4));
        tracker.told(4);
        assert_eq!(tracker.last_open(), Some(3));
        [2, 3].into_iter().for_each(|tag| tracker.acked(tag));
        tracker.take_acks();
        assert_eq!(tracker.last_open(), None);
    }

    #[test]
    fn the_tag_of_a_multiple_ack_is_one_that_the_broker_still_knows() {
        let mut tracker = tracker(3, &[1]);
        tracker.told(2);
        assert_eq!(tracker.take_acks(), Acks { up_to: Some(1), single: vec![] });
        tracker.acked(3);
        assert_eq!(tracker.take_acks(), Acks { up_to: Some(3), single: vec![] });
    }
}
