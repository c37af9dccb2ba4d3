//! The places of a listener: how many connections there are at once, and which one goes where none is left.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Context,
    time::Duration,
};

use futures::task::AtomicWaker;
use tokio::time::Instant;

/// Connections of one listener at once, if there are descriptors for so many.
const MOST: usize = 16_384;

/// A listener's share of the descriptors: there may be three of them, and the rest is for receivers, servers and files.
fn share(descriptors: u64) -> usize {
    usize::try_from(descriptors / 4).unwrap_or(MOST).clamp(16, MOST)
}

/// Who is connected.
#[derive(Debug)]
pub(crate) struct Places {
    limit: usize,
    began: Instant,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    seats: HashMap<u64, Arc<Seat>>,
}

/// What is known of a connection.
#[derive(Debug, Default)]
struct Seat {
    /// When a byte last went over it, in ms since the listener began.
    spoke: AtomicU64,
    /// It has to go.
    evicted: AtomicBool,
    waker: AtomicWaker,
}

impl Places {
    /// As many as this program's descriptors allow.
    pub(crate) fn of_a_listener() -> Self {
        Self::new(share(crate::descriptors::limit()))
    }

    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, began: Instant::now(), taken: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A place for a newcomer. Where there is none left, the one goes that has been silent longest: silence costs an
    /// attacker nothing, so a newcomer is likelier to be somebody's.
    pub(crate) fn take(self: &Arc<Self>) -> Place {
        let seat = Arc::new(Seat { spoke: self.now().into(), ..Seat::default() });
        let mut taken = self.lock();
        if taken.seats.len() >= self.limit {
            taken.evict();
        }
        let number = taken.next;
        taken.next += 1;
        taken.seats.insert(number, Arc::clone(&seat));
        Place { number, seat, places: Arc::clone(self) }
    }

    /// Frees one, for want of descriptors.
    pub(crate) fn free_one(&self) {
        self.lock().evict();
    }

    #[cfg(test)]
    pub(crate) fn taken(&self) -> usize {
        self.lock().seats.len()
    }
}

impl Taken {
    /// Ends the connection that has been silent longest. A look at each of some thousands takes microseconds.
    fn evict(&mut self) {
        let silent = self.seats.iter().min_by_key(|(_, seat)| seat.spoke.load(Ordering::Relaxed));
        let Some(seat) = silent.map(|(number, _)| *number).and_then(|number| self.seats.remove(&number)) else {
            return;
        };
        seat.evicted.store(true, Ordering::Release);
        seat.waker.wake();
    }
}

/// A connection's place, free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    number: u64,
    seat: Arc<Seat>,
    places: Arc<Places>,
}

impl Place {
    /// A byte has gone over the connection.
    pub(crate) fn spoke(&self) {
        self.seat.spoke.store(self.places.now(), Ordering::Relaxed);
    }

    /// When a byte last went over it.
    pub(crate) fn spoken_at(&self) -> Instant {
        self.places.began + Duration::from_millis(self.seat.spoke.load(Ordering::Relaxed))
    }

    /// Whether the connection has to go; it is woken when it comes to that.
    pub(crate) fn is_lost(&self, context: &Context<'_>) -> bool {
        self.seat.waker.register(context.waker());
        self.seat.evicted.load(Ordering::Acquire)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().seats.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_neither_nothing_nor_all() {
        assert_eq!(share(0), 16);
        assert_eq!(share(1_024), 256);
        assert_eq!(share(u64::MAX), MOST);
    }
}
