//! What rendering costs: a completed run, an event of each group and one that is as large as they come, in each format.
//!
//! `cargo bench -p payload`; the time is of one body. The product promises 20 µs for a completed run in each format.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how a benchmark fails")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use domain::{EventType, WebhookKind};
use payload::{render, sample};
use proto::v1::{Event, event::Data};

const FORMATS: [WebhookKind; 4] = [WebhookKind::Generic, WebhookKind::Slack, WebhookKind::Teams, WebhookKind::Discord];

/// One type of each group.
const TYPES: [EventType; 8] = [
    EventType::RunCompleted,
    EventType::CaseUpdated,
    EventType::AutomationRunCompleted,
    EventType::JobCompleted,
    EventType::MilestoneDueDateChanged,
    EventType::SessionClosed,
    EventType::ResultIssueLinked,
    EventType::UserMentioned,
];

/// A completed run whose names have 100,000 characters each, of several code points, and that has 10,000 tags.
fn extreme() -> Event {
    let mut event = sample(EventType::RunCompleted);
    let name = "👩🏻‍🚀 *Größe* <b> ".repeat(100_000 / 15);
    let Some(Data::RunCompleted(data)) = &mut event.data else { panic!("a completed run") };
    let run = data.run.as_mut().unwrap();
    run.name.clone_from(&name);
    run.tags = (0..10_000).map(|number| format!("tag {number}")).collect();
    event.project.as_mut().unwrap().name.clone_from(&name);
    event.user.as_mut().unwrap().name = name;
    event
}

fn benchmarks(criterion: &mut Criterion) {
    for format in FORMATS {
        let mut group = criterion.benchmark_group(format.to_string());
        for kind in TYPES {
            let event = sample(kind);
            group.bench_function(kind.to_string(), |bencher| bencher.iter(|| render(black_box(&event), format, false)));
        }
        let event = extreme();
        group.bench_function("extreme", |bencher| bencher.iter(|| render(black_box(&event), format, false)));
        group.finish();
    }
}

criterion_group!(render_bodies, benchmarks);
criterion_main!(render_bodies);
