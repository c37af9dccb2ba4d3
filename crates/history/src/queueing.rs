//! Giving deliveries that were taken a message of their own.
//!
//! Queuing takes three steps: a lease and a new generation are committed, the message is published and confirmed, the row
//! is settled. A crash after the first leaves the row held; when the lease has run out it gets another generation, and
//! `Check` drops what may have been published of the older one. So nothing is lost.

use std::{sync::Arc, time::Duration};

use broker::{Broker, Lane, Outgoing, PublishError};
use domain::{Clock, IdSource};
use prost::Message as _;
use proto::{
    convert::{trace_bytes, uuid_bytes},
    internal::v1::{DeliveryRef, DeliveryTask},
};
use runtime::fail_point;

use crate::{
    spans,
    store::{Released, Store, StoreError},
};

/// After a crash in the middle a delivery rests for this long, so it is short. Where the broker takes longer to confirm, a
/// second message is queued, and `Check` drops the first unless its attempt is under way already. Also how long a delivery rests that was held again by a dispatcher which does
/// not know yet why it was released, or under a configuration that is not known here.
pub(crate) const LEASE: Duration = Duration::from_secs(4);

/// What it works with.
#[derive(Clone)]
pub(crate) struct Queueing {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) ids: Arc<dyn IdSource>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Why some were not queued. They are tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QueueError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Publish(#[from] PublishError),
}

impl Queueing {
    /// Queues what was taken and has a body; answers how many. What the broker does not take is free to be taken again.
    pub(crate) async fn queue(&self, taken: Vec<Released>, lane: Lane) -> Result<usize, QueueError> {
        if taken.is_empty() {
            return Ok(0);
        }
        fail_point("history.taken");
        let messages = taken.iter().map(|taken| self.message(taken, lane)).collect();
        let answers = self.broker.publish(messages).await;
        let (mut queued, mut refused, mut trouble) = (Vec::new(), Vec::new(), None);
        for (taken, answer) in taken.into_iter().zip(answers) {
            match answer {
                Ok(()) => queued.push(taken),
                Err(error) => {
                    trouble = Some(error);
                    refused.push(taken);
                }
            }
        }
        fail_point("history.queued");
        self.store.released(&queued).await?;
        self.store.not_released(&refused).await?;
        trouble.map_or(Ok(queued.len()), |error| Err(error.into()))
    }

    /// Queues what was just committed. Whoever asked for it need not know if that fails: it is tried again soon.
    pub(crate) async fn queue_now(&self, taken: Released) {
        let delivery_id = taken.delivery.id;
        if let Err(error) = self.queue(vec![taken], Lane::DeliverFast).await {
            tracing::warn!(%delivery_id, %error, "an attempt that somebody asked for is not queued yet; trying on");
        }
    }

    fn message(&self, taken: &Released, lane: Lane) -> Outgoing {
        let delivery = &taken.delivery;
        let trace = spans::queuing(delivery);
        let task = DeliveryTask {
            delivery: Some(DeliveryRef {
                delivery_id: uuid_bytes(delivery.id),
                instance: delivery.instance.clone(),
                webhook_id: delivery.webhook_id,
                event_id: uuid_bytes(delivery.event_id),
                event_type: delivery.event_type.clone(),
                project_id: delivery.project_id,
                matched_at: delivery.matched_at,
                format: delivery.format.clone(),
                is_test: delivery.is_test,
                trace: trace_bytes(&trace),
            }),
            number: taken.number,
            generation: taken.generation,
            body: taken.body.clone().unwrap_or_default(),
            manual: taken.manual,
            // What history queues follows from what it has.
            previous: None,
            due_at: self.clock.now().as_micros(),
        };
        Outgoing {
            lane,
            delay: Duration::ZERO,
            body: task.encode_to_vec().into(),
            message_id: self.ids.uuid(),
            traceparent: Some(trace.to_string()),
        }
    }
}
