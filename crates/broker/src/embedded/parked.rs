//! What people have asked of parked messages: one request at a time, in chunks between all else that the file is used
//! for.

use std::{collections::VecDeque, sync::Arc};

use tokio::sync::oneshot;

use super::{
    operation::Operation,
    store::{Action, CHUNK, Limit, Moved, Next, Selected},
};
use crate::{
    BrokerError, Parked, ParkedSelection,
    parked::{LISTED_BYTES, Way},
};

/// What somebody waits for. A dropped answer means that the broker was closed.
pub(super) enum Request {
    List { limit: usize, answer: Answer<Vec<Parked>> },
    Move { way: Way, selection: ParkedSelection, answer: Answer<u64> },
}

pub(super) type Answer<T> = oneshot::Sender<Result<T, BrokerError>>;

/// A request that waits or is being worked on.
enum Work {
    List { limit: usize, answer: Answer<Vec<Parked>> },
    Move { way: Way, selected: Arc<Selected>, after: (i64, i64), done: u64, answer: Answer<u64> },
}

/// The requests; the first is the one that is being worked on.
#[derive(Default)]
pub(super) struct Requests(VecDeque<Work>);

impl Requests {
    /// `highest_id`: what is written to the file after the request has a higher one.
    pub(super) fn add(&mut self, request: Request, highest_id: i64) {
        self.0.push_back(match request {
            Request::List { limit, answer } => Work::List { limit, answer },
            Request::Move { way, selection, answer } => {
                let selected = Arc::new(Selected::new(&selection, highest_id));
                Work::Move { way, selected, after: (i64::MIN, 0), done: 0, answer }
            }
        });
    }

    /// Tells everybody that the broker is closed.
    pub(super) fn end(&mut self) {
        self.0.clear();
    }

    /// What to do next. Takes as many ids as it may need: rows are put back with new ones, so that each lane still goes
    /// through the file in the order of ids.
    pub(super) fn next(&self, next_id: &mut i64) -> Option<Operation> {
        match self.0.front()? {
            Work::List { limit, .. } => {
                Some(Operation::ListParked { limit: Limit { rows: *limit, bytes: LISTED_BYTES } })
            }
            Work::Move { way, selected, after, .. } => {
                let action = match way {
                    Way::Out => Action::Drop,
                    Way::BackToTheirLanes => {
                        let first_id = *next_id;
                        *next_id += i64::try_from(CHUNK.rows).unwrap_or(i64::MAX);
                        Action::Requeue { first_id }
                    }
                };
                Some(Operation::MoveParked { action, selected: Arc::clone(selected), after: *after })
            }
        }
    }

    /// A listing has ended.
    pub(super) fn listed(&mut self, listed: Result<Vec<Parked>, String>) {
        if let Some(Work::List { answer, .. }) = self.0.pop_front() {
            // Nobody there: the caller has given up.
            let _ = answer.send(listed.map_err(|reason| BrokerError::Parked { done: 0, reason }));
        }
    }

    /// A chunk has been moved, or not.
    pub(super) fn moved(&mut self, moved: Result<(Vec<Moved>, Next), String>) {
        let Some(Work::Move { done, after, answer, .. }) = self.0.front_mut() else { return };
        let result = match moved {
            Ok((rows, next)) => {
                *done += rows.len() as u64;
                match next {
                    Some(next) if !answer.is_closed() => {
                        *after = next;
                        return;
                    }
                    _ => Ok(*done),
                }
            }
            Err(reason) => Err(BrokerError::Parked { done: *done, reason }),
        };
        if let Some(Work::Move { answer, .. }) = self.0.pop_front() {
            let _ = answer.send(result);
        }
    }
}
