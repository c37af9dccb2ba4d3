//! What the engine does with the queue file: one at a time, each owning the store while it runs.

use std::sync::Arc;

use super::{
    commands::Waiter,
    store::{Action, Batch, Limit, Moved, Next, Selected, Store, StoredMessage},
};
use crate::{Lane, Parked};

/// One use of the file.
pub(super) enum Operation {
    Write { batch: Batch, waiters: Vec<Waiter> },
    Probe { now: i64 },
    LoadDirect { lane: Lane, after: i64, limit: Limit },
    LoadDue { lane: Lane, now: i64, after: (i64, i64), limit: Limit },
    ListParked { limit: Limit },
    MoveParked { action: Action, selected: Arc<Selected>, after: (i64, i64) },
}

/// How it ended.
pub(super) enum Outcome {
    Written { batch: Batch, waiters: Vec<Waiter>, result: Result<(), sqlx::Error> },
    Probed(Result<(), sqlx::Error>),
    LoadedDirect { lane: Lane, result: Result<(Vec<StoredMessage>, bool), sqlx::Error> },
    LoadedDue { lane: Lane, result: Result<(Vec<StoredMessage>, Option<i64>), sqlx::Error> },
    ListedParked(Result<Vec<Parked>, sqlx::Error>),
    MovedParked { action: Action, result: Result<(Vec<Moved>, Next), sqlx::Error> },
}

impl Operation {
    /// Runs it and gives the store back.
    pub(super) async fn run(self, mut store: Store) -> (Store, Outcome) {
        let outcome = match self {
            Self::Write { batch, waiters } => {
                let result = store.write(&batch).await;
                Outcome::Written { batch, waiters, result }
            }
            Self::Probe { now } => Outcome::Probed(store.probe(now).await),
            Self::LoadDirect { lane, after, limit } => {
                Outcome::LoadedDirect { lane, result: store.load_direct(lane, after, limit).await }
            }
            Self::LoadDue { lane, now, after, limit } => {
                Outcome::LoadedDue { lane, result: load_due(&mut store, lane, now, after, limit).await }
            }
            Self::ListParked { limit } => Outcome::ListedParked(store.list_parked(limit).await),
            Self::MoveParked { action, selected, after } => {
                let result = store.move_parked(action, &selected, after).await;
                Outcome::MovedParked { action, result }
            }
        };
        (store, outcome)
    }
}

/// Reads what is due, and when to read again.
async fn load_due(
    store: &mut Store,
    lane: Lane,
    now: i64,
    after: (i64, i64),
    limit: Limit,
) -> Result<(Vec<StoredMessage>, Option<i64>), sqlx::Error> {
    let (messages, all) = store.load_due(lane, now, after, limit).await?;
    let next = match messages.last() {
        Some(last) if !all => Some(last.due_at),
        _ => store.next_due(lane, now).await?,
    };
    Ok((messages, next))
}
