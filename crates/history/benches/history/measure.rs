//! Pages, details and an export, while others write.

use std::time::{Duration, Instant};

use history::{
    model::Status,
    store::{Exported, ListQuery, Page, Position, Sight},
};
use uuid::Uuid;

use crate::{
    fill::{DAY, DAYS, Filled, INSTANCE, WEBHOOKS},
    work::{Writer, tell},
};

const PAGE: usize = 100;

fn all(now: i64) -> ListQuery {
    ListQuery {
        instance: INSTANCE.to_owned(),
        webhook_id: None,
        projects: None,
        status: None,
        event_type: None,
        from: None,
        to: None,
        is_test: None,
        sight: Sight { from: now - DAYS * DAY, now },
        page: Page::Newest,
        limit: PAGE,
    }
}

/// The lists that are looked at, each with its name.
fn lists(now: i64, round: i64) -> Vec<(&'static str, ListQuery)> {
    let of_one = || ListQuery { webhook_id: Some(1 + round % WEBHOOKS), ..all(now) };
    let event_type = || Some("case.updated".to_owned());
    vec![
        ("of all", all(now)),
        ("of all, failed", ListQuery { status: Some(Status::Failed), ..all(now) }),
        ("of a webhook", of_one()),
        ("of a webhook, failed", ListQuery { status: Some(Status::Failed), ..of_one() }),
        ("of a webhook, delivered", ListQuery { status: Some(Status::Delivered), ..of_one() }),
        ("of a webhook, by type", ListQuery { event_type: event_type(), ..of_one() }),
        (
            "of a webhook, failed, by type",
            ListQuery { status: Some(Status::Failed), event_type: event_type(), ..of_one() },
        ),
        ("of a webhook, a day", ListQuery { from: Some(now - 40 * DAY), to: Some(now - 39 * DAY), ..of_one() }),
        ("of a webhook, tests", ListQuery { is_test: Some(true), ..of_one() }),
        ("of all, tests", ListQuery { is_test: Some(true), ..all(now) }),
    ]
}

pub(crate) async fn pages_and_details(filled: &Filled, rounds: i64) {
    let writer = Writer::start(&filled.store);
    let names: Vec<&str> = lists(filled.now, 0).iter().map(|list| list.0).collect();
    for (place, name) in names.into_iter().enumerate() {
        let (mut first, mut deep) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            let (_, query) = lists(filled.now, round).swap_remove(place);
            let started = Instant::now();
            drop(filled.store.list(&query).await.unwrap());
            first.push(started.elapsed());
            // Anywhere in the list.
            let time = filled.now - DAY * (1 + round * 37 % (DAYS - 1));
            let page = Page::OlderThan(Position { time, delivery_id: Uuid::nil(), number: 0 });
            let started = Instant::now();
            drop(filled.store.list(&ListQuery { page, ..query }).await.unwrap());
            deep.push(started.elapsed());
        }
        tell(&format!("first page {name}"), &mut first);
        tell(&format!("deep page {name}"), &mut deep);
    }
    let mut times = Vec::new();
    let mut query = ListQuery { limit: 1, ..all(filled.now) };
    for round in 0..rounds {
        let time = filled.now - DAY * DAYS / rounds * round;
        query.page = Page::OlderThan(Position { time, delivery_id: Uuid::nil(), number: 0 });
        let (found, _) = filled.store.list(&query).await.unwrap();
        let Some(entry) = found.first() else { continue };
        let started = Instant::now();
        let whole = filled.store.delivery(INSTANCE, entry.delivery.id, query.sight).await.unwrap().unwrap();
        times.push(started.elapsed());
        assert!(whole.body.is_some());
    }
    tell("a whole delivery, of any age", &mut times);
    tell("writing 200 entries, ten times a second", &mut writer.stop().await);
}

/// Resident memory of this process, in MiB.
fn resident() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<i64>().unwrap() / 1024
}

pub(crate) async fn export(filled: &Filled, most: i64) {
    let before = resident();
    let (mut peak, mut count, mut bytes) = (before, 0i64, 0usize);
    let (sender, mut parts) = tokio::sync::mpsc::channel(1);
    let query = all(filled.now);
    let started = Instant::now();
    let read = async {
        while let Some(part) = parts.recv().await {
            if let Exported::Entries(entries) = part {
                count += i64::try_from(entries.len()).unwrap();
                bytes += entries.iter().map(|entry| entry.1.as_ref().map_or(0, |body| body.len())).sum::<usize>();
                peak = peak.max(resident());
            }
            if count >= most {
                break;
            }
        }
        drop(parts);
    };
    let (done, ()) = tokio::join!(filled.store.export(&query, sender), read);
    done.unwrap();
    let took: Duration = started.elapsed();
    println!(
        "export of {count} entries: {:.0} s, {:.0} entries/s, {} MiB of bodies, {} MiB more memory at most (from {before})",
        took.as_secs_f64(),
        count as f64 / took.as_secs_f64(),
        bytes >> 20,
        peak - before,
    );
}
