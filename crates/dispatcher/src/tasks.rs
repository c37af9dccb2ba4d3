//! Deliveries that come from a message of their own: retries whose wait is over, and what history releases.

use std::sync::Arc;

use broker::{Incoming, Lane};
use prost::Message as _;
use proto::{
    convert,
    internal::v1::{CheckItem, DeliveryTask},
};
use runtime::Tasks;
use tokio::sync::Semaphore;

use crate::{
    delivery::{Delivering, Job},
    events::consume,
    guard,
    history::History,
};

/// Deliveries in a batch at most.
const BATCH: usize = 128;

/// A lane and what working on it needs.
pub(crate) struct LaneOf {
    pub(crate) lane: Lane,
    pub(crate) room: Arc<Semaphore>,
    pub(crate) prefetch: u16,
    pub(crate) history: History,
}

/// Works until shutdown; what is in flight then goes on by itself.
pub(crate) async fn run(delivering: Arc<Delivering>, lane: LaneOf, tasks: Tasks) {
    let Some(mut consumer) = consume(&delivering, lane.lane, lane.prefetch).await else { return };
    loop {
        let batch = tokio::select! {
            batch = consumer.recv_batch(BATCH) => batch,
            () = delivering.shutdown.cancelled() => return,
        };
        if batch.is_empty() {
            return tasks.fail("a lane ended while the program runs");
        }
        delivering.webhooks.sync_or_go_on().await;
        let jobs: Vec<(Incoming, Job)> = batch.into_iter().filter_map(read).collect();
        let wanted = check(&lane.history, &jobs).await;
        for ((message, job), wanted) in jobs.into_iter().zip(wanted) {
            if !wanted {
                message.ack();
                continue;
            }
            if !delivering.start(job, guard::promise(message), &lane.room, &tasks).await {
                return;
            }
        }
    }
}

fn read(message: Incoming) -> Option<(Incoming, Job)> {
    match try_read(&message) {
        Ok(job) => Some((message, job)),
        Err(reason) => {
            tracing::error!(reason, "delivery cannot be read; it is parked");
            message.park(reason);
            None
        }
    }
}

fn try_read(message: &Incoming) -> Result<Job, String> {
    let task = DeliveryTask::decode(message.body.clone()).map_err(|error| format!("not a delivery: {error}"))?;
    let delivery = task.delivery.ok_or("no delivery in it")?;
    let delivery_id = convert::uuid_from(&delivery.delivery_id).ok_or("the delivery's id is no UUID")?;
    if !(1..=domain::MOST_ATTEMPTS).contains(&task.number) {
        return Err(format!("attempt {} cannot be", task.number));
    }
    Ok(Job {
        delivery,
        delivery_id,
        number: task.number,
        generation: task.generation,
        body: task.body.into(),
        manual: task.manual,
        // The attempt before carried the body to history, if that had to be.
        unopened: false,
        accepted_at: None,
    })
}

/// Whether each is still to be sent. Without history all are: late news is worse than a rare repeat.
async fn check(history: &History, jobs: &[(Incoming, Job)]) -> Vec<bool> {
    if jobs.is_empty() {
        return Vec::new();
    }
    let item = |(_, job): &(Incoming, Job)| CheckItem {
        delivery_id: job.delivery.delivery_id.clone(),
        number: job.number,
        generation: job.generation,
        matched_at: job.delivery.matched_at,
    };
    let items: Vec<CheckItem> = jobs.iter().map(item).collect();
    history.check(&items).await.unwrap_or_else(|| vec![true; jobs.len()])
}
