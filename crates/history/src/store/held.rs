//! Which held deliveries are taken to be queued again, and the parts of statements that both stores have in common for it.

use bytes::Bytes;

use crate::model::Delivery;

/// A delivery that is being queued again, with what its message needs.
#[derive(Clone, Debug)]
pub struct Released {
    /// The delivery.
    pub delivery: Delivery,
    /// The attempt to be made.
    pub number: i32,
    /// How often it has been queued again, this time included.
    pub generation: i32,
    /// Whether somebody asked for the attempt.
    pub manual: bool,
    /// Until when nobody else queues it again.
    pub leased_until: i64,
    /// Its body; `None`: it is not stored (yet).
    pub body: Option<Bytes>,
}

/// Which held deliveries of some webhooks to take.
#[derive(Clone, Copy, Debug)]
pub struct TakeHeld {
    /// Which of theirs.
    pub held: Held,
    /// Whether also those that wait until a time which has not come.
    pub early: bool,
    /// Of those that wait for news only what was held under this configuration version or an earlier one …
    pub config_version: i64,
    /// … or before this time: a version that is still unknown then is one that was lost, with a database that was
    /// restored from a backup.
    pub held_before: i64,
    /// The time now.
    pub now: i64,
    /// Until when nobody else takes them.
    pub leased_until: i64,
    /// How many of each webhook at most; those that wait longest first. Unless they wait for news, what was queued again
    /// before, and of which nothing was heard since, counts towards it.
    pub limit: i64,
}

impl TakeHeld {
    /// Until when a time must have come.
    pub(super) const fn due_by(&self) -> i64 {
        if self.early { i64::MAX } else { self.now }
    }
}

/// What held deliveries wait for. Each kind has an index of its own, so that none is searched for among the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// News of their webhook.
    ForNews,
    /// Their turn with a slow endpoint.
    Busy,
    /// Their turn with an endpoint that keeps failing.
    Failing,
    /// A time, for another reason.
    UntilTime,
}

/// Makes a statement, by a macro that takes the condition of an index, for what is held for a reason.
macro_rules! by_kind {
    ($held:expr, $statement:ident) => {
        match $held {
            crate::store::Held::ForNews => $statement!("state = 2 AND hold_reason < 3"),
            crate::store::Held::Busy => $statement!("state = 2 AND hold_reason = 3"),
            crate::store::Held::Failing => $statement!("state = 2 AND hold_reason = 7"),
            crate::store::Held::UntilTime => $statement!("state = 2 AND hold_reason > 3 AND hold_reason <> 7"),
        }
    };
}
pub(super) use by_kind;

/// The statement that finds the webhooks with something held that is due by `$1`. It goes from one webhook to the next in
/// the index, however many rows each has, and in such words that PostgreSQL does so whatever it takes the table for.
macro_rules! held_webhooks {
    ($condition:literal) => {
        concat!(
            "WITH RECURSIVE w (id) AS (SELECT (SELECT webhook_id FROM pending WHERE ",
            $condition,
            " ORDER BY webhook_id LIMIT 1) UNION ALL SELECT (SELECT webhook_id FROM pending WHERE ",
            $condition,
            " AND webhook_id > w.id ORDER BY webhook_id LIMIT 1) FROM w WHERE w.id IS NOT NULL) \
             SELECT id FROM w WHERE id IS NOT NULL AND (SELECT 1 FROM pending WHERE ",
            $condition,
            " AND webhook_id = w.id AND due_at <= $1 LIMIT 1) = 1"
        )
    };
}
pub(super) use held_webhooks;

/// Which held test payloads to take, whatever they are held for.
#[derive(Clone, Copy, Debug)]
pub struct TakeTests {
    /// The configuration version that is known.
    pub config_version: i64,
    /// The time now.
    pub now: i64,
    /// Until when nobody else takes them.
    pub leased_until: i64,
    /// How many at most; those that wait longest first.
    pub limit: i64,
}
