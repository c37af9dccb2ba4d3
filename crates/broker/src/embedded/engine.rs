//! The one task that owns the queue file: takes publishes and settlements, commits them in groups, hands out.
//!
//! While one operation on the file is under way, everything that arrives is collected for the next one. So a commit
//! (one `fsync`) carries whatever came during the commit before it, and nobody waits for a timer.

mod settling;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures::future::{BoxFuture, OptionFuture};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{
    commands::{Control, Now, Publish, Shared, Waiter, answer, index},
    lane::{LaneState, Lease},
    operation::{Operation, Outcome},
    parked::Requests,
    store::{Action, Batch, Moved, NewMessage, Settled, Store},
};
use crate::{Acker, Lane, PublishError};

/// Bounds of one commit, so that nobody waits long for the one before.
const BATCH_MESSAGES: usize = 4096;
const BATCH_BYTES: usize = 16 << 20;
/// Pause after a failed write.
const RETRY_AFTER: Duration = Duration::from_millis(200);
/// How long closing tries to write what is settled.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);
/// The injected clock may jump, so a due time is looked at this often even if it seems far away.
const CLOCK_LOOK: Duration = Duration::from_millis(25);

/// What is being collected for the next commit.
#[derive(Default)]
struct Collected {
    inserts: Vec<NewMessage>,
    bytes: usize,
    waiters: Vec<Waiter>,
}

/// Whose turn with the file it is, so that none holds up another for longer than once.
#[derive(Clone, Copy)]
enum Turn {
    Reading,
    Writing,
    Parked,
}

/// The task's state.
pub(super) struct Engine {
    pub(super) lanes: [LaneState; Lane::ALL.len()],
    pub(super) next_id: i64,
    pub(super) max_bytes: u64,
    pub(super) now: Now,
    pub(super) acker: Arc<dyn Acker>,
    pub(super) shared: Arc<Shared>,
    leases: HashMap<i64, Lease>,
    /// Sizes of what is settled but not yet written, by id.
    leaving: HashMap<i64, (usize, usize)>,
    settled: Settled,
    collected: Collected,
    parked: Requests,
    next_consumer: u64,
    failing: bool,
    not_before: Instant,
    turn: Turn,
    closing: Option<(Vec<oneshot::Sender<()>>, Instant)>,
}

type Running = BoxFuture<'static, (Store, Outcome)>;

impl Engine {
    pub(super) fn new(
        lanes: [LaneState; Lane::ALL.len()],
        next_id: i64,
        max_bytes: u64,
        now: Now,
        acker: Arc<dyn Acker>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            lanes,
            next_id,
            max_bytes,
            now,
            acker,
            shared,
            leases: HashMap::new(),
            leaving: HashMap::new(),
            settled: Settled::default(),
            collected: Collected::default(),
            parked: Requests::default(),
            next_consumer: 0,
            failing: false,
            not_before: Instant::now(),
            turn: Turn::Reading,
            closing: None,
        }
    }

    /// Runs until closed, or until the last handle is dropped.
    pub(super) async fn run(
        mut self,
        store: Store,
        mut publishes: mpsc::Receiver<Publish>,
        mut control: mpsc::UnboundedReceiver<Control>,
    ) {
        let mut idle = Some(store);
        let mut running: Option<Running> = None;
        let mut controls = Vec::new();
        loop {
            self.hand_out();
            if let Some(store) = idle.take() {
                match self.next_operation() {
                    Some(operation) => running = Some(Box::pin(operation.run(store))),
                    None => idle = Some(store),
                }
            }
            if running.is_none() && self.is_done() {
                break;
            }
            let wake = self.wake_at(running.is_some());
            tokio::select! {
                biased;
                Some((store, outcome)) = OptionFuture::from(running.as_mut()) => {
                    running = None;
                    idle = Some(store);
                    self.finished(outcome);
                }
                _ = control.recv_many(&mut controls, 1024) => {
                    for command in controls.drain(..) {
                        self.command(command);
                    }
                }
                publish = publishes.recv(), if self.has_room() => match publish {
                    Some(publish) => self.collect(publish),
                    None => self.close(None),
                },
                () = tokio::time::sleep_until(wake) => {}
            }
        }
        publishes.close();
        // Before the answer: from then on what consumers still have in their buffers is not handed out.
        control.close();
        if let Some(store) = idle
            && let Err(error) = store.close().await
        {
            tracing::warn!(%error, "cannot close the queue file cleanly; nothing is lost, its log is read at the next start");
        }
        for answer in self.closing.into_iter().flat_map(|(answers, _)| answers) {
            let _ = answer.send(());
        }
    }

    fn command(&mut self, command: Control) {
        match command {
            Control::Consume { lane, prefetch, sender } if self.closing.is_none() => {
                self.next_consumer += 1;
                self.lanes[index(lane)].add_consumer(self.next_consumer, sender, prefetch);
            }
            Control::Consume { .. } => {}
            Control::Settle { id, settlement } => self.settle(id, settlement),
            Control::Parked(request) if self.closing.is_none() => self.parked.add(request, self.next_id - 1),
            Control::Parked(_) => {}
            Control::Close(answer) => self.close(Some(answer)),
        }
    }

    fn close(&mut self, answer: Option<oneshot::Sender<()>>) {
        self.lanes.iter_mut().for_each(LaneState::end_consumers);
        self.parked.end();
        let (answers, _) = self.closing.get_or_insert_with(|| (Vec::new(), Instant::now() + CLOSE_WITHIN));
        answers.extend(answer);
    }

    /// Whether it is closing and nothing is left that has to be written.
    fn is_done(&self) -> bool {
        let Some((_, deadline)) = &self.closing else { return false };
        (self.settled.is_empty() && self.collected.inserts.is_empty()) || Instant::now() >= *deadline
    }

    /// Takes messages into the next commit, except events when all lanes together hold too much. What is for another
    /// lane takes the place of something that was let in before: refused, it could never be acknowledged.
    fn collect(&mut self, publish: Publish) {
        let now = (self.now)();
        let mut results = Vec::with_capacity(publish.messages.len());
        let in_lanes: u64 = self.lanes.iter().map(LaneState::bytes).sum();
        for message in publish.messages {
            let held = in_lanes + (self.collected.bytes + message.body.len()) as u64;
            if message.lane == Lane::Events && held > self.max_bytes {
                results.push(Err(PublishError::Full { queue: message.lane.name().to_owned() }));
                continue;
            }
            self.collected.bytes += message.body.len();
            let delay = i64::try_from(message.delay.as_micros()).unwrap_or(i64::MAX);
            self.collected.inserts.push(NewMessage {
                lane: message.lane,
                due_at: if delay == 0 { 0 } else { now.saturating_add(delay).max(1) },
                message_id: message.message_id,
                traceparent: message.traceparent,
                body: message.body,
            });
            results.push(Ok(()));
        }
        self.collected.waiters.push(Waiter { answer: publish.answer, results });
    }

    const fn has_room(&self) -> bool {
        self.collected.inserts.len() < BATCH_MESSAGES && self.collected.bytes < BATCH_BYTES && self.closing.is_none()
    }

    fn next_operation(&mut self) -> Option<Operation> {
        let now = (self.now)();
        for _ in 0..3 {
            let (operation, next) = match self.turn {
                Turn::Reading => (self.next_read(now), Turn::Writing),
                Turn::Writing => (self.next_write(now), Turn::Parked),
                Turn::Parked => (self.next_parked(), Turn::Reading),
            };
            self.turn = next;
            if operation.is_some() {
                return operation;
            }
        }
        None
    }

    fn next_parked(&mut self) -> Option<Operation> {
        if self.failing && Instant::now() < self.not_before {
            return None;
        }
        self.parked.next(&mut self.next_id)
    }

    fn next_read(&self, now: i64) -> Option<Operation> {
        if self.closing.is_some() || Instant::now() < self.not_before && self.failing {
            return None;
        }
        for (lane, state) in Lane::ALL.into_iter().zip(&self.lanes) {
            if state.wants_due(now) {
                return Some(Operation::LoadDue { lane, now, after: state.due_cursor, limit: state.room() });
            }
            if state.wants_direct() {
                return Some(Operation::LoadDirect { lane, after: state.cursor(), limit: state.room() });
            }
        }
        None
    }

    fn next_write(&mut self, now: i64) -> Option<Operation> {
        if self.failing {
            if Instant::now() < self.not_before {
                return None;
            }
            // What frees space goes first and alone, or a full disk would never get better.
            if !self.settled.is_empty() {
                return Some(self.write(Collected::default()));
            }
            if self.collected.waiters.is_empty() {
                return Some(Operation::Probe { now });
            }
        }
        if self.settled.is_empty() && self.collected.waiters.is_empty() {
            return None;
        }
        let collected = std::mem::take(&mut self.collected);
        Some(self.write(collected))
    }

    fn write(&mut self, collected: Collected) -> Operation {
        // Only now: ids have to become durable in ascending order, and what was parked is put back under new ones.
        let first_id = self.next_id;
        self.next_id += i64::try_from(collected.inserts.len()).unwrap_or(i64::MAX);
        let batch = Batch { first_id, inserts: collected.inserts, settled: std::mem::take(&mut self.settled) };
        Operation::Write { batch, waiters: collected.waiters }
    }

    fn finished(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Written { batch, waiters, result: Ok(()) } => {
                self.recovered();
                self.written(batch);
                answer(waiters, None);
            }
            Outcome::Written { batch, waiters, result: Err(error) } => {
                self.settled.put_back(batch.settled);
                let reason = self.failed(&error);
                // What has come meanwhile would wait until settlements can be written, which go first.
                let meanwhile = std::mem::take(&mut self.collected).waiters;
                answer(waiters.into_iter().chain(meanwhile).collect(), Some(&reason));
            }
            Outcome::Probed(Ok(())) => self.recovered(),
            Outcome::LoadedDirect { lane, result: Ok((messages, all)) } => {
                self.lanes[index(lane)].loaded_direct(messages, all);
            }
            Outcome::LoadedDue { lane, result: Ok((messages, next_due)) } => {
                self.lanes[index(lane)].loaded_due(messages, next_due);
            }
            Outcome::ListedParked(result) => {
                let listed = result.map_err(|error| self.failed(&error));
                self.parked.listed(listed);
            }
            Outcome::MovedParked { action, result } => {
                if let Ok((moved, _)) = &result {
                    self.moved(action, moved);
                }
                let result = result.map_err(|error| self.failed(&error));
                self.parked.moved(result);
            }
            Outcome::Probed(Err(error))
            | Outcome::LoadedDirect { result: Err(error), .. }
            | Outcome::LoadedDue { result: Err(error), .. } => {
                self.failed(&error);
            }
        }
    }

    fn written(&mut self, batch: Batch) {
        for (message, id) in batch.inserts.into_iter().zip(batch.first_id..) {
            self.lanes[index(message.lane)].stored(id, message);
        }
        self.shared.set_parked(self.shared.parked() + batch.settled.parks.len() as u64);
        let parked = batch.settled.parks.into_iter().map(|park| park.id);
        let gone: HashSet<i64> = batch.settled.deletes.into_iter().chain(parked).collect();
        for id in gone {
            if let Some((lane, bytes)) = self.leaving.remove(&id)
                && let Some(state) = self.lanes.get_mut(lane)
            {
                state.removed(id, bytes);
            }
        }
    }

    /// Messages have left the parked queue.
    fn moved(&mut self, action: Action, moved: &[Moved]) {
        self.shared.set_parked(self.shared.parked().saturating_sub(moved.len() as u64));
        if action == Action::Drop {
            return;
        }
        for row in moved {
            self.lanes[index(row.lane)].put_back_parked(row.id, row.bytes);
        }
    }

    fn recovered(&mut self) {
        self.failing = false;
        if self.shared.set_problem(None) {
            tracing::info!("queue file can be written to again");
        }
    }

    fn failed(&mut self, error: &sqlx::Error) -> String {
        self.failing = true;
        self.not_before = Instant::now() + RETRY_AFTER;
        let reason = format!("queue file cannot be written to: {error}; check the disk");
        if self.shared.set_problem(Some(reason.clone())) {
            tracing::error!(%error, "queue file cannot be written to; check the disk");
        }
        reason
    }

    fn hand_out(&mut self) {
        for (lane, state) in self.lanes.iter_mut().enumerate() {
            while let Some((lease, hand_out)) = state.hand_out(lane, &self.acker) {
                self.leases.insert(lease.message.id, lease);
                hand_out.send();
            }
            self.shared.set_depth(lane, state.depth());
        }
    }

    /// When to look again if nothing else happens.
    fn wake_at(&self, running: bool) -> Instant {
        let far = Instant::now() + Duration::from_secs(3600);
        if running {
            return far;
        }
        let retry = if self.failing { self.not_before } else { far };
        let closing = self.closing.as_ref().map_or(far, |(_, deadline)| *deadline);
        let now = (self.now)();
        let due = self.lanes.iter().filter_map(LaneState::wake_at).min().map_or(far, |due| {
            let left = Duration::from_micros(due.saturating_sub(now).max(0).unsigned_abs());
            Instant::now() + left.min(CLOCK_LOOK)
        });
        retry.min(closing).min(due)
    }
}
