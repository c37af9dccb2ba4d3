//! What is permitted when a delivery connects: names that were public when their webhook was saved and are not any
//! more. 127.0.0.1, opened by `delivery.allow_networks`, stands for the public Internet; 127.0.0.3 and ::1 are private.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use blackbox::{
    events, history,
    product::Mode,
    receiver::Receiver,
    wait::{eventually, stays},
    webhooks,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::world::{Lookup, World};

const SOON: Duration = Duration::from_secs(15);
/// Longer than the one wait of the schedule: a retry would have been made.
const SETTLED: Duration = Duration::from_secs(3);
const KEYS: [(&str, &str); 4] = [
    ("delivery.allow_networks", r#"["127.0.0.1/32"]"#),
    ("delivery.retry_schedule", r#"["2s"]"#),
    ("delivery.connect_timeout", "1s"),
    ("delivery.timeout", "5s"),
];

/// Counts the connections made to an address that none may be made to.
struct Tripwire {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Tripwire {
    async fn listen(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let accepting = blackbox::spawn(async move {
            while listener.accept().await.is_ok() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { address, connections, accepting }
    }

    /// Connects from here, and waits until as many connections as the test itself made are counted. Connections are
    /// accepted in the order in which they were made: afterwards every earlier one is counted too.
    async fn expect_only(&self, own: usize) {
        drop(TcpStream::connect(self.address).await.unwrap());
        eventually(SOON, "the own connection is counted", async || {
            (self.connections.load(Ordering::SeqCst) >= own).then_some(())
        })
        .await;
        assert_eq!(self.connections.load(Ordering::SeqCst), own, "connections to {}", self.address);
    }
}

impl Drop for Tripwire {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A webhook for a name that leads to the receiver for now; each has its own, so that none shares a connection.
async fn save(world: &World, receiver: &Receiver, host: &str) -> i64 {
    world.resolver.set(host, Lookup::leads(&["127.0.0.1"]));
    let url = format!("http://{host}:{}/{host}", receiver.address().port());
    webhooks::create_generic(&world.rest, &url).await.id
}

async fn a_name_that_turns_private_is_never_connected_to(mode: Mode) {
    let world = World::start(mode, &KEYS).await;
    let receiver = Receiver::start().await;
    let port = receiver.address().port();
    let private = [
        Tripwire::listen(SocketAddr::from(([127, 0, 0, 3], port))).await,
        Tripwire::listen(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], port))).await,
    ];
    for tripwire in &private {
        tripwire.expect_only(1).await;
    }
    // Public ones first: it is not the first address alone that is judged.
    let mut many = vec!["127.0.0.1"; 499];
    many.push("127.0.0.3");
    let turns = [
        ("private.example", Lookup::leads(&["127.0.0.3"])),
        ("mixed.example", Lookup::leads(&["127.0.0.1", "127.0.0.3"])),
        ("mixed-first.example", Lookup::leads(&["127.0.0.3", "127.0.0.1"])),
        ("aaaa.example", Lookup::leads(&["::1"])),
        ("mixed-aaaa.example", Lookup::leads(&["127.0.0.1", "::1"])),
        ("mapped.example", Lookup::leads(&["::ffff:127.0.0.3"])),
        ("nat64.example", Lookup::leads(&["64:ff9b::7f00:3"])),
        ("many.example", Lookup::leads(&many)),
    ];
    let stays_public = save(&world, &receiver, "stays.example").await;
    let mut saved = Vec::new();
    for (host, lookup) in turns {
        saved.push((host, save(&world, &receiver, host).await));
        world.resolver.set(host, lookup);
    }
    world.publisher.publish(events::run_completed(events::PROJECT, 1)).await.unwrap();

    // The control: what stays where it was is delivered to.
    receiver.wait_for("/stays.example", 1, SOON).await;
    history::wait_until_settled(&world.rest, stays_public, SOON).await;
    for (host, webhook) in &saved {
        let entries = eventually(SOON, format!("{host} has an entry"), async || {
            let entries = history::all(&world.rest, *webhook).await;
            (!entries.is_empty()).then_some(entries)
        })
        .await;
        assert_eq!(entries.len(), 1, "{host}: {entries:?}");
        assert_eq!((entries[0].status(), entries[0].attempt()), ("failed", 1), "{host}: {entries:?}");
        assert_eq!(entries[0].0["error"]["class"], "address_refused", "{host}: {entries:?}");
        let told = ["127.0.0.", "::1", "64:ff9b", "7f00"];
        assert!(!told.iter().any(|address| entries[0].error().contains(address)), "{host} is told: {entries:?}");
        assert!(entries[0].error().contains("must not lead to a private"), "{host}: {entries:?}");
        assert!(entries[0].0["remote_address"].is_null(), "{host}: {entries:?}");
        let delivery = history::delivery(&world.rest, entries[0].delivery()).await.unwrap();
        assert_eq!(delivery.status(), "failed", "{host}: {delivery:?}");
    }
    stays(SETTLED, "nothing is tried again", async || {
        let entries = history::all_of_instance(&world.rest).await;
        entries.len() == saved.len() + 1 && entries.iter().all(|entry| entry.status() != "pending")
    })
    .await;
    for tripwire in &private {
        tripwire.expect_only(2).await;
    }
    assert_eq!(receiver.connections(), 1, "only the control connects");
    world.end().await;
}

async fn a_name_that_falls_silent_is_tried_again(mode: Mode) {
    let world = World::start(mode, &KEYS).await;
    let receiver = Receiver::start().await;
    let silent = save(&world, &receiver, "silent.example").await;
    let recovers = save(&world, &receiver, "recovers.example").await;
    let gone = save(&world, &receiver, "gone.example").await;
    world.resolver.set("silent.example", Lookup::Silent);
    world.resolver.set("recovers.example", Lookup::Silent);
    world.resolver.set("gone.example", Lookup::Unknown);
    world.publisher.publish(events::run_completed(events::PROJECT, 1)).await.unwrap();

    eventually(SOON, "the first attempt fails", async || {
        let entries = history::all(&world.rest, recovers).await;
        entries.iter().any(|entry| entry.status() == "failed").then_some(())
    })
    .await;
    world.resolver.set("recovers.example", Lookup::leads(&["127.0.0.1"]));
    for (webhook, status, classes) in
        [(silent, "failed", &["dns", "dns"][..]), (gone, "failed", &["dns", "dns"]), (recovers, "delivered", &["dns"])]
    {
        let entry = history::all(&world.rest, webhook).await.remove(0);
        let delivery = history::wait_for_status(&world.rest, entry.delivery(), status, SOON).await;
        let entries = delivery.entries();
        assert_eq!(entries.len(), 2, "{delivery:?}");
        let found: Vec<_> = entries.iter().filter_map(|entry| entry.0["error"]["class"].as_str()).collect();
        assert_eq!(found, classes, "{delivery:?}");
    }
    assert_eq!((receiver.count("/recovers.example"), receiver.connections()), (1, 1));
    world.end().await;
}

blackbox::in_both_modes!(a_name_that_turns_private_is_never_connected_to, a_name_that_falls_silent_is_tried_again);
