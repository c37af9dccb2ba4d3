//! The oracle: whether what was accepted, what came to the endpoints and what history shows agree.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::{Duration, Instant},
};

use proto::v1::Event;

use crate::{history, receiver::Receiver, rest::Rest, wait::pause};

/// From one look to the next.
const PACE: Duration = Duration::from_millis(200);

/// Where every event goes to.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its path at the receiver.
    pub path: &'static str,
    /// Its webhook.
    pub webhook: i64,
    /// What it answers to the first attempt, the second, …; the last answer ends the delivery.
    pub answers: Vec<u16>,
}

/// What was found, over all endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What had to come: an event to an endpoint.
    pub deliveries: usize,
    /// Of those, what has not come to its last attempt.
    pub lost: usize,
    /// Deliveries with more than one id, of events to an endpoint.
    pub doubled: usize,
    /// What came, and nobody had published.
    pub strangers: usize,
    /// Attempts that came, and are not on record as they ended.
    pub unrecorded: usize,
    /// Attempts that are on record, and never came.
    pub invented: usize,
    /// Entries that still wait.
    pub stuck: usize,
    /// Attempts that came again, under the same id.
    pub repeats: usize,
    /// Of those, such as no program died between.
    pub unexplained: usize,
    /// How long before a death an attempt had come that came again after it, at most.
    pub oldest: Duration,
}

impl Verdict {
    /// Whether nothing is wrong; attempts may have been repeated where a program died.
    #[must_use]
    pub fn is_sound(self) -> bool {
        let Self { deliveries, repeats, oldest, .. } = self;
        self == Self { deliveries, repeats, oldest, ..Self::default() }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { deliveries, lost, doubled, strangers, unrecorded, invented, stuck, repeats, unexplained, oldest } =
            self;
        write!(
            formatter,
            "{deliveries} deliveries: {lost} lost, {doubled} doubled, {strangers} of nobody's, {unrecorded} unrecorded, \
             {invented} invented, {stuck} stuck, {repeats} repeats ({unexplained} without a death between; the first time was \
             at most {} ms before one)",
            oldest.as_millis()
        )
    }
}

/// What was done.
#[derive(Clone, Copy, Debug)]
pub struct Story<'a> {
    /// Where every event goes to.
    pub endpoints: &'a [Endpoint],
    /// What was accepted.
    pub published: &'a [Event],
    /// When programs died.
    pub deaths: &'a [Instant],
    /// Events that may have got lost, because somebody has thrown away what was accepted; not waited for.
    pub dropped: usize,
}

/// Waits until everything that was published has come everywhere and nothing waits any more, at most for so long, and
/// tells what it finds.
pub async fn judge(rest: &Rest, receiver: &Receiver, story: Story<'_>, patience: Duration) -> Verdict {
    let Story { endpoints, published, deaths, dropped } = story;
    let published: BTreeSet<&str> = published.iter().map(|event| event.id.as_str()).collect();
    let begun = Instant::now();
    let mut verdict = Verdict::default();
    for endpoint in endpoints {
        let (came, stuck) = loop {
            let came = came(receiver, endpoint.path);
            let all_came = lost(&came, endpoint, &published).len() <= dropped;
            let is_over = begun.elapsed() > patience;
            if all_came || is_over {
                let stuck = history::page(rest, endpoint.webhook, "status=pending").await.len();
                if stuck == 0 || is_over {
                    break (self::came(receiver, endpoint.path), stuck);
                }
            }
            pause(PACE).await;
        };
        verdict.deliveries += published.len();
        let missing = lost(&came, endpoint, &published);
        if let Some(first) = missing.first() {
            println!("{}: {} lost, such as event {first}", endpoint.path, missing.len());
        }
        verdict.lost += missing.len();
        verdict.stuck += stuck;
        verdict.doubled += came.values().filter(|came| came.deliveries.len() > 1).count();
        verdict.strangers += came.keys().filter(|id| !published.contains(id.as_str())).count();
        for pair in came.values().flat_map(|came| came.attempts.values()).flat_map(|times| times.windows(2)) {
            verdict.repeats += 1;
            match deaths.iter().find(|death| (pair[0]..=pair[1]).contains(*death)) {
                Some(death) => verdict.oldest = verdict.oldest.max(*death - pair[0]),
                None => verdict.unexplained += 1,
            }
        }
        let recorded = recorded(rest, endpoint.webhook).await;
        verdict.unrecorded += unrecorded(&came, endpoint, &recorded);
        verdict.invented += invented(&self::came(receiver, endpoint.path), &recorded);
    }
    verdict
}

/// What came of an event.
#[derive(Default)]
struct Came {
    deliveries: BTreeSet<String>,
    /// When each attempt came.
    attempts: BTreeMap<usize, Vec<Instant>>,
}

fn came(receiver: &Receiver, path: &str) -> BTreeMap<String, Came> {
    let mut all: BTreeMap<String, Came> = BTreeMap::new();
    for request in receiver.requests(path) {
        let event = request.json()["id"].as_str().expect("an id in the body").to_owned();
        let came = all.entry(event).or_default();
        came.deliveries.insert(request.expect_header("x-testmo-delivery").to_owned());
        let attempt = request.expect_header("x-testmo-attempt").parse().expect("a number");
        came.attempts.entry(attempt).or_default().push(request.at);
    }
    all
}

/// Events whose last attempt has not come.
fn lost<'a>(came: &BTreeMap<String, Came>, endpoint: &Endpoint, published: &BTreeSet<&'a str>) -> Vec<&'a str> {
    let has_ended = |id: &str| came.get(id).is_some_and(|came| came.attempts.contains_key(&endpoint.answers.len()));
    published.iter().copied().filter(|id| !has_ended(id)).collect()
}

/// What is on record of each attempt that does not wait: the answer and the status, by event and number.
type Recorded = BTreeMap<(String, usize), (Option<i64>, String)>;

async fn recorded(rest: &Rest, webhook: i64) -> Recorded {
    let entries = history::all(rest, webhook).await.into_iter().filter(|entry| entry.status() != "pending");
    let of = |entry: history::Entry| {
        let number = usize::try_from(entry.attempt()).expect("a number from 1");
        ((entry.event().to_owned(), number), (entry.response_code(), entry.status().to_owned()))
    };
    entries.map(of).collect()
}

/// Attempts that are not on record as they were answered.
fn unrecorded(came: &BTreeMap<String, Came>, endpoint: &Endpoint, recorded: &Recorded) -> usize {
    let attempts = came.iter().flat_map(|(event, came)| came.attempts.keys().map(|number| (event.clone(), *number)));
    let is_recorded = |attempt: &(String, usize)| {
        let Some(answer) = endpoint.answers.get(attempt.1 - 1) else { return false };
        let status = if (200..300).contains(answer) { "delivered" } else { "failed" };
        recorded.get(attempt) == Some(&(Some(i64::from(*answer)), status.to_owned()))
    };
    attempts.filter(|attempt| !is_recorded(attempt)).count()
}

/// Attempts on record that have not come by now.
fn invented(came: &BTreeMap<String, Came>, recorded: &Recorded) -> usize {
    let has_come =
        |(event, number): &&(String, usize)| came.get(event).is_some_and(|came| came.attempts.contains_key(number));
    recorded.len() - recorded.keys().filter(has_come).count()
}
