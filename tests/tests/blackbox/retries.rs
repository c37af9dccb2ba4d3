//! Which answers are tried again, when, and how it ends.

use std::{sync::Arc, time::Duration};

use blackbox::{
    events,
    history::{self, Delivery},
    in_both_modes,
    product::{Mode, Product},
    receiver::{Answer, Received, Receiver, Script},
    rest::Rest,
    webhooks,
};

in_both_modes!(
    what_may_pass_is_tried_four_times,
    what_is_refused_is_not_tried_again,
    what_comes_good_is_delivered,
    an_endpoint_that_hangs_is_given_up_in_time,
);

const SOON: Duration = Duration::from_secs(30);
/// What scheduling may add to a wait on a machine that is busy with other tests.
const SLACK: Duration = Duration::from_millis(1_500);
/// The tests' schedule.
const WAITS: [Duration; 3] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(2)];

/// A product, a receiver with a path for each script, and a webhook for each path; one event published.
struct Scene {
    _product: Product,
    rest: Rest,
    receiver: Receiver,
}

impl Scene {
    async fn play(product: Product, scripts: Vec<(&str, Script)>) -> Self {
        let (rest, receiver) = (product.admin(), Receiver::start().await);
        for (path, script) in scripts {
            receiver.script(path, script);
            webhooks::create_generic(&rest, &receiver.url(path)).await;
        }
        product.publisher().publish(events::run_completed(events::PROJECT, 1)).await.expect("an accepted event");
        Self { _product: product, rest, receiver }
    }

    /// Waits for all attempts at `path`, checks that they are numbered, the same delivery and recorded, and that there
    /// are no more; returns them and the delivery.
    async fn ends(&self, path: &str, attempts: usize, status: &str) -> (Vec<Arc<Received>>, Delivery) {
        let requests = self.receiver.wait_for(path, attempts, SOON).await;
        let id = requests[0].expect_header("x-testmo-delivery");
        for (request, number) in requests.iter().zip(1..) {
            assert_eq!(request.expect_header("x-testmo-attempt"), format!("{number}"), "{path}");
            assert_eq!(request.expect_header("x-testmo-delivery"), id, "{path}");
            assert_eq!(request.body, requests[0].body, "{path}: the body is the same on every attempt");
        }
        let delivery = history::wait_for_status(&self.rest, id, status, SOON).await;
        let numbers: Vec<_> = delivery.entries().iter().map(|entry| entry.attempt()).collect();
        assert_eq!(numbers, (1..).take(attempts).collect::<Vec<_>>(), "{path}: {delivery:?}");
        assert_eq!(self.receiver.count(path), attempts, "{path}: requests");
        (requests, delivery)
    }
}

async fn what_may_pass_is_tried_four_times(mode: Mode) {
    let mut scripts: Vec<(&str, Script)> =
        vec![("/500", 500.into()), ("/503", 503.into()), ("/429", 429.into()), ("/302", moved().into())];
    scripts.push(("/closes", Answer::close().into()));
    scripts.push(("/nonsense", Answer::raw("nonsense\r\n\r\n").into()));
    let paths: Vec<_> = scripts.iter().map(|(path, _)| *path).collect();
    let scene = Scene::play(Product::start(mode).await, scripts).await;
    for path in &paths {
        let (requests, delivery) = scene.ends(path, 4, "failed").await;
        for (pair, wait) in requests.windows(2).zip(WAITS) {
            let gap = pair[1].at - pair[0].at;
            // The clock starts when the answer is in, so that a gap can only be longer.
            assert!(gap >= wait.saturating_sub(Duration::from_millis(20)), "{path}: {gap:?} instead of {wait:?}");
            assert!(gap <= wait + SLACK, "{path}: {gap:?} instead of {wait:?}");
        }
        for entry in delivery.entries() {
            assert_eq!(entry.status(), "failed", "{path}: {}", entry.0);
            let code = path[1..].parse().ok();
            assert_eq!(entry.response_code(), code, "{path}: {}", entry.0);
            assert!(code.is_some() || !entry.error().trim().is_empty(), "{path}: no error in {}", entry.0);
        }
    }
    for path in paths {
        scene.receiver.stays_at(path, 4, Duration::from_millis(500)).await;
    }
    scene.receiver.stays_at("/elsewhere", 0, Duration::ZERO).await;
}

async fn what_is_refused_is_not_tried_again(mode: Mode) {
    let scripts = vec![("/400", 400.into()), ("/404", 404.into()), ("/410", 410.into())];
    let scene = Scene::play(Product::start(mode).await, scripts).await;
    for (path, code) in [("/400", 400), ("/404", 404), ("/410", 410)] {
        let (_, delivery) = scene.ends(path, 1, "failed").await;
        assert_eq!(delivery.entries()[0].response_code(), Some(code));
    }
    for path in ["/400", "/404", "/410"] {
        scene.receiver.stays_at(path, 1, WAITS[1]).await;
    }
}

async fn what_comes_good_is_delivered(mode: Mode) {
    let reset = [Answer::close(), Answer::status(204)];
    let scripts = vec![("/third", [500, 500, 200].into()), ("/second", reset.into())];
    let scene = Scene::play(Product::start(mode).await, scripts).await;
    let (_, delivery) = scene.ends("/third", 3, "delivered").await;
    let statuses: Vec<_> = delivery.entries().iter().map(|entry| entry.status().to_owned()).collect();
    assert_eq!(statuses, ["failed", "failed", "delivered"]);
    scene.ends("/second", 2, "delivered").await;
    scene.receiver.stays_at("/third", 3, WAITS[2] + Duration::from_secs(1)).await;
    scene.receiver.stays_at("/second", 2, Duration::ZERO).await;
}

async fn an_endpoint_that_hangs_is_given_up_in_time(mode: Mode) {
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
    let scripts = vec![
        ("/hangs", [Answer::hang(), Answer::hang(), Answer::status(200)].into()),
        ("/half", [Answer::raw_then_hang(half), Answer::status(200)].into()),
        ("/quick", Script::default()),
    ];
    let product = Product::prepare(mode).set("delivery.timeout", "1s").start().await;
    let scene = Scene::play(product, scripts).await;
    let (_, quick) = scene.ends("/quick", 1, "delivered").await;
    assert!(quick.entries()[0].duration() < Duration::from_millis(900), "held up by a neighbour: {quick:?}");
    let (requests, delivery) = scene.ends("/hangs", 3, "delivered").await;
    let gap = requests[1].at - requests[0].at;
    assert!(gap >= Duration::from_millis(950) && gap <= Duration::from_secs(1) + SLACK, "tried again after {gap:?}");
    let first = &delivery.entries()[0];
    assert_eq!((first.status(), first.response_code()), ("failed", None), "{}", first.0);
    assert!(first.duration() >= Duration::from_millis(950), "{}", first.0);
    assert!(first.error().to_lowercase().contains("time"), "the error does not speak of time: {}", first.0);
    scene.ends("/half", 2, "delivered").await;
}

/// A redirect to a path that nobody may be led to.
fn moved() -> Answer {
    Answer::status(302).header("location", "/elsewhere")
}
