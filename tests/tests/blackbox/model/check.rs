//! What arrived and what is on record, compared with what the model allows.

use std::{collections::BTreeMap, ops::AddAssign, sync::Arc};

use blackbox::{
    history::{self, Entry},
    receiver::{Received, Receiver},
};

use super::{
    plan::Reply,
    reference::{Event, Retries, Verdict, Webhook},
    sequence::{Sequence, Weather},
};

/// How much there was to compare.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) must: usize,
    pub(super) may: usize,
    pub(super) never: usize,
    pub(super) requests: usize,
    /// Requests that an earlier one was the same attempt of.
    pub(super) repeats: usize,
    /// Attempts that somebody has asked for.
    pub(super) retries: usize,
    /// Deliveries that wait for a paused webhook.
    pub(super) waiting: usize,
    /// Deliveries that were cancelled with their webhook.
    pub(super) cancelled: usize,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, more: Self) {
        self.must += more.must;
        self.may += more.may;
        self.never += more.never;
        self.requests += more.requests;
        self.repeats += more.repeats;
        self.retries += more.retries;
        self.waiting += more.waiting;
        self.cancelled += more.cancelled;
    }
}

/// A request, and which of the webhook's addresses it came to.
type Posted = (usize, Arc<Received>);

/// What there is of one event for one webhook.
#[derive(Default)]
struct Found {
    requests: Vec<Posted>,
    /// By their number.
    entries: Vec<Entry>,
}

/// The first thing of a sequence that the model does not allow.
pub(super) async fn check(sequence: &Sequence, receiver: &Receiver) -> Result<Tally, String> {
    let entries = history::all_of_instance(&sequence.rest).await;
    let mut tally = Tally::default();
    for (number, webhook) in sequence.model.webhooks.iter().enumerate() {
        let mut found = gather(sequence, receiver, number, &entries)?;
        for (event_number, event) in sequence.model.events.iter().enumerate() {
            let found = found.remove(&event.id).unwrap_or_default();
            let verdict = sequence.model.verdict(event_number, number);
            let retries = sequence.model.retries(event_number, number);
            let case = Case { weather: sequence.weather, webhook, event, verdict, retries };
            case.check(&found, &mut tally).map_err(|what| {
                format!("event {event_number}, webhook {number} ({verdict:?}): {what}\n{}", case.story(&found))
            })?;
        }
        if let Some((event, _)) = found.first_key_value() {
            return Err(format!("webhook {number} has something of event {event}, which nobody has published"));
        }
    }
    Ok(tally)
}

/// All that there is for a webhook, by event.
fn gather(
    sequence: &Sequence,
    receiver: &Receiver,
    number: usize,
    entries: &[Entry],
) -> Result<BTreeMap<String, Found>, String> {
    let webhook = &sequence.model.webhooks[number];
    let mut found: BTreeMap<String, Found> = BTreeMap::new();
    for address in 0..2 {
        for request in receiver.requests(&sequence.path(number, address)) {
            if request.expect_header("x-testmo-webhook") != webhook.id.to_string() {
                return Err(format!("webhook {number} is not the one in {:?}", request.headers));
            }
            let event = request.json()["id"].as_str().unwrap_or_default().to_owned();
            found.entry(event).or_default().requests.push((address, request));
        }
    }
    for entry in entries.iter().filter(|entry| entry.webhook() == webhook.id) {
        found.entry(entry.event().to_owned()).or_default().entries.push(entry.clone());
    }
    for found in found.values_mut() {
        found.requests.sort_by_key(|(_, request)| request.at);
        found.entries.sort_by_key(Entry::attempt);
    }
    Ok(found)
}

/// One event for one webhook.
struct Case<'a> {
    weather: Weather,
    webhook: &'a Webhook,
    event: &'a Event,
    verdict: Verdict,
    retries: Retries,
}

/// What became of an entry.
enum State {
    Made,
    Waiting,
    Cancelled,
}

fn ensure(condition: bool, what: &str) -> Result<(), String> {
    if condition { Ok(()) } else { Err(what.to_owned()) }
}

fn state(entry: &Entry) -> State {
    match entry.status() {
        "pending" => State::Waiting,
        _ if entry.error().contains("webhook deleted") => State::Cancelled,
        _ => State::Made,
    }
}

fn attempt(request: &Received) -> usize {
    request.expect_header("x-testmo-attempt").parse().unwrap_or(0)
}

impl Case<'_> {
    fn check(&self, found: &Found, tally: &mut Tally) -> Result<(), String> {
        match self.verdict {
            Verdict::Must => tally.must += 1,
            Verdict::May => tally.may += 1,
            Verdict::Never => tally.never += 1,
        }
        tally.requests += found.requests.len();
        tally.retries += self.retries.least;
        if found.entries.is_empty() {
            ensure(found.requests.is_empty(), "it was sent and is not on record")?;
            return ensure(self.verdict != Verdict::Must, "it is lost");
        }
        ensure(self.verdict != Verdict::Never, "it must not be delivered")?;
        let made = self.check_entries(&found.entries, tally)?;
        for (address, request) in &found.requests {
            self.check_request(*address, request, &found.requests[0].1)?;
        }
        self.check_counts(found, made, tally)
    }

    /// The attempts are numbered without gaps and ended as their endpoint answered, and the delivery has ended or waits
    /// for its webhook; how many attempts were made.
    fn check_entries(&self, entries: &[Entry], tally: &mut Tally) -> Result<usize, String> {
        let scheduled = self.webhook.behaviour.last_attempt();
        let ends = scheduled + self.retries.least..=scheduled + self.retries.most;
        let webhook = &self.webhook.state;
        let mut made = 0;
        for (entry, number) in entries.iter().zip(1..) {
            ensure(usize::try_from(entry.attempt()) == Ok(number), "its attempts are not numbered 1, 2, …")?;
            ensure(number <= *ends.end(), "it has more attempts than it may have")?;
            ensure(made + 1 == number, "an attempt follows on one that was not made")?;
            match state(entry) {
                State::Made => {
                    let reply = self.webhook.behaviour.reply(number);
                    let code = match reply {
                        Reply::Status(status) => Some(i64::from(status)),
                        Reply::HangsUp => None,
                    };
                    let status = if reply.is_success() { "delivered" } else { "failed" };
                    ensure(entry.response_code() == code, "an attempt has another outcome than its endpoint's answer")?;
                    ensure(entry.status() == status, "an attempt has the wrong status")?;
                    made = number;
                }
                State::Waiting => {
                    tally.waiting += 1;
                    ensure(!webhook.active && !webhook.deleted, "it waits although its webhook is not paused")?;
                }
                State::Cancelled => {
                    tally.cancelled += 1;
                    ensure(webhook.deleted, "it was cancelled although its webhook is there")?;
                }
            }
        }
        // What was on the wire when its webhook was deleted may be the last, whatever came of it.
        let ended = ends.contains(&made) || entries.len() > made || webhook.deleted;
        ensure(ended, "it has neither ended nor does it wait")?;
        Ok(made)
    }

    fn check_request(&self, address: usize, request: &Received, first: &Received) -> Result<(), String> {
        ensure(self.event.content.is_told_by(&request.json()), "the body is not that of the first content")?;
        ensure(request.body == first.body, "the body changes from attempt to attempt")?;
        let delivery = "x-testmo-delivery";
        ensure(request.expect_header(delivery) == first.expect_header(delivery), "it has two deliveries")?;
        if self.webhook.may_have_sent(address, request.at) {
            return Ok(());
        }
        let phases = self.webhook.phases(request.at);
        Err(format!("attempt {} was sent to address {address} when it must not be: {phases}", attempt(request)))
    }

    /// Each attempt on record came, once; a crash may have repeated it, or come before it was recorded.
    fn check_counts(&self, found: &Found, made: usize, tally: &mut Tally) -> Result<(), String> {
        let mut counts = BTreeMap::new();
        for (_, request) in &found.requests {
            *counts.entry(attempt(request)).or_insert(0_usize) += 1;
        }
        tally.repeats += found.requests.len() - counts.len();
        ensure((1..=made).all(|number| counts.contains_key(&number)), "an attempt is on record that never came")?;
        if self.weather == Weather::Calm {
            ensure(counts.len() == made, "an attempt is not on record")?;
            return ensure(found.requests.len() == made, "an attempt came more than once");
        }
        let interrupted = found.entries.len() > made || self.webhook.state.deleted;
        ensure(counts.keys().all(|number| *number <= made + usize::from(interrupted)), "an attempt is not on record")
    }

    /// All that there is, for a message.
    fn story(&self, found: &Found) -> String {
        let mut lines = vec![format!(
            "  {} {:?}, webhook {} {:?} {:?}",
            self.event.id, self.event.content, self.webhook.id, self.webhook.behaviour, self.webhook.state
        )];
        lines.extend(found.requests.iter().map(|(address, request)| {
            format!("  came to address {address}: attempt {}; {}", attempt(request), self.webhook.phases(request.at))
        }));
        lines.extend(found.entries.iter().map(|entry| format!("  on record: {}", entry.0)));
        lines.join("\n")
    }
}
