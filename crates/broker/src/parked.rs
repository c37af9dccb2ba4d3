//! What people see of the parked queue, and how they say which of its messages they mean.

use std::{collections::BTreeSet, fmt};

use bytes::Bytes;

use crate::Lane;

/// Bytes of bodies after which a listing ends, whatever its limit, so that memory stays bounded.
#[cfg(any(feature = "embedded", feature = "rabbitmq"))]
pub(crate) const LISTED_BYTES: usize = 64 << 20;

/// Which way selected messages leave the parked queue.
#[cfg(any(feature = "embedded", feature = "rabbitmq"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    BackToTheirLanes,
    Out,
}

/// A message that could not be worked on, as it lies in the parked queue.
#[derive(Clone, PartialEq, Eq)]
pub struct Parked {
    /// Identifies it for [`ParkedSelection::Ids`]: the id that its publisher gave it, or one that was derived, for a
    /// message without. Two copies of one message have the same.
    pub id: String,
    /// The lane that it came from, and goes back to. `None`: somebody put it straight into the parked queue, so that it
    /// can only be dropped.
    pub lane: Option<Lane>,
    /// Why it is here, for people; one line unless whoever parked it wrote more.
    pub reason: String,
    /// When it was parked, in Unix microseconds, if that is known.
    pub parked_at: Option<i64>,
    /// Size of the body.
    pub bytes: u64,
    /// How often consumers had given it back, if that is known.
    pub redeliveries: Option<u32>,
    /// The encoded message.
    pub body: Bytes,
}

impl fmt::Debug for Parked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Parked")
            .field("id", &self.id)
            .field("lane", &self.lane)
            .field("reason", &self.reason)
            .field("parked_at", &self.parked_at)
            .field("bytes", &self.bytes)
            .field("redeliveries", &self.redeliveries)
            .finish_non_exhaustive()
    }
}

/// Which parked messages are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParkedSelection {
    /// All that were there when the call began.
    All {
        /// Only those that came from this lane.
        lane: Option<Lane>,
    },
    /// Those with these ids ([`Parked::id`]). Without ids that is none.
    Ids {
        /// Ids that no parked message has are passed over.
        ids: BTreeSet<String>,
        /// Only those that came from this lane.
        lane: Option<Lane>,
    },
}

impl ParkedSelection {
    /// The lane that it is restricted to.
    #[must_use]
    pub const fn lane(&self) -> Option<Lane> {
        match self {
            Self::All { lane } | Self::Ids { lane, .. } => *lane,
        }
    }

    /// Whether a message with this id, from this lane, is meant.
    #[must_use]
    pub fn includes(&self, id: &str, lane: Option<Lane>) -> bool {
        let in_lane = self.lane().is_none() || self.lane() == lane;
        in_lane
            && match self {
                Self::All { .. } => true,
                Self::Ids { ids, .. } => ids.contains(id),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_without_ids_means_nothing_and_a_lane_restricts() {
        let ids =
            |ids: &[&str], lane| ParkedSelection::Ids { ids: ids.iter().map(|id| (*id).to_owned()).collect(), lane };
        let events = Some(Lane::Events);
        for (selection, expected) in [
            (ParkedSelection::All { lane: None }, [true, true, true]),
            (ParkedSelection::All { lane: events }, [true, false, false]),
            (ids(&[], None), [false, false, false]),
            (ids(&["a", "b"], None), [true, true, false]),
            (ids(&["a", "b"], events), [true, false, false]),
        ] {
            let included = [("a", events), ("b", Some(Lane::History)), ("c", None)];
            assert_eq!(included.map(|(id, lane)| selection.includes(id, lane)), expected, "{selection:?}");
        }
    }

    #[test]
    fn what_is_shown_for_debugging_has_no_body() {
        let parked = Parked {
            id: "a".to_owned(),
            lane: Some(Lane::Events),
            reason: "broken".to_owned(),
            parked_at: None,
            bytes: 6,
            redeliveries: None,
            body: Bytes::from_static(b"secret"),
        };
        assert!(!format!("{parked:?}").contains("secret"));
    }
}
