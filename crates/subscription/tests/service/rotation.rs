//! Rotation of the secrets key while everything runs.

mod world;

use std::{
    collections::{HashMap, HashSet},
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use domain::{Clock as _, SystemClock};
use proto::{
    internal::v1::ChangesRequest,
    v1::{DeleteWebhookRequest, RegenerateSecretRequest, UpdateWebhookRequest},
};
use subscription::{KeyId, Progress, Rotation, RotationError, StartError, store::KeyReader};
use tokio::task::JoinSet;

use crate::{
    fixture::{ADMIN, with},
    process::Process,
};
use world::{World, create, secrets};

/// What goes on while a key is rotated.
struct Load {
    process: Process,
    /// The secrets that were shown, as the last answer said.
    shown: Mutex<HashMap<i64, String>>,
    done: AtomicBool,
}

impl Load {
    fn goes_on(&self) -> bool {
        !self.done.load(Ordering::SeqCst)
    }

    async fn creates(self: Arc<Self>) -> usize {
        let mut count = 0;
        while self.goes_on() {
            let (id, secret) = create(&self.process).await;
            self.shown.lock().unwrap().insert(id, secret);
            count += 1;
        }
        count
    }

    /// Renames, regenerates and deletes some of the first webhooks.
    async fn changes(self: Arc<Self>, ids: Vec<i64>) -> usize {
        let mut client = self.process.webhooks();
        let mut count = 0;
        for id in ids.into_iter().cycle().take_while(|_| self.goes_on()) {
            let name = Some(format!("round {count}"));
            let renamed = UpdateWebhookRequest { id, name, ..UpdateWebhookRequest::default() };
            client.update_webhook(with(ADMIN, renamed)).await.unwrap();
            let request = RegenerateSecretRequest { id, ..RegenerateSecretRequest::default() };
            let answer = client.regenerate_secret(with(ADMIN, request)).await.unwrap().into_inner();
            self.shown.lock().unwrap().insert(id, answer.webhook.unwrap().secret);
            count += 1;
        }
        count
    }

    async fn follows(self: Arc<Self>) -> usize {
        let mut count = 0;
        while self.goes_on() {
            let before: HashSet<i64> = self.shown.lock().unwrap().keys().copied().collect();
            let found = secrets(&self.process).await;
            assert!(before.iter().all(|id| found.contains_key(id)), "a webhook is missing");
            count += 1;
        }
        count
    }
}

/// Two processes, 1,000 webhooks and more, and no moment in which one of them could not be signed.
async fn rotates_under_load(world: World) {
    let [first, second] = [world.process().await, world.process().await];
    let mut shown = HashMap::new();
    let mut making = JoinSet::new();
    let first = Arc::new(first);
    for _ in 0..8 {
        let process = Arc::clone(&first);
        making.spawn(async move {
            let mut made = Vec::new();
            for _ in 0..125 {
                made.push(create(&process).await);
            }
            made
        });
    }
    for made in making.join_all().await {
        shown.extend(made);
    }
    assert_eq!(shown.len(), 1_000);
    let some: Vec<i64> = shown.keys().copied().take(50).collect();
    let gone = *shown.keys().find(|id| !some.contains(id)).unwrap();
    first.webhooks().delete_webhook(with(ADMIN, DeleteWebhookRequest { id: gone, if_version: None })).await.unwrap();
    shown.remove(&gone);

    let load = Arc::new(Load { process: second, shown: Mutex::new(shown), done: AtomicBool::new(false) });
    let mut tasks = JoinSet::new();
    tasks.spawn(Arc::clone(&load).creates());
    tasks.spawn(Arc::clone(&load).changes(some));
    tasks.spawn(Arc::clone(&load).follows());
    let old = world.keys();
    let resealed = world.rotation().await.run().await.unwrap();
    load.done.store(true, Ordering::SeqCst);
    let counts = tasks.join_all().await;
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");

    assert!(resealed.done >= 900 && resealed.unreadable.is_empty(), "{resealed:?}");
    let shown = load.shown.lock().unwrap().clone();
    for process in [&*first, &load.process, &world.process().await] {
        assert_eq!(secrets(process).await, shown);
    }
    let target = KeyId::from_bytes(world.prefixes().await[0].0[1..].try_into().unwrap());
    world.assert_clean(target).await;
    assert_ne!(world.keys(), old);
    world.set_keys(&[&old[0]]);
    let refused = world.try_process().await.err().unwrap();
    assert!(matches!(refused, StartError::WrongKey { .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_webhook_is_without_its_secret_for_a_moment_on_sqlite() {
    rotates_under_load(World::new(None)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_webhook_is_without_its_secret_for_a_moment_on_postgres() {
    let database = blackbox::servers::database().await;
    rotates_under_load(World::new(Some(database.url.clone()))).await;
    database.remove().await;
}

/// Takes so many of the steps, and no more.
async fn take(rotation: &Rotation, steps: usize) -> KeyId {
    let target = rotation.prepare().await.unwrap();
    for step in 2..=steps {
        match step {
            2 => rotation.wait_until_known(target).await.unwrap(),
            3 => rotation.promote(target).unwrap(),
            4 => rotation.wait_until_sealing(target).await.unwrap(),
            5 => drop(rotation.reseal(target).await.unwrap()),
            _ => drop(rotation.retire(target).await.unwrap()),
        }
    }
    target
}

#[tokio::test]
async fn an_interrupted_rotation_goes_on_where_it_was() {
    for steps in 1..=5 {
        let world = World::new(None);
        let process = world.process().await;
        let mut shown = HashMap::from([create(&process).await]);
        let old = world.keys();
        let target = take(&world.rotation().await, steps).await;
        shown.extend([create(&process).await]);
        assert_eq!(secrets(&world.process().await).await, shown, "after step {steps} a process starts");

        assert!(world.rotation().await.run().await.unwrap().unreadable.is_empty(), "after step {steps}");
        world.assert_clean(target).await;
        assert_eq!(secrets(&process).await, shown);
        let names = fs::read_dir(world.folder.path()).unwrap().map(|file| file.unwrap().file_name());
        let kept: Vec<_> = names.filter(|name| name.to_string_lossy().contains("key.old-")).collect();
        assert_eq!(kept.len(), 1, "after step {steps}");
        let kept = world.folder.path().join(&kept[0]);
        assert_eq!(fs::read_to_string(kept).unwrap(), format!("{}\n", old[0]));
    }
}

#[tokio::test]
async fn what_the_database_has_not_heard_of_is_understood() {
    let world = World::new(None);
    let process = world.process().await;
    let shown = HashMap::from([create(&process).await]);
    let store = world.store().await;
    // Within the first step: the file was written, and the database does not know of it.
    let target = take(&world.rotation().await, 1).await;
    store.set_rotation(None).await.unwrap();
    assert_eq!(take(&world.rotation().await, 6).await, target);
    world.assert_clean(target).await;
    // Within the last: the file was written, and the database has not heard that all is done.
    store.set_rotation(Some(target)).await.unwrap();
    world.rotation().await.run().await.unwrap();
    world.assert_clean(target).await;
    // Somebody has put another key first by hand.
    let old = world.keys();
    world.set_keys(&["AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=", &old[0]]);
    world.rotation().await.run().await.unwrap();
    assert_eq!(world.keys(), ["AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="]);
    assert_eq!(secrets(&world.process().await).await, shown);
}

#[tokio::test]
async fn a_process_that_lacks_the_key_is_waited_for_and_named() {
    let world = World::new(None);
    let process = world.process().await;
    create(&process).await;
    let store = world.store().await;
    let other = KeyReader {
        process: uuid::Uuid::from_u128(7),
        host: "other-host (process 7)".into(),
        keys: vec![KeyId::from_bytes([1; 4])],
        sealing: vec![KeyId::from_bytes([1; 4])],
        // It goes on running for the time of the test.
        seen_at: SystemClock.now().plus(Duration::from_secs(600)),
    };
    store.announce(&other, other.seen_at.minus(Duration::from_secs(3_600))).await.unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let telling = Arc::clone(&told);
    let rotation = world.telling(move |progress| telling.lock().unwrap().push(progress.to_string())).await;
    let error = rotation.patience(Duration::from_millis(100)).run().await.unwrap_err().to_string();
    for part in
        ["other-host (process 7)", "cannot open key", "secrets.key must have the same content", "run this again"]
    {
        assert!(error.contains(part), "{error}");
    }
    assert!(!error.contains("on other-host (process 7),"), "only that one: {error}");
    assert!(told.lock().unwrap().iter().any(|line| line.starts_with("waiting: ")), "{told:?}");
    let keys = world.keys();
    assert_eq!(keys.len(), 2, "nothing seals with the new key yet");

    store.withdraw(other.process).await.unwrap();
    world.rotation().await.run().await.unwrap();
    assert_eq!(world.keys(), &keys[1..]);
}

#[tokio::test]
async fn no_key_goes_while_something_may_be_sealed_with_it() {
    let world = World::new(None);
    let process = world.process().await;
    create(&process).await;
    let store = world.store().await;
    let target = take(&world.rotation().await, 1).await;
    let old = KeyId::from_bytes([1; 4]);
    let other = KeyReader {
        process: uuid::Uuid::from_u128(7),
        host: "other-host (process 7)".into(),
        keys: vec![target, old],
        // A request of before is under way.
        sealing: vec![target, old],
        seen_at: SystemClock.now().plus(Duration::from_secs(600)),
    };
    let forget = other.seen_at.minus(Duration::from_secs(3_600));
    store.announce(&other, forget).await.unwrap();
    let rotation = world.rotation().await.patience(Duration::from_secs(3));
    assert_eq!(take(&rotation, 3).await, target);
    let late = [rotation.wait_until_sealing(target).await.unwrap_err(), rotation.retire(target).await.unwrap_err()];
    for error in late.map(|error| error.to_string()) {
        assert!(error.starts_with("other-host (process 7) may still seal with another key than"), "{error}");
    }
    assert_eq!(world.keys().len(), 2);

    store.announce(&KeyReader { sealing: vec![target], ..other }, forget).await.unwrap();
    rotation.run().await.unwrap();
    world.assert_clean(target).await;
}

#[tokio::test]
async fn what_no_key_opens_is_named_and_the_others_go_on() {
    use sqlx::{Connection as _, Executor as _};

    let world = World::new(None);
    let process = world.process().await;
    let (damaged, whole) = (create(&process).await, create(&process).await);
    let address = format!("sqlite://{}", world.folder.path().join("subscription.db").display());
    let mut connection = sqlx::SqliteConnection::connect(&address).await.unwrap();
    connection
        .execute("UPDATE webhooks SET secret = (SELECT secret FROM webhooks WHERE id = 2) WHERE id = 1")
        .await
        .unwrap();

    let resealed = world.rotation().await.run().await.unwrap();
    assert_eq!((resealed.done, resealed.unreadable), (1, vec![damaged.0]));
    assert_eq!(world.keys().len(), 1);
    let before = world.keys();
    let resealed = world.rotation().await.run().await.unwrap();
    assert_eq!((resealed.done, resealed.unreadable), (1, vec![damaged.0]));
    assert_ne!(world.keys(), before, "it does not stand in the way of the next rotation");
    let request = ChangesRequest { since: 0, with_secrets: true };
    let changes = world.process().await.configuration().changes(request).await.unwrap().into_inner();
    let found: Vec<_> = changes.webhooks.iter().map(|webhook| (webhook.id, webhook.active)).collect();
    assert_eq!(found, [(damaged.0, false), (whole.0, true)]);
}

#[tokio::test]
async fn files_that_are_managed_elsewhere_stay_as_they_are() {
    let world = World::new(None);
    let process = world.process().await;
    let shown = HashMap::from([create(&process).await]);
    let old = world.keys();
    let keys = ["AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=", old[0].as_str()];
    world.set_keys(&keys);
    let told = Arc::new(Mutex::new(Vec::new()));
    let telling = Arc::clone(&told);
    let rotation = world.telling(move |progress| telling.lock().unwrap().push(progress)).await;
    assert_eq!(rotation.run_reseal().await.unwrap().done, 1);
    assert!(matches!(told.lock().unwrap().last(), Some(Progress::Spare(spare)) if spare.0.len() == 1), "{told:?}");
    assert_eq!(world.keys(), keys);
    assert_eq!(rotation.run_reseal().await.unwrap().done, 0);
    world.set_keys(&keys[..1]);
    assert_eq!(secrets(&world.process().await).await, shown);
}

#[tokio::test]
async fn another_databases_file_is_refused() {
    let world = World::new(None);
    create(&world.process().await).await;
    world.set_keys(&["AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="]);
    let rotation = world.rotation().await;
    for refused in [rotation.run().await.unwrap_err(), rotation.run_reseal().await.unwrap_err()] {
        assert!(matches!(refused, RotationError::OtherFile { .. }), "{refused}");
    }
    assert_eq!(world.keys().len(), 1);
    fs::remove_file(world.key_file()).unwrap();
    let missing = rotation.run().await.unwrap_err().to_string();
    assert!(missing.starts_with("cannot read the secrets key"), "{missing}");
}

#[tokio::test]
async fn a_process_that_ends_is_not_waited_for() {
    let world = World::new(None);
    let process = world.process().await;
    let store = world.store().await;
    let since = SystemClock.now().minus(Duration::from_secs(10));
    let readers = store.readers(since).await.unwrap();
    let [reader] = readers.as_slice() else { panic!("one process: {readers:?}") };
    assert!(reader.host.contains(&format!("(process {})", std::process::id())), "{reader:?}");
    assert_eq!(reader.keys, reader.sealing);
    assert!(process.tasks.shut_down(Duration::from_secs(5)).await);
    assert!(store.readers(since).await.unwrap().is_empty());
}
