//! Ids: made at random through a port, or derived so that every process comes to the same one.

use uuid::Uuid;

/// Where random ids and bytes come from.
pub trait IdSource: Send + Sync + 'static {
    /// Fills `bytes` with unpredictable ones, fit for keys.
    fn fill(&self, bytes: &mut [u8]);

    /// A new random id (UUIDv4).
    fn uuid(&self) -> Uuid {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}

/// The operating system's randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemIds;

impl IdSource for SystemIds {
    #[expect(
        clippy::expect_used,
        reason = "without randomness no key or id may be made; the kernel has it from boot on"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system gives random bytes");
    }
}

/// The id of the delivery of an event to a webhook, the same whoever works it out.
#[must_use]
pub fn delivery_id(event_id: Uuid, webhook_id: i64) -> Uuid {
    Uuid::new_v5(&event_id, webhook_id.to_string().as_bytes())
}

/// The id of a delivery's history entry for attempt `number`, pending or made.
#[must_use]
pub fn entry_id(delivery_id: Uuid, number: u32) -> Uuid {
    Uuid::new_v5(&delivery_id, number.to_string().as_bytes())
}
