//! Records commute and may be repeated: whatever the order, the repeats and the batches, the same rows result.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::{counts::hour_of, model::HoldReason};

/// Rows as a database would hold them.
#[derive(Clone, Debug, Default, PartialEq)]
struct Rows {
    attempts: BTreeMap<(Uuid, i32), (bool, bool, Attempt)>,
    waits: BTreeMap<Uuid, Wait>,
    bodies: BTreeSet<(EventKey, String)>,
    /// By webhook, hour and what.
    counts: BTreeMap<(i64, i64, i16), i64>,
}

impl Rows {
    fn record(&mut self, records: &[Record]) {
        let attempts: Vec<StoredAttempt> = self.attempts.iter().map(|(key, row)| stored(*key, row)).collect();
        let waits: Vec<StoredWait> =
            self.waits.iter().map(|(id, wait)| StoredWait { delivery_id: *id, wait: *wait }).collect();
        let plan = plan(records, &attempts, &waits, &Marks::default());
        for (id, number, _) in plan.replaced {
            self.attempts.remove(&(id, number)).expect("what is replaced is there");
        }
        for (id, number, _) in plan.ended {
            self.attempts.get_mut(&(id, number)).expect("what has ended is there").1 = true;
        }
        for attempt in plan.attempts {
            let row = (attempt.made, attempt.is_final, attempt.content.clone().into_owned());
            let before = self.attempts.insert((attempt.delivery.id, attempt.number), row);
            assert!(before.is_none(), "a plan inserts nothing that is there");
        }
        for (delivery, wait) in plan.waits {
            self.waits.insert(delivery.id, wait);
        }
        for id in plan.waits_over {
            self.waits.remove(&id).expect("a wait that is over was there");
        }
        self.bodies.extend(plan.bodies.into_iter().map(|body| (body.event, body.format.to_owned())));
        for (key, change) in plan.counts.changes() {
            assert_eq!(key.instance, "default");
            let place = (key.webhook_id, key.hour, key.what);
            *self.counts.entry(place).or_default() += change;
            self.counts.retain(|_, count| *count != 0);
        }
    }

    /// What a count of the attempts that are there comes to.
    fn recounted(&self) -> BTreeMap<(i64, i64, i16), i64> {
        let mut counts = BTreeMap::new();
        for ((id, _), (made, _, content)) in &self.attempts {
            if *id == delivery(1).id {
                let what = Counted::entry(*made, content.delivered, content.duration_us).code();
                *counts.entry((1, hour_of(content.started_at), what)).or_default() += 1;
            }
        }
        counts
    }
}

fn stored(key: (Uuid, i32), (made, is_final, content): &(bool, bool, Attempt)) -> StoredAttempt {
    StoredAttempt {
        delivery_id: key.0,
        number: key.1,
        status: if content.delivered { DELIVERED } else { FAILED },
        made: *made,
        is_final: *is_final,
        started_at: content.started_at,
        duration_us: content.duration_us,
    }
}

fn delivery(webhook_id: i64) -> Delivery {
    let event_id = Uuid::from_u128(1);
    Delivery {
        id: domain::delivery_id(event_id, webhook_id),
        instance: "default".into(),
        webhook_id,
        event_id,
        event_type: "run.completed".into(),
        project_id: 1,
        matched_at: 1000,
        format: "generic".into(),
        // What is done for a test is not counted, and is done like the rest.
        is_test: webhook_id != 1,
        trace: Bytes::from_static(b"its trace"),
    }
}

fn record(webhook_id: i64, number: i32, what: What) -> Record {
    Record { delivery: delivery(webhook_id), number, body: Bytes::from_static(b"{}"), what }
}

fn attempt(started_at: i64, delivered: bool, next_due_at: i64) -> What {
    What::Attempt(Box::new(Attempt { started_at, delivered, next_due_at, ..Attempt::default() }))
}

fn asked_to_wait(started_at: i64, next_due_at: i64) -> What {
    let next_held = Some(HoldReason::RetryAfter);
    What::Attempt(Box::new(Attempt { started_at, next_due_at, next_held, ..Attempt::default() }))
}

fn hold(config_version: i64) -> What {
    hold_for(config_version, HoldReason::Inactive)
}

fn hold_for(config_version: i64, reason: HoldReason) -> What {
    What::Hold { reason, due_at: 1000 + config_version, config_version }
}

fn cancel(at: i64) -> What {
    What::Cancel { at, error_class: "cancelled".into(), error: "webhook deleted".into() }
}

/// What a store does to a row that is queued again under version 6, up to when it has been.
fn released(rows: &mut Rows, settled: bool) {
    let wait = rows.waits.get_mut(&delivery(1).id).unwrap();
    (wait.config_version, wait.generation, wait.not_before) = (6, wait.generation + 1, 300);
    (wait.state, wait.leased_until) = if settled { (WaitState::Message.code(), 0) } else { (wait.state, 300) };
}

/// Times of several hours.
fn any_time() -> impl Strategy<Value = i64> {
    (0..1_000_000i64).prop_map(|place| place * 9_973)
}

/// An attempt that took up to 12 s.
fn timed_attempt(started_at: i64, delivered: bool, next_due_at: i64) -> What {
    let duration_us = started_at % 12_000_000;
    What::Attempt(Box::new(Attempt { started_at, duration_us, delivered, next_due_at, ..Attempt::default() }))
}

fn any_record() -> impl Strategy<Value = Record> {
    // Times are distinct enough that no two accounts of an attempt are equals; of equals the first stands.
    let what = prop_oneof![
        4 => (any_time(), prop::bool::weighted(0.2), prop_oneof![Just(0), 2000..9000i64])
            .prop_map(|(at, delivered, next)| timed_attempt(at, delivered, next)),
        1 => (any_time(), 2000..9000i64).prop_map(|(at, next)| asked_to_wait(at, next)),
        2 => (1..5i64, prop_oneof![
            Just(HoldReason::Inactive),
            Just(HoldReason::UnknownWebhook),
            Just(HoldReason::Busy),
            Just(HoldReason::RetryAfter),
        ])
            .prop_map(|(version, reason)| hold_for(version, reason)),
        1 => any_time().prop_map(cancel),
    ];
    (1..3i64, 1..5i32, what).prop_map(|(webhook_id, number, what)| record(webhook_id, number, what))
}

/// What stands before the records come: nothing, or deliveries that have failed with attempt `number` - 1 and of which
/// somebody has asked for the next, as it is while that is queued or after.
fn before(asked_for: Option<(i32, bool)>) -> Rows {
    let Some((number, settled)) = asked_for else { return Rows::default() };
    let mut rows = Rows::default();
    for webhook_id in 1..3 {
        rows.record(&[record(webhook_id, number - 1, attempt(2_000_000, false, 0))]);
        let mut wait = Wait::manual(number, 3_000_000, 4_000_000);
        if settled {
            (wait.state, wait.leased_until) = (WaitState::Message.code(), 0);
        }
        rows.waits.insert(delivery(webhook_id).id, wait);
    }
    rows
}

/// How long a row rests that was queued and is held again may depend on the order of holds: it is only a matter of time.
fn without_rests(rows: &Rows) -> Rows {
    let mut rows = rows.clone();
    rows.waits.values_mut().for_each(|wait| wait.not_before = 0);
    rows
}

proptest! {
    #[test]
    fn order_repeats_and_batches_do_not_matter(
        (records, disorder) in prop::collection::vec(any_record(), 1..12).prop_flat_map(|records| {
            let twice: Vec<Record> = records.iter().chain(&records).cloned().collect();
            (Just(records), Just(twice).prop_shuffle())
        }),
        cuts in prop::collection::vec(1..4usize, 24),
        asked_for in prop::option::of((2..5i32, any::<bool>())),
    ) {
        let mut expected = before(asked_for);
        expected.record(&records);
        let mut rows = before(asked_for);
        let mut rest = disorder.as_slice();
        for cut in cuts {
            let (batch, left) = rest.split_at(cut.min(rest.len()));
            rows.record(batch);
            rest = left;
        }
        rows.record(rest);
        let compared = |rows: &Rows| if asked_for.is_some() { without_rests(rows) } else { rows.clone() };
        prop_assert_eq!(compared(&rows), compared(&expected));
        rows.record(&disorder);
        prop_assert_eq!(compared(&rows), compared(&expected));
        prop_assert_eq!(&rows.counts, &rows.recounted());
        for (id, wait) in &rows.waits {
            let of = rows.attempts.iter().filter(|((delivery, _), _)| delivery == id);
            let goes_on = |row: &(bool, bool, Attempt)| if wait.manual { !row.2.delivered } else { !row.1 };
            prop_assert!(of.clone().all(|((_, number), row)| *number < wait.number && goes_on(row)));
        }
    }
}

fn after(records: &[Record]) -> Rows {
    let mut rows = Rows::default();
    records.iter().for_each(|record| rows.record(std::slice::from_ref(record)));
    rows
}

#[test]
fn the_outcome_of_an_attempt_on_the_wire_stands_and_its_delivery_has_ended() {
    for records in [
        [record(1, 1, cancel(10)), record(1, 1, attempt(5, false, 5000))],
        [record(1, 1, attempt(5, false, 5000)), record(1, 1, cancel(10))],
    ] {
        let rows = after(&records);
        let (made, is_final, content) = &rows.attempts[&(delivery(1).id, 1)];
        assert!(*made && *is_final && content.started_at == 5);
        assert!(rows.waits.is_empty());
    }
}

#[test]
fn a_late_hold_does_not_outlive_its_attempt() {
    let rows =
        after(&[record(1, 1, attempt(5, false, 5000)), record(1, 2, attempt(9, true, 0)), record(1, 2, hold(3))]);
    assert!(rows.waits.is_empty());
}

#[test]
fn a_hold_keeps_the_generation_and_calls_off_a_release() {
    let mut rows = after(&[record(1, 1, hold(3))]);
    let wait = rows.waits.get_mut(&delivery(1).id).unwrap();
    (wait.generation, wait.leased_until) = (4, 99);
    rows.record(&[record(1, 1, hold(3))]);
    let wait = rows.waits[&delivery(1).id];
    assert_eq!((wait.generation, wait.leased_until, wait.state), (4, 0, WaitState::Held.code()));
    rows.record(&[record(1, 1, attempt(5, false, 5000))]);
    let wait = rows.waits[&delivery(1).id];
    assert_eq!((wait.number, wait.generation, wait.state), (2, 0, WaitState::Message.code()));
}

#[test]
fn what_is_held_again_under_no_newer_configuration_waits_for_a_while() {
    for settled in [false, true] {
        for (version, not_before) in [(5, 300), (6, 300), (7, 0)] {
            let mut rows = after(&[record(1, 1, hold(3))]);
            released(&mut rows, settled);
            // A message that comes twice is held twice.
            for _ in 0..2 {
                rows.record(&[record(1, 1, hold(version))]);
            }
            let wait = rows.waits[&delivery(1).id];
            assert_eq!((wait.state, wait.generation, wait.leased_until), (WaitState::Held.code(), 1, 0));
            assert_eq!((wait.not_before, wait.config_version), (not_before, version.max(6)), "{version} {settled}");
        }
    }
}

#[test]
fn holds_under_several_configurations_commute_after_a_release() {
    for settled in [false, true] {
        let outcomes = [[5, 7], [7, 5]].map(|versions| {
            let mut rows = after(&[record(1, 1, hold(3))]);
            released(&mut rows, settled);
            versions.iter().for_each(|version| rows.record(&[record(1, 1, hold(*version))]));
            rows
        });
        assert_eq!(outcomes[0], outcomes[1]);
        assert_eq!(outcomes[0].waits[&delivery(1).id].not_before, 0);
    }
}

#[test]
fn what_somebody_asked_for_waits_until_it_was_made_or_nothing_is_left_to_make() {
    let wait = |records: &[Record]| {
        let mut rows = before(Some((2, true)));
        records.iter().for_each(|record| rows.record(std::slice::from_ref(record)));
        rows.waits.get(&delivery(1).id).map(|wait| (wait.number, wait.manual))
    };
    assert_eq!(wait(&[]), Some((2, true)));
    assert_eq!(wait(&[record(1, 1, attempt(5, false, 5000))]), Some((2, true)), "the end before it is no end of it");
    assert_eq!(wait(&[record(1, 2, hold(3))]), Some((2, true)), "a hold of it is one of what was asked for");
    assert_eq!(wait(&[record(1, 3, hold(3))]), Some((2, true)), "what is not asked for does not take its place");
    assert_eq!(wait(&[record(1, 2, attempt(9, false, 0))]), None);
    assert_eq!(wait(&[record(1, 2, cancel(9))]), None);
    assert_eq!(wait(&[record(1, 1, attempt(9, true, 0))]), None, "it was delivered after all");
}

/// What records change where everything before 5,000 was cleared.
fn after_a_clear<'a>(records: &'a [Record], stored: &[StoredAttempt], waits_for: Option<i32>) -> Plan<'a> {
    let marks: Marks = [("default".to_owned(), 0, 5_000)].into_iter().collect();
    let wait = |number| StoredWait { delivery_id: delivery(1).id, wait: Wait { number, ..Wait::first(&delivery(1)) } };
    plan(records, stored, &waits_for.map(wait).into_iter().collect::<Vec<_>>(), &marks)
}

#[test]
fn what_was_waited_for_at_a_clear_stands_at_its_time() {
    let records = [record(1, 1, attempt(4_000, false, 9_000)), record(1, 2, attempt(4_900, true, 0))];
    let plan = after_a_clear(&records[..1], &[], Some(1));
    assert_eq!(plan.attempts.iter().map(|attempt| attempt.started_at).collect::<Vec<_>>(), [5_000]);
    assert_eq!(plan.waits[0].1.number, 2);
    assert_eq!((plan.lasting[0].matched_at, plan.lasting[0].at), (1000, 5_000), "its body is needed on");
    // It comes again, and so does another account of it.
    let first = (delivery(1).id, 1);
    let stands = stored(first, &(true, false, Attempt { started_at: 5_000, ..Attempt::default() }));
    for started_at in [4_000, 4_100, 5_100] {
        let again = [record(1, 1, attempt(started_at, false, 9_000))];
        assert!(after_a_clear(&again, std::slice::from_ref(&stands), Some(2)).attempts.is_empty(), "{started_at}");
    }
    let better = [record(1, 1, attempt(4_100, true, 0))];
    let plan = after_a_clear(&better, &[stands], Some(2));
    assert_eq!((plan.replaced.as_slice(), plan.attempts[0].started_at), ([(first.0, 1, 5_000)].as_slice(), 5_000));
    let plan = after_a_clear(&records[1..], &[], Some(2));
    assert_eq!((plan.attempts[0].started_at, plan.waits_over.len()), (5_000, 1));
}

#[test]
fn what_was_cleared_is_not_written_again() {
    let again = [record(1, 1, attempt(4_000, false, 9_000)), record(1, 2, cancel(4_500))];
    for waits_for in [None, Some(3)] {
        let plan = after_a_clear(&again, &[], waits_for);
        assert!(plan.attempts.is_empty() && plan.counts.changes().is_empty() && plan.lasting.is_empty());
        assert!(plan.waits.is_empty(), "nor waited for again");
    }
    let plan = after_a_clear(&again[..1], &[], None);
    assert!(plan.waits.is_empty(), "its message is there, if it has not ended");
    // What waits here would have nobody else.
    let held = [record(1, 1, asked_to_wait(4_000, 9_000))];
    let plan = after_a_clear(&held, &[], None);
    assert!(plan.attempts.is_empty() && plan.waits[0].1.number == 2);
    // What is still on the disk is as it was.
    let stands = stored((delivery(1).id, 1), &(true, false, Attempt { started_at: 4_000, ..Attempt::default() }));
    assert!(after_a_clear(&again[..1], &[stands], Some(2)).attempts.is_empty());
}
