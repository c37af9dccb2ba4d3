//! Replays: every delivery of a webhook that has failed for good in a range of time gets one more attempt, as if somebody
//! had pressed *Retry* on each.
//!
//! A replay is a row that goes through history, oldest first. It keeps a bounded number of attempts asked for and not
//! heard of (`WINDOW`); what it has asked for are its items, so that no delivery is taken twice. Each step of it is one
//! transaction that holds its row: any number of processes may try, and a crash undoes a step or leaves it done whole.
//! What it asks for is held here as requested, and queued by `release.rs` like everything that is held until a time.
//!
//! Here is what a step decides, without a database; `replaying.rs` takes the steps.

use std::collections::{HashMap, HashSet};

use domain::{EventSelector, EventType};
use serde_json::json;
use uuid::Uuid;

use crate::{
    manual,
    merge::StoredAttempt,
    model::Delivery,
    store::{Position, StoreError},
};

/// Attempts that a replay has asked for and that have not ended: cancelling it takes back no more than these, and what
/// was pending by itself is not drowned among them.
pub(crate) const WINDOW: usize = 500;
/// How long a replay waits for its webhook to be activated, as deliveries do.
pub(crate) const PATIENCE_US: i64 = 7 * 24 * 3600 * 1_000_000;

/// Which failed deliveries are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Their instance.
    pub instance: String,
    /// Their webhook.
    pub webhook_id: i64,
    /// Of these projects; `None`: of all.
    pub projects: Option<Vec<i64>>,
    /// Of these event types, wildcards among them; empty: of all.
    pub events: Vec<String>,
    /// Whose last attempt started at this time or later …
    pub from: i64,
    /// … and before this one.
    pub to: i64,
}

impl Selection {
    /// The event types that are meant; `None`: all, whatever there will be.
    pub(crate) fn types(&self) -> Option<Vec<&'static str>> {
        if self.events.is_empty() {
            return None;
        }
        // What an older program does not know selects nothing there.
        let selectors: Vec<EventSelector> = self.events.iter().filter_map(|text| text.parse().ok()).collect();
        if selectors.contains(&EventSelector::All) {
            return None;
        }
        Some(EventSelector::expand(&selectors).into_iter().map(EventType::name).collect())
    }

    /// Types and projects as they are stored.
    pub(crate) fn stored(&self) -> (String, Option<String>) {
        (json!(self.events).to_string(), self.projects.as_ref().map(|projects| json!(projects).to_string()))
    }

    /// Where going through history begins.
    pub(crate) const fn start(&self) -> Position {
        Position { time: self.from, delivery_id: Uuid::nil(), number: 0 }
    }
}

/// What a part of history has of a selection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// How many deliveries.
    pub count: i64,
    /// When the last attempt of the first of them started.
    pub oldest: Option<i64>,
    /// When the last attempt of the last of them started.
    pub newest: Option<i64>,
    /// Where the next part begins; `None`: this was the last.
    pub next: Option<Position>,
}

/// A replay about to be started.
#[derive(Clone, Debug)]
pub struct NewReplay {
    /// Its id.
    pub id: Uuid,
    /// What is meant.
    pub selection: Selection,
    /// How many that are now.
    pub total: i64,
    /// The time now.
    pub created_at: i64,
    /// Who starts it.
    pub created_by: String,
}

/// Where a replay stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayState {
    /// It goes on.
    Running,
    /// Everything that was meant has had its attempt.
    Done,
    /// It asks for nothing more.
    Cancelled,
}

/// A replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// Its id.
    pub id: Uuid,
    /// What is meant.
    pub selection: Selection,
    /// Where it stands.
    pub state: ReplayState,
    /// Why it was cancelled; empty: it was not.
    pub reason: String,
    /// How many deliveries were meant when it started.
    pub total: i64,
    /// How many of them it has given an attempt: delivered, failed, or still pending.
    pub queued: i64,
    /// How many of those attempts were delivered.
    pub delivered: i64,
    /// How many of them failed.
    pub failed: i64,
    /// When it was started.
    pub created_at: i64,
    /// Who started it.
    pub created_by: String,
    /// When it was over, the last attempt included; `None`: it is not.
    pub ended_at: Option<i64>,
}

/// What becomes of a webhook's deliveries now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// They are sent.
    Sends,
    /// They wait.
    Waits,
    /// It was deleted.
    Gone,
}

/// A step of a replay.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Which replay.
    pub id: Uuid,
    /// Its webhook.
    pub stand: Stand,
    /// The time now.
    pub now: i64,
    /// So many attempts may be asked for and not heard of.
    pub window: usize,
}

/// As phases of a replay are stored; see the migrations.
pub(crate) const QUEUEING: i16 = 0;
pub(crate) const AWAITING: i16 = 1;
pub(crate) const TIDYING: i16 = 2;
pub(crate) const OVER: i16 = 3;

/// A replay as it is stored.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct StoredReplay {
    pub(crate) id: Uuid,
    pub(crate) instance: String,
    pub(crate) webhook_id: i64,
    pub(crate) events: String,
    pub(crate) projects: Option<String>,
    pub(crate) from_at: i64,
    pub(crate) to_at: i64,
    pub(crate) phase: i16,
    pub(crate) reason: String,
    pub(crate) total: i64,
    pub(crate) queued: i64,
    pub(crate) delivered: i64,
    pub(crate) failed: i64,
    pub(crate) at_time: i64,
    pub(crate) at_delivery: Uuid,
    pub(crate) at_number: i32,
    pub(crate) created_at: i64,
    pub(crate) created_by: String,
    pub(crate) moved_at: i64,
    pub(crate) ended_at: i64,
}

/// An entry that a replay comes by.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct Passed {
    #[sqlx(flatten)]
    pub(crate) delivery: Delivery,
    pub(crate) number: i32,
    pub(crate) started_at: i64,
    /// Whether it is the end of a delivery that is meant, as far as a look without a lock can tell.
    pub(crate) meant: bool,
}

/// What became of an attempt that was asked for.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub(crate) struct Outcome {
    pub(crate) delivery_id: Uuid,
    /// [`PENDING`], [`FAILED`](crate::merge::FAILED), [`DELIVERED`](crate::merge::DELIVERED) or [`NOTHING`].
    pub(crate) outcome: i32,
}

pub(crate) const PENDING: i32 = 0;
/// Nothing is recorded and nothing waited for: it was taken back.
pub(crate) const NOTHING: i32 = 3;

impl StoredReplay {
    /// Whether it asks for nothing more.
    pub(crate) const fn is_cancelled(&self) -> bool {
        !self.reason.is_empty()
    }

    /// What is meant.
    ///
    /// # Errors
    /// What is stored was not written here.
    pub(crate) fn selection(&self) -> Result<Selection, serde_json::Error> {
        Ok(Selection {
            instance: self.instance.clone(),
            webhook_id: self.webhook_id,
            projects: self.projects.as_deref().map(serde_json::from_str).transpose()?,
            events: serde_json::from_str(&self.events)?,
            from: self.from_at,
            to: self.to_at,
        })
    }

    /// Counts what has ended; answers the deliveries whose attempts are awaited no more, and how many still are.
    pub(crate) fn settle(&mut self, outcomes: &[Outcome]) -> (Vec<Uuid>, usize) {
        let count = |wanted: i16| outcomes.iter().filter(|item| item.outcome == i32::from(wanted)).count() as i64;
        self.delivered += count(crate::merge::DELIVERED);
        self.failed += count(crate::merge::FAILED);
        self.queued -= outcomes.iter().filter(|item| item.outcome == NOTHING).count() as i64;
        let over: Vec<Uuid> =
            outcomes.iter().filter(|item| item.outcome != PENDING).map(|item| item.delivery_id).collect();
        let open = outcomes.len() - over.len();
        (over, open)
    }

    /// Cancels it where its webhook says so.
    pub(crate) fn heed(&mut self, step: &Step, open: usize) {
        if self.is_cancelled() || self.phase != QUEUEING && step.stand != Stand::Gone {
            return;
        }
        let forgotten = open == 0 && step.now.saturating_sub(self.moved_at) > PATIENCE_US;
        match step.stand {
            Stand::Gone => "webhook deleted".clone_into(&mut self.reason),
            Stand::Waits if forgotten => "expired while inactive".clone_into(&mut self.reason),
            Stand::Sends | Stand::Waits => {}
        }
    }

    /// How many attempts it may ask for now. Not a few at a time: each look at history costs something.
    pub(crate) fn room(&self, step: &Step, open: usize) -> usize {
        let room = step.window.saturating_sub(open);
        let goes_on = self.phase == QUEUEING && !self.is_cancelled() && step.stand == Stand::Sends;
        if goes_on && room * 2 >= step.window { room } else { 0 }
    }

    /// Moves on over entries, of which at most `looked_for` were asked for; answers those that may be meant.
    pub(crate) fn pass(&mut self, passed: Vec<Passed>, room: usize, looked_for: usize) -> Vec<Passed> {
        let mut is_last = passed.len() < looked_for;
        let mut meant = Vec::new();
        for entry in passed {
            if meant.len() == room {
                is_last = false;
                break;
            }
            (self.at_time, self.at_delivery, self.at_number) = (entry.started_at, entry.delivery.id, entry.number);
            if entry.meant {
                meant.push(entry);
            }
        }
        if is_last {
            self.phase = AWAITING;
        }
        meant
    }

    /// Of deliveries that may be meant, and are locked, those that get an attempt, with its number. `waiting` are those
    /// that wait for one already.
    pub(crate) fn choose<'a>(
        &self,
        meant: &'a [Passed],
        attempts: &[StoredAttempt],
        waiting: &HashSet<Uuid>,
    ) -> Vec<(&'a Delivery, i32)> {
        let mut known: HashMap<Uuid, Vec<StoredAttempt>> = HashMap::new();
        for attempt in attempts {
            known.entry(attempt.delivery_id).or_default().push(attempt.clone());
        }
        let next = |entry: &Passed| {
            let id = entry.delivery.id;
            let attempts = known.get(&id).map_or(&[][..], Vec::as_slice);
            let next = manual::next(attempts, waiting.contains(&id), self.created_at).ok()?;
            (next == entry.number + 1).then_some(next)
        };
        meant.iter().filter_map(|entry| next(entry).map(|number| (&entry.delivery, number))).collect()
    }

    /// So many attempts were asked for.
    pub(crate) fn asked_for(&mut self, count: usize, now: i64) {
        if count > 0 {
            self.queued += count as i64;
            // What was recorded late was not counted at the start.
            self.total = self.total.max(self.queued);
            self.moved_at = now;
        }
    }

    /// Ends it if nothing is left to wait for; answers whether it is worth another step at once.
    pub(crate) fn close(&mut self, step: &Step, open: usize, queued: bool) -> bool {
        if (self.phase == AWAITING || self.is_cancelled()) && open == 0 {
            (self.phase, self.ended_at) = (TIDYING, step.now);
            return true;
        }
        self.phase == QUEUEING && queued && self.room(step, open) > 0
    }

    /// As its users see it.
    pub(crate) fn shown(self) -> Result<Replay, StoreError> {
        let selection = self.selection().map_err(|error| StoreError::Refused {
            address: "table replays".to_owned(),
            reason: format!("replay {} cannot be read: {error}", self.id),
        })?;
        let state = if self.is_cancelled() {
            ReplayState::Cancelled
        } else if self.phase >= TIDYING {
            ReplayState::Done
        } else {
            ReplayState::Running
        };
        Ok(Replay {
            id: self.id,
            selection,
            state,
            reason: self.reason,
            total: self.total,
            queued: self.queued,
            delivered: self.delivered,
            failed: self.failed,
            created_at: self.created_at,
            created_by: self.created_by,
            ended_at: Some(self.ended_at).filter(|at| *at != 0),
        })
    }
}

impl Replay {
    /// How many attempts are waited for.
    #[must_use]
    pub const fn pending(&self) -> i64 {
        self.queued - self.delivered - self.failed
    }
}

#[cfg(test)]
mod tests;
