//! A replay goes over everything once, and does no more than it should.

use proptest::{collection::vec, prelude::*};

use super::*;

fn replay() -> StoredReplay {
    StoredReplay {
        id: Uuid::from_u128(1),
        instance: "acme".into(),
        webhook_id: 7,
        events: "[]".into(),
        projects: None,
        from_at: 0,
        to_at: 1000,
        phase: QUEUEING,
        reason: String::new(),
        total: 10,
        queued: 0,
        delivered: 0,
        failed: 0,
        at_time: 0,
        at_delivery: Uuid::nil(),
        at_number: 0,
        created_at: 1000,
        created_by: "ada".into(),
        moved_at: 1000,
        ended_at: 0,
    }
}

fn passed(place: usize, meant: bool) -> Passed {
    let delivery = Delivery {
        id: Uuid::from_u128(place as u128),
        instance: "acme".into(),
        webhook_id: 7,
        event_id: Uuid::nil(),
        event_type: "run.completed".into(),
        project_id: 1,
        matched_at: 0,
        format: "generic".into(),
        is_test: false,
        trace: bytes::Bytes::new(),
    };
    Passed { delivery, number: 1, started_at: place as i64, meant }
}

fn selecting(events: &[&str]) -> Selection {
    let events = events.iter().map(|event| (*event).to_owned()).collect();
    Selection { instance: "acme".into(), webhook_id: 7, projects: None, events, from: 0, to: 1 }
}

proptest! {
    /// Whatever there is and however little is looked at: everything that is meant comes once, in order.
    #[test]
    fn nothing_is_passed_over_or_twice(meant in vec(any::<bool>(), 0..60), room in 1..9_usize, more in 0..9_usize) {
        let entries: Vec<Passed> = meant.iter().zip(1..).map(|(meant, place)| passed(place, *meant)).collect();
        let (mut replay, mut taken) = (replay(), Vec::new());
        for _ in 0..=entries.len() + 1 {
            if replay.phase != QUEUEING {
                break;
            }
            let (after, looked_for) = (replay.at_time, room + more);
            let next = entries.iter().filter(|entry| entry.started_at > after).take(looked_for).cloned().collect();
            taken.extend(replay.pass(next, room, looked_for).into_iter().map(|entry| entry.started_at));
        }
        prop_assert_eq!(replay.phase, AWAITING);
        let wanted: Vec<i64> = entries.iter().filter(|entry| entry.meant).map(|entry| entry.started_at).collect();
        prop_assert_eq!(taken, wanted);
    }
}

#[test]
fn types_are_those_of_the_catalogue() {
    assert_eq!(selecting(&[]).types(), None);
    assert_eq!(selecting(&["run.*", "*"]).types(), None);
    assert_eq!(
        selecting(&["session.*", "run.created"]).types().unwrap(),
        ["run.created", "session.created", "session.closed"]
    );
    // Written by a newer program: that is no reason to take everything.
    assert_eq!(selecting(&["robot.created"]).types().unwrap(), [""; 0]);
}

#[test]
fn it_asks_for_many_at_a_time_and_only_of_a_webhook_that_sends() {
    let step = Step { id: Uuid::from_u128(1), stand: Stand::Sends, now: 1000, window: 10 };
    for (open, room) in [(0, 10), (5, 5), (6, 0), (10, 0), (11, 0)] {
        assert_eq!(replay().room(&step, open), room, "{open}");
    }
    assert_eq!(replay().room(&Step { stand: Stand::Waits, ..step }, 0), 0);
    assert_eq!(StoredReplay { phase: AWAITING, ..replay() }.room(&step, 0), 0);
    assert_eq!(StoredReplay { reason: "why".into(), ..replay() }.room(&step, 0), 0);
}

#[test]
fn a_reason_stays_the_first_one() {
    let gone = Step { id: Uuid::from_u128(1), stand: Stand::Gone, now: 1000, window: 10 };
    let mut replay = StoredReplay { reason: "cancelled by ada".into(), ..replay() };
    replay.heed(&gone, 3);
    assert_eq!(replay.reason, "cancelled by ada");
}
