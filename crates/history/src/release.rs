//! What becomes of deliveries that wait: held ones are queued again when their webhook is active, or end after 7 days;
//! those of a deleted webhook end at once, however they wait.
//!
//! Queuing again takes three steps: a lease and a new generation are committed, the message is published and confirmed,
//! the row is settled. A crash after the first leaves the row held; when the lease has run out it gets another
//! generation, and `Check` drops what may have been published of the older one. So nothing is lost.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use broker::Lane;
use bytes::Bytes;
use domain::{Clock, ErrorClass, Timestamp};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    model::{HoldReason, Record, What},
    queueing::{LEASE, QueueError, Queueing},
    registry::Registry,
    store::{Held, NewestAttempt, Released, Store, StoreError, TakeHeld, TakeTests, Waiting},
};

/// How often the subscription service is asked and what waits is looked at.
const EVERY: Duration = Duration::from_millis(500);
/// The same while something is queued little by little that somebody has asked for: most endpoints are faster than that.
const SOON: Duration = Duration::from_millis(100);
/// How long a delivery waits for its webhook to be activated.
const PATIENCE: Duration = Duration::from_secs(7 * 24 * 3600);
/// How far a clock must have been set back to be noticed.
const NOTICED: Duration = Duration::from_secs(1);
/// How far the clocks of other programs may be ahead of this one's, their leases included.
const AHEAD: Duration = Duration::from_secs(2 * LEASE.as_secs());
/// Deliveries of one webhook that are queued again before it is the next webhook's turn.
const RELEASE: i64 = 100;
/// Deliveries to a slow endpoint that are queued again and of which nothing was heard yet: as many as a dispatcher has
/// under way for it at once (by default), so that what is queued finds a place. And deliveries of one webhook whose time
/// has come, as long as its endpoint is not well.
const TIMED: i64 = 32;
/// The same of an endpoint that keeps failing: as many as may start (10 a second) until the next round.
const SPACED: i64 = 5;
/// Deliveries that are ended in one transaction, and webhooks that are asked about in one statement.
const END: i64 = 500;
const WEBHOOKS: usize = 200;
/// Webhooks of which deliveries are taken in one transaction.
const TAKEN_TOGETHER: usize = 50;
/// A deletion is looked after in every round for this long, because what was matched before it may still arrive; after
/// that only now and then.
const LATELY: Duration = Duration::from_secs(120);
const ALL_DELETED_EVERY: Duration = Duration::from_secs(60);

/// The loop and what it works with.
pub(crate) struct Release {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) queueing: Queueing,
    pub(crate) registry: Arc<Registry>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Notices that the wall clock was set back.
struct Watch {
    wall: Timestamp,
    seen_at: Instant,
    /// Whether it may have been, since what it stood at was last acted upon. Nobody knows of the time before the start.
    doubtful: bool,
}

impl Watch {
    fn new(now: Timestamp) -> Self {
        Self { wall: now, seen_at: Instant::now(), doubtful: true }
    }

    fn was_set_back(&mut self, now: Timestamp, at: Instant) -> bool {
        let expected = self.wall.plus(at.saturating_duration_since(self.seen_at));
        self.doubtful |= expected.since(now) > NOTICED;
        (self.wall, self.seen_at) = (now, at);
        self.doubtful
    }
}

/// When more may be released; the later ones come first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum More {
    Later,
    Soon,
    Now,
}

/// What was taken of some webhooks.
#[derive(Default)]
struct Taken {
    /// Whether of one as much was taken as may be at once, so that there may be more.
    at_limit: bool,
    /// Whether somebody has asked for an attempt among them.
    manual: bool,
}

impl Taken {
    fn of(released: &[Released], limit: i64) -> Self {
        let mut counts = HashMap::new();
        for one in released {
            *counts.entry(one.delivery.webhook_id).or_insert(0) += 1;
        }
        Self { at_limit: counts.values().any(|count| *count >= limit), manual: released.iter().any(|one| one.manual) }
    }

    fn and(self, other: Self) -> Self {
        Self { at_limit: self.at_limit || other.at_limit, manual: self.manual || other.manual }
    }
}

/// Why a round ended early.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("cannot learn which webhooks are active: {0}")]
    Configuration(tonic::Status),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot queue held deliveries again: {0}")]
    Queue(#[from] QueueError),
}

impl Release {
    /// Runs until shutdown.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut troubled = false;
        let mut all_deleted_at = Instant::now();
        let mut watch = Watch::new(self.clock.now());
        loop {
            if watch.was_set_back(self.clock.now(), Instant::now()) {
                watch.doubtful = self.mend_waits().await.is_err();
            }
            let all_deleted = all_deleted_at.elapsed() >= ALL_DELETED_EVERY;
            if all_deleted {
                all_deleted_at = Instant::now();
            }
            // A round that is cut short leaves leases behind at worst.
            let Some(round) = shutdown.run_until_cancelled(self.round(all_deleted)).await else { return };
            match &round {
                Ok(_) if troubled => tracing::info!("waiting deliveries are looked after again"),
                Err(error) if !troubled => tracing::warn!(%error, "cannot look after waiting deliveries; trying on"),
                _ => {}
            }
            troubled = round.is_err();
            // A backlog goes on at once. That ends: what was released is not taken again before its lease has run out.
            let pause = match round {
                Ok(More::Now) => continue,
                Ok(More::Soon) => SOON,
                Ok(More::Later) | Err(_) => EVERY,
            };
            if shutdown.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    async fn round(&self, all_deleted: bool) -> Result<More, Trouble> {
        let mut more = More::Later;
        let refreshed = self.registry.refresh().await.map_err(Trouble::Configuration);
        // What is known stays true for most webhooks; without anything known, nothing is certain.
        if let Some(version) = self.registry.version() {
            self.end_deleted(all_deleted).await?;
            self.end_expired().await?;
            more = self.release(version).await?;
            for (held, limit) in [(Held::Busy, TIMED), (Held::Failing, SPACED)] {
                more = more.max(self.release_in_turn(held, limit, version).await?);
            }
            self.release_tests(version).await?;
        }
        refreshed.map(|()| more)
    }

    /// What was written while the clock was ahead would wait for longer than it should by as much.
    async fn mend_waits(&self) -> Result<(), StoreError> {
        let tolerance = i64::try_from(AHEAD.as_micros()).unwrap_or(i64::MAX);
        let mended = self.store.clock_was_set_back(self.clock.now().as_micros(), tolerance).await?;
        if mended > 0 {
            tracing::warn!(deliveries = mended, "the clock was ahead; what was to wait by it waits from now on");
        }
        Ok(())
    }

    async fn end_deleted(&self, all: bool) -> Result<(), Trouble> {
        let deleted = self.registry.deleted((!all).then_some(LATELY));
        for webhooks in deleted.chunks(WEBHOOKS) {
            loop {
                let waiting = self.store.waiting_for(webhooks, END).await?;
                if waiting.is_empty() {
                    break;
                }
                self.end(waiting, |_| "webhook deleted").await?;
            }
        }
        Ok(())
    }

    async fn end_expired(&self) -> Result<(), Trouble> {
        loop {
            let before = self.clock.now().minus(PATIENCE).as_micros();
            let waiting = self.store.held_since(before, END).await?;
            if waiting.is_empty() {
                return Ok(());
            }
            self.end(waiting, |waiting| match HoldReason::from_code(waiting.hold_reason) {
                HoldReason::Inactive | HoldReason::UnknownWebhook | HoldReason::Requested => "expired while inactive",
                HoldReason::Failing => "expired while the endpoint was failing",
                _ => "expired while the endpoint was slow",
            })
            .await?;
        }
    }

    /// Ends deliveries as if their attempt had failed for good. Should one be on the wire, its outcome stands.
    async fn end(&self, waiting: Vec<Waiting>, reason: impl Fn(&Waiting) -> &'static str) -> Result<(), StoreError> {
        let at = self.clock.now().as_micros();
        let record = |waiting: Waiting| {
            let error = reason(&waiting).to_owned();
            let what = What::Cancel { at, error_class: ErrorClass::Cancelled.name().into(), error };
            Record { delivery: waiting.delivery, number: waiting.number, body: Bytes::new(), what }
        };
        let (count, reason) = (waiting.len(), waiting.first().map(&reason).unwrap_or_default());
        self.store.record(waiting.into_iter().map(record).collect()).await?;
        tracing::info!(deliveries = count, reason, "waiting deliveries are ended");
        Ok(())
    }

    /// Queues held deliveries of active webhooks again, some of each. One turn only: what is active is to be asked again
    /// before the next.
    async fn release(&self, version: i64) -> Result<More, Trouble> {
        let take = self.take(Held::ForNews, version);
        let news = self.queue_again(self.active(Held::ForNews, i64::MAX).await?, take).await?;
        let mut due = self.active(Held::UntilTime, take.now).await?;
        // Of so many webhooks enough goes on as it is, without a look at each.
        let few = if due.len() > WEBHOOKS { &[] } else { due.as_slice() };
        let well = self.well(Held::UntilTime, few).await?;
        due.retain(|webhook_id| !well.contains(webhook_id));
        let take = TakeHeld { held: Held::UntilTime, ..take };
        let timed = self.queue_again(due, TakeHeld { limit: TIMED, ..take }).await?;
        let swift = self.queue_again(well.into_iter().collect(), take).await?;
        Ok(match (news.at_limit, timed.manual || swift.manual || swift.at_limit) {
            (true, _) => More::Now,
            // No more of these at once: the next are for when these have been worked on.
            (false, true) => More::Soon,
            (false, false) => More::Later,
        })
    }

    /// Which of the webhooks' endpoints are well.
    async fn well(&self, held: Held, webhooks: &[i64]) -> Result<BTreeSet<i64>, StoreError> {
        let mut well = BTreeSet::new();
        for webhooks in webhooks.chunks(WEBHOOKS) {
            let named = webhooks.iter().filter_map(|id| Some((self.registry.known(*id)?.instance, *id)));
            let newest = self.store.newest_attempts(&named.collect::<Vec<_>>()).await?;
            well.extend(newest.iter().filter(|attempt| is_well(held, attempt)).map(|attempt| attempt.webhook_id));
        }
        Ok(well)
    }

    /// Queues deliveries again that wait for their turn: those whose turn has come, and as soon as an endpoint is well all
    /// of its.
    async fn release_in_turn(&self, held: Held, limit: i64, version: i64) -> Result<More, Trouble> {
        let waiting = self.active(held, i64::MAX).await?;
        let well = self.well(held, &waiting).await?;
        let take = self.take(held, version);
        let mut due = if waiting.is_empty() { waiting } else { self.active(held, take.now).await? };
        due.retain(|webhook_id| !well.contains(webhook_id));
        self.queue_again(due, TakeHeld { limit, ..take }).await?;
        // Some attempts to a slow endpoint are swift: not more of its than find a place if it is slow after all.
        let (limit, more) = if held == Held::Busy { (limit, More::Soon) } else { (RELEASE, More::Now) };
        let all = self.queue_again(well.into_iter().collect(), TakeHeld { early: true, limit, ..take }).await?;
        Ok(if all.at_limit { more } else { More::Later })
    }

    /// The active webhooks with something held that is due by then.
    async fn active(&self, held: Held, due_by: i64) -> Result<Vec<i64>, StoreError> {
        Ok(self.registry.active(self.store.held_webhooks(held, due_by).await?))
    }

    fn take(&self, held: Held, config_version: i64) -> TakeHeld {
        let now = self.clock.now();
        TakeHeld {
            held,
            early: false,
            config_version,
            held_before: now.minus(LEASE).as_micros(),
            now: now.as_micros(),
            leased_until: now.plus(LEASE).as_micros(),
            limit: RELEASE,
        }
    }

    async fn queue_again(&self, webhooks: Vec<i64>, take: TakeHeld) -> Result<Taken, Trouble> {
        let mut all = Taken::default();
        for webhooks in webhooks.chunks(TAKEN_TOGETHER) {
            all = all.and(self.queue_some_again(webhooks, take).await?);
        }
        Ok(all)
    }

    async fn queue_some_again(&self, webhooks: &[i64], take: TakeHeld) -> Result<Taken, Trouble> {
        let for_news = take.held == Held::ForNews;
        let lane = if for_news { Lane::DeliverFast } else { Lane::DeliverSlow };
        let released = self.store.take_held(webhooks, take).await?;
        let taken = Taken::of(&released, take.limit);
        let (ready, bodiless): (Vec<_>, Vec<_>) = released.into_iter().partition(|held| held.body.is_some());
        if !bodiless.is_empty() {
            // It may be in a record that has not come yet. Tried again when the lease has run out.
            tracing::warn!(deliveries = bodiless.len(), "held deliveries have no stored body yet");
        }
        let queued = self.queueing.queue(ready, lane).await?;
        if queued > 0 && for_news {
            tracing::info!(webhooks = webhooks.len(), deliveries = queued, "held deliveries are queued again");
        }
        Ok(taken)
    }

    /// Queues test payloads again that could not be sent at once; they wait for no activation.
    async fn release_tests(&self, config_version: i64) -> Result<(), Trouble> {
        let now = self.clock.now();
        let (leased_until, now) = (now.plus(LEASE).as_micros(), now.as_micros());
        let mut taken = self.store.take_tests(TakeTests { config_version, now, leased_until, limit: RELEASE }).await?;
        taken.retain(|taken| taken.body.is_some());
        self.queueing.queue(taken, Lane::DeliverFast).await?;
        Ok(())
    }
}

/// Whether what is held for this reason has to be careful with the endpoint no more.
fn is_well(held: Held, newest: &NewestAttempt) -> bool {
    let swift = newest.made && Duration::from_micros(newest.duration_us.unsigned_abs()) < domain::SLOW_AFTER;
    match held {
        Held::Failing => newest.delivered(),
        Held::UntilTime => newest.delivered() && swift,
        _ => swift,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_is_noticed_until_something_is_done_about_it() {
        let (wall, mut at) = (Timestamp::from_micros(1_000_000_000), Instant::now());
        let mut watch = Watch::new(wall);
        assert!(watch.was_set_back(wall, at), "nobody knows of before");
        watch.doubtful = false;
        let mut look = |watch: &mut Watch, wall| {
            at += EVERY;
            watch.was_set_back(wall, at)
        };
        assert!(!look(&mut watch, wall.plus(EVERY)));
        assert!(!look(&mut watch, wall.plus(EVERY * 100)), "it was set forward");
        assert!(look(&mut watch, wall), "it was set back");
        assert!(look(&mut watch, wall.plus(EVERY)), "nothing was done about it");
        watch.doubtful = false;
        assert!(!look(&mut watch, wall.plus(EVERY * 2)));
    }
}
