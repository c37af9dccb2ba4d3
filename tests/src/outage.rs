//! PostgreSQL away for a while, under load: nothing that was accepted is lost, and history catches up.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;

use crate::{
    events, history,
    product::{Mode, Product},
    publisher::Publisher,
    receiver::Receiver,
    rest::Rest,
    servers,
    wait::{eventually, pause},
    webhooks,
};

/// From one batch of events to the next.
const PACE: Duration = Duration::from_millis(100);
/// The path of the endpoint.
const PATH: &str = "/in";

/// How long, and under which load.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// How long PostgreSQL is away.
    pub outage: Duration,
    /// Events a second, before, meanwhile and after, each for one endpoint.
    pub rate: usize,
    /// How long before.
    pub before: Duration,
    /// How long history may take to catch up, and the last events to be on record.
    pub patience: Duration,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    form: Form,
    /// Events that were accepted.
    pub accepted: usize,
    /// Of those, while PostgreSQL was away.
    pub accepted_meanwhile: usize,
    /// Events that were not.
    pub refused: usize,
    /// Accepted events that never came to the endpoint.
    pub lost: usize,
    /// Accepted events without an entry, or with another one than that it was delivered.
    pub unrecorded: usize,
    /// Requests for what had come before.
    pub duplicates: usize,
    /// Attempts that were made and not on record when PostgreSQL came back.
    pub behind: usize,
    /// How long it took from then on until history was less than a second behind.
    pub caught_up: Duration,
    /// Attempts that were recorded in that time.
    pub recorded: usize,
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Form { outage, rate, .. } = self.form;
        writeln!(formatter, "PostgreSQL away for {} s, {rate} events/s", outage.as_secs_f64())?;
        writeln!(formatter, "  accepted:   {} ({} of them meanwhile)", self.accepted, self.accepted_meanwhile)?;
        writeln!(formatter, "  refused:    {}", self.refused)?;
        writeln!(formatter, "  lost:       {}", self.lost)?;
        writeln!(formatter, "  unrecorded: {}", self.unrecorded)?;
        writeln!(formatter, "  duplicates: {}", self.duplicates)?;
        let seconds = self.caught_up.as_secs_f64();
        let rate = self.recorded as f64 / seconds.max(0.001);
        write!(formatter, "  history was {} attempts behind, and caught up in {seconds:.1} s: ", self.behind)?;
        write!(formatter, "{} recorded, {rate:.0}/s", self.recorded)
    }
}

/// Publishes, takes PostgreSQL away and gives it back, and waits for everything.
pub async fn measure(form: Form) -> Outcome {
    let postgres = servers::own_postgres().await;
    let (database, mut postgres) = servers::blocking(move || (postgres.create_database(), postgres)).await;
    let product = Product::prepare(Mode::Distributed).database(database).start().await;
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    let hook = webhooks::create_generic(&rest, &receiver.url(PATH)).await.id;
    let load = Load::start(product.publisher(), form.rate);
    pause(form.before).await;
    let before = eventually(form.patience, "what is delivered is on record", async || {
        recorded(&rest, hook).await.filter(|recorded| *recorded > 0)
    })
    .await;
    let accepted_before = load.tally().accepted.len();
    let mut postgres = servers::blocking(move || {
        postgres.kill();
        postgres
    })
    .await;
    pause(form.outage).await;
    let accepted_meanwhile = load.tally().accepted.len() - accepted_before;
    let behind = receiver.count(PATH).saturating_sub(before);
    let _running = servers::blocking(move || {
        postgres.resume();
        postgres
    })
    .await;
    let back = Instant::now();
    let at_last = eventually(form.patience, "history has caught up", async || {
        let accepted = load.tally().accepted.len();
        recorded(&rest, hook).await.filter(|recorded| recorded + form.rate >= accepted)
    })
    .await;
    let caught_up = back.elapsed();
    let Tally { accepted, refused } = load.stop().await;
    let (lost, duplicates) = arrived(&receiver, &accepted, form.patience).await;
    history::wait_until_settled(&rest, hook, form.patience).await;
    let on_record = history::by_event(history::all(&rest, hook).await);
    let is_recorded = |id: &&String| {
        let entries = on_record.get(*id).map_or(&[][..], Vec::as_slice);
        entries.iter().map(|entry| (entry.status(), entry.attempt())).eq([("delivered", 1)])
    };
    Outcome {
        form,
        accepted: accepted.len(),
        accepted_meanwhile,
        refused,
        lost,
        unrecorded: accepted.len() - accepted.iter().filter(is_recorded).count(),
        duplicates,
        behind,
        caught_up,
        recorded: at_last - before,
    }
}

/// How many attempts are on record; `None`: history cannot be asked.
async fn recorded(rest: &Rest, webhook: i64) -> Option<usize> {
    let answer = rest.get(&format!("/api/v1/webhooks/{webhook}/stats")).await;
    usize::try_from(answer.json["result"]["totals"]["delivered"].as_u64()?).ok()
}

/// Waits for what was accepted; how much of it never came, and how many requests were repeats.
async fn arrived(receiver: &Receiver, accepted: &BTreeSet<String>, patience: Duration) -> (usize, usize) {
    let start = Instant::now();
    loop {
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        for request in receiver.requests(PATH) {
            *times.entry(request.json()["id"].as_str().expect("an id in the body").to_owned()).or_default() += 1;
        }
        let lost = accepted.iter().filter(|id| !times.contains_key(*id)).count();
        if lost == 0 || start.elapsed() > patience {
            return (lost, times.values().map(|count| count - 1).sum());
        }
        pause(PACE * 10).await;
    }
}

/// What became of what was published so far.
#[derive(Debug, Default)]
struct Tally {
    accepted: BTreeSet<String>,
    refused: usize,
}

/// Events at a steady rate, each published once.
struct Load {
    stopped: Arc<AtomicBool>,
    tally: Arc<Mutex<Tally>>,
    task: JoinHandle<()>,
}

impl Load {
    fn start(publisher: Publisher, rate: usize) -> Self {
        let (stopped, tally) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<Tally>>::default());
        let task = crate::spawn(publish(publisher, rate, Arc::clone(&stopped), Arc::clone(&tally)));
        Self { stopped, tally, task }
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        lock(&self.tally)
    }

    async fn stop(self) -> Tally {
        self.stopped.store(true, Ordering::Relaxed);
        self.task.await.expect("the load does not panic");
        std::mem::take(&mut *lock(&self.tally))
    }
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().expect("no panic while results are counted")
}

async fn publish(publisher: Publisher, rate: usize, stopped: Arc<AtomicBool>, tally: Arc<Mutex<Tally>>) {
    let batch = (rate * usize::try_from(PACE.as_millis()).expect("a short time") / 1_000).max(1);
    let mut due = Instant::now();
    while !stopped.load(Ordering::Relaxed) {
        let results = publisher.publish_batch(events::many(batch)).await;
        {
            let mut tally = lock(&tally);
            match results {
                Ok(results) => {
                    for result in results {
                        match result.error {
                            None => _ = tally.accepted.insert(result.id),
                            Some(_) => tally.refused += 1,
                        }
                    }
                }
                Err(_) => tally.refused += batch,
            }
        }
        due += PACE;
        pause(due.saturating_duration_since(Instant::now())).await;
    }
}
