//! Whether to send what is about to be sent, from what both stores look up.

use std::collections::HashMap;

use uuid::Uuid;

use crate::model::{CheckItem, WaitState};

/// What is recorded of a delivery.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub(super) struct Attempted {
    pub(super) delivery_id: Uuid,
    pub(super) number: i32,
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

/// One answer for each item. Nothing known means yes: the record may still be in the queue.
pub(super) fn answers(items: &[CheckItem], attempted: &[Attempted], waits: &[Waits]) -> Vec<bool> {
    let mut last: HashMap<Uuid, (i32, bool)> = HashMap::new();
    for row in attempted {
        let known = last.entry(row.delivery_id).or_default();
        *known = (known.0.max(row.number), known.1 || row.is_final);
    }
    let waits: HashMap<Uuid, &Waits> = waits.iter().map(|wait| (wait.delivery_id, wait)).collect();
    let send = |item: &CheckItem| {
        let wait = waits.get(&item.delivery_id);
        // What has ended goes on with the attempt that somebody asked for, and with no other.
        let asked_for = wait.is_some_and(|wait| wait.manual && wait.number == item.number);
        let recorded =
            last.get(&item.delivery_id).is_some_and(|(number, ended)| *number >= item.number || *ended && !asked_for);
        !recorded && wait.is_none_or(|wait| is_waited_for(item, wait))
    };
    items.iter().map(send).collect()
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
