//! What records change, worked out without a database, so that both stores come to the same.
//!
//! Records come in any order and more than once. So nothing here depends on order: of several accounts of one attempt
//! the best wins ([`Rank`]), an end stays an end, and of several waits the one for the latest attempt wins, unless that
//! attempt is there already. A wait for an attempt that somebody asked for ([`Wait::manual`]) is there in spite of an end;
//! no record brings one, so that what records do to it commutes as well. What attempts change in the counts for statistics
//! follows from what becomes of their rows.

use std::{
    borrow::Cow,
    cmp::Reverse,
    collections::{BTreeMap, btree_map::Entry},
};

use bytes::Bytes;
use uuid::Uuid;

use crate::{
    counts::{CountKey, Counted, Tally},
    model::{Attempt, Delivery, EventKey, HoldReason, Record, WaitState, What},
    opening::TRACE,
    stored,
};

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

/// What a delivery waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Wait {
    pub(crate) number: i32,
    pub(crate) state: i16,
    pub(crate) due_at: i64,
    pub(crate) config_version: i64,
    /// Why it is held.
    pub(crate) hold_reason: i16,
    pub(crate) generation: i32,
    pub(crate) leased_until: i64,
    /// While it is held: when it may be queued again at the earliest.
    pub(crate) not_before: i64,
    pub(crate) since: i64,
    /// Whether somebody asked for the attempt: it is made although the delivery has ended, and no other follows it.
    pub(crate) manual: bool,
}

impl Wait {
    /// A wait for the first attempt.
    const fn new(state: WaitState, due_at: i64, since: i64) -> Self {
        Self {
            number: 1,
            state: state.code(),
            due_at,
            config_version: 0,
            hold_reason: 0,
            generation: 0,
            leased_until: 0,
            not_before: 0,
            since,
            manual: false,
        }
    }

    /// A wait for an attempt that somebody asks for now, while it is being queued for the first time.
    pub(crate) const fn manual(number: i32, now: i64, leased_until: i64) -> Self {
        let hold_reason = HoldReason::Requested.code();
        Self { number, hold_reason, generation: 1, leased_until, manual: true, ..Self::new(WaitState::Held, now, now) }
    }

    /// A wait for an attempt that somebody asks for, which is queued when it is its turn.
    pub(crate) const fn requested(number: i32, now: i64) -> Self {
        Self { generation: 0, ..Self::manual(number, now, 0) }
    }

    /// A wait here.
    const fn held(reason: HoldReason, due_at: i64, since: i64) -> Self {
        Self { hold_reason: reason.code(), ..Self::new(WaitState::Held, due_at, since) }
    }

    /// What a delivery waits for when its event is opened.
    pub(crate) const fn first(delivery: &Delivery) -> Self {
        Self::new(WaitState::Event, delivery.matched_at, delivery.matched_at)
    }

    /// What is in a row that is only there to be locked.
    pub(crate) const fn nothing() -> Self {
        Self { number: 0, ..Self::new(WaitState::Event, 0, 0) }
    }
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
    pub(crate) content: Cow<'a, Attempt>,
}

impl NewAttempt<'_> {
    pub(crate) fn status(&self) -> i16 {
        if self.content.delivered { DELIVERED } else { FAILED }
    }

    fn count(&self) -> Moment {
        let Attempt { delivered, duration_us, started_at, .. } = *self.content;
        Moment { at: started_at, what: Counted::entry(self.made, delivered, duration_us) }
    }
}

/// A body to be written, unless there is one.
#[derive(Clone, Debug)]
pub(crate) struct NewBody<'a> {
    pub(crate) event: EventKey,
    pub(crate) format: &'a str,
    pub(crate) content: &'a Bytes,
}

/// What is to be written, each list ascending by delivery.
#[derive(Debug, Default)]
pub(crate) struct Plan<'a> {
    /// Attempts to be removed, because a better account of them is among those to be inserted.
    pub(crate) replaced: Vec<(Uuid, i32)>,
    pub(crate) attempts: Vec<NewAttempt<'a>>,
    /// Attempts that are there and turn out to be their delivery's end.
    pub(crate) ended: Vec<(Uuid, i32)>,
    pub(crate) waits: Vec<(&'a Delivery, Wait)>,
    pub(crate) waits_over: Vec<Uuid>,
    pub(crate) bodies: Vec<NewBody<'a>>,
    /// What the attempts change in the counts.
    pub(crate) counts: Tally<'a>,
}

/// What `records` change about deliveries of which this is stored.
pub(crate) fn plan<'a>(records: &'a [Record], attempts: &[StoredAttempt], waits: &[StoredWait]) -> Plan<'a> {
    let mut deliveries: BTreeMap<Uuid, State<'a>> = BTreeMap::new();
    for record in records {
        deliveries.entry(record.delivery.id).or_insert_with(|| State::new(&record.delivery));
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
    let mut bodies: BTreeMap<(EventKey, &str), &Bytes> = BTreeMap::new();
    for record in records {
        if let Some(state) = deliveries.get_mut(&record.delivery.id) {
            state.apply(record);
        }
        if !record.body.is_empty() {
            bodies.entry((record.delivery.event(), &record.delivery.format)).or_insert(&record.body);
        }
        if !record.delivery.trace.is_empty() && record.what.may_go_on() {
            bodies.entry((record.delivery.event(), TRACE)).or_insert(&record.delivery.trace);
        }
    }
    let mut plan = Plan::default();
    for (id, state) in deliveries {
        state.finish(id, &mut plan);
    }
    plan.bodies = bodies.into_iter().map(|((event, format), content)| NewBody { event, format, content }).collect();
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
    attempts: BTreeMap<i32, Slot<'a>>,
    wait: Option<Wait>,
    before: Option<Wait>,
    row: bool,
}

impl<'a> State<'a> {
    const fn new(delivery: &'a Delivery) -> Self {
        Self { delivery, attempts: BTreeMap::new(), wait: None, before: None, row: false }
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
                    self.wait_for(Wait { number: record.number.saturating_add(1), ..next });
                }
            }
            What::Hold { reason, due_at, config_version } => {
                let held = Wait::held(*reason, *due_at, record.delivery.matched_at);
                self.wait_for(Wait { number: record.number, config_version: *config_version, ..held });
            }
            What::Cancel { at, .. } => self.attempt(record, unmade(*at), true),
        }
    }

    fn attempt(&mut self, record: &'a Record, rank: Rank, is_final: bool) {
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
                (Some(record), stored) => {
                    if let Some(stored) = stored {
                        plan.replaced.push((id, number));
                        key(stored.counted).into_iter().for_each(|key| plan.counts.take_back(key));
                    }
                    let attempt = new_attempt(record, slot.rank.made, slot.is_final);
                    key(attempt.count()).into_iter().for_each(|key| plan.counts.add(key));
                    plan.attempts.push(attempt);
                }
                (None, Some(stored)) if slot.is_final && !stored.is_final => plan.ended.push((id, number)),
                (None, _) => {}
            }
        }
    }
}

/// Of two waits the one that somebody asked for, or else the one for the later attempt. For the same attempt a hold is the
/// later news; a hold on what is just being queued again calls that off, because nobody may be left to send it.
///
/// A hold under a configuration that is not newer than the one it was last queued again under comes from a dispatcher
/// that has not heard of that, or cannot use the webhook as it is (it is older than the subscription service): it would
/// hold it again and again, so [`Wait::not_before`] stays.
fn better_wait(old: Wait, new: Wait) -> Wait {
    const HELD: i16 = WaitState::Held.code();
    if old.number != new.number {
        return if (old.manual, old.number) > (new.manual, new.number) { old } else { new };
    }
    let since = old.since.max(new.since);
    let not_before = if new.config_version <= old.config_version { old.not_before } else { 0 };
    let kept = match (old.state, new.state) {
        (HELD, HELD) => {
            let hold = |wait: &Wait| (wait.config_version, wait.due_at, wait.hold_reason);
            let (config_version, due_at, hold_reason) = hold(&old).max(hold(&new));
            Wait { config_version, due_at, hold_reason, leased_until: 0, not_before, ..old }
        }
        (HELD, _) => old,
        (_, HELD) => {
            let config_version = old.config_version.max(new.config_version);
            Wait { config_version, generation: old.generation, not_before, ..new }
        }
        _ => Wait { state: old.state.max(new.state), due_at: old.due_at.max(new.due_at), ..old },
    };
    Wait { since, manual: old.manual || new.manual, ..kept }
}

fn new_attempt(record: &Record, made: bool, is_final: bool) -> NewAttempt<'_> {
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
    NewAttempt { delivery: &record.delivery, number: record.number, made, is_final, content }
}

#[cfg(test)]
mod tests;
