//! What records change, worked out without a database, so that both stores come to the same.
//!
//! Records come in any order and more than once. So nothing here depends on order: of several accounts of one attempt
//! the best wins ([`Rank`]), an end stays an end, and of several waits the one for the latest attempt wins, unless that
//! attempt is there already. A wait for an attempt that somebody asked for ([`Wait::manual`]) is there in spite of an end;
//! no record brings one, so that what records do to it commutes as well. What attempts change in the counts for statistics
//! follows from what becomes of their rows.
//!
//! A record may come again after what it brought was cleared and removed. So an attempt that is hidden is not written. One
//! that was still waited for when its instance's history was cleared is no part of what was cleared: it stands at the time
//! of the clear. (Of two such attempts of one delivery that come in the wrong order, the first stays hidden.)

mod wait;

use std::{
    borrow::Cow,
    cmp::Reverse,
    collections::{BTreeMap, btree_map::Entry},
};

use bytes::Bytes;
use uuid::Uuid;

use crate::{
    counts::{CountKey, Counted, Tally},
    model::{Attempt, Delivery, EventKey, Record, WaitState, What},
    opening::TRACE,
    store::{DAY, Mark, Marks},
    stored,
};

pub(crate) use wait::Wait;
use wait::better_wait;

/// Which of two accounts of the same attempt stands: the greater one. An attempt that was made says more than an end
/// without one, a success more than a failure, and of equals the first stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    made: bool,
    delivered: bool,
    started_at: Reverse<i64>,
    duration_us: Reverse<i64>,
}

/// A stored attempt, as far as merging needs it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct StoredAttempt {
    pub(crate) delivery_id: Uuid,
    pub(crate) number: i32,
    pub(crate) status: i16,
    pub(crate) made: bool,
    #[sqlx(rename = "final")]
    pub(crate) is_final: bool,
    pub(crate) started_at: i64,
    pub(crate) duration_us: i64,
}

/// A stored wait. With number 0 it is a row that is only there to be locked.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct StoredWait {
    pub(crate) delivery_id: Uuid,
    #[sqlx(flatten)]
    pub(crate) wait: Wait,
}

/// As statuses of attempts are stored.
pub(crate) const FAILED: i16 = 1;
pub(crate) const DELIVERED: i16 = 2;

/// An attempt to be written.
#[derive(Debug)]
pub(crate) struct NewAttempt<'a> {
    pub(crate) delivery: &'a Delivery,
    pub(crate) number: i32,
    pub(crate) made: bool,
    pub(crate) is_final: bool,
    /// When it started, as lists have it.
    pub(crate) started_at: i64,
    pub(crate) content: Cow<'a, Attempt>,
}

impl NewAttempt<'_> {
    pub(crate) fn status(&self) -> i16 {
        if self.content.delivered { DELIVERED } else { FAILED }
    }

    fn count(&self) -> Moment {
        let Attempt { delivered, duration_us, .. } = *self.content;
        Moment { at: self.started_at, what: Counted::entry(self.made, delivered, duration_us) }
    }
}

/// A body to be written, unless there is one.
#[derive(Clone, Debug)]
pub(crate) struct NewBody<'a> {
    pub(crate) event: EventKey,
    pub(crate) format: &'a str,
    /// When the event was matched.
    pub(crate) at: i64,
    pub(crate) content: &'a Bytes,
}

/// A body that is needed for longer than it would be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LastingBody<'a> {
    pub(crate) event: EventKey,
    pub(crate) format: &'a str,
    /// When the event was matched: the body is kept as of then or later.
    pub(crate) matched_at: i64,
    /// When the attempt began that needs it.
    pub(crate) at: i64,
}

/// What is to be written, each list ascending by delivery.
#[derive(Debug, Default)]
pub(crate) struct Plan<'a> {
    /// Attempts to be removed, because a better account of them is among those to be inserted; each with when it started.
    pub(crate) replaced: Vec<(Uuid, i32, i64)>,
    pub(crate) attempts: Vec<NewAttempt<'a>>,
    /// Attempts that are there and turn out to be their delivery's end; each with when it started.
    pub(crate) ended: Vec<(Uuid, i32, i64)>,
    pub(crate) waits: Vec<(&'a Delivery, Wait)>,
    pub(crate) waits_over: Vec<Uuid>,
    pub(crate) bodies: Vec<NewBody<'a>>,
    /// To be kept after the bodies above are there.
    pub(crate) lasting: Vec<LastingBody<'a>>,
    /// What the attempts change in the counts.
    pub(crate) counts: Tally<'a>,
}

/// What `records` change about deliveries of which this is stored, where so much of history is hidden.
pub(crate) fn plan<'a>(
    records: &'a [Record],
    attempts: &[StoredAttempt],
    waits: &[StoredWait],
    marks: &Marks,
) -> Plan<'a> {
    let mut deliveries: BTreeMap<Uuid, State<'a>> = BTreeMap::new();
    for record in records {
        let new = || State::new(&record.delivery, marks.of(&record.delivery.instance));
        deliveries.entry(record.delivery.id).or_insert_with(new);
    }
    for attempt in attempts {
        if let Some(state) = deliveries.get_mut(&attempt.delivery_id) {
            state.attempts.insert(attempt.number, Slot::stored(attempt));
        }
    }
    for stored in waits {
        if let Some(state) = deliveries.get_mut(&stored.delivery_id) {
            state.row = true;
            state.before = (stored.wait.number > 0).then_some(stored.wait);
            state.wait = state.before;
        }
    }
    let mut bodies: BTreeMap<(EventKey, &str), (i64, &Bytes)> = BTreeMap::new();
    for record in records {
        if let Some(state) = deliveries.get_mut(&record.delivery.id) {
            state.apply(record);
        }
        if !record.body.is_empty() {
            let Delivery { format, matched_at, .. } = &record.delivery;
            bodies.entry((record.delivery.event(), format)).or_insert((*matched_at, &record.body));
        }
        if !record.delivery.trace.is_empty() && record.what.may_go_on() {
            let Delivery { trace, matched_at, .. } = &record.delivery;
            bodies.entry((record.delivery.event(), TRACE)).or_insert((*matched_at, trace));
        }
    }
    let mut plan = Plan::default();
    for (id, state) in deliveries {
        state.finish(id, &mut plan);
    }
    let body = |((event, format), (at, content))| NewBody { event, format, at, content };
    plan.bodies = bodies.into_iter().map(body).collect();
    plan
}

/// An attempt's account that stands, and what is stored of it.
struct Slot<'a> {
    rank: Rank,
    is_final: bool,
    /// `None`: the stored one stands.
    winner: Option<&'a Record>,
    /// `None`: nothing is stored.
    stored: Option<Stored>,
}

/// What is stored of an attempt.
#[derive(Clone, Copy)]
struct Stored {
    is_final: bool,
    counted: Moment,
}

/// As what an attempt is counted, and when.
#[derive(Clone, Copy)]
struct Moment {
    at: i64,
    what: Counted,
}

impl Slot<'_> {
    fn stored(attempt: &StoredAttempt) -> Self {
        let rank = Rank {
            made: attempt.made,
            delivered: attempt.status == DELIVERED,
            started_at: Reverse(attempt.started_at),
            duration_us: Reverse(attempt.duration_us),
        };
        let what = Counted::entry(attempt.made, rank.delivered, attempt.duration_us);
        let counted = Moment { at: attempt.started_at, what };
        let stored = Stored { is_final: attempt.is_final, counted };
        Self { rank, is_final: attempt.is_final, winner: None, stored: Some(stored) }
    }
}

/// A delivery while records are applied to it.
struct State<'a> {
    delivery: &'a Delivery,
    mark: Mark,
    attempts: BTreeMap<i32, Slot<'a>>,
    wait: Option<Wait>,
    before: Option<Wait>,
    row: bool,
}

impl<'a> State<'a> {
    const fn new(delivery: &'a Delivery, mark: Mark) -> Self {
        Self { delivery, mark, attempts: BTreeMap::new(), wait: None, before: None, row: false }
    }

    fn apply(&mut self, record: &'a Record) {
        let unmade = |started_at: i64| Rank {
            made: false,
            delivered: false,
            started_at: Reverse(started_at),
            duration_us: Reverse(0),
        };
        match &record.what {
            What::Attempt(attempt) => {
                let rank = Rank {
                    made: true,
                    delivered: attempt.delivered,
                    started_at: Reverse(attempt.started_at),
                    duration_us: Reverse(attempt.duration_us),
                };
                let is_final = attempt.delivered || attempt.next_due_at == 0;
                self.attempt(record, rank, is_final);
                if !is_final {
                    let ended_at = attempt.started_at.saturating_add(attempt.duration_us);
                    let next = match attempt.next_held {
                        Some(reason) => Wait::held(reason, attempt.next_due_at, ended_at),
                        None => Wait::new(WaitState::Message, attempt.next_due_at, ended_at),
                    };
                    // The message of a next attempt is there, whatever is known of it here.
                    if attempt.next_held.is_some() || !self.may_be_removed(attempt.started_at) {
                        self.wait_for(Wait { number: record.number.saturating_add(1), ..next });
                    }
                }
            }
            What::Hold { reason, due_at, config_version } => {
                let held = Wait::held(*reason, *due_at, record.delivery.matched_at);
                self.wait_for(Wait { number: record.number, config_version: *config_version, ..held });
            }
            What::Cancel { at, .. } => self.attempt(record, unmade(*at), true),
        }
    }

    /// Whether an attempt that started then may have been recorded, and removed with all that came after it.
    fn may_be_removed(&self, started_at: i64) -> bool {
        let is_known = self.before.is_some() || self.attempts.values().any(|slot| slot.stored.is_some());
        started_at < self.mark.hidden_before && !is_known
    }

    /// When an attempt that started then counts as started: not before the clear that it was waited for through.
    fn stands_at(&self, number: i32, started_at: i64) -> i64 {
        let cleared_at = self.mark.cleared_at;
        let waited_for = self.before.is_some_and(|wait| wait.number <= number);
        let stands = |slot: &Slot<'_>| slot.stored.is_some_and(|stored| stored.counted.at == cleared_at);
        if started_at < cleared_at && (waited_for || self.attempts.get(&number).is_some_and(stands)) {
            cleared_at
        } else {
            started_at
        }
    }

    fn attempt(&mut self, record: &'a Record, mut rank: Rank, is_final: bool) {
        rank.started_at = Reverse(self.stands_at(record.number, rank.started_at.0));
        match self.attempts.entry(record.number) {
            Entry::Vacant(free) => {
                free.insert(Slot { rank, is_final, winner: Some(record), stored: None });
            }
            Entry::Occupied(mut slot) => {
                let slot = slot.get_mut();
                slot.is_final |= is_final;
                if rank > slot.rank {
                    slot.rank = rank;
                    slot.winner = Some(record);
                }
            }
        }
    }

    fn wait_for(&mut self, new: Wait) {
        self.wait = Some(match self.wait {
            Some(old) => better_wait(old, new),
            None => new,
        });
    }

    fn finish(self, id: Uuid, plan: &mut Plan<'a>) {
        let ended = self.attempts.values().any(|slot| slot.is_final);
        let delivered = self.attempts.values().any(|slot| slot.rank.delivered);
        let last = self.attempts.last_key_value().map_or(0, |(number, _)| *number);
        let goes_on = |wait: &Wait| if wait.manual { !delivered } else { !ended };
        let wait = self.wait.filter(|wait| goes_on(wait) && wait.number > last);
        match wait {
            Some(wait) if self.before != Some(wait) => plan.waits.push((self.delivery, wait)),
            None if self.row => plan.waits_over.push(id),
            _ => {}
        }
        let Delivery { instance, webhook_id, is_test, .. } = self.delivery;
        let key = |Moment { at, what }| (!is_test).then(|| CountKey::new(instance, *webhook_id, at, what));
        for (number, slot) in self.attempts {
            match (slot.winner, slot.stored) {
                // It was there and is removed, or nobody would see it.
                (Some(_), None) if slot.rank.started_at.0 < self.mark.hidden_before => {}
                (Some(record), stored) => {
                    if let Some(stored) = stored {
                        plan.replaced.push((id, number, stored.counted.at));
                        key(stored.counted).into_iter().for_each(|key| plan.counts.take_back(key));
                    }
                    let attempt = new_attempt(record, &slot);
                    key(attempt.count()).into_iter().for_each(|key| plan.counts.add(key));
                    plan.lasting.extend(lasting_bodies(&attempt, self.mark));
                    plan.attempts.push(attempt);
                }
                (None, Some(stored)) if slot.is_final && !stored.is_final => {
                    plan.ended.push((id, number, stored.counted.at));
                }
                (None, _) => {}
            }
        }
    }
}

/// What is kept of the event of an attempt, if that is seen for longer than the event's bodies would be kept: they are kept
/// for as long as an attempt of a day later.
fn lasting_bodies<'a>(attempt: &NewAttempt<'a>, mark: Mark) -> Vec<LastingBody<'a>> {
    let Delivery { matched_at, format, .. } = attempt.delivery;
    let at = attempt.started_at;
    let outlives = at.saturating_sub(*matched_at) >= DAY || *matched_at < mark.cleared_at && at >= mark.cleared_at;
    if !attempt.made || !outlives {
        return Vec::new();
    }
    let event = attempt.delivery.event();
    let lasting = |format| LastingBody { event: event.clone(), format, matched_at: *matched_at, at };
    [format, TRACE].map(lasting).into()
}

fn new_attempt<'a>(record: &'a Record, slot: &Slot<'_>) -> NewAttempt<'a> {
    let content = match &record.what {
        What::Attempt(attempt) => Cow::Borrowed(attempt.as_ref()),
        What::Cancel { at, error_class, error } => Cow::Owned(Attempt {
            started_at: *at,
            error_class: error_class.clone(),
            error: error.clone(),
            request_headers: stored::unmade(&record.delivery.trace),
            ..Attempt::default()
        }),
        What::Hold { .. } => Cow::Owned(Attempt::default()),
    };
    NewAttempt {
        delivery: &record.delivery,
        number: record.number,
        made: slot.rank.made,
        is_final: slot.is_final,
        started_at: slot.rank.started_at.0,
        content,
    }
}

#[cfg(test)]
mod tests;
