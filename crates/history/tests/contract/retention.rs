//! How long history is kept: what is hidden, what is removed, and what stays.

use std::sync::Arc;

use history::{
    model::{Delivery, EventKey, OpenEvent, Record, Status, What},
    store::{Exported, ListQuery, Page, Settings, Sight, Store},
};
use uuid::Uuid;

use crate::known::{all, cancelled, delivered, delivery_of, event, failed, held, may_send_delivery, record};

type Any = Arc<dyn Store>;

pub(crate) const DAY: i64 = 24 * 3600 * 1_000_000;
const MINUTE: i64 = 60 * 1_000_000;
/// A day in 2026, at noon.
pub(crate) const NOW: i64 = 20_786 * DAY + DAY / 2;
/// Everything is seen that is on the disk.
const DISK: Sight = Sight { from: i64::MIN, now: NOW };

/// The delivery of an event of this number, which was matched then, to webhook 1.
fn matched(number: u128, matched_at: i64) -> Delivery {
    Delivery { matched_at, ..delivery_of(Uuid::from_u128(number), 1) }
}

/// A record with the body of its event.
fn of(delivery: Delivery, number: i32, what: What) -> Record {
    Record { body: format!("body of {}", delivery.event_id).into(), delivery, ..record(1, number, what) }
}

/// The event of a delivery, opened.
fn opened(delivery: &Delivery) -> OpenEvent {
    let bodies = vec![("generic".to_owned(), format!("body of {}", delivery.event_id).into())];
    OpenEvent {
        key: delivery.event(),
        matched_at: delivery.matched_at,
        bodies,
        ..event(delivery.event_id.as_u128(), &[1])
    }
}

/// What is seen of the instance `default`.
async fn sight(store: &Any, now: i64) -> Sight {
    Sight { from: store.settings("default").await.unwrap().visible_from(now), now }
}

/// Event, attempt and status of what is seen, newest first.
async fn seen(store: &Any, sight: Sight) -> Vec<(u128, i32, Status)> {
    let (entries, more) = store.list(&ListQuery { sight, ..all() }).await.unwrap();
    assert!(!more);
    entries.iter().map(|entry| (entry.delivery.event_id.as_u128(), entry.number, entry.status)).collect()
}

async fn body(store: &Any, delivery: &Delivery, sight: Sight) -> Option<String> {
    let found = store.body(&delivery.event(), "generic", sight).await.unwrap();
    found.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

/// Removes all that can be removed at this time.
async fn tidy(store: &Any, now: i64) {
    while store.tidy(now).await.unwrap() {}
}

/// An attempt each some days ago: of the first to the last event.
const AGO: [i64; 9] = [89, 45, 31, 29, 12, 8, 6, 1, 0];

fn long_history() -> Vec<Record> {
    let ended = |(number, days): (u128, i64)| {
        let at = NOW - days * DAY - MINUTE;
        let what = if number % 2 == 0 { delivered(at) } else { failed(at, 0) };
        of(matched(number, at - 5), 1, what)
    };
    (1..).zip(AGO).map(ended).collect()
}

pub(crate) async fn attempts_of_many_days_are_in_one_list(store: Any) {
    store.record(long_history().into()).await.unwrap();
    let everything = seen(&store, DISK).await;
    let expected: Vec<u128> = (1..=9).rev().collect();
    assert_eq!(everything.iter().map(|row| row.0).collect::<Vec<_>>(), expected);
    for limit in 1..=9 {
        let mut query = ListQuery { limit, sight: DISK, ..all() };
        let (mut found, mut more) = store.list(&query).await.unwrap();
        while more {
            query.page = Page::OlderThan(found.last().unwrap().position());
            let (next, goes_on) = store.list(&query).await.unwrap();
            found.extend(next);
            more = goes_on;
        }
        let ids: Vec<u128> = found.iter().map(|entry| entry.delivery.event_id.as_u128()).collect();
        assert_eq!(ids, expected, "pages of {limit}");
        let mut back = vec![found.pop().unwrap()];
        loop {
            query.page = Page::NewerThan(back[0].position());
            let (page, more) = store.list(&query).await.unwrap();
            back.splice(0..0, page);
            if !more {
                break;
            }
        }
        let ids: Vec<u128> = back.iter().map(|entry| entry.delivery.event_id.as_u128()).collect();
        assert_eq!(ids, expected, "pages of {limit}, back");
    }
    let between = ListQuery { from: Some(NOW - 46 * DAY), to: Some(NOW - 7 * DAY), sight: DISK, ..all() };
    assert_eq!(store.list(&between).await.unwrap().0.len(), 5);
    for record in long_history() {
        let whole = store.delivery("default", record.delivery.id, DISK).await.unwrap().unwrap();
        assert_eq!(whole.body.as_deref(), Some(&record.body[..]));
        assert_eq!(body(&store, &record.delivery, DISK).await.unwrap().as_bytes(), &record.body[..]);
        assert!(!may_send_delivery(store.as_ref(), &record.delivery, 1).await, "it is recorded");
    }
}

pub(crate) async fn a_shorter_retention_hides_at_once_and_removes(store: Any) {
    store.record(long_history().into()).await.unwrap();
    assert_eq!(store.settings("default").await.unwrap(), Settings::default());
    assert_eq!(seen(&store, sight(&store, NOW).await).await.len(), 9);
    assert_eq!(store.set_retention("default", 30, NOW).await.unwrap().retention_days, 30);
    assert_eq!(store.settings("acme").await.unwrap(), Settings::default(), "nobody else's");
    let visible = sight(&store, NOW).await;
    assert_eq!(seen(&store, visible).await.len(), 6);
    let old = &long_history()[2].delivery;
    assert!(store.delivery("default", old.id, visible).await.unwrap().is_none());
    assert_eq!(body(&store, old, visible).await, None);
    assert_eq!(exported(&store, visible).await, 6);
    // Keeping it for longer brings nothing back.
    store.set_retention("default", 90, NOW + MINUTE).await.unwrap();
    assert_eq!(seen(&store, sight(&store, NOW + MINUTE).await).await.len(), 6);
    assert_eq!(seen(&store, DISK).await.len(), 9);
    tidy(&store, NOW + MINUTE).await;
    let left = seen(&store, DISK).await;
    assert_eq!(left.iter().map(|row| row.0).collect::<Vec<_>>(), [9, 8, 7, 6, 5, 4]);
    for record in long_history() {
        let is_left = left.iter().any(|row| row.0 == record.delivery.event_id.as_u128());
        assert_eq!(body(&store, &record.delivery, DISK).await.is_some(), is_left, "{:?}", record.delivery);
    }
    // What comes again stays away.
    store.record(long_history().into()).await.unwrap();
    assert_eq!(seen(&store, DISK).await.len(), 6);
}

async fn exported(store: &Any, sight: Sight) -> usize {
    let (sender, mut parts) = tokio::sync::mpsc::channel(1);
    let query = ListQuery { sight, ..all() };
    let read = async {
        let (mut total, mut count) = (0, 0);
        while let Some(part) = parts.recv().await {
            match part {
                Exported::Total(number) => total = number,
                Exported::Entries(entries) => count += entries.len(),
            }
        }
        assert_eq!(usize::try_from(total).unwrap(), count);
        count
    };
    let (done, count) = tokio::join!(store.export(&query, sender), read);
    done.unwrap();
    count
}

pub(crate) async fn what_is_older_than_the_longest_retention_goes(store: Any) {
    store.record(long_history().into()).await.unwrap();
    let theirs = Record {
        delivery: Delivery { instance: "acme".into(), ..matched(99, NOW - DAY) },
        ..long_history()[0].clone()
    };
    store.record(vec![theirs].into()).await.unwrap();
    tidy(&store, NOW).await;
    assert_eq!(seen(&store, DISK).await.len(), 9, "it may all be seen");
    tidy(&store, NOW + 63 * DAY).await;
    let left: Vec<u128> = seen(&store, DISK).await.into_iter().map(|row| row.0).collect();
    assert_eq!(left, [9, 8, 7, 6, 5], "29 and 63 days are 92");
    assert_eq!(body(&store, &long_history()[0].delivery, DISK).await, None);
    // A day that is gone comes back where something is written to it.
    let late = of(matched(50, NOW - 89 * DAY), 1, delivered(NOW - 89 * DAY));
    store.record(vec![late.clone()].into()).await.unwrap();
    assert_eq!(seen(&store, DISK).await.len(), 6);
    tidy(&store, NOW + 200 * DAY).await;
    assert_eq!(seen(&store, DISK).await.len(), 0);
    tidy(&store, NOW + 200 * DAY).await;
    store.record(vec![late].into()).await.unwrap();
    assert_eq!(seen(&store, DISK).await.len(), 1);
}

pub(crate) async fn a_body_is_kept_for_late_attempts_and_for_what_waits(store: Any) {
    let [late, waits, ends] = [1, 2, 3].map(|number| matched(number, NOW));
    store.open(vec![opened(&late), opened(&waits), opened(&ends)], NOW).await.unwrap();
    // It was held, or somebody retried it.
    let attempt = Record { body: bytes::Bytes::new(), ..of(late.clone(), 1, delivered(NOW + 60 * DAY)) };
    store.record(vec![attempt, of(ends.clone(), 1, delivered(NOW + MINUTE))].into()).await.unwrap();
    tidy(&store, NOW + 120 * DAY).await;
    let whole = store.delivery("default", late.id, DISK).await.unwrap().unwrap();
    assert_eq!(whole.body.unwrap(), format!("body of {}", late.event_id));
    let whole = store.delivery("default", waits.id, DISK).await.unwrap().unwrap();
    assert_eq!(whole.body.unwrap(), format!("body of {}", waits.event_id));
    assert!(store.delivery("default", ends.id, DISK).await.unwrap().is_none());
    assert_eq!(body(&store, &ends, DISK).await, None);
    // Held for as long, it is handed out with its body.
    store.record(vec![Record { delivery: waits.clone(), ..record(1, 1, held(3)) }].into()).await.unwrap();
    let take = history::store::TakeHeld {
        held: history::store::Held::ForNews,
        early: false,
        config_version: 3,
        held_before: 0,
        now: NOW + 120 * DAY,
        leased_until: NOW + 121 * DAY,
        limit: 10,
    };
    let taken = store.take_held(&[1], take).await.unwrap();
    assert_eq!(taken[0].body.as_deref(), Some(format!("body of {}", waits.event_id).as_bytes()));
    tidy(&store, NOW + 160 * DAY).await;
    assert!(store.delivery("default", late.id, DISK).await.unwrap().is_none());
    assert_eq!(body(&store, &late, DISK).await, None);
}

pub(crate) async fn a_clear_leaves_what_waits_and_nothing_else(store: Any) {
    let [ended, on_its_way, waits, held_back] = [1, 2, 3, 4].map(|number| matched(number, NOW - 5 * MINUTE));
    let yesterdays = matched(5, NOW - DAY);
    let nobodys = matched(6, NOW - MINUTE);
    store.open([&ended, &on_its_way, &waits, &held_back].map(opened).to_vec(), NOW).await.unwrap();
    store.open(vec![OpenEvent { deliveries: Vec::new(), ..opened(&nobodys) }], NOW).await.unwrap();
    let before = [
        of(ended.clone(), 1, delivered(NOW - 4 * MINUTE)),
        of(waits.clone(), 1, failed(NOW - 4 * MINUTE, NOW + MINUTE)),
        of(yesterdays.clone(), 1, failed(NOW - DAY, 0)),
        of(held_back.clone(), 1, held(3)),
    ];
    store.record(before.to_vec().into()).await.unwrap();
    store.clear("default", NOW).await.unwrap();
    let visible = sight(&store, NOW).await;
    let pending = [(2, 1, Status::Pending), (3, 2, Status::Pending), (4, 1, Status::Pending)];
    let sorted = |mut rows: Vec<(u128, i32, Status)>| {
        rows.sort_by_key(|row| (row.0, row.1));
        rows
    };
    assert_eq!(sorted(seen(&store, visible).await), pending);
    assert_eq!(exported(&store, visible).await, 3);
    for gone in [&ended, &yesterdays] {
        assert!(store.delivery("default", gone.id, visible).await.unwrap().is_none());
        assert_eq!(body(&store, gone, visible).await, None);
    }
    assert_eq!(body(&store, &nobodys, visible).await, None);
    for kept in [&on_its_way, &waits, &held_back] {
        let whole = store.delivery("default", kept.id, visible).await.unwrap().unwrap();
        assert_eq!(whole.entries.len(), 1);
        assert!(whole.body.is_some());
        assert!(body(&store, kept, visible).await.is_some());
    }
    // What was on its way is seen from the clear on; what comes again is not.
    store.record(vec![of(on_its_way.clone(), 1, delivered(NOW - MINUTE))].into()).await.unwrap();
    for now in [NOW, NOW + 3 * MINUTE] {
        for _ in 0..2 {
            store.record(before.to_vec().into()).await.unwrap();
            store.record(vec![of(on_its_way.clone(), 1, delivered(NOW - MINUTE))].into()).await.unwrap();
            let expected = [(2, 1, Status::Delivered), (3, 2, Status::Pending), (4, 1, Status::Pending)];
            assert_eq!(sorted(seen(&store, sight(&store, now).await).await), expected, "{now}");
        }
        tidy(&store, now).await;
    }
    assert_eq!(seen(&store, DISK).await.len(), 3, "nothing else is on the disk");
    assert_eq!([body(&store, &ended, DISK).await, body(&store, &nobodys, DISK).await], [None, None]);
    store.record(vec![of(waits.clone(), 2, delivered(NOW + 5 * MINUTE))].into()).await.unwrap();
    tidy(&store, NOW + DAY).await;
    for kept in [&on_its_way, &waits, &held_back] {
        let whole = store.delivery("default", kept.id, sight(&store, NOW + DAY).await).await.unwrap().unwrap();
        assert_eq!((whole.entries.len(), whole.body.is_some()), (1, true), "{kept:?}");
    }
}

pub(crate) async fn a_clear_is_the_instances_own_and_starts_judging_anew(store: Any) {
    let theirs = Delivery { instance: "acme".into(), ..matched(7, NOW - MINUTE) };
    let records = vec![
        of(matched(1, NOW - 6 * DAY), 1, failed(NOW - 6 * DAY, 0)),
        of(matched(2, NOW - MINUTE), 1, failed(NOW - MINUTE, 0)),
        of(matched(3, NOW - MINUTE), 1, delivered(NOW - MINUTE + 9)),
        of(theirs.clone(), 1, delivered(NOW - MINUTE)),
    ];
    store.record(records.into()).await.unwrap();
    let webhook = [("default".to_owned(), 1)];
    assert!(store.newest_attempts(&webhook).await.unwrap()[0].delivered());
    store.clear("default", NOW).await.unwrap();
    assert_eq!(store.newest_attempts(&webhook).await.unwrap(), [], "also while they are on the disk");
    tidy(&store, NOW + 5 * MINUTE).await;
    assert!(store.delivery("acme", theirs.id, DISK).await.unwrap().is_some());
    assert_eq!(store.newest_attempts(&webhook).await.unwrap(), []);
    let endpoint = |since| history::store::Endpoint { instance: "default".into(), webhook_id: 1, since };
    store.record(vec![of(matched(4, NOW + DAY), 1, failed(NOW + DAY, 0))].into()).await.unwrap();
    assert_eq!(store.failing(&[endpoint(0)], 5 * DAY).await.unwrap(), []);
    store.record(vec![of(matched(5, NOW + 7 * DAY), 1, failed(NOW + 7 * DAY, 0))].into()).await.unwrap();
    assert_eq!(store.failing(&[endpoint(0)], 5 * DAY).await.unwrap()[0].first_failed_at, NOW + DAY);
    // Nothing is replayed that is hidden.
    let key = EventKey { instance: "default".into(), event_id: Uuid::from_u128(2) };
    assert!(store.body(&key, "generic", DISK).await.unwrap().is_none());
}

/// What happens to some deliveries over some days, in the order in which it happens.
fn days_of_work() -> Vec<Record> {
    let mut records = Vec::new();
    for number in 1..=12u128 {
        let first = NOW - DAY * i64::try_from(number).unwrap() / 3 - MINUTE;
        let delivery = || matched(number, first);
        records.push(of(delivery(), 1, failed(first + 5, first + MINUTE)));
        if number % 3 > 0 {
            // Late, so that it is another day.
            records.push(of(delivery(), 2, held(3)));
            records.push(of(delivery(), 2, failed(first + DAY / 3, first + DAY / 2)));
            records.push(of(delivery(), 2, failed(first + DAY / 3 + 9, first + DAY / 2)));
        }
        if number % 3 == 1 {
            records.push(of(delivery(), 3, cancelled(first + DAY / 2)));
        }
        if number % 3 == 2 {
            records.push(of(delivery(), 3, delivered(first + DAY / 2)));
        }
    }
    records
}

/// These records in an order of this round, some twice. Deliveries have ids of their own in each round.
fn in_round(round: usize, instance: &str, records: &[Record]) -> Vec<Record> {
    let renamed = |record: &Record| {
        let mut record = record.clone();
        let event_id = Uuid::from_u128(record.delivery.event_id.as_u128() + 1000 * round as u128);
        let (instance, id) = (instance.to_owned(), domain::delivery_id(event_id, 1));
        record.delivery = Delivery { instance, event_id, id, ..record.delivery };
        record
    };
    let mut records: Vec<Record> = records.iter().map(renamed).collect();
    let length = records.len();
    records.rotate_left(round * 7 % length);
    if round % 2 == 1 {
        records.reverse();
    }
    records.extend(records.clone().into_iter().step_by(1 + round));
    records
}

/// In any order, any number of times, and with history cleared and removed in between.
pub(crate) async fn records_of_many_days_in_any_order_give_the_same_rows(store: Any) {
    let cleared_at = NOW - DAY;
    let is_before = |record: &Record| match &record.what {
        What::Attempt(attempt) => attempt.started_at < cleared_at,
        What::Cancel { at, .. } => *at < cleared_at,
        What::Hold { .. } => record.delivery.matched_at < cleared_at,
    };
    let (before, after): (Vec<Record>, Vec<Record>) = days_of_work().into_iter().partition(is_before);
    /// Delivery, attempt, how it stands, when it was, its body.
    type Seen = (u128, i32, Status, i64, String);
    let mut expected: Option<Vec<Seen>> = None;
    for round in 0..8usize {
        let instance = format!("round-{round}");
        let of_round = |records: &[Record]| in_round(round, &instance, records);
        let write = async |records: Vec<Record>| {
            for batch in records.chunks(1 + round * 3) {
                store.record(batch.to_vec().into()).await.unwrap();
            }
        };
        write(of_round(&before)).await;
        store.clear(&instance, cleared_at).await.unwrap();
        if round % 3 > 0 {
            tidy(&store, cleared_at + DAY / 4).await;
        }
        write(of_round(&after)).await;
        // What is still waited for is held again; of what is off the disk nobody can tell whether it was.
        let again = |record: &Record| !matches!(record.what, What::Hold { .. });
        write(of_round(&before).into_iter().filter(again).step_by(2).collect()).await;
        write(of_round(&after)).await;
        let from = store.settings(&instance).await.unwrap().visible_from(NOW);
        let query = ListQuery { instance: instance.clone(), sight: Sight { from, now: NOW }, ..all() };
        let (entries, _) = store.list(&query).await.unwrap();
        let attempts = entries.into_iter().filter(|entry| entry.status != Status::Pending);
        let mut rows: Vec<_> = attempts
            .map(|entry| {
                let event = entry.delivery.event_id.as_u128() - 1000 * round as u128;
                (event, entry.number, entry.status, entry.time, entry.error)
            })
            .collect();
        rows.sort_by_key(|row| (row.0, row.1));
        assert!(!rows.is_empty());
        assert_eq!(expected.get_or_insert_with(|| rows.clone()), &rows, "round {round}");
    }
}
