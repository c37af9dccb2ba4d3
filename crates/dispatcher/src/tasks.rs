//! Deliveries that come from a message of their own: retries whose wait is over, and what history releases.

use std::{sync::Arc, time::Duration};

use broker::{Incoming, Lane};
use prost::Message as _;
use proto::{
    channel::GrpcChannel,
    convert,
    internal::v1::{CheckItem, CheckRequest, DeliveryTask, recording_client::RecordingClient},
};
use runtime::Tasks;
use tokio::sync::Semaphore;

use crate::{
    delivery::{Delivering, Job},
    events::consume,
    guard,
};

/// Deliveries in a batch at most.
const BATCH: usize = 128;
/// How long history may take to say what is still to be sent.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// A lane and what working on it needs.
pub(crate) struct LaneOf {
    pub(crate) lane: Lane,
    pub(crate) room: Arc<Semaphore>,
    pub(crate) prefetch: u16,
    pub(crate) history: RecordingClient<GrpcChannel>,
}

/// Works until shutdown; what is in flight then goes on by itself.
pub(crate) async fn run(delivering: Arc<Delivering>, mut lane: LaneOf, tasks: Tasks) {
    let Some(mut consumer) = consume(&delivering, lane.lane, lane.prefetch).await else { return };
    loop {
        let batch = tokio::select! {
            batch = consumer.recv_batch(BATCH) => batch,
            () = delivering.shutdown.cancelled() => return,
        };
        if batch.is_empty() {
            return;
        }
        delivering.webhooks.sync_or_go_on().await;
        let jobs: Vec<(Incoming, Job)> = batch.into_iter().filter_map(read).collect();
        let wanted = check(&mut lane.history, &jobs).await;
        for ((message, job), wanted) in jobs.into_iter().zip(wanted) {
            if !wanted {
                message.ack();
                continue;
            }
            let permit = tokio::select! {
                permit = Arc::clone(&lane.room).acquire_owned() => permit,
                () = delivering.shutdown.cancelled() => return,
            };
            let delivering = Arc::clone(&delivering);
            tasks.spawn("deliver", async move {
                delivering.deliver(job, guard::promise(message)).await;
                drop(permit);
            });
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
    if !(1..=100).contains(&task.number) {
        return Err(format!("attempt {} cannot be", task.number));
    }
    Ok(Job {
        delivery,
        delivery_id,
        number: task.number,
        generation: task.generation,
        body: task.body,
        // The attempt before carried the body to history, if that had to be.
        unopened: false,
        accepted_at: None,
    })
}

/// Whether each is still to be sent. Without history all are: late news is worse than a rare repeat.
async fn check(history: &mut RecordingClient<GrpcChannel>, jobs: &[(Incoming, Job)]) -> Vec<bool> {
    if jobs.is_empty() {
        return Vec::new();
    }
    let item = |(_, job): &(Incoming, Job)| CheckItem {
        delivery_id: job.delivery.delivery_id.clone(),
        number: job.number,
        generation: job.generation,
    };
    let request = CheckRequest { items: jobs.iter().map(item).collect() };
    match tokio::time::timeout(CHECK_TIMEOUT, history.check(request)).await {
        Ok(Ok(answer)) if answer.get_ref().send.len() == jobs.len() => answer.into_inner().send,
        Ok(Err(status)) => {
            tracing::warn!(error = %status, "history does not say what is recorded; sending");
            vec![true; jobs.len()]
        }
        _ => vec![true; jobs.len()],
    }
}
