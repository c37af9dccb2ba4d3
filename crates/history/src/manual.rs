//! Attempts that somebody asks for: test payloads, and retries of what has failed for good.
//!
//! A wait for one is written as if it had just been taken to be queued: with a lease and its first generation. So whoever
//! wrote it publishes it, and if that fails or the program ends, the lease runs out and it is released like what was held.

use bytes::Bytes;

use crate::{
    merge::{DELIVERED, NewBody, StoredAttempt, Wait},
    model::{Delivery, NoRetry},
    opening::TRACE,
    store::Released,
};

/// The number of the next attempt of a delivery, of which this is stored.
pub(crate) fn next(attempts: &[StoredAttempt], waits: bool, called_at: i64) -> Result<i32, NoRetry> {
    let Some(last) = attempts.iter().max_by_key(|attempt| attempt.number) else { return Err(NoRetry::Pending) };
    if attempts.iter().any(|attempt| attempt.status == DELIVERED) {
        return Err(NoRetry::Delivered);
    }
    // Without a final attempt a record is still on its way.
    if waits || !attempts.iter().any(|attempt| attempt.is_final) {
        return Err(NoRetry::Pending);
    }
    // Whoever asks twice asks for one attempt, also if that ends between the two.
    if last.started_at.saturating_add(last.duration_us) > called_at {
        return Err(NoRetry::Overtaken);
    }
    if last.number >= domain::MOST_ATTEMPTS {
        return Err(NoRetry::Exhausted);
    }
    Ok(last.number + 1)
}

/// What is to be written beside the wait for a test payload.
pub(crate) fn bodies<'a>(delivery: &'a Delivery, content: &'a Bytes) -> Vec<NewBody<'a>> {
    let body = |format, content| NewBody { event: delivery.event(), format, at: delivery.matched_at, content };
    let mut bodies = vec![body(delivery.format.as_str(), content)];
    if !delivery.trace.is_empty() {
        bodies.push(body(TRACE, &delivery.trace));
    }
    bodies
}

/// What is to be queued of a wait that was just written.
pub(crate) fn taken(delivery: Delivery, wait: &Wait, body: Bytes) -> Released {
    Released {
        delivery,
        number: wait.number,
        generation: wait.generation,
        manual: wait.manual,
        leased_until: wait.leased_until,
        body: Some(body),
    }
}
