//! Replays: what is meant, once each, counted, and taken back.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use futures::future::join_all;
use history::{
    model::{CheckItem, Delivery, NoRetry, Record, Status, What},
    replay::{Counted, NewReplay, Replay, ReplayState, Selection, Stand, Step},
    store::{Held, ListQuery, Position, Released, Store, TakeHeld},
};
use uuid::Uuid;

use crate::known::{all, delivered, delivery_of, failed, held, press_on};

type Any = Arc<dyn Store>;

const HOOK: i64 = 1;
const NOW: i64 = 9_000;
const FIRST: Position = Position { time: 0, delivery_id: Uuid::nil(), number: 0 };
const ID: Uuid = Uuid::from_u128(0xa);

/// An event's delivery to the webhook.
fn nth(number: u128) -> Delivery {
    delivery_of(Uuid::from_u128(number), HOOK)
}

fn record(delivery: Delivery, number: i32, what: What) -> Record {
    Record { delivery, number, body: Bytes::from_static(b"{}"), what }
}

/// Deliveries 1, 2, … have failed for good, at 2001, 2002, …
async fn fail(store: &Any, count: u128) {
    let records = (1..=count).map(|n| record(nth(n), 1, failed(2000 + i64::try_from(n).unwrap(), 0)));
    store.record(records.collect()).await.unwrap();
}

fn everything() -> Selection {
    Selection { instance: "default".into(), webhook_id: HOOK, projects: None, events: Vec::new(), from: 0, to: NOW }
}

fn new(id: Uuid, selection: Selection, total: i64) -> NewReplay {
    NewReplay { id, selection, total, created_at: NOW, created_by: "ada".into() }
}

async fn count(store: &Any, wanted: &Selection) -> i64 {
    let mut sum = 0;
    let mut after = Some(Position { time: wanted.from, ..FIRST });
    while let Some(at) = after {
        let Counted { count, next, oldest, newest } = store.count_failed(wanted, at).await.unwrap();
        assert!(oldest <= newest && oldest.is_some() == (count > 0));
        sum += count;
        after = next;
    }
    sum
}

async fn start(store: &Any, selection: Selection) {
    let total = count(store, &selection).await;
    assert_eq!(store.start_replay(new(ID, selection, total)).await.unwrap(), None);
}

const STEP: Step = Step { id: ID, stand: Stand::Sends, now: NOW, window: 5 };

async fn advance(store: &Any, step: Step) {
    while store.advance_replay(step).await.unwrap() {}
}

async fn read(store: &Any) -> Replay {
    store.replay("default", ID).await.unwrap().unwrap()
}

/// Total, queued, delivered, failed.
async fn counts(store: &Any) -> (i64, i64, i64, i64) {
    let replay = read(store).await;
    assert_eq!(replay.pending(), replay.queued - replay.delivered - replay.failed);
    (replay.total, replay.queued, replay.delivered, replay.failed)
}

/// What is due, as if it had been queued.
async fn take(store: &Any, now: i64) -> Vec<Released> {
    let taking = TakeHeld {
        held: Held::UntilTime,
        early: false,
        config_version: 3,
        held_before: 0,
        now,
        leased_until: now + 1000,
        limit: 1000,
    };
    let taken = store.take_held(&[HOOK], taking).await.unwrap();
    store.released(&taken).await.unwrap();
    taken
}

/// Numbers and statuses by delivery.
async fn entries(store: &Any) -> BTreeMap<Uuid, Vec<(i32, Status)>> {
    let (entries, _) = store.list(&ListQuery { limit: 10_000, ..all() }).await.unwrap();
    let mut found: BTreeMap<Uuid, Vec<(i32, Status)>> = BTreeMap::new();
    for entry in entries.into_iter().rev() {
        found.entry(entry.delivery.id).or_default().push((entry.number, entry.status));
    }
    found.values_mut().for_each(|entries| entries.sort_by_key(|entry| entry.0));
    found
}

/// Deliveries of every kind; the eighth is to be retried.
fn of_every_kind() -> Vec<Record> {
    let of = |n, change: fn(&mut Delivery)| {
        let mut delivery = nth(n);
        change(&mut delivery);
        record(delivery, 1, failed(2000, 0))
    };
    vec![
        record(nth(1), 1, failed(2000, 0)),
        // The last attempt counts.
        record(nth(2), 1, failed(2000, 2010)),
        record(nth(2), 2, failed(2010, 0)),
        record(nth(3), 1, failed(2000, 0)),
        record(nth(3), 2, failed(5000, 0)),
        // Not yet over, over well, and over without a trace of what was sent.
        record(nth(4), 1, failed(2000, 3000)),
        record(nth(5), 1, failed(2000, 2001)),
        record(nth(5), 2, delivered(2002)),
        Record { body: Bytes::new(), ..record(nth(6), 1, failed(2000, 0)) },
        record(nth(7), 1, held(1)),
        // Retried, and too often.
        record(nth(8), 1, failed(2000, 0)),
        record(nth(9), domain::MOST_ATTEMPTS, failed(2000, 0)),
        // Of somebody else or another kind.
        of(10, |delivery| delivery.is_test = true),
        of(11, |delivery| delivery.project_id = 2),
        of(12, |delivery| delivery.event_type = "run.created".into()),
        of(13, |delivery| delivery.event_type = "case.deleted".into()),
        record(delivery_of(Uuid::from_u128(1), 2), 1, failed(2000, 0)),
        record(Delivery { instance: "other".into(), ..nth(14) }, 1, failed(2000, 0)),
        record(nth(15), 1, failed(1999, 0)),
    ]
}

pub(crate) async fn meant_is_what_has_failed_for_good_and_in_the_range(store: Any) {
    store.record(of_every_kind().into()).await.unwrap();
    let retry = press_on(&nth(8), 8000, 9000);
    store.retry(retry).await.unwrap().unwrap();

    let range = |from, to| Selection { from, to, ..everything() };
    for (wanted, expected) in [
        (everything(), 7),
        (range(2000, 2011), 5),
        (range(2000, 2010), 4),
        (range(2001, 5000), 1),
        (range(5000, 5001), 1),
        (range(5001, NOW), 0),
        (Selection { projects: Some(vec![2]), ..everything() }, 1),
        (Selection { projects: Some(Vec::new()), ..everything() }, 0),
        (Selection { events: vec!["run.created".into()], ..everything() }, 1),
        (Selection { events: vec!["run.*".into()], ..everything() }, 6),
        (Selection { events: vec!["run.completed".into(), "case.*".into()], ..everything() }, 6),
        (Selection { events: vec!["*".into()], ..everything() }, 7),
        (Selection { webhook_id: 2, ..everything() }, 1),
        (Selection { instance: "other".into(), ..everything() }, 1),
    ] {
        assert_eq!(count(&store, &wanted).await, expected, "{wanted:?}");
    }
    let whole = store.count_failed(&everything(), FIRST).await.unwrap();
    let expected = Counted { count: 7, oldest: Some(1999), newest: Some(5000), next: None };
    assert_eq!(whole, expected);

    // A replay takes exactly these.
    start(&store, range(2000, 2011)).await;
    advance(&store, Step { window: 100, ..STEP }).await;
    let mut taken: Vec<_> =
        take(&store, NOW).await.into_iter().map(|taken| (taken.delivery.id, taken.number)).collect();
    taken.sort_unstable();
    // Retries stay leased.
    let mut expected = vec![(nth(1).id, 2), (nth(2).id, 3), (nth(11).id, 2), (nth(12).id, 2), (nth(13).id, 2)];
    expected.sort_unstable();
    taken.retain(|(id, _)| *id != nth(8).id);
    assert_eq!(taken, expected);
}

pub(crate) async fn each_gets_one_attempt_a_few_at_a_time(store: Any) {
    fail(&store, 12).await;
    start(&store, everything()).await;
    assert_eq!((read(&store).await.state, counts(&store).await), (ReplayState::Running, (12, 0, 0, 0)));
    assert_eq!(store.unfinished_replays().await.unwrap(), [(ID, HOOK)]);
    let (mut rounds, mut failures, mut seen) = (0, 0, BTreeMap::<Uuid, i32>::new());
    while read(&store).await.ended_at.is_none() {
        rounds += 1;
        assert!(rounds < 20);
        advance(&store, Step { now: NOW + rounds, ..STEP }).await;
        let taken = take(&store, NOW + rounds).await;
        assert!(taken.len() <= 5, "{}", taken.len());
        assert!(taken.iter().all(|taken| taken.manual && taken.number == 2 && taken.generation == 1));
        // Every other one fails again, by a clock that is behind: within the range, and not asked for again.
        let records = taken.into_iter().enumerate().map(|(index, taken)| {
            *seen.entry(taken.delivery.id).or_default() += 1;
            failures += i64::from(index % 2 == 1);
            record(taken.delivery, 2, if index % 2 == 0 { delivered(8000) } else { failed(8000, 0) })
        });
        store.record(records.collect()).await.unwrap();
    }
    assert!(seen.len() == 12 && seen.values().all(|count| *count == 1), "{seen:?}");
    let replay = read(&store).await;
    assert_eq!((replay.state, replay.reason.as_str(), replay.created_by.as_str()), (ReplayState::Done, "", "ada"));
    assert_eq!((replay.total, replay.queued, replay.pending()), (12, 12, 0));
    assert!(failures > 0);
    assert_eq!((replay.delivered, replay.failed), (12 - failures, failures));
    assert!(entries(&store).await.values().all(|entries| entries.len() == 2));
    assert!(store.unfinished_replays().await.unwrap().is_empty(), "nothing is left to tidy");
    assert!(!store.cancel_replay(ID, "late").await.unwrap());
    // What failed again can be replayed by another one.
    assert_eq!(count(&store, &everything()).await, failures);
}

pub(crate) async fn steps_at_the_same_time_ask_once(store: Any) {
    fail(&store, 300).await;
    start(&store, everything()).await;
    let step = Step { window: 150, ..STEP };
    for round in 1..=4 {
        let now = NOW + round;
        // With presses on what it comes by, and late news of what was before.
        let steps = join_all((0..8).map(|_| store.advance_replay(Step { now, ..step })));
        let presses = join_all((1..=300).step_by(25).map(|n| {
            let called_at = NOW + 10 * round;
            store.retry(press_on(&nth(n), called_at, called_at))
        }));
        let late = store.record((1..=300).step_by(7).map(|n| record(nth(n), 1, held(1))).collect());
        let (steps, presses, late) = tokio::join!(steps, presses, late);
        assert!(late.is_ok() && steps.into_iter().all(|step| step.is_ok()));
        let pressed: Vec<_> = presses.into_iter().filter_map(|press| press.unwrap().ok()).collect();
        store.released(&pressed).await.unwrap();
        let taken = take(&store, NOW + 10_000).await;
        let records =
            taken.into_iter().chain(pressed).map(|taken| record(taken.delivery, taken.number, failed(NOW + 1, 0)));
        store.record(records.collect()).await.unwrap();
    }
    advance(&store, step).await;
    let replay = read(&store).await;
    assert_eq!((replay.state, replay.total), (ReplayState::Done, 300), "{replay:?}");
    assert_eq!((replay.queued, replay.pending(), replay.delivered), (replay.failed, 0, 0), "{replay:?}");
    let entries = entries(&store).await;
    assert_eq!(entries.len(), 300);
    for (id, entries) in entries {
        let numbers: Vec<_> = entries.iter().map(|entry| entry.0).collect();
        assert!(numbers.len() >= 2 && numbers.iter().zip(1..).all(|(number, at)| *number == at), "{id} {entries:?}");
        assert!(entries.iter().all(|entry| entry.1 == Status::Failed), "{id} {entries:?}");
    }
}

pub(crate) async fn one_replay_of_a_webhook_runs_at_a_time(store: Any) {
    fail(&store, 3).await;
    let ids: Vec<Uuid> = (0..6).map(|n| Uuid::from_u128(0xb0 + n)).collect();
    let started = join_all(ids.iter().map(|id| store.start_replay(new(*id, everything(), 3)))).await;
    let running: Vec<_> = started.into_iter().map(Result::unwrap).collect();
    let first = ids.iter().zip(&running).find(|(_, running)| running.is_none()).unwrap().0;
    assert_eq!(running.iter().filter(|running| running.is_none()).count(), 1);
    assert!(running.iter().flatten().all(|running| running.id == *first));
    // Another webhook's is another matter, and so is the next one.
    let other = Selection { webhook_id: 2, projects: Some(vec![1, 2]), events: vec!["run.*".into()], ..everything() };
    assert_eq!(store.start_replay(new(ID, other.clone(), 0)).await.unwrap(), None);
    assert_eq!(read(&store).await.selection, other);
    assert!(store.cancel_replay(*first, "cancelled by ada").await.unwrap());
    assert!(!store.cancel_replay(*first, "again").await.unwrap());
    let next = NewReplay { created_at: NOW + 1, ..new(Uuid::from_u128(0xc0), everything(), 3) };
    assert_eq!(store.start_replay(next).await.unwrap(), None);
    let listed = store.replays("default", HOOK).await.unwrap();
    let listed: Vec<_> = listed.iter().map(|replay| (replay.id, replay.state)).collect();
    assert_eq!(listed, [(Uuid::from_u128(0xc0), ReplayState::Running), (*first, ReplayState::Cancelled)]);
    assert!(
        store.replay("other", ID).await.unwrap().is_none() && store.replays("other", HOOK).await.unwrap().is_empty()
    );
}

pub(crate) async fn a_cancelled_replay_takes_back_what_waits_here(store: Any) {
    fail(&store, 20).await;
    start(&store, everything()).await;
    advance(&store, Step { window: 10, ..STEP }).await;
    // Two are on the wire, one of them is held again by a dispatcher, and one is just being queued.
    let taking = |limit, leased_until| TakeHeld {
        held: Held::UntilTime,
        early: false,
        config_version: 3,
        held_before: 0,
        now: NOW,
        leased_until,
        limit,
    };
    let sent = store.take_held(&[HOOK], taking(2, NOW + 1000)).await.unwrap();
    store.released(&sent).await.unwrap();
    store.record(vec![record(sent[0].delivery.clone(), 2, held(9))].into()).await.unwrap();
    let leased = store.take_held(&[HOOK], taking(2, NOW + 1000)).await.unwrap();
    assert_eq!((sent.len(), leased.len()), (2, 1));

    assert!(store.cancel_replay(ID, "cancelled by ada").await.unwrap());
    advance(&store, STEP).await;
    let replay = read(&store).await;
    assert_eq!((replay.state, replay.reason.as_str()), (ReplayState::Cancelled, "cancelled by ada"));
    assert_eq!((replay.total, replay.queued, replay.pending(), replay.ended_at), (20, 2, 2, None));
    let pending: Vec<_> = entries(&store).await.into_iter().filter(|(_, entries)| entries.len() > 1).collect();
    assert_eq!(pending.len(), 2, "{pending:?}");
    assert_eq!(count(&store, &everything()).await, 18, "they are failed as before");
    // What was taken back is not sent should a message of it be left.
    let item = CheckItem { delivery_id: sent[0].delivery.id, number: 2, generation: 1, matched_at: 1000 };
    assert!(!store.check(&[item]).await.unwrap()[0].send);
    // What is on the wire ends.
    store.released(&leased).await.unwrap();
    let ends =
        [record(sent[1].delivery.clone(), 2, delivered(NOW)), record(leased[0].delivery.clone(), 2, failed(NOW, 0))];
    store.record(ends.into()).await.unwrap();
    advance(&store, Step { now: NOW + 7, ..STEP }).await;
    assert_eq!(counts(&store).await, (20, 2, 1, 1));
    assert_eq!(read(&store).await.ended_at, Some(NOW + 7));
    assert!(store.unfinished_replays().await.unwrap().is_empty());
}

pub(crate) async fn a_replay_waits_with_its_webhook_and_ends_with_it(store: Any) {
    fail(&store, 8).await;
    start(&store, everything()).await;
    let waits = Step { stand: Stand::Waits, ..STEP };
    advance(&store, waits).await;
    assert_eq!((read(&store).await.state, counts(&store).await), (ReplayState::Running, (8, 0, 0, 0)));
    advance(&store, STEP).await;
    assert_eq!(counts(&store).await, (8, 5, 0, 0));
    // Long ago, but something is waited for.
    let week = 7 * 24 * 3600 * 1_000_000;
    advance(&store, Step { now: NOW + week + 1, ..waits }).await;
    assert_eq!(read(&store).await.state, ReplayState::Running);
    // Deleted: what waits is ended by whoever looks after what waits, not taken back.
    advance(&store, Step { stand: Stand::Gone, ..STEP }).await;
    let replay = read(&store).await;
    assert_eq!(
        (replay.state, replay.reason.as_str(), replay.pending()),
        (ReplayState::Cancelled, "webhook deleted", 5)
    );
    let waiting = store.waiting_for(&[("default".into(), HOOK)], 100).await.unwrap();
    let ends =
        waiting.into_iter().map(|waiting| record(waiting.delivery, waiting.number, crate::known::cancelled(NOW)));
    store.record(ends.collect()).await.unwrap();
    advance(&store, Step { stand: Stand::Gone, ..STEP }).await;
    assert_eq!(counts(&store).await, (8, 5, 0, 5));
    assert_eq!(read(&store).await.ended_at, Some(NOW));

    // Inactive for a week, with nothing under way.
    let other = new(Uuid::from_u128(0xd), everything(), 3);
    assert_eq!(store.start_replay(other.clone()).await.unwrap(), None);
    advance(&store, Step { id: other.id, now: NOW + week, ..waits }).await;
    assert_eq!(store.replay("default", other.id).await.unwrap().unwrap().state, ReplayState::Running);
    advance(&store, Step { id: other.id, now: NOW + week + 1, ..waits }).await;
    let expired = store.replay("default", other.id).await.unwrap().unwrap();
    assert_eq!((expired.state, expired.reason.as_str()), (ReplayState::Cancelled, "expired while inactive"));
}

pub(crate) async fn what_was_retried_meanwhile_is_left_alone(store: Any) {
    fail(&store, 3).await;
    start(&store, everything()).await;
    let press = |n, called_at| press_on(&nth(n), called_at, called_at);
    let pressed = store.retry(press(1, NOW + 1)).await.unwrap().unwrap();
    let again = store.retry(press(2, NOW + 1)).await.unwrap().unwrap();
    store.released(&[pressed, again]).await.unwrap();
    // One of them has failed again before the replay comes by.
    store.record(vec![record(nth(2), 2, failed(NOW + 2, 0))].into()).await.unwrap();
    advance(&store, STEP).await;
    assert_eq!(counts(&store).await, (3, 1, 0, 0));
    assert_eq!(store.retry(press(3, NOW + 5)).await.unwrap().unwrap_err(), NoRetry::Pending);
    assert_eq!(take(&store, NOW).await.len(), 1);
    store.record(vec![record(nth(3), 2, delivered(NOW + 3))].into()).await.unwrap();
    advance(&store, STEP).await;
    let replay = read(&store).await;
    assert_eq!((replay.state, replay.total, replay.queued, replay.delivered), (ReplayState::Done, 3, 1, 1));
}

pub(crate) async fn a_long_history_is_gone_through_in_parts(store: Any) {
    // Each has failed twice, and the first entry of each is not meant.
    for part in 0..6_u128 {
        let records = (1..=500).flat_map(|n| {
            let (delivery, at) = (nth(part * 500 + n), 2000 + i64::try_from(part * 500 + n).unwrap());
            [record(delivery.clone(), 1, failed(at, at + 1)), record(delivery, 2, failed(at + 1, 0))]
        });
        store.record(records.collect()).await.unwrap();
    }
    let part = store.count_failed(&everything(), FIRST).await.unwrap();
    assert!(part.count < 3000 && part.next.is_some(), "{part:?}");
    assert_eq!(count(&store, &everything()).await, 3000);
    // Of a type that there is only at the end.
    let last = Delivery { event_type: "case.deleted".into(), ..nth(9999) };
    store.record(vec![record(last.clone(), 1, failed(8000, 0))].into()).await.unwrap();
    start(&store, Selection { events: vec!["case.*".into()], ..everything() }).await;
    advance(&store, STEP).await;
    assert_eq!(counts(&store).await, (1, 1, 0, 0));
    let taken = take(&store, NOW).await;
    assert_eq!(taken.iter().map(|taken| &taken.delivery).collect::<Vec<_>>(), [&last]);
}
