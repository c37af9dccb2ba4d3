//! Deliveries that come from a message of their own: retries whose wait is over, and what history releases.

use std::{sync::Arc, time::Duration};

use broker::{Incoming, Lane};
use bytes::Bytes;
use domain::Timestamp;
use prost::Message as _;
use proto::{
    convert,
    internal::v1::{AttemptRecord, CheckItem, DeliveryTask, PreviousAttempt, attempt_record::What},
};
use runtime::Tasks;
use tokio::sync::Semaphore;

use crate::{
    delivery::{Delivering, Job},
    events::consume,
    guard,
    history::{Checked, History},
    in_hand,
};

/// Deliveries in a batch at most.
const BATCH: usize = 128;
/// How long an attempt that is under way in this program may take to be recorded before that is done for it.
const RECORDING: Duration = Duration::from_millis(500);

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
        let batch: Vec<Task> = batch.into_iter().filter_map(read).collect();
        let _waiting = delivering.lag.take(lane.lane, batch.iter().filter_map(|task| task.due_at));
        let checked = check(&lane.history, &batch).await;
        if !record_previous(&delivering, &batch, &checked).await {
            return;
        }
        for (Task { message, job, .. }, Checked { send, .. }) in batch.into_iter().zip(checked) {
            if !send {
                message.ack();
                continue;
            }
            if !delivering.start(job, guard::promise(message), &lane.room, &tasks).await {
                return;
            }
        }
    }
}

/// A delivery with its message.
struct Task {
    message: Incoming,
    job: Job,
    previous: Option<Previous>,
    /// When it could have been sent, unless an older program has queued it.
    due_at: Option<Timestamp>,
}

/// The attempt before.
pub(crate) struct Previous {
    key: in_hand::Key,
    record: AttemptRecord,
}

fn read(message: Incoming) -> Option<Task> {
    match try_read(message.body.clone()) {
        Ok((job, previous, due_at)) => Some(Task { message, job, previous, due_at }),
        Err(reason) => {
            tracing::error!(reason, "delivery cannot be read; it is parked");
            message.park(reason);
            None
        }
    }
}

pub(crate) fn try_read(body: Bytes) -> Result<(Job, Option<Previous>, Option<Timestamp>), String> {
    let task = DeliveryTask::decode(body).map_err(|error| format!("not a delivery: {error}"))?;
    let delivery = task.delivery.ok_or("no delivery in it")?;
    let delivery_id = convert::uuid_from(&delivery.delivery_id).ok_or("the delivery's id is no UUID")?;
    if !(1..=domain::MOST_ATTEMPTS).contains(&task.number) {
        return Err(format!("attempt {} cannot be", task.number));
    }
    let previous = task.previous.and_then(|PreviousAttempt { attempt, generation }| {
        let number = task.number - 1;
        let what = Some(What::Attempt(attempt?));
        let record = AttemptRecord { delivery: Some(delivery.clone()), number, body: Bytes::new(), what };
        Some(Previous { key: (delivery_id, number, generation), record })
    });
    let job = Job {
        delivery,
        delivery_id,
        number: task.number,
        generation: task.generation,
        body: task.body.into(),
        manual: task.manual,
        accepted_at: None,
    };
    let due_at = (task.due_at > 0).then(|| Timestamp::from_micros(task.due_at));
    Ok((job, previous, due_at))
}

/// What history says of each. Without it all are to be sent: late news is worse than a rare repeat.
async fn check(history: &History, tasks: &[Task]) -> Vec<Checked> {
    if tasks.is_empty() {
        return Vec::new();
    }
    let item = |Task { job, .. }: &Task| CheckItem {
        delivery_id: job.delivery.delivery_id.clone(),
        number: job.number,
        generation: job.generation,
        matched_at: job.delivery.matched_at,
    };
    let items: Vec<CheckItem> = tasks.iter().map(item).collect();
    let unknown = Checked { send: true, previous_recorded: false };
    history.check(&items).await.unwrap_or_else(|| vec![unknown; tasks.len()])
}

/// Records attempts whose dispatcher may have died after it queued the next one: once that is recorded, nobody would miss
/// them. Returns when they are durable; `false`: the program ends before.
async fn record_previous(delivering: &Delivering, tasks: &[Task], checked: &[Checked]) -> bool {
    let record = async |previous: &Previous| {
        // Most often the attempt was made here, a moment ago, and is about to be recorded.
        let here = tokio::time::timeout(RECORDING, delivering.in_hand.is_durable(previous.key));
        here.await.unwrap_or(false) || delivering.recorder.record(previous.record.clone()).await
    };
    let unrecorded = tasks.iter().zip(checked).filter(|(_, checked)| !checked.previous_recorded);
    let recorded = unrecorded.filter_map(|(task, _)| task.previous.as_ref()).map(record);
    futures::future::join_all(recorded).await.into_iter().all(|durable| durable)
}
