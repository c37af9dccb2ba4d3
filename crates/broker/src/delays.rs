//! Which delays a broker knows. Both adapters refuse the same messages, so that what works on one works on the other.

use std::time::Duration;

use crate::{Lane, Outgoing, PublishError};

/// Largest body that is taken; well below what RabbitMQ 4 takes by default (16 MiB), which would close the channel.
const MAX_BODY_BYTES: usize = 8 << 20;

/// The delays that a broker was made with.
#[derive(Clone, Debug)]
pub(crate) struct Delays(Vec<Duration>);

impl Delays {
    /// Sorted, without duplicates and zeros, in whole milliseconds as RabbitMQ has them.
    pub(crate) fn new(delays: Vec<Duration>) -> Self {
        let mut delays: Vec<_> = delays
            .into_iter()
            .map(|delay| Duration::from_millis(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)))
            .filter(|delay| !delay.is_zero())
            .collect();
        delays.sort_unstable();
        delays.dedup();
        Self(delays)
    }

    #[cfg(feature = "rabbitmq")]
    pub(crate) fn iter(&self) -> impl Iterator<Item = Duration> {
        self.0.iter().copied()
    }

    /// Whether a message can be taken at all.
    pub(crate) fn check(&self, message: &Outgoing) -> Result<(), PublishError> {
        let refused = |reason| Err(PublishError::Refused { reason });
        if message.body.len() > MAX_BODY_BYTES {
            return refused(format!("body has {} bytes, at most {MAX_BODY_BYTES} are taken", message.body.len()));
        }
        if message.delay.is_zero() {
            return Ok(());
        }
        if !matches!(message.lane, Lane::DeliverFast | Lane::DeliverSlow) {
            return refused(format!("lane {} has no delays", message.lane.name()));
        }
        if !self.0.contains(&message.delay) {
            return refused(format!(
                "no delay of {:?}; there are {:?}; add it to delivery.retry_schedule",
                message.delay, self.0
            ));
        }
        Ok(())
    }
}
