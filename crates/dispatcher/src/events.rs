//! The hot path: a batch of events is matched against webhooks that are not older than the batch, opened with history in
//! one call, and its first attempts start straight from the event's message.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use broker::{Consumer, Incoming, Lane};
use bytes::Bytes;
use domain::{Clock, Timestamp, WebhookKind};
use prost::Message as _;
use proto::{
    convert,
    internal::v1::{AcceptedEvent, Body, OpenDelivery, OpenEvent, OpenOutcome, SkipReason, SkippedWebhook},
    v1,
};
use runtime::{Span, Tasks, fail_point};
use tokio::sync::Semaphore;

use crate::{
    delivery::{Body as Sent, Delivering, EventRef, Job, reference},
    guard,
    opening::{Opened, Opening},
    spans,
    webhooks::{Matches, Webhook},
};

/// Events in a batch at most.
const BATCH: usize = 256;
/// Bytes of events that are opened together at most.
const PART_BYTES: usize = 2 << 20;

/// An event with the webhooks that get it and their bodies.
struct Matched {
    message: Incoming,
    event: EventRef,
    accepted_at: Timestamp,
    publish_id: Bytes,
    claim: bool,
    webhooks: Vec<Arc<Webhook>>,
    /// The webhooks that would get it, were they active.
    skipping: Vec<Arc<Webhook>>,
    /// Whether some webhook selects its type, so that somebody may ask why it did not get it.
    selected: bool,
    bodies: Bodies,
    span: Span,
}

/// An event's bodies, each rendered once.
struct Bodies {
    source: v1::Event,
    rendered: HashMap<WebhookKind, Bytes>,
}

/// Works until shutdown; what is in flight then goes on by itself.
pub(crate) async fn run(
    delivering: Arc<Delivering>,
    mut opening: Opening,
    room: Arc<Semaphore>,
    tasks: Tasks,
    prefetch: u16,
) {
    let shutdown = tasks.shutdown_token().clone();
    let Some(mut consumer) = consume(&delivering, Lane::Events, prefetch).await else { return };
    loop {
        let batch = tokio::select! {
            batch = consumer.recv_batch(BATCH) => batch,
            () = shutdown.cancelled() => return,
        };
        if batch.is_empty() {
            return tasks.fail("the lane of events ended while the program runs");
        }
        // It starts after the batch has come: what was saved before one of these was accepted is in it.
        delivering.webhooks.sync_or_go_on().await;
        for part in parts(batch) {
            let read = part.into_iter().filter_map(|message| read(&delivering, message));
            // What needs no claim and is of a type that nobody selects leaves no trace.
            let (matched, idle): (Vec<_>, Vec<_>) =
                read.partition(|event| event.claim || event.selected || event.message.redelivered);
            for event in idle {
                spans::matched(event.span, &event.event, None, 0);
                event.message.ack();
            }
            let _waiting = delivering.lag.take(Lane::Events, matched.iter().map(|event| event.accepted_at));
            let opened = opening.open(matched.iter().map(open_event).collect()).await;
            fail_point("dispatcher.opened");
            for (event, opened) in matched.into_iter().zip(opened) {
                if !dispatch(&delivering, event, opened, &room, &tasks).await {
                    return;
                }
            }
        }
    }
}

/// A batch in parts of at most [`PART_BYTES`], but for a single event that is larger: bodies are several times an event,
/// and a part is one call to history.
fn parts(batch: Vec<Incoming>) -> Vec<Vec<Incoming>> {
    let mut parts: Vec<Vec<Incoming>> = Vec::new();
    let mut bytes = PART_BYTES;
    for message in batch {
        let length = message.body.len();
        match parts.last_mut() {
            Some(part) if bytes + length <= PART_BYTES => {
                bytes += length;
                part.push(message);
            }
            _ => {
                bytes = length;
                parts.push(vec![message]);
            }
        }
    }
    parts
}

/// A consumer, once the webhooks are known; `None`: the program ends before.
pub(crate) async fn consume(delivering: &Delivering, lane: Lane, prefetch: u16) -> Option<Consumer> {
    while !delivering.webhooks.loaded() {
        tokio::select! {
            () = tokio::time::sleep(std::time::Duration::from_millis(20)) => {}
            () = delivering.shutdown.cancelled() => return None,
        }
    }
    delivering.broker.consume(lane, prefetch).await.ok()
}

/// Decodes, matches and renders. An event that cannot be read is parked.
fn read(delivering: &Delivering, message: Incoming) -> Option<Matched> {
    let (event, span, accepted, source) = match try_read(message.body.clone(), &*delivering.clock) {
        Ok(read) => read,
        Err(reason) => return park(message, &reason),
    };
    let mut bodies = Bodies { source, rendered: HashMap::new() };
    let matches = delivering.webhooks.matches(&event.instance, event.kind, event.project);
    match bodies.render(matches) {
        Ok(Matches { webhooks, skipping, selected }) => Some(Matched {
            message,
            event,
            accepted_at: Timestamp::from_micros(accepted.accepted_at),
            publish_id: accepted.publish_id,
            claim: accepted.claim,
            webhooks,
            skipping,
            selected,
            bodies,
            span,
        }),
        Err(reason) => park(message, &reason),
    }
}

fn park<T>(message: Incoming, reason: &str) -> Option<T> {
    tracing::error!(reason, "event cannot be read; it is parked");
    message.park(reason);
    None
}

/// What a message is about, the span of its matching, what was accepted (without the event), and the event.
pub(crate) fn try_read(body: Bytes, clock: &dyn Clock) -> Result<(EventRef, Span, AcceptedEvent, v1::Event), String> {
    let mut accepted = AcceptedEvent::decode(body).map_err(|error| format!("not an accepted event: {error}"))?;
    let event = accepted.event.take().ok_or("no event in it")?;
    let data = event.data.as_ref().ok_or("no data in the event")?;
    let span = spans::matching(&accepted.trace);
    let reference = EventRef {
        id: event.id.parse().map_err(|_| "the event's id is no UUID")?,
        instance: event.instance.parse().map_err(|_| "the event's instance is no name")?,
        kind: data.event_type(),
        project: event.project.as_ref().ok_or("no project in the event")?.id,
        matched_at: clock.now(),
        trace: convert::trace_bytes(&span.context()),
    };
    Ok((reference, span, accepted, event))
}

impl Bodies {
    /// Renders what history is to have of an event that some webhook selects: the generic body, and one for each kind of
    /// webhook that gets the event. Answers those of these webhooks whose filter accepts it.
    fn render(&mut self, matches: Matches) -> Result<Matches, String> {
        if matches.selected {
            self.get(WebhookKind::Generic)?;
        }
        let accepted = self.accepted_of(matches)?;
        accepted.webhooks.iter().try_for_each(|webhook| self.get(webhook.kind).map(drop))?;
        Ok(accepted)
    }

    /// The body for webhooks of a kind.
    fn get(&mut self, kind: WebhookKind) -> Result<Bytes, String> {
        if let Some(body) = self.rendered.get(&kind) {
            return Ok(body.clone());
        }
        let body: Bytes = payload::render(&self.source, kind, false).map_err(|error| error.to_string())?.into();
        self.rendered.insert(kind, body.clone());
        Ok(body)
    }

    /// Of these webhooks those whose filter accepts the event. The payload that filters speak of is read once, and only
    /// if one of them has a filter.
    fn accepted_of(&mut self, mut matches: Matches) -> Result<Matches, String> {
        let Matches { webhooks, skipping, .. } = &mut matches;
        if webhooks.iter().chain(skipping.iter()).all(|webhook| webhook.filter.is_empty()) {
            return Ok(matches);
        }
        match serde_json::from_slice(&self.get(WebhookKind::Generic)?) {
            Ok(payload) => [webhooks, skipping]
                .into_iter()
                .for_each(|list| list.retain(|webhook| webhook.filter.accepts(&payload))),
            // A publisher's own JSON may be nested too deep. Of such an event no condition is known to hold.
            Err(error) => {
                tracing::warn!(event_id = self.source.id, %error, "no filter can be asked about an event");
                [webhooks, skipping].into_iter().for_each(|list| list.retain(|webhook| webhook.filter.is_empty()));
            }
        }
        Ok(matches)
    }
}

impl Matched {
    /// The webhooks that an attempt is to be made for, each with the format of its body.
    fn wanted(&self, opened: &Opened) -> Result<Vec<(i64, WebhookKind)>, String> {
        match opened.outcome {
            OpenOutcome::Duplicate => Ok(Vec::new()),
            // What was matched then counts, as it was then. What became of a webhook since, `delivery.rs` looks at.
            OpenOutcome::Redelivered => {
                let wanted = opened.unsent.iter().map(|unsent| {
                    let kind = unsent.format.parse().map_err(|_| format!("there is no format {}", unsent.format))?;
                    Ok((unsent.webhook_id, kind))
                });
                wanted.collect()
            }
            OpenOutcome::New | OpenOutcome::Unspecified => {
                Ok(self.webhooks.iter().map(|webhook| (webhook.id, webhook.kind)).collect())
            }
        }
    }
}

fn open_event(matched: &Matched) -> OpenEvent {
    let body =
        |(kind, content): (&WebhookKind, &Bytes)| Body { format: kind.name().to_owned(), content: content.clone() };
    let delivery =
        |webhook: &Arc<Webhook>| OpenDelivery { webhook_id: webhook.id, format: webhook.kind.name().to_owned() };
    OpenEvent {
        instance: matched.event.instance.to_string(),
        event_id: convert::uuid_bytes(matched.event.id),
        publish_id: matched.publish_id.clone(),
        claim: matched.claim,
        redelivered: matched.message.redelivered,
        event_type: matched.event.kind.name().to_owned(),
        project_id: matched.event.project,
        matched_at: matched.event.matched_at.as_micros(),
        bodies: matched.bodies.rendered.iter().map(body).collect(),
        deliveries: matched.webhooks.iter().map(delivery).collect(),
        skipped: matched.skipping.iter().map(|webhook| skipped(webhook)).collect(),
    }
}

fn skipped(webhook: &Webhook) -> SkippedWebhook {
    let reason = match webhook.skips_for {
        domain::SkipReason::Inactive => SkipReason::Inactive,
        domain::SkipReason::Plan => SkipReason::Plan,
        domain::SkipReason::ProjectDeleted => SkipReason::ProjectDeleted,
        domain::SkipReason::Failing => SkipReason::Failing,
    };
    SkippedWebhook { webhook_id: webhook.id, reason: reason.into() }
}

/// Starts the first attempts of an event; its message is acknowledged when all of them are durable. `false`: the program
/// ends before all could start, and the message will come again.
async fn dispatch(
    delivering: &Arc<Delivering>,
    mut matched: Matched,
    opened: Opened,
    room: &Arc<Semaphore>,
    tasks: &Tasks,
) -> bool {
    let jobs = match jobs(&mut matched, &opened) {
        Ok(jobs) => jobs,
        Err(reason) => {
            park::<()>(matched.message, &reason);
            return true;
        }
    };
    delivering.metrics.matched(jobs.len());
    let untold = opened.is_untold().then(|| OpenEvent { redelivered: true, ..open_event(&matched) });
    spans::matched(matched.span, &matched.event, Some(opened.outcome), jobs.len());
    let mut promises = guard::promises(matched.message, jobs.len() + usize::from(untold.is_some())).into_iter();
    if let Some(event) = untold
        && let Some(promise) = promises.next()
    {
        let recorder = delivering.recorder.clone();
        tasks.spawn("open later", async move {
            if recorder.open(&event).await {
                promise.keep();
            }
        });
    }
    for (job, promise) in jobs.into_iter().zip(promises) {
        if !delivering.start(job, promise, room, tasks).await {
            return false;
        }
    }
    true
}

fn jobs(matched: &mut Matched, opened: &Opened) -> Result<Vec<Job>, String> {
    let mut jobs = Vec::new();
    let mut bodies: HashMap<WebhookKind, Sent> = HashMap::new();
    for (webhook_id, kind) in matched.wanted(opened)? {
        let (delivery_id, delivery) = reference(&matched.event, webhook_id, kind);
        let body = match bodies.entry(kind) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(unknown) => unknown.insert(matched.bodies.get(kind)?.into()).clone(),
        };
        jobs.push(Job {
            delivery,
            delivery_id,
            number: 1,
            generation: 0,
            body,
            manual: false,
            accepted_at: Some(matched.accepted_at),
        });
    }
    Ok(jobs)
}
