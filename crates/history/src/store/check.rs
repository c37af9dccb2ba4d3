//! Whether to send what is about to be sent, from what both stores look up.

use std::collections::HashMap;

use uuid::Uuid;

use crate::model::{CheckItem, Checked, WaitState};

/// What is recorded of a delivery.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub(super) struct Attempted {
    pub(super) delivery_id: Uuid,
    pub(super) number: i32,
    pub(super) made: bool,
    #[sqlx(rename = "final")]
    pub(super) is_final: bool,
}

/// What a delivery waits for.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub(super) struct Waits {
    pub(super) delivery_id: Uuid,
    pub(super) number: i32,
    pub(super) state: i16,
    pub(super) generation: i32,
    pub(super) leased_until: i64,
    pub(super) manual: bool,
    pub(super) matched_at: i64,
}

/// What is recorded of one delivery.
#[derive(Default)]
struct Known {
    last: i32,
    ended: bool,
    made: Vec<i32>,
}

/// One answer for each item. Nothing known means that it is to be sent: the record may still be in the queue.
pub(super) fn answers(items: &[CheckItem], attempted: &[Attempted], waits: &[Waits]) -> Vec<Checked> {
    let mut deliveries: HashMap<Uuid, Known> = HashMap::new();
    for row in attempted {
        let known = deliveries.entry(row.delivery_id).or_default();
        known.last = known.last.max(row.number);
        known.ended |= row.is_final;
        known.made.extend(row.made.then_some(row.number));
    }
    let waits: HashMap<Uuid, &Waits> = waits.iter().map(|wait| (wait.delivery_id, wait)).collect();
    let check = |item: &CheckItem| {
        let wait = waits.get(&item.delivery_id);
        let known = deliveries.get(&item.delivery_id);
        // What has ended goes on with the attempt that somebody asked for, and with no other.
        let asked_for = wait.is_some_and(|wait| wait.manual && wait.number == item.number);
        let recorded = known.is_some_and(|known| known.last >= item.number || known.ended && !asked_for);
        Checked {
            send: !recorded && wait.is_none_or(|wait| is_waited_for(item, wait)),
            previous_recorded: known.is_some_and(|known| known.made.contains(&item.number.saturating_sub(1))),
        }
    };
    items.iter().map(check).collect()
}

/// Whether a wait is the item's. One for a later attempt says that the item's was made. One that is held, and not just
/// being queued again, is history's to release: whoever has a message of it is late.
fn is_waited_for(item: &CheckItem, wait: &Waits) -> bool {
    if wait.number != item.number {
        return wait.number < item.number;
    }
    let rests_here = wait.state == WaitState::Held.code() && wait.leased_until == 0;
    !rests_here && wait.generation <= item.generation
}
