//! Tests of who may start an attempt.

use super::*;

const FAST: usize = 8;
const SLOW_AFTER: Duration = Duration::from_millis(40);
const TIMEOUT: Duration = Duration::from_secs(30);

struct World {
    admission: Arc<Admission>,
    room: Arc<Semaphore>,
}

/// An attempt that is under way until it is told to end.
struct Attempt {
    end: tokio::sync::oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Attempt {
    async fn end(self) {
        self.end.send(()).unwrap();
        self.task.await.unwrap();
    }
}

impl World {
    fn new() -> Self {
        Self::with(24)
    }

    fn with(room: usize) -> Self {
        let bounds = Bounds { slow_after: SLOW_AFTER, timeout: TIMEOUT, webhook: 3, room };
        Self { admission: Admission::new(bounds), room: Arc::new(Semaphore::new(FAST)) }
    }

    /// Places taken in the slow room, and webhooks that count as slow.
    fn slow_counts(&self) -> (usize, usize) {
        let places = self.admission.state().slow.places;
        (places, self.admission.slow_webhooks())
    }

    async fn enter_of(&self, webhook: i64, instance: &str) -> Option<Place> {
        self.admission.enter(&self.room, webhook, instance, false).await.ok()
    }

    /// So many as find a place, of three.
    async fn enter_thrice(&self, webhook: i64, instance: &str) -> Vec<Place> {
        let three = [(); 3].map(|()| self.enter_of(webhook, instance));
        futures::future::join_all(three).await.into_iter().flatten().collect()
    }

    /// After how many seconds to come back; `None`: it has found a place.
    async fn wait(&self, webhook: i64, returned: bool) -> Option<u64> {
        let entered = self.admission.enter(&self.room, webhook, "acme", returned).await;
        entered.err().map(|full| full.wait.as_secs_f64().round() as u64)
    }

    async fn enter(&self, webhook: i64) -> Option<Place> {
        self.enter_of(webhook, "acme").await
    }

    async fn start(&self, webhook: i64) -> Attempt {
        let mut place = self.enter(webhook).await.expect("a place");
        let (end, ended) = tokio::sync::oneshot::channel();
        let task = spawn(async move { drop(place.make(ended).await) });
        Attempt { end, task }
    }

    async fn swift(&self, webhook: i64) {
        self.enter(webhook).await.expect("a place").make(async {}).await;
    }

    /// An attempt that is slow, and over.
    async fn slow(&self, webhook: i64) {
        let before = self.slow_counts().0;
        let attempt = self.start(webhook).await;
        self.until_slow(before + 1).await;
        attempt.end().await;
    }

    async fn until_slow(&self, places: usize) {
        let until = async {
            while self.slow_counts().0 != places {
                tokio::time::sleep(SLOW_AFTER / 8).await;
            }
        };
        let reached = tokio::time::timeout(Duration::from_secs(10), until).await;
        assert!(reached.is_ok(), "{:?} instead of {places} places in the slow room", self.slow_counts());
    }
}

#[expect(clippy::disallowed_methods, reason = "a test awaits its tasks itself")]
fn spawn(future: impl Future<Output = ()> + Send + 'static) -> tokio::task::JoinHandle<()> {
    tokio::spawn(future)
}

#[tokio::test]
async fn what_turns_slow_gives_its_place_to_others() {
    let world = World::new();
    let mut attempts = Vec::new();
    for _ in 0..FAST {
        attempts.push(world.start(1).await);
    }
    assert_eq!(world.room.available_permits(), 0);
    world.until_slow(FAST).await;
    assert_eq!((world.room.available_permits(), world.slow_counts().1), (FAST, 1));
    assert!(world.enter(1).await.is_none(), "it is slow and at its bound");
    assert!(world.enter(2).await.is_some_and(|place| place.fast.is_some()), "others have the fast room");
    for attempt in attempts {
        attempt.end().await;
    }
    assert_eq!(world.slow_counts(), (0, 1), "slow until an attempt is not");
}

#[tokio::test]
async fn a_slow_webhook_gets_places_up_to_its_bound() {
    let world = World::new();
    let hanging = world.start(1).await;
    world.until_slow(1).await;
    let places = [world.enter(1).await, world.enter(1).await, world.enter(1).await];
    assert_eq!(places.each_ref().map(Option::is_some), [true, true, false]);
    assert!(places.iter().flatten().all(|place| place.fast.is_none()));
    assert_eq!(world.room.available_permits(), FAST);
    drop(places);
    assert_eq!(world.wait(1, true).await, None, "a place that was left is free");
    hanging.end().await;
}

#[tokio::test]
async fn one_swift_attempt_makes_it_fast_again() {
    let world = World::new();
    world.slow(1).await;
    assert_eq!(world.slow_counts(), (0, 1));
    world.swift(1).await;
    assert_eq!(world.slow_counts(), (0, 0));
    assert!(world.admission.state().webhooks.is_empty(), "nothing is kept of it");
    // Not while another attempt of it hangs.
    let hanging = world.start(1).await;
    world.until_slow(1).await;
    world.swift(1).await;
    assert_eq!(world.slow_counts(), (1, 1));
    hanging.end().await;
}

#[tokio::test]
async fn slow_webhooks_share_the_room_of_their_instance_and_instances_the_whole() {
    let world = World::new();
    for webhook in (1..=6).chain(11..=13).chain(21..=23) {
        world.slow(webhook).await;
    }
    let mut places = Vec::new();
    let mut counts = Vec::new();
    for (instance, webhooks) in [("acme", 1..=6), ("other", 11..=13), ("third", 21..=23)] {
        for webhook in webhooks {
            let entered = world.enter_thrice(webhook, instance).await;
            counts.push(entered.len());
            places.extend(entered);
        }
    }
    // Who comes early gets what it may have; something is left for those that come later.
    assert_eq!(counts, [3, 3, 3, 2, 1, 0, 3, 3, 2, 2, 2, 0]);
    assert_eq!(world.slow_counts().0, 24, "all of the room, and half of it for one instance");
    assert!(world.enter_of(5, "acme").await.is_none());
    assert!(world.enter_of(7, "acme").await.is_some(), "who is not slow is not concerned");
    drop(places);
    assert!(world.admission.state().instances.is_empty());
    assert_eq!((world.slow_counts().0, world.admission.state().slow.webhooks), (0, 0));
}

#[tokio::test]
async fn what_finds_no_place_gets_a_turn_of_its_own_and_is_not_overtaken() {
    let world = World::new();
    let hanging = [world.start(1).await, world.start(1).await, world.start(1).await];
    world.until_slow(3).await;
    // Three places, each taken for half a minute as far as is known.
    for turn in 1..=4 {
        assert_eq!(world.wait(1, false).await, Some(turn * 10));
    }
    assert_eq!((world.wait(1, true).await, world.wait(1, true).await), (Some(10), Some(20)), "those that came in vain");
    let [first, ..] = hanging;
    first.end().await;
    assert!(world.wait(1, false).await.is_some_and(|wait| wait >= 30), "behind those that were put off");
    assert_eq!(world.wait(1, true).await, None);
}

#[tokio::test]
async fn turns_are_as_far_apart_as_places_become_free() {
    let world = World::new();
    world.slow(1).await;
    let places = world.enter_thrice(1, "acme").await;
    assert_eq!((places.len(), world.wait(1, false).await), (3, Some(0)), "it takes a fraction of a second");
    drop(places);
    // Once it is fast again nobody is put off.
    world.admission.state().webhooks.get_mut(&1).unwrap().line.replace(Line::new(Instant::now() + TIMEOUT));
    assert_eq!(world.wait(1, false).await, Some(30));
    assert_eq!(world.wait(1, true).await, None);
    let mut place = world.admission.enter(&world.room, 1, "acme", true).await.ok().unwrap();
    place.make(async {}).await;
    assert_eq!(world.wait(1, false).await, None);
}

#[tokio::test]
async fn who_waited_for_a_fast_place_is_looked_at_again() {
    let world = Arc::new(World::new());
    let mut attempts = Vec::new();
    for _ in 0..FAST {
        attempts.push(world.start(1).await);
    }
    assert!(world.enter(1).await.is_none(), "it turned slow meanwhile");
    assert_eq!(world.room.available_permits(), FAST);
    drop(attempts);
}

#[tokio::test]
async fn what_is_under_way_is_bounded() {
    let world = World::with(8);
    let mut attempts = Vec::new();
    // Each of another webhook, so that none is known to be slow when it starts.
    for (webhook, places) in [(0..8, 8), (8..16, 16), (16..24, 16)] {
        for webhook in webhook {
            attempts.push(world.start(webhook).await);
        }
        world.until_slow(places).await;
    }
    let known = || world.slow_counts().1;
    while known() < 24 {
        tokio::time::sleep(SLOW_AFTER / 8).await;
    }
    assert_eq!((world.slow_counts().0, world.room.available_permits()), (16, 0), "the last keep their places");
    for attempt in attempts {
        attempt.end().await;
    }
    assert_eq!((world.slow_counts().0, world.room.available_permits()), (0, FAST));
    assert!(world.admission.state().instances.is_empty());
}
