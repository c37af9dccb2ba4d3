//! Abuse of our own listeners from outside, one kind after the other, while an ordinary client works: it hardly notices,
//! the programs keep their memory, and everybody is told, or cut off by a deadline.
//!
//! The waits are told, beside those of a calm time just before, and stand in docs/reliability.md; a test that fails by them
//! would fail by what else the machine does. It fails where others are held up: a wait of more than twice what it was
//! without abuse, and longer than [`HELD_UP`], in each of [`TRIES`].

mod frames;
mod grpc;
mod http;
mod silent;

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    time::Duration,
};

use blackbox::{
    abuser::{Abuser, Tally},
    in_both_modes,
    ordinary::{Ordinary, Waits},
    product::{Mode, Product, Program, Service},
    receiver::Receiver,
    wait::eventually,
    webhooks,
};
use futures::future::LocalBoxFuture;

in_both_modes!(alone: abuse_disturbs_nobody_else);

/// How long is measured without abuse, and with each kind.
const CALM: Duration = Duration::from_secs(2);
const WINDOW: Duration = Duration::from_millis(2_000);
/// A wait that is no disturbance any more, but a standstill.
const HELD_UP: Duration = Duration::from_secs(3);
const TRIES: usize = 3;
/// Bytes that a program may come to hold above what it held before.
const GROWTH: u64 = 128 << 20;
/// Descriptors that a program may hold more when all is over: connections to receivers and servers come and go.
const SPARE: usize = 40;
const SOON: Duration = Duration::from_secs(60);

/// Whom to abuse, and with which tokens.
#[derive(Clone)]
struct Target {
    http: SocketAddr,
    grpc: SocketAddr,
    admin: SocketAddr,
    admin_token: String,
    publisher_token: String,
}

impl Target {
    fn of(product: &Product) -> Self {
        let service = if product.mode() == Mode::Embedded { Service::Standalone } else { Service::Ingest };
        let grpc = product.publish_address();
        Self {
            http: product.admin().address(),
            grpc: grpc.trim_start_matches("http://").parse().expect("an address"),
            admin: product.health(service).address(),
            admin_token: product.admin_token().to_owned(),
            publisher_token: product.publisher_token().to_owned(),
        }
    }
}

/// A kind of abuse.
struct Kind {
    name: &'static str,
    /// What may be answered: each answer begins with one of these.
    answers: &'static [&'static str],
    /// Whether there has to be an answer; otherwise it may be borne with.
    refused: bool,
    /// How many connections it opens, once, all of which have to be answered or closed in the end.
    lasting: Option<usize>,
    abuse: fn(Target, Tally) -> LocalBoxFuture<'static, ()>,
}

/// Those that last first: meanwhile their deadlines pass.
fn kinds() -> Vec<Kind> {
    [silent::kinds(), http::kinds(), grpc::kinds(), frames::kinds()].into_iter().flatten().collect()
}

/// What a kind of abuse came to.
struct Row {
    kind: Kind,
    before: Waits,
    during: Waits,
    /// Bytes that the largest of the programs held.
    peak: u64,
    abuser: Option<Abuser>,
    tally: Tally,
    /// What is wrong with it.
    faults: Vec<String>,
}

async fn abuse_disturbs_nobody_else(mode: Mode) {
    let product = Product::start(mode).await;
    let receiver = Receiver::start().await;
    webhooks::create_generic(&product.admin(), &receiver.url("/in")).await;
    let (publisher, rest) = (product.publisher(), product.admin());
    let mut ordinary = Ordinary { publisher, rest, receiver: &receiver, path: "/in", accepted: HashMap::new() };
    ordinary.work(CALM).await;
    let before = ordinary.work(CALM).await;
    let (memory, descriptors) = (product.resident_all(), product.descriptors_all());
    let mut rows = Vec::new();
    for kind in kinds() {
        rows.push(suffer(kind, &product, &mut ordinary, before, &memory).await);
    }
    for row in &mut rows {
        settle(row).await;
    }
    tell(mode, &memory, &rows);
    let faults: Vec<_> = rows.iter().flat_map(|row| &row.faults).collect();
    assert!(faults.is_empty(), "{faults:#?}");
    drop(rows);
    eventually(SOON, "descriptors are free again", async || {
        let now = product.descriptors_all();
        now.iter().all(|(program, count)| *count <= descriptors[program] + SPARE).then_some(())
    })
    .await;
    let came = ordinary.came();
    let once = ordinary.accepted.keys().all(|id| came.get(id).is_some_and(|(_, times)| *times == 1));
    assert!(once, "what was accepted has come, and once");
    assert_eq!(ordinary.rest.get("/api/v1/webhooks").await.status, 200);
}

/// Measures during a kind of abuse, again where it was disturbed.
async fn suffer(
    kind: Kind,
    product: &Product,
    ordinary: &mut Ordinary<'_>,
    mut before: Waits,
    memory: &BTreeMap<Program, u64>,
) -> Row {
    let (target, abuse, mut peak, mut tried) = (Target::of(product), kind.abuse, 0, 0);
    let (abuser, during) = loop {
        let of = target.clone();
        let abuser = Abuser::start(move |tally| abuse(of, tally));
        let (during, held) = tokio::join!(ordinary.work(WINDOW), watch(product));
        peak = peak.max(held);
        tried += 1;
        if during.at_most_twice(&before, HELD_UP) || tried == TRIES {
            break (abuser, during);
        }
        drop(abuser);
        before = ordinary.work(CALM).await;
    };
    let mut faults = Vec::new();
    if !during.at_most_twice(&before, HELD_UP) {
        faults.push(format!("{}: waits of {during} ms, {before} ms before", kind.name));
    }
    let most = memory.values().max().expect("a program");
    if peak > most + GROWTH {
        faults.push(format!("{}: {} MiB, {} MiB before", kind.name, peak >> 20, most >> 20));
    }
    let tally = abuser.tally.clone();
    // What does not last is over before the next kind begins.
    let abuser = kind.lasting.map(|_| abuser);
    Row { kind, before, during, peak, abuser, tally, faults }
}

/// The most that a program held within a window.
async fn watch(product: &Product) -> u64 {
    let mut peak = 0;
    blackbox::load::open_loop(20, WINDOW, Duration::ZERO, async |_, _| {
        peak = product.resident_all().into_values().fold(peak, u64::max);
    })
    .await;
    peak
}

/// Waits until what lasts is over, and looks at the answers.
async fn settle(row: &mut Row) {
    let Row { kind, tally, faults, .. } = row;
    if let Some(connections) = kind.lasting {
        eventually(SOON, format!("{}: all are gone ({connections})", kind.name), async || {
            (tally.answers().values().sum::<usize>() >= connections).then_some(())
        })
        .await;
    }
    row.abuser = None;
    let answers = tally.answers();
    let wrong = |answer: &&String| !kind.answers.iter().any(|expected| answer.starts_with(expected));
    if answers.keys().any(|answer| wrong(&answer)) || (answers.is_empty() && kind.refused) {
        faults.push(format!("{}: answered {tally}, not one of {:?}", kind.name, kind.answers));
    }
}

fn tell(mode: Mode, memory: &BTreeMap<Program, u64>, rows: &[Row]) {
    let most = memory.values().max().expect("a program");
    println!("{mode:?}: largest program {} MiB before; waits are p99 of publish / read / delivery in ms", most >> 20);
    println!("| Abuse | Before | During | Answers | Peak RSS |\n|---|---|---|---|---|");
    for Row { kind, before, during, peak, tally, .. } in rows {
        println!("| {} | {before} | {during} | {tally} | {} MiB |", kind.name, peak >> 20);
    }
}
