//! Events published all the time while something else happens.

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use proto::v1::Event;
use tokio::task::JoinHandle;

use crate::{events, publisher::Publisher, wait::pause};

/// From one event to the next.
const PACE: Duration = Duration::from_millis(20);

/// An event that was accepted.
#[derive(Clone, Debug)]
pub struct Published {
    /// Its id.
    pub id: String,
    /// Its project.
    pub project: i64,
    /// When its call began.
    pub from: Instant,
    /// When the answer was there.
    pub until: Instant,
}

/// Completed runs, about 50 a second, of several projects in turn.
pub struct Load {
    stopped: Arc<AtomicBool>,
    published: Arc<Mutex<Vec<Published>>>,
    task: JoinHandle<()>,
}

impl Load {
    /// Begins. Its task panics if an event is refused, which [`Load::stop`] tells.
    #[must_use]
    pub fn start(publisher: Publisher, projects: &[i64]) -> Self {
        let stopped = Arc::new(AtomicBool::new(false));
        let published = Arc::default();
        let task = crate::spawn(publish(publisher, projects.to_vec(), Arc::clone(&stopped), Arc::clone(&published)));
        Self { stopped, published, task }
    }

    /// How many events were accepted so far.
    #[must_use]
    pub fn count(&self) -> usize {
        lock(&self.published).len()
    }

    /// What was accepted so far.
    #[must_use]
    pub fn so_far(&self) -> Vec<Published> {
        lock(&self.published).clone()
    }

    /// Ends; all events that were accepted, in their order.
    pub async fn stop(self) -> Vec<Published> {
        self.stopped.store(true, Ordering::Relaxed);
        self.task.await.expect("every event is accepted");
        lock(&self.published).clone()
    }
}

/// Calls `publish` with a number from 0 and the time when it is due, `rate` times a second for `period`, and waits until
/// what came of the last calls has had `rest` to arrive. A call that takes long does not make the next ones due later.
pub async fn open_loop(rate: u32, period: Duration, rest: Duration, mut publish: impl AsyncFnMut(usize, Instant)) {
    let start = Instant::now();
    for number in 0.. {
        let due = start + Duration::from_secs(1) * number / rate;
        if due >= start + period {
            break;
        }
        pause(due.saturating_duration_since(Instant::now())).await;
        publish(usize::try_from(number).expect("a small number"), due).await;
    }
    pause(rest).await;
}

/// Publishes events of its own until it is stopped, about 50 times a second `batch` of them, each until it is accepted,
/// whatever becomes of the server meanwhile; all of them.
pub async fn publish_until(
    publisher: Publisher,
    batch: usize,
    stopped: Arc<AtomicBool>,
    patience: Duration,
) -> Vec<Event> {
    let (mut published, mut due) = (Vec::new(), Instant::now());
    while !stopped.load(Ordering::Relaxed) {
        let events = events::many(batch);
        publisher.publish_all(&events, batch, patience).await;
        published.extend(events);
        due += PACE;
        pause(due.saturating_duration_since(Instant::now())).await;
    }
    published
}

fn lock(published: &Mutex<Vec<Published>>) -> MutexGuard<'_, Vec<Published>> {
    published.lock().expect("no panic while an event is noted")
}

async fn publish(
    publisher: Publisher,
    projects: Vec<i64>,
    stopped: Arc<AtomicBool>,
    published: Arc<Mutex<Vec<Published>>>,
) {
    let mut due = Instant::now();
    for (number, project) in (1..).zip(projects.into_iter().cycle()) {
        if stopped.load(Ordering::Relaxed) {
            return;
        }
        let from = Instant::now();
        let id = publisher.publish(events::run_completed(project, number)).await.expect("an accepted event");
        let until = Instant::now();
        lock(&published).push(Published { id, project, from, until });
        due += PACE;
        pause(due.saturating_duration_since(until)).await;
    }
}
