//! What is known in memory about one lane: a window of messages that are ready, who consumes, what is out.
//!
//! Messages enter the window straight from the commit that made them durable while the lane is *caught up*; once the
//! window is full they stay in the file and are read in order of id. So memory is bounded and a lane without a backlog
//! never reads.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::store::{LaneTotals, Limit, NewMessage, StoredMessage};
use crate::{Acker, Incoming};

/// Bounds of the window.
const WINDOW: Limit = Limit { rows: 2048, bytes: 8 << 20 };

/// A message that is ready, with its body in memory.
#[derive(Clone, Debug)]
pub(super) struct Ready {
    pub(super) id: i64,
    pub(super) deliveries: u32,
    pub(super) redelivered: bool,
    pub(super) traceparent: Option<String>,
    pub(super) body: Bytes,
}

/// A message that a consumer has.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) lane: usize,
    pub(super) consumer: u64,
    pub(super) message: Ready,
}

#[derive(Debug)]
struct Slot {
    id: u64,
    sender: mpsc::Sender<Incoming>,
    prefetch: usize,
    out: usize,
}

/// State of one lane.
#[derive(Debug, Default)]
pub(super) struct LaneState {
    window: VecDeque<Ready>,
    window_bytes: usize,
    /// Direct messages up to this id are in memory or gone; the rest is in the file alone.
    cursor: i64,
    newest: i64,
    /// Delayed messages up to this (due time, id) are in memory or gone.
    pub(super) due_cursor: (i64, i64),
    next_due: Option<i64>,
    /// Delayed messages that are in memory; only matters when the clock went backwards and they are read again.
    held: HashSet<i64>,
    slots: Vec<Slot>,
    turn: usize,
    messages: u64,
    delayed: u64,
    out: u64,
    bytes: u64,
    /// Ids up to this one were in the file when it was opened.
    inherited: i64,
}

impl LaneState {
    pub(super) fn new(totals: LaneTotals, inherited: i64) -> Self {
        Self {
            newest: totals.newest_direct,
            next_due: totals.next_due,
            messages: totals.messages,
            delayed: totals.delayed,
            bytes: totals.bytes,
            inherited,
            ..Self::default()
        }
    }

    /// Messages that could be handed out now.
    pub(super) const fn depth(&self) -> u64 {
        self.messages.saturating_sub(self.delayed).saturating_sub(self.out)
    }

    /// Bytes of all bodies of the lane.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) const fn cursor(&self) -> i64 {
        self.cursor
    }

    /// How much may be read into the window now.
    pub(super) fn room(&self) -> Limit {
        Limit {
            rows: WINDOW.rows.saturating_sub(self.window.len()),
            bytes: WINDOW.bytes.saturating_sub(self.window_bytes),
        }
    }

    /// A new message has been committed.
    pub(super) fn stored(&mut self, id: i64, message: NewMessage) {
        self.messages += 1;
        self.bytes += message.body.len() as u64;
        if message.due_at > 0 {
            self.delayed += 1;
            self.next_due = Some(self.next_due.map_or(message.due_at, |next| next.min(message.due_at)));
            if message.due_at <= self.due_cursor.0 {
                // The clock went backwards: read again from there, past what is held.
                self.due_cursor = (message.due_at - 1, i64::MAX);
            }
            return;
        }
        let caught_up = self.cursor == self.newest;
        self.newest = id;
        if caught_up && self.has_room() {
            self.cursor = id;
            self.push(Ready {
                id,
                deliveries: 0,
                redelivered: false,
                traceparent: message.traceparent,
                body: message.body,
            });
        }
    }

    /// A parked message has been put back as the newest of the lane; it is read from the file when it is its turn.
    pub(super) fn put_back_parked(&mut self, id: i64, bytes: u64) {
        self.messages += 1;
        self.bytes += bytes;
        self.newest = id;
    }

    /// Takes what was read of the direct messages.
    pub(super) fn loaded_direct(&mut self, messages: Vec<StoredMessage>, all: bool) {
        if let Some(last) = messages.last() {
            self.cursor = last.id;
        }
        if all {
            self.cursor = self.newest;
        }
        for message in messages {
            self.push_stored(message);
        }
    }

    /// Takes what was read of the delayed messages.
    pub(super) fn loaded_due(&mut self, messages: Vec<StoredMessage>, next_due: Option<i64>) {
        if let Some(last) = messages.last() {
            self.due_cursor = (last.due_at, last.id);
        }
        self.next_due = next_due;
        for message in messages {
            if self.held.insert(message.id) {
                self.delayed = self.delayed.saturating_sub(1);
                self.push_stored(message);
            }
        }
    }

    /// A message has been removed from the file, or parked.
    pub(super) fn removed(&mut self, id: i64, bytes: usize) {
        self.held.remove(&id);
        self.messages = self.messages.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes as u64);
    }

    pub(super) fn add_consumer(&mut self, id: u64, sender: mpsc::Sender<Incoming>, prefetch: usize) {
        self.slots.push(Slot { id, sender, prefetch, out: 0 });
    }

    /// Drops all consumers, so that their streams end.
    pub(super) fn end_consumers(&mut self) {
        self.slots.clear();
    }

    /// Whether a consumer is still there.
    pub(super) fn has_consumer(&self, consumer: u64) -> bool {
        self.slots.iter().any(|slot| slot.id == consumer && !slot.sender.is_closed())
    }

    /// A consumer has settled one message.
    pub(super) fn returned(&mut self, consumer: u64) {
        self.out = self.out.saturating_sub(1);
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.id == consumer) {
            slot.out = slot.out.saturating_sub(1);
        }
    }

    /// Puts a message back that a consumer gave back.
    pub(super) fn put_back(&mut self, message: Ready) {
        self.push(message);
    }

    /// Whether direct messages should be read: somebody wants them and they are in the file alone.
    pub(super) fn wants_direct(&self) -> bool {
        self.cursor < self.newest && self.wants_more()
    }

    /// Whether delayed messages should be read at `now`.
    pub(super) fn wants_due(&self, now: i64) -> bool {
        self.next_due.is_some_and(|due| due <= now) && self.wants_more()
    }

    /// When to look for delayed messages next.
    pub(super) fn wake_at(&self) -> Option<i64> {
        self.next_due.filter(|_| self.wants_more())
    }

    /// Hands out one message, if there is one and somebody has room for it. The lease is to be kept before the
    /// message is sent: a consumer may settle at once.
    pub(super) fn hand_out(&mut self, lane: usize, acker: &Arc<dyn Acker>) -> Option<(Lease, HandOut)> {
        self.slots.retain(|slot| !slot.sender.is_closed());
        if self.window.is_empty() || self.slots.is_empty() {
            return None;
        }
        let count = self.slots.len();
        let index = (0..count)
            .map(|offset| (self.turn + offset) % count)
            .find(|&index| self.slots.get(index).is_some_and(|slot| slot.out < slot.prefetch))?;
        let slot = self.slots.get_mut(index)?;
        let message = self.window.pop_front()?;
        self.window_bytes = self.window_bytes.saturating_sub(message.body.len());
        slot.out += 1;
        self.out += 1;
        self.turn = index + 1;
        let incoming = Incoming::new(
            message.body.clone(),
            message.redelivered,
            message.traceparent.clone(),
            message.id.unsigned_abs(),
            Arc::clone(acker),
        );
        let hand_out = HandOut { sender: slot.sender.clone(), incoming };
        Some((Lease { lane, consumer: slot.id, message }, hand_out))
    }

    fn wants_more(&self) -> bool {
        !self.slots.is_empty() && self.window.len() < WINDOW.rows / 2 && self.window_bytes < WINDOW.bytes / 2
    }

    fn has_room(&self) -> bool {
        self.window.len() < WINDOW.rows && self.window_bytes < WINDOW.bytes
    }

    fn push_stored(&mut self, message: StoredMessage) {
        self.push(Ready {
            id: message.id,
            deliveries: message.deliveries,
            redelivered: message.deliveries > 0 || message.was_parked || message.id <= self.inherited,
            traceparent: message.traceparent,
            body: message.body,
        });
    }

    fn push(&mut self, message: Ready) {
        self.window_bytes += message.body.len();
        self.window.push_back(message);
    }
}

/// A message on its way to a consumer.
#[derive(Debug)]
pub(super) struct HandOut {
    sender: mpsc::Sender<Incoming>,
    incoming: Incoming,
}

impl HandOut {
    /// Sends it. The channel is as long as the prefetch, so there is room unless the consumer is gone; the message is
    /// dropped then, which requeues it.
    pub(super) fn send(self) {
        let _ = self.sender.try_send(self.incoming);
    }
}
