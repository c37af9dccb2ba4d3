//! One delivery: its webhook as it is now, the attempt, and what follows.

use std::{sync::Arc, time::Duration};

use broker::{Broker, Lane, Outgoing, PublishError};
use bytes::Bytes;
use domain::{Clock, ErrorClass, RetrySchedule, Timestamp, Verdict, WebhookKind};
use prost::Message as _;
use proto::{
    convert,
    internal::v1::{
        Attempt, AttemptRecord, Cancel, DeliveryRef, DeliveryTask, Hold, HoldReason, PreviousAttempt,
        attempt_record::What,
    },
};
use runtime::{Tasks, fail_point};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    admission::{Admission, Full, Place},
    breaker::Breaker,
    gate::{self, Recipient},
    guard::Promise,
    in_hand::{self, InHand},
    lag::Lag,
    metrics::Metrics,
    outcome::{Next, attempt, waiting},
    post::{Letter, Posted, Poster},
    recorder::Recorder,
    retry_after::retry_after,
    spans,
    webhooks::{Found, Webhook, Webhooks},
};

/// The longest wait that an endpoint may ask for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// An attempt to be made.
pub(crate) struct Job {
    pub(crate) delivery: DeliveryRef,
    pub(crate) delivery_id: Uuid,
    pub(crate) number: i32,
    pub(crate) generation: i32,
    pub(crate) body: Body,
    /// Whether somebody asked for this attempt, so that no other follows it by itself.
    pub(crate) manual: bool,
    /// When the event was accepted, for the first attempt's latency.
    pub(crate) accepted_at: Option<Timestamp>,
}

/// What is sent, with its digest, which is worked out once for all who get it.
#[derive(Clone)]
pub(crate) struct Body {
    bytes: Bytes,
    sha256: Bytes,
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self { sha256: Bytes::copy_from_slice(&domain::body_sha256(&bytes)), bytes }
    }
}

impl Job {
    const fn key(&self) -> in_hand::Key {
        (self.delivery_id, self.number, self.generation)
    }

    /// Whether history has brought it back.
    const fn is_returned(&self) -> bool {
        self.generation > 0
    }

    /// Whether it goes to a webhook as that is now. Test payloads go to inactive ones too, if they can be signed.
    fn goes_to(&self, webhook: &Webhook, now: Timestamp) -> bool {
        webhook.active || self.delivery.is_test && webhook.secrets(now).next().is_some()
    }
}

/// What making deliveries needs.
pub(crate) struct Delivering {
    pub(crate) webhooks: Arc<Webhooks>,
    pub(crate) poster: Poster,
    pub(crate) recorder: Recorder,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) schedule: RetrySchedule,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    pub(crate) lag: Arc<Lag>,
    pub(crate) in_hand: InHand,
    pub(crate) admission: Arc<Admission>,
    pub(crate) breaker: Arc<Breaker>,
    pub(crate) shutdown: CancellationToken,
}

/// An attempt cannot start now: it is to wait in history. While that is recorded it has a place in its room, so that
/// there are never more in memory than there is room for.
struct NotNow {
    reason: HoldReason,
    wait: Duration,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Delivering {
    /// Starts what is to be done with a delivery, once there is a place for it in the room. `false`: the program ends
    /// before.
    pub(crate) async fn start(
        self: &Arc<Self>,
        job: Job,
        promise: Promise,
        room: &Arc<Semaphore>,
        tasks: &Tasks,
    ) -> bool {
        let place = tokio::select! {
            biased;
            () = self.shutdown.cancelled() => return false,
            place = self.admit(&job, room) => place,
        };
        let delivering = Arc::clone(self);
        tasks.spawn("deliver", async move {
            match place {
                Ok(place) => delivering.deliver(job, promise, place).await,
                Err(not_now) => delivering.put_off(job, promise, not_now).await,
            }
        });
        true
    }

    /// A place for an attempt, once its endpoint's turn has come.
    async fn admit(&self, job: &Job, room: &Arc<Semaphore>) -> Result<Place, NotNow> {
        let webhook = job.delivery.webhook_id;
        // What somebody asked for is made at once, and may show that the endpoint is well.
        let at_once = job.manual || job.delivery.is_test;
        if !at_once && let Err(wait) = self.breaker.admit(webhook, job.is_returned()) {
            // The room is never closed.
            let permit = Arc::clone(room).acquire_owned().await.ok();
            return Err(NotNow { reason: HoldReason::Failing, wait, _permit: permit });
        }
        let busy = |Full { wait, permit }| NotNow { reason: HoldReason::Busy, wait, _permit: permit };
        self.admission.enter(room, webhook, &job.delivery.instance, job.is_returned()).await.map_err(busy)
    }

    /// It waits in history.
    async fn put_off(&self, job: Job, promise: Promise, not_now: NotNow) {
        let key = job.key();
        let Some(promise) = self.in_hand.take(key, promise) else { return };
        self.metrics.put_off(if not_now.reason == HoldReason::Failing { "failing" } else { "slow" });
        let due_at = self.clock.now().plus(not_now.wait);
        let durable = self.hold(job, not_now.reason, due_at).await;
        self.in_hand.finish(key, promise, durable);
    }

    /// Does what is to be done with a delivery now, and keeps the promise when that is durable.
    async fn deliver(&self, job: Job, promise: Promise, mut place: Place) {
        let key = job.key();
        let Some(promise) = self.in_hand.take(key, promise) else { return };
        let durable = loop {
            match self.webhooks.find(job.delivery.webhook_id) {
                Found::Webhook(webhook) if job.goes_to(&webhook, self.clock.now()) => {
                    // Without an attempt it is looked at again: the webhook has changed.
                    if let Some((posted, span_id)) = place.make(self.attempt(&job, &webhook)).await {
                        break self.follow_up(job, posted, span_id, &webhook).await;
                    }
                }
                Found::Webhook(_) => break self.hold(job, HoldReason::Inactive, self.clock.now()).await,
                // One that is not known is not one that is deleted: this dispatcher may be behind. History goes on.
                Found::Unknown => break self.hold(job, HoldReason::UnknownWebhook, self.clock.now()).await,
                Found::Deleted => break self.cancel(job).await,
            }
        };
        self.in_hand.finish(key, promise, durable);
    }

    /// Its webhook was deleted.
    async fn cancel(&self, job: Job) -> bool {
        let cancel = Cancel {
            at: self.clock.now().as_micros(),
            error_class: ErrorClass::Cancelled.name().to_owned(),
            error: "webhook deleted".to_owned(),
        };
        self.recorder.record(record(job, What::Cancel(cancel))).await
    }

    /// It cannot be sent now: it waits in history.
    async fn hold(&self, job: Job, reason: HoldReason, due_at: Timestamp) -> bool {
        let hold = Hold { due_at: due_at.as_micros(), reason: reason.into(), config_version: self.webhooks.version() };
        self.recorder.record(record(job, What::Hold(hold))).await
    }

    /// What came of it, and the id of its span. `None`: the webhook was deactivated or deleted before anything was sent.
    async fn attempt(&self, job: &Job, webhook: &Webhook) -> Option<(Posted, Bytes)> {
        let span = spans::attempting(job, webhook);
        let letter = Letter {
            webhook,
            event_type: &job.delivery.event_type,
            delivery_id: job.delivery_id,
            number: job.number,
            body: job.body.bytes.clone(),
            trace: span.context(),
        };
        let recipient = Recipient::new(&self.webhooks, webhook.id, job.delivery.is_test);
        let posted = gate::attempt_for(recipient, self.poster.post(&letter)).await?;
        self.metrics.attempted(&posted, job);
        let delivered = posted.error.is_none();
        // Of tests, too, a success says that it is well; a failure is somebody's trial.
        if delivered || !job.delivery.is_test {
            self.breaker.ended(webhook.id, delivered);
        }
        let span_id = spans::attempted(span, &posted);
        Some((posted, span_id))
    }

    /// Queues the next attempt, if there is to be one, and records this one.
    async fn follow_up(&self, job: Job, posted: Posted, span_id: Bytes, webhook: &Webhook) -> bool {
        fail_point("dispatcher.attempted");
        let verdict = posted.error.as_ref().map_or(Verdict::Delivered, |(class, _)| class.verdict());
        let wait = match verdict {
            Verdict::Retry if !job.manual => {
                u32::try_from(job.number).ok().and_then(|number| self.schedule.wait_after(number))
            }
            _ => None,
        };
        let now = self.clock.now();
        let asked = retry_after(&posted, now).map(|asked| asked.min(LONGEST_RETRY_AFTER));
        let next = match (wait, asked) {
            (None, _) => Next::None,
            // The record itself makes it wait: nothing is queued that could be lost.
            (Some(wait), Some(asked)) if asked > wait => Next::Held(now.plus(asked)),
            (Some(wait), _) => Next::Queued(wait, now.plus(wait)),
        };
        let body_sha256 = job.body.sha256.clone();
        let attempt = Attempt { body_sha256, span_id, ..attempt(posted, webhook, &next) };
        // First the retry, then the record that says that there is one: a crash between repeats, but loses nothing.
        if let Next::Queued(wait, _) = next {
            if !self.queue_next(&job, attempt.clone(), wait).await {
                return false;
            }
            fail_point("dispatcher.retry_queued");
        }
        let durable = self.recorder.record(record(job, What::Attempt(attempt))).await;
        fail_point("dispatcher.recorded");
        durable
    }

    /// Queues the attempt after one; `false`: the program ends before it was taken.
    async fn queue_next(&self, job: &Job, attempt: Attempt, wait: Duration) -> bool {
        let task = DeliveryTask {
            delivery: Some(job.delivery.clone()),
            number: job.number + 1,
            // History counts from zero for each attempt.
            generation: 0,
            body: job.body.bytes.clone(),
            manual: false,
            previous: Some(PreviousAttempt { attempt: Some(waiting(attempt, wait)), generation: job.generation }),
            due_at: self.clock.now().plus(wait).as_micros(),
        };
        let message = Outgoing {
            lane: Lane::DeliverSlow,
            delay: wait,
            body: task.encode_to_vec().into(),
            message_id: domain::entry_id(job.delivery_id, u32::try_from(task.number).unwrap_or_default()),
            traceparent: convert::traceparent(&job.delivery.trace),
        };
        let mut failures: u32 = 0;
        loop {
            match self.broker.publish(vec![message.clone()]).await.pop() {
                Some(Ok(())) => return true,
                Some(Err(error @ PublishError::Refused { .. })) => {
                    tracing::error!(delivery_id = %job.delivery_id, %error, "retry cannot be queued");
                    return false;
                }
                Some(Err(error)) if failures.is_power_of_two() => {
                    tracing::warn!(delivery_id = %job.delivery_id, %error, failures, "retry not queued yet; trying on");
                }
                _ => {}
            }
            if self.shutdown.is_cancelled() && failures >= 3 {
                return false;
            }
            failures += 1;
            tokio::time::sleep(Duration::from_millis(50 << failures.min(5))).await;
        }
    }
}

fn record(job: Job, what: What) -> AttemptRecord {
    AttemptRecord { delivery: Some(job.delivery), number: job.number, body: Bytes::new(), what: Some(what) }
}

/// The delivery of an event to a webhook, as messages and records name it.
pub(crate) fn reference(event: &EventRef, webhook_id: i64, kind: WebhookKind) -> (Uuid, DeliveryRef) {
    let delivery_id = domain::delivery_id(event.id, webhook_id);
    let delivery = DeliveryRef {
        delivery_id: convert::uuid_bytes(delivery_id),
        instance: event.instance.to_string(),
        webhook_id,
        event_id: convert::uuid_bytes(event.id),
        event_type: event.kind.name().to_owned(),
        project_id: event.project,
        matched_at: event.matched_at.as_micros(),
        format: kind.name().to_owned(),
        is_test: false,
        trace: event.trace.clone(),
    };
    (delivery_id, delivery)
}

/// What deliveries need to know of their event.
pub(crate) struct EventRef {
    pub(crate) id: Uuid,
    pub(crate) instance: domain::InstanceId,
    pub(crate) kind: domain::EventType,
    pub(crate) project: i64,
    pub(crate) matched_at: Timestamp,
    /// The trace context that its deliveries go on from, as messages have it.
    pub(crate) trace: Bytes,
}
