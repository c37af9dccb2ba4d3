//! What a delivery waits for, and which of two such waits stands.

use crate::model::{Delivery, HoldReason, WaitState};

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
    pub(super) const fn new(state: WaitState, due_at: i64, since: i64) -> Self {
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
    pub(super) const fn held(reason: HoldReason, due_at: i64, since: i64) -> Self {
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

/// Of two waits the one that somebody asked for, or else the one for the later attempt. For the same attempt a hold is the
/// later news; a hold on what is just being queued again calls that off, because nobody may be left to send it.
///
/// A hold under a configuration that is not newer than the one it was last queued again under comes from a dispatcher
/// that has not heard of that, or cannot use the webhook as it is (it is older than the subscription service): it would
/// hold it again and again, so [`Wait::not_before`] stays.
pub(super) fn better_wait(old: Wait, new: Wait) -> Wait {
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
