//! Counts for statistics: exact whatever comes in which order, and how often.

use std::{collections::BTreeMap, sync::Arc};

use domain::SkipReason;
use history::{
    model::{EventKey, OpenEvent, Opened, Record, What},
    store::{Stats, StatsQuery, Store},
};
use uuid::Uuid;

use crate::known::{cancelled, delivered, delivery, delivery_of, entries, event, failed, held, record};

type Any = Arc<dyn Store>;

const HOUR: i64 = 3_600_000_000;
/// Codes of what is counted, and the first of those that go by duration: all attempts here take 7 µs.
const DELIVERED: i16 = 100;
const FAILED: i16 = 200;
const NOT_ATTEMPTED: i16 = 300;
const SKIPPED: i16 = 400;
const SKIPPED_PLAN: i16 = 401;
const SKIPPED_FAILING: i16 = 403;

fn of(webhook_id: i64) -> StatsQuery {
    StatsQuery { instance: "default".into(), webhook_ids: vec![webhook_id], hours: 0..1, pending_limit: 9 }
}

async fn stats(store: &dyn Store, webhook_id: i64) -> Stats {
    let query = StatsQuery { hours: -1_000..1_000, ..of(webhook_id) };
    store.stats(&query).await.unwrap().remove(0)
}

/// Hour, what and how many.
async fn counts(store: &dyn Store, webhook_id: i64) -> Vec<(i64, i16, i64)> {
    let mut counts = stats(store, webhook_id).await.counts;
    counts.retain(|count| count.count != 0);
    counts.sort_unstable();
    counts.into_iter().map(|count| (count.hour, count.what, count.count)).collect()
}

/// That the counts of webhooks are those of the entries in the lists.
async fn agrees_with_the_list(store: &dyn Store, webhooks: std::ops::Range<i64>) {
    let mut listed: BTreeMap<(i64, i64, i16), i64> = BTreeMap::new();
    for entry in entries(store).await {
        let what = match format!("{:?}", entry.status).as_str() {
            "Pending" => continue,
            "Delivered" => DELIVERED,
            _ if entry.error_class == "cancelled" => NOT_ATTEMPTED,
            _ => FAILED,
        };
        *listed.entry((entry.delivery.webhook_id, entry.time.div_euclid(HOUR), what)).or_default() += 1;
    }
    let mut counted = BTreeMap::new();
    for webhook_id in webhooks {
        let rows = counts(store, webhook_id).await;
        counted.extend(rows.into_iter().map(|(hour, what, count)| ((webhook_id, hour, what), count)));
    }
    assert_eq!(counted, listed);
}

pub(crate) async fn attempts_are_counted_once_in_their_hour(store: Any) {
    store.open(vec![event(1, &[1, 2])], 5).await.unwrap();
    let records = vec![
        record(1, 1, failed(HOUR - 1, HOUR)),
        record(1, 2, failed(HOUR, HOUR + 9)),
        record(1, 3, delivered(HOUR + 9)),
        record(2, 1, cancelled(3 * HOUR)),
    ];
    for _ in 0..2 {
        store.record(records.clone().into()).await.unwrap();
    }
    assert_eq!(counts(store.as_ref(), 1).await, [(0, FAILED, 1), (1, DELIVERED, 1), (1, FAILED, 1)]);
    assert_eq!(counts(store.as_ref(), 2).await, [(3, NOT_ATTEMPTED, 1)]);
    let query = StatsQuery { hours: 1..2, ..of(1) };
    assert_eq!(store.stats(&query).await.unwrap()[0].counts.iter().map(|count| count.count).sum::<i64>(), 2);
    let elsewhere = StatsQuery { instance: "other".into(), hours: -9..9, ..query };
    assert!(store.stats(&elsewhere).await.unwrap()[0].counts.is_empty());
}

pub(crate) async fn what_a_better_account_replaces_is_taken_back(store: Any) {
    store.record(vec![record(1, 1, failed(10, 50))].into()).await.unwrap();
    store.record(vec![record(1, 1, delivered(2 * HOUR))].into()).await.unwrap();
    store.record(vec![record(1, 1, failed(5, 50))].into()).await.unwrap();
    assert_eq!(counts(store.as_ref(), 1).await, [(2, DELIVERED, 1)]);
    store.record(vec![record(2, 1, cancelled(60))].into()).await.unwrap();
    store.record(vec![record(2, 1, failed(HOUR, 0))].into()).await.unwrap();
    assert_eq!(counts(store.as_ref(), 2).await, [(1, FAILED, 1)]);
}

pub(crate) async fn attempts_are_counted_by_how_long_they_took(store: Any) {
    for (number, duration_us, bucket) in [(1, 999, 0), (2, 1_000, 1), (3, 250_000, 10), (4, 10_000_001, 17)] {
        let mut made = delivered(10);
        let What::Attempt(attempt) = &mut made else { panic!("{made:?}") };
        attempt.duration_us = duration_us;
        store.record(vec![record(number, 1, made)].into()).await.unwrap();
        assert_eq!(counts(store.as_ref(), number).await, [(0, DELIVERED + bucket, 1)]);
    }
}

pub(crate) async fn counts_agree_with_the_list_whatever_the_order(store: Any) {
    let mut calls = tokio::task::JoinSet::new();
    for writer in 0..8usize {
        let store = Arc::clone(&store);
        calls.spawn(async move {
            let of = |webhook: i64| {
                [
                    record(webhook, 1, failed(webhook * HOUR + 1, 50)),
                    record(webhook, 1, failed(webhook * HOUR - 1, 50)),
                    record(webhook, 2, held(3)),
                    record(webhook, 2, cancelled(7 * HOUR)),
                    record(webhook, 2, failed(60, 90)),
                    record(webhook, 3, cancelled(webhook * HOUR)),
                    record(webhook, 3, delivered(95)),
                ]
            };
            let mut records: Vec<Record> = (1..20).flat_map(of).collect();
            let shift = (writer * 37) % records.len();
            records.rotate_left(shift);
            if writer % 2 == 0 {
                records.reverse();
            }
            for batch in records.chunks(7 + writer) {
                store.record(batch.to_vec().into()).await.unwrap();
            }
        });
    }
    calls.join_all().await;
    agrees_with_the_list(store.as_ref(), 1..20).await;
    let three = [(0, DELIVERED, 1), (0, FAILED, 1), (4, FAILED, 1)];
    assert_eq!(counts(store.as_ref(), 5).await, three, "the earlier account of attempt 1 stands");
}

pub(crate) async fn tests_are_not_counted(store: Any) {
    let mut test = delivery(1);
    test.is_test = true;
    store.queue_test(test.clone(), "{}".into(), 10, 20).await.unwrap().unwrap();
    assert_eq!(stats(store.as_ref(), 1).await.pending, 0);
    for made in [failed(10, 0), delivered(20)] {
        store.record(vec![Record { delivery: test.clone(), ..record(1, 1, made) }].into()).await.unwrap();
    }
    assert_eq!(counts(store.as_ref(), 1).await, []);
}

pub(crate) async fn what_waits_is_counted(store: Any) {
    store.open(vec![event(1, &[1, 2])], 5).await.unwrap();
    let mut later = event(2, &[1]);
    (later.key.event_id, later.matched_at) = (Uuid::from_u128(7), 2_000);
    store.open(vec![later], 5).await.unwrap();
    let found = stats(store.as_ref(), 1).await;
    assert_eq!((found.pending, found.oldest_pending), (2, Some(1_000)));
    store.record(vec![record(1, 1, delivered(30))].into()).await.unwrap();
    let found = stats(store.as_ref(), 1).await;
    assert_eq!((found.pending, found.oldest_pending), (1, Some(2_000)));
    let found = stats(store.as_ref(), 3).await;
    assert_eq!((found.pending, found.oldest_pending), (0, None));
    let mut another = event(3, &[2]);
    another.key.event_id = Uuid::from_u128(8);
    store.open(vec![another], 5).await.unwrap();
    let mut found = Vec::new();
    for limit in [1, 2, 3] {
        found.push(store.stats(&StatsQuery { pending_limit: limit, ..of(2) }).await.unwrap()[0].pending);
    }
    assert_eq!(found, [1, 2, 2]);
}

pub(crate) async fn of_many_webhooks_each_has_its_own(store: Any) {
    store.open(vec![event(1, &[1, 2, 3, 4])], 5).await.unwrap();
    store.record(vec![record(1, 1, delivered(10)), record(3, 1, failed(20, 0))].into()).await.unwrap();
    store.record(vec![record(5, 1, delivered(10))].into()).await.unwrap();
    let query = StatsQuery { webhook_ids: vec![3, 9, 1, 2], ..of(0) };
    let found = store.stats(&query).await.unwrap();
    let count = |what| vec![(0, what, 1)];
    let told = found.into_iter().map(|stats| {
        let counts: Vec<_> = stats.counts.into_iter().map(|count| (count.hour, count.what, count.count)).collect();
        (counts, stats.pending, stats.oldest_pending)
    });
    let expected = [(count(FAILED), 0, None), (vec![], 0, None), (count(DELIVERED), 0, None), (vec![], 1, Some(1_000))];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    assert!(store.stats(&StatsQuery { webhook_ids: vec![], ..of(0) }).await.unwrap().is_empty());
}

/// An event that these webhooks skip, and that claims its id.
fn skipped_by(number: u128, skipped: &[(i64, SkipReason)]) -> OpenEvent {
    let key = EventKey { instance: "default".into(), event_id: Uuid::from_u128(number) };
    OpenEvent { key, skipped: skipped.to_vec(), ..event(number, &[]) }
}

pub(crate) async fn skipped_events_are_counted_once_by_reason(store: Any) {
    let both = [(1, SkipReason::Inactive), (2, SkipReason::Plan)];
    let first = skipped_by(1, &both);
    let second = OpenEvent { matched_at: HOUR, ..skipped_by(2, &[(1, SkipReason::Failing)]) };
    store.open(vec![first.clone(), second, skipped_by(3, &both[..1])], 5).await.unwrap();
    let expected = [(0, SKIPPED, 2), (1, SKIPPED_FAILING, 1)];
    assert_eq!(counts(store.as_ref(), 1).await, expected);
    assert_eq!(counts(store.as_ref(), 2).await, [(0, SKIPPED_PLAN, 1)]);

    let published_again = OpenEvent { publish_id: Uuid::from_u128(9), ..first.clone() };
    let redelivered = OpenEvent { redelivered: true, ..first.clone() };
    for again in [first.clone(), published_again, redelivered] {
        assert_ne!(store.open(vec![again.clone(), again], 6).await.unwrap()[0], Opened::New);
    }
    assert_eq!(counts(store.as_ref(), 1).await, expected);
}

pub(crate) async fn a_skipped_event_that_claims_nothing_is_counted_once(store: Any) {
    let unclaimed = OpenEvent { claim: false, ..skipped_by(1, &[(1, SkipReason::Inactive)]) };
    let redelivered = OpenEvent { redelivered: true, ..unclaimed.clone() };
    // The answer to the first call was lost, so that the dispatcher asks again; then it crashes.
    for event in [unclaimed.clone(), unclaimed, redelivered.clone(), redelivered.clone()] {
        store.open(vec![event], 5).await.unwrap();
        assert_eq!(counts(store.as_ref(), 1).await, [(0, SKIPPED, 1)]);
    }
    // It was never opened before.
    let mut unheard = OpenEvent { redelivered: true, ..skipped_by(2, &[(1, SkipReason::Inactive)]) };
    unheard.claim = false;
    assert_eq!(store.open(vec![unheard.clone(), unheard], 5).await.unwrap()[0], Opened::New);
    assert_eq!(counts(store.as_ref(), 1).await, [(0, SKIPPED, 2)]);
}

pub(crate) async fn what_is_opened_after_its_attempts_is_counted_once(store: Any) {
    for (number, claim) in [(1, true), (2, false)] {
        let sent = OpenEvent { redelivered: true, claim, ..skipped_by(number, &[(7, SkipReason::Inactive)]) };
        let sent = OpenEvent { deliveries: vec![(1, "generic".to_owned())], ..sent };
        let attempt = Record { delivery: delivery_of(sent.key.event_id, 1), ..record(1, 1, delivered(10)) };
        store.record(vec![attempt].into()).await.unwrap();
        for _ in 0..2 {
            let opened = store.open(vec![sent.clone()], 5).await.unwrap();
            assert!(matches!(&opened[0], Opened::Redelivered(unsent) if unsent.is_empty()), "{opened:?}");
        }
    }
    assert_eq!(counts(store.as_ref(), 7).await, [(0, SKIPPED, 2)]);
}

pub(crate) async fn of_events_opened_at_once_each_is_counted_once(store: Any) {
    let mut calls = tokio::task::JoinSet::new();
    for publish in 1..=12u128 {
        let store = Arc::clone(&store);
        let of = move |number: u128| OpenEvent {
            publish_id: Uuid::from_u128(publish),
            claim: number.is_multiple_of(2),
            ..skipped_by((number * (2 * publish + 1)) % 30, &[(1, SkipReason::Inactive)])
        };
        calls.spawn(async move {
            for number in 0..30 {
                store.open(vec![of(number)], 5).await.unwrap();
            }
        });
    }
    calls.join_all().await;
    assert_eq!(counts(store.as_ref(), 1).await, [(0, SKIPPED, 30)]);
}

pub(crate) async fn old_counts_are_forgotten(store: Any) {
    for hour in [1, 2, 3] {
        let mut records = vec![record(1, 1, failed(hour * HOUR, 0)), record(2, 1, delivered(hour * HOUR))];
        for record in &mut records {
            record.delivery.event_id = Uuid::from_u128(hour.unsigned_abs().into());
            record.delivery.id = domain::delivery_id(record.delivery.event_id, record.delivery.webhook_id);
        }
        store.record(records.into()).await.unwrap();
    }
    assert_eq!(store.forget_counts(3, 3).await.unwrap(), 3);
    assert_eq!(store.forget_counts(3, 3).await.unwrap(), 1);
    assert_eq!(store.forget_counts(3, 3).await.unwrap(), 0);
    assert_eq!(counts(store.as_ref(), 1).await, [(3, FAILED, 1)]);
    assert_eq!(counts(store.as_ref(), 2).await, [(3, DELIVERED, 1)]);
}

/// Everything that the migration has to count.
pub(crate) async fn fill(store: &dyn Store) {
    let mut records =
        vec![record(1, 1, failed(HOUR - 1, HOUR)), record(1, 2, delivered(HOUR)), record(2, 1, cancelled(9))];
    for (webhook, duration_us) in [(3, 0), (4, 999), (5, 1_000), (6, 1_778), (7, 9_999_999), (8, 10_000_000)] {
        let mut made = if webhook % 2 == 0 { delivered(10) } else { failed(10, 0) };
        let What::Attempt(attempt) = &mut made else { panic!("{made:?}") };
        attempt.duration_us = duration_us;
        records.push(record(webhook, 1, made));
    }
    let mut test = record(9, 1, delivered(10));
    test.delivery.is_test = true;
    records.push(test);
    store.record(records.into()).await.unwrap();
}

/// The counts of all that is in [`fill`].
pub(crate) async fn filled(store: &dyn Store) -> Vec<Vec<(i64, i16, i64)>> {
    let mut all = Vec::new();
    for webhook_id in 1..=9 {
        all.push(counts(store, webhook_id).await);
    }
    all
}
