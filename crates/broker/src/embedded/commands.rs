//! What goes between the handles and the engine.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::{mpsc, oneshot};

use super::parked::Request;
use crate::{Incoming, Lane, Outgoing, PublishError, Settlement};

/// Unix microseconds.
pub(super) type Now = Arc<dyn Fn() -> i64 + Send + Sync>;
pub(super) type Answer = Vec<Result<(), PublishError>>;

/// Messages to publish and who waits for them.
pub(super) struct Publish {
    pub(super) messages: Vec<Outgoing>,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// Everything but publishing.
pub(super) enum Control {
    Consume { lane: Lane, prefetch: usize, sender: mpsc::Sender<Incoming> },
    Settle { id: i64, settlement: Settlement },
    Parked(Request),
    Close(oneshot::Sender<()>),
}

/// What others may see of the engine.
#[derive(Debug, Default)]
pub(super) struct Shared {
    depths: [AtomicU64; Lane::ALL.len()],
    parked: AtomicU64,
    problem: Mutex<Option<String>>,
}

impl Shared {
    pub(super) fn depth(&self, lane: Lane) -> u64 {
        self.depths.get(index(lane)).map_or(0, |depth| depth.load(Ordering::Relaxed))
    }

    pub(super) fn set_depth(&self, lane: usize, depth: u64) {
        if let Some(slot) = self.depths.get(lane) {
            slot.store(depth, Ordering::Relaxed);
        }
    }

    pub(super) fn parked(&self) -> u64 {
        self.parked.load(Ordering::Relaxed)
    }

    pub(super) fn set_parked(&self, parked: u64) {
        self.parked.store(parked, Ordering::Relaxed);
    }

    pub(super) fn problem(&self) -> Option<String> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns whether it changed from well to unwell or back.
    pub(super) fn set_problem(&self, problem: Option<String>) -> bool {
        let mut current = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = current.is_some() != problem.is_some();
        *current = problem;
        changed
    }
}

/// Position of a lane in arrays.
pub(super) const fn index(lane: Lane) -> usize {
    match lane {
        Lane::Events => 0,
        Lane::DeliverFast => 1,
        Lane::DeliverSlow => 2,
        Lane::History => 3,
    }
}

/// A publisher whose messages are in a batch.
pub(super) struct Waiter {
    pub(super) answer: oneshot::Sender<Answer>,
    pub(super) results: Answer,
}

/// Tells publishers; with a failure, each message that was in the batch has failed.
pub(super) fn answer(waiters: Vec<Waiter>, failure: Option<&String>) {
    for waiter in waiters {
        let mut results = waiter.results;
        if let Some(reason) = failure {
            for result in results.iter_mut().filter(|result| result.is_ok()) {
                *result = Err(PublishError::Unavailable { reason: reason.clone() });
            }
        }
        // Nobody there: the publisher has given up.
        let _ = waiter.answer.send(results);
    }
}
