//! What this dispatcher is working on, or has just finished: a message that comes again while its first copy is in hand
//! (the connection to the broker broke) must not be sent twice.

use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};
use uuid::Uuid;

use crate::guard::Promise;

/// An attempt: its delivery, number and generation.
pub(crate) type Key = (Uuid, i32, i32);

/// How long a finished attempt is remembered: until its record is surely committed.
const MEMORY: Duration = Duration::from_secs(10);
/// Finished attempts remembered at most.
const CAPACITY: usize = 100_000;

#[derive(Default)]
pub(crate) struct InHand {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    attempts: HashMap<Key, Progress>,
    finished: VecDeque<(Key, Instant)>,
}

enum Progress {
    UnderWay(Interested),
    Finished,
}

/// Who waits for the end of an attempt.
#[derive(Default)]
struct Interested {
    /// Promises of the other copies.
    others: Vec<Promise>,
    /// Told by dropping.
    waiting: Vec<oneshot::Sender<Infallible>>,
}

impl InHand {
    /// Takes an attempt in hand; `None`: it is or was already, and the promise is kept with the first copy's.
    pub(crate) fn take(&self, key: Key, promise: Promise) -> Option<Promise> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.forget(Instant::now());
        match state.attempts.get_mut(&key) {
            None => {
                state.attempts.insert(key, Progress::UnderWay(Interested::default()));
                return Some(promise);
            }
            Some(Progress::UnderWay(interested)) => interested.others.push(promise),
            Some(Progress::Finished) => promise.keep(),
        }
        None
    }

    /// Ends an attempt: if what came of it is durable, all promises about it are kept, otherwise none.
    pub(crate) fn finish(&self, key: Key, promise: Promise, durable: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Interested { others, waiting } = match state.attempts.remove(&key) {
            Some(Progress::UnderWay(interested)) => interested,
            _ => Interested::default(),
        };
        if durable {
            state.attempts.insert(key, Progress::Finished);
            state.finished.push_back((key, Instant::now()));
        }
        drop(state);
        drop(waiting);
        for promise in others.into_iter().chain([promise]) {
            if durable {
                promise.keep();
            }
        }
    }

    /// Whether what came of an attempt is durable, once that is no longer under way. One that is not known is not.
    pub(crate) async fn is_durable(&self, key: Key) -> bool {
        loop {
            let ended = match self.state.lock().unwrap_or_else(PoisonError::into_inner).attempts.get_mut(&key) {
                None => return false,
                Some(Progress::Finished) => return true,
                Some(Progress::UnderWay(interested)) => {
                    let (told, ended) = oneshot::channel();
                    interested.waiting.push(told);
                    ended
                }
            };
            // Told by dropping: there is nothing to be received.
            let _ = ended.await;
        }
    }
}

impl State {
    fn forget(&mut self, now: Instant) {
        while let Some((key, since)) = self.finished.front() {
            if now.duration_since(*since) < MEMORY && self.finished.len() <= CAPACITY {
                return;
            }
            self.attempts.remove(key);
            self.finished.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use broker::{Acker, Incoming, Settlement};

    use super::*;
    use crate::guard;

    #[derive(Default)]
    struct Settled(Mutex<Vec<(u64, Settlement)>>);

    impl Acker for Settled {
        fn settle(&self, tag: u64, settlement: Settlement) {
            self.0.lock().unwrap().push((tag, settlement));
        }
    }

    #[test]
    fn copies_share_the_fate_of_the_first() {
        let settled = Arc::new(Settled::default());
        let promise = |tag| {
            let acker = Arc::clone(&settled) as Arc<dyn Acker>;
            guard::promise(Incoming::new(bytes::Bytes::new(), tag > 1, None, tag, acker))
        };
        let (in_hand, key) = (InHand::default(), (Uuid::from_u128(1), 1, 0));
        let first = in_hand.take(key, promise(1)).unwrap();
        assert!(in_hand.take(key, promise(2)).is_none(), "under way");
        assert!(settled.0.lock().unwrap().is_empty());
        in_hand.finish(key, first, true);
        assert!(in_hand.take(key, promise(3)).is_none(), "just finished");
        let acks: Vec<_> = settled.0.lock().unwrap().iter().map(|(tag, _)| *tag).collect();
        assert_eq!(acks, [2, 1, 3]);
        assert!(settled.0.lock().unwrap().iter().all(|(_, settlement)| *settlement == Settlement::Ack));

        let other = (Uuid::from_u128(1), 1, 1);
        let released = in_hand.take(other, promise(4)).unwrap();
        in_hand.finish(other, released, false);
        assert_eq!(settled.0.lock().unwrap().last(), Some(&(4, Settlement::Requeue)));
        assert!(in_hand.take(other, promise(5)).is_some(), "what failed is tried again");
    }

    #[tokio::test]
    async fn who_waits_is_told_whether_it_is_durable() {
        let settled = Arc::new(Settled::default());
        let promise = || {
            guard::promise(Incoming::new(bytes::Bytes::new(), false, None, 1, Arc::clone(&settled) as Arc<dyn Acker>))
        };
        let (in_hand, key) = (InHand::default(), (Uuid::from_u128(1), 1, 0));
        assert!(!in_hand.is_durable(key).await, "nobody knows of it");
        for durable in [false, true] {
            let taken = in_hand.take(key, promise()).unwrap();
            let mut waiting = std::pin::pin!(in_hand.is_durable(key));
            assert!(futures::poll!(waiting.as_mut()).is_pending());
            in_hand.finish(key, taken, durable);
            assert_eq!(waiting.await, durable);
        }
        assert!(in_hand.is_durable(key).await, "just finished");
    }
}
