//! What `Open` answers and writes, worked out without a database, so that both stores come to the same.
//!
//! A store first inserts the claims, then looks up what is known of the events that [`in_doubt`] names, and then
//! [`decide`]s.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use domain::WebhookKind;
use uuid::Uuid;

use crate::{
    counts::{CountKey, Counted, Tally},
    merge::NewBody,
    model::{Delivery, EventKey, OpenEvent, Opened, WaitState},
};

/// The format that is kept of every event, so that it can be explained to webhooks that did not get it.
pub(crate) const GENERIC: &str = WebhookKind::Generic.name();
/// What the trace context of an event is kept under, as if it were a body of it. It is kept when something of the event may
/// be sent from here later, so that this is done in the same trace; what is delivered at once costs nothing.
pub(crate) const TRACE: &str = "trace";

/// The claims of a batch's events.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// Those that this batch has made.
    pub(crate) made: HashSet<EventKey>,
    /// The publishes that they and the others belong to.
    pub(crate) publishes: HashMap<EventKey, Uuid>,
}

/// A wait for an attempt, as far as opening needs it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct KnownWait {
    pub(crate) instance: String,
    pub(crate) event_id: Uuid,
    pub(crate) delivery_id: Uuid,
    pub(crate) webhook_id: i64,
    pub(crate) format: String,
    pub(crate) number: i32,
    pub(crate) state: i16,
}

/// What is stored of the events in doubt.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) waits: Vec<KnownWait>,
    /// Deliveries with an attempt.
    pub(crate) attempted: HashSet<Uuid>,
    /// Events with a body.
    pub(crate) bodies: HashSet<EventKey>,
}

/// What is to be written, each list ascending and without repeats.
#[derive(Debug, Default)]
pub(crate) struct Decision<'a> {
    pub(crate) results: Vec<Opened>,
    /// To be written unless the delivery waits already or has an attempt.
    pub(crate) deliveries: Vec<Delivery>,
    /// To be written unless the event has one of the format: the first content wins.
    pub(crate) bodies: Vec<NewBody<'a>>,
    /// Events that some webhooks skip, unless their publish was opened before.
    skipped: Vec<&'a OpenEvent>,
}

impl<'a> Decision<'a> {
    /// What the skipped events change in the counts, when the generic bodies of the events in `first` were written just
    /// now. An event that claims no id may be opened twice, because the answer to the first call was lost, and one that was
    /// dispatched without history may be opened after its attempts: its body is written once.
    pub(crate) fn counts(&self, first: &HashSet<EventKey>) -> Tally<'a> {
        let mut tally = Tally::default();
        for event in self.skipped.iter().filter(|event| first.contains(&event.key)) {
            for (webhook_id, reason) in &event.skipped {
                let what = Counted::Skipped(*reason);
                tally.add(CountKey::new(&event.key.instance, *webhook_id, event.matched_at, what));
            }
        }
        tally
    }
}

/// The claims that a batch wants to make, ascending, the first of several for one event.
pub(crate) fn wanted_claims(events: &[OpenEvent]) -> BTreeMap<&EventKey, Uuid> {
    let mut wanted = BTreeMap::new();
    for event in events.iter().filter(|event| event.claim) {
        wanted.entry(&event.key).or_insert(event.publish_id);
    }
    wanted
}

/// The events for which it has to be looked up what is known of them.
pub(crate) fn in_doubt<'a>(events: &'a [OpenEvent], claims: &Claims) -> Vec<&'a OpenEvent> {
    let doubtful = |event: &&OpenEvent| match standing(event, claims) {
        Standing::Taken => false,
        Standing::Again => true,
        Standing::First => event.redelivered,
    };
    events.iter().filter(doubtful).collect()
}

/// What becomes of the events. The same publish twice in a batch is sent once.
pub(crate) fn decide<'a>(events: &'a [OpenEvent], claims: &Claims, known: &Known) -> Decision<'a> {
    let mut waits: HashMap<(&str, Uuid), Vec<&KnownWait>> = HashMap::new();
    for wait in &known.waits {
        waits.entry((&wait.instance, wait.event_id)).or_default().push(wait);
    }
    let mut deliveries = BTreeMap::new();
    let mut bodies = BTreeMap::new();
    let mut skipped = Vec::new();
    let mut results = Vec::with_capacity(events.len());
    let mut seen = HashSet::new();
    for event in events {
        let standing = standing(event, claims);
        if standing == Standing::Taken {
            results.push(Opened::Duplicate);
            continue;
        }
        if !seen.insert(&event.key) {
            results.push(Opened::Redelivered(Vec::new()));
            continue;
        }
        let waiting = waits.get(&(event.key.instance.as_str(), event.key.event_id)).map_or(&[][..], Vec::as_slice);
        let fresh: Vec<_> = match standing {
            Standing::First => event.deliveries.iter().filter(|to| is_fresh(event, to.0, waiting, known)).collect(),
            _ => Vec::new(),
        };
        let is_known = !waiting.is_empty() || fresh.len() < event.deliveries.len() || known.bodies.contains(&event.key);
        let again = standing == Standing::Again || event.redelivered && is_known;
        results.push(if again { redelivered(&fresh, waiting, known) } else { Opened::New });
        if standing == Standing::First {
            if !event.skipped.is_empty() {
                skipped.push(event);
            }
            // Also of deliveries that are known: what was dispatched without history has left its bodies to this.
            let kept = |format: &str| format == GENERIC || event.deliveries.iter().any(|to| to.1 == format);
            for (format, content) in event.bodies.iter().filter(|body| kept(&body.0)) {
                let body = NewBody { event: event.key.clone(), format, at: event.matched_at, content };
                bodies.entry((&event.key, format)).or_insert(body);
            }
        }
        for (webhook_id, format) in fresh {
            let delivery = event.delivery(*webhook_id, format);
            deliveries.insert(delivery.id, delivery);
        }
    }
    let (deliveries, bodies) = (deliveries.into_values().collect(), bodies.into_values().collect());
    Decision { results, deliveries, bodies, skipped }
}

/// How an event stands to the claim on its id.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It is this publish's now, or claims nothing.
    First,
    /// This publish has opened it before.
    Again,
    /// Another publish has it.
    Taken,
}

fn standing(event: &OpenEvent, claims: &Claims) -> Standing {
    if !event.claim {
        return Standing::First;
    }
    match claims.publishes.get(&event.key) {
        Some(publish) if *publish != event.publish_id => Standing::Taken,
        Some(_) if !claims.made.contains(&event.key) => Standing::Again,
        _ => Standing::First,
    }
}

/// Whether nothing is known of a delivery. An event that is in doubt may have been sent in part while history could not
/// be reached: then nothing is known of what was not sent, and that must be sent.
fn is_fresh(event: &OpenEvent, webhook_id: i64, waiting: &[&KnownWait], known: &Known) -> bool {
    let id = domain::delivery_id(event.key.event_id, webhook_id);
    !known.attempted.contains(&id) && waiting.iter().all(|wait| wait.delivery_id != id)
}

fn redelivered(fresh: &[&(i64, String)], waiting: &[&KnownWait], known: &Known) -> Opened {
    let unsent = waiting.iter().filter(|wait| {
        wait.number == 1 && wait.state == WaitState::Event.code() && !known.attempted.contains(&wait.delivery_id)
    });
    let unsent = unsent.map(|wait| (wait.webhook_id, wait.format.clone()));
    let unsent: BTreeSet<(i64, String)> = unsent.chain(fresh.iter().map(|to| (*to).clone())).collect();
    Opened::Redelivered(unsent.into_iter().collect())
}
