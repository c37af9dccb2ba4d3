//! What becomes of a message that a consumer had.

use super::{
    super::{
        lane::{Lease, Ready},
        store::Park,
    },
    Engine,
};
use crate::{Lane, Settlement};

/// A message given back this often is parked, as RabbitMQ does it by `x-delivery-limit`.
const DELIVERY_LIMIT: u32 = 20;

impl Engine {
    pub(super) fn settle(&mut self, id: i64, settlement: Settlement) {
        // Unknown: settled before.
        let Some(lease) = self.leases.remove(&id) else { return };
        let Some(lane) = self.lanes.get_mut(lease.lane) else { return };
        lane.returned(lease.consumer);
        let deliveries = lease.message.deliveries.saturating_add(1);
        match settlement {
            Settlement::Ack => {
                self.leaving.insert(id, (lease.lane, lease.message.body.len()));
                self.settled.deletes.push(id);
            }
            // Closing ends consumers with messages in their hands; that is no failed attempt.
            Settlement::Requeue if self.closing.is_some() => {}
            // Nor is it one that its consumer has gone: most of what comes back then was never looked at.
            Settlement::Requeue if !lane.has_consumer(lease.consumer) => {
                lane.put_back(Ready { redelivered: true, ..lease.message });
            }
            Settlement::Requeue if deliveries < DELIVERY_LIMIT => {
                self.settled.requeues.push(id);
                lane.put_back(Ready { deliveries, redelivered: true, ..lease.message });
            }
            Settlement::Requeue => self.park(&lease, deliveries, format!("given back {DELIVERY_LIMIT} times")),
            Settlement::Park(reason) => self.park(&lease, lease.message.deliveries, reason),
        }
    }

    fn park(&mut self, lease: &Lease, deliveries: u32, reason: String) {
        let id = lease.message.id;
        tracing::warn!(lane = Lane::ALL[lease.lane].name(), id, reason, "message parked");
        self.leaving.insert(id, (lease.lane, lease.message.body.len()));
        self.settled.parks.push(Park { id, at: (self.now)().max(1), deliveries, reason });
    }
}
