//! When a message may be acknowledged: when everything that it caused is durable.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use broker::Incoming;

/// The message of an event, held until the last [`Promise`] about it is kept.
struct Held {
    message: Mutex<Option<Incoming>>,
    broken: AtomicBool,
}

impl Drop for Held {
    fn drop(&mut self) {
        let message = self.message.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(message) = message {
            if *self.broken.get_mut() { message.requeue() } else { message.ack() }
        }
    }
}

/// Something that must become durable before the message is acknowledged. Dropped without [`Promise::keep`], it makes
/// the message come again.
pub(crate) struct Promise {
    held: Arc<Held>,
    kept: bool,
}

/// `count` promises about one message; with none it is acknowledged at once.
pub(crate) fn promises(message: Incoming, count: usize) -> Vec<Promise> {
    let held = Arc::new(Held { message: Mutex::new(Some(message)), broken: AtomicBool::new(false) });
    (0..count).map(|_| Promise { held: Arc::clone(&held), kept: false }).collect()
}

/// The only promise about a message.
pub(crate) fn promise(message: Incoming) -> Promise {
    let held = Arc::new(Held { message: Mutex::new(Some(message)), broken: AtomicBool::new(false) });
    Promise { held, kept: false }
}

impl Promise {
    /// It is durable.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if !self.kept {
            self.held.broken.store(true, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use broker::{Acker, Settlement};
    use bytes::Bytes;

    use super::*;

    #[derive(Default)]
    struct Settled(Mutex<Vec<Settlement>>);

    impl Acker for Settled {
        fn settle(&self, _: u64, settlement: Settlement) {
            self.0.lock().unwrap().push(settlement);
        }
    }

    fn outcome(keep: &[bool]) -> Vec<Settlement> {
        let settled = Arc::new(Settled::default());
        let message = Incoming::new(Bytes::new(), false, None, 1, Arc::clone(&settled) as Arc<dyn Acker>);
        for (promise, keep) in promises(message, keep.len()).into_iter().zip(keep) {
            if *keep {
                promise.keep();
            }
        }
        settled.0.lock().unwrap().clone()
    }

    #[test]
    fn a_message_is_acknowledged_when_all_promises_are_kept() {
        assert_eq!(outcome(&[]), [Settlement::Ack]);
        assert_eq!(outcome(&[true, true]), [Settlement::Ack]);
        assert_eq!(outcome(&[true, false, true]), [Settlement::Requeue]);
    }
}
