//! Tests of who may start an attempt.

use super::*;

const FAST: usize = 8;
const SLOW_AFTER: Duration = Duration::from_millis(40);

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
        let bounds = Bounds { slow_after: SLOW_AFTER, webhook: 3, room: 8 };
        Self { admission: Admission::new(bounds), room: Arc::new(Semaphore::new(FAST)) }
    }

    /// Places taken in the slow room, and webhooks that count as slow.
    fn slow_counts(&self) -> (usize, usize) {
        let places = self.admission.state().slow;
        (places, self.admission.slow_webhooks())
    }

    async fn enter_of(&self, webhook: i64, instance: &str) -> Option<Place> {
        self.admission.enter(&self.room, webhook, instance).await.ok()
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
    assert!(world.enter(1).await.is_some(), "a place that was left is free");
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
async fn an_instance_takes_half_of_the_slow_room_and_all_take_it_whole() {
    let world = World::new();
    for webhook in 1..=4 {
        world.slow(webhook).await;
    }
    let mut places = Vec::new();
    for webhook in [1, 1, 1, 2, 2] {
        places.push(world.enter(webhook).await);
    }
    assert_eq!(places.iter().flatten().count(), 4, "half of the room");
    for webhook in [3, 3, 3, 4, 4] {
        places.push(world.enter_of(webhook, "other").await);
    }
    assert_eq!(places.iter().flatten().count(), 8, "all of the room");
    assert!(world.enter_of(4, "third").await.is_none());
    assert!(world.enter_of(5, "acme").await.is_some(), "who is not slow is not concerned");
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
    let world = World::new();
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
