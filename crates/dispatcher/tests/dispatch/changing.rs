//! What is saved while deliveries wait or are being sent, and what is never recorded of it.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, atomic::Ordering},
    time::{Duration, Instant},
};

use blackbox::{
    receiver::{Answer, Receiver},
    signature,
};
use broker::{Lane, Settlement};
use proto::internal::v1::{Attempt, AttemptRecord, HoldReason, RequestHeader, WebhookConfig, attempt_record::What};

use tracing::subscriber::DefaultGuard;

use crate::world::{Bench, FIRST_RENDERED, LIMIT, event, task, webhook};

/// How long after a call returned an attempt may still start.
const GRACE: Duration = Duration::from_secs(1);

/// What this thread logs.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn collect_everything(&self) -> DefaultGuard {
        let log = self.clone();
        let everything = tracing_subscriber::fmt().with_ansi(false).with_max_level(tracing::Level::TRACE);
        tracing::subscriber::set_default(everything.with_writer(move || log.clone()).finish())
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn attempt(record: AttemptRecord) -> Attempt {
    match record.what {
        Some(What::Attempt(attempt)) => attempt,
        other => panic!("no attempt: {other:?}"),
    }
}

#[tokio::test]
async fn what_waits_is_sent_as_the_webhook_is_now_with_the_body_as_first_rendered() {
    let receiver = Receiver::start().await;
    let mut bench = Bench::start(vec![webhook(1, &receiver.url("/old"), &["run.deleted"])], 10);
    bench.known().await;
    let changed = WebhookConfig {
        r#type: "slack".into(),
        headers: vec![RequestHeader { name: "x-key".into(), value: "new".into() }],
        filter: vec!["is_test == true".into()],
        ..webhook(1, &receiver.url("/new"), &["case.created"])
    };
    let secret = changed.secrets[0].text.clone();
    bench.save(changed);
    bench.send(Lane::DeliverSlow, 7, false, task(1, 1)).await;
    let record = bench.recorded().await;
    assert_eq!(record.delivery.as_ref().unwrap().format, "generic");
    assert_eq!(attempt(record).response_code, 200);
    assert_eq!(bench.settled().await, (7, Settlement::Ack));
    assert_eq!(receiver.count("/old"), 0);
    let request = receiver.requests("/new")[0].clone();
    assert_eq!(request.body, FIRST_RENDERED);
    assert_eq!(request.expect_header("x-key"), "new");
    signature::verify(&request, &secret);
}

#[tokio::test]
async fn a_redelivered_event_is_sent_in_the_format_that_it_was_opened_with() {
    let receiver = Receiver::start().await;
    let changed = WebhookConfig { r#type: "slack".into(), ..webhook(1, &receiver.url("/in"), &["case.created"]) };
    let mut bench = Bench::start(vec![changed], 10);
    bench.set_unsent(1, "generic");
    bench.send(Lane::Events, 7, true, event(false)).await;
    assert_eq!(bench.recorded().await.delivery.unwrap().format, "generic");
    assert_eq!(receiver.requests("/in")[0].json()["event"], "run.created");
    assert_eq!(bench.settled().await, (7, Settlement::Ack));
}

#[tokio::test]
async fn values_of_custom_headers_and_secrets_reach_the_receiver_alone() {
    const CANARY: &str = "canary-4711";
    let receiver = Receiver::start().await;
    receiver.script("/in", 500);
    let header = |name: &str, value: &str| RequestHeader { name: name.into(), value: value.into() };
    let with_headers = WebhookConfig {
        headers: vec![
            header("authorization", &format!("Bearer {CANARY}")),
            header("accept", "application/json"),
            // A subscription service would have refused these.
            header("x-testmo-event", CANARY),
            header("webhook-id", CANARY),
            header("host", CANARY),
            header("content-length", "1"),
            header("x-broken", &format!("{CANARY}\r\nx-smuggled: 1")),
        ],
        ..webhook(1, &receiver.url("/in"), &["*"])
    };
    let secret = with_headers.secrets[0].text.clone();
    let log = Log::default();
    let _logging = log.collect_everything();
    let mut bench = Bench::start(vec![with_headers], 10);
    bench.send(Lane::Events, 7, false, event(false)).await;
    let record = bench.recorded().await;
    assert_eq!(bench.settled().await, (7, Settlement::Ack));

    let request = receiver.requests("/in")[0].clone();
    assert_eq!(request.expect_header("authorization"), format!("Bearer {CANARY}"));
    assert_eq!(request.expect_header("accept"), "application/json");
    assert_eq!(request.expect_header("x-testmo-event"), "run.created");
    assert_eq!(request.expect_header("host"), receiver.address().to_string());
    assert_eq!(request.header("x-broken").or(request.header("x-smuggled")), None);
    signature::verify(&request, &secret);

    let published = bench.world.published.lock().unwrap().clone();
    assert_eq!(published.len(), 1, "the retry");
    let log = log.text();
    assert!(log.contains(" TRACE ") && log.contains("a header cannot be sent"), "{log}");
    let said = format!("{record:?} {published:?} {:?} {log}", bench.world.opened.lock().unwrap());
    for hidden in [CANARY, &secret] {
        assert!(!said.contains(hidden), "{said}");
        assert!(!String::from_utf8_lossy(&published[0].body).contains(hidden));
    }
    let headers = attempt(record).request_headers;
    let sent: Vec<_> = headers.iter().map(|header| (header.name.as_str(), header.value.as_str())).collect();
    assert!(sent.contains(&("authorization", "…")) && sent.contains(&("x-testmo-event", "run.created")), "{sent:?}");
    assert!(!sent.iter().any(|(name, _)| *name == "x-broken"), "{sent:?}");
}

/// Sends two lanes full of work for a webhook, changes the webhook while it is worked on, and answers what was recorded
/// instead of attempts. Holds that no attempt starts later than it may.
async fn change_under_load(change: impl FnOnce(WebhookConfig) -> WebhookConfig) -> Vec<What> {
    const EACH: u64 = 60;
    let receiver = Receiver::start().await;
    // Two at once from events and one from the other lane: without the change it takes three seconds.
    receiver.script("/in", Answer::status(200).delay(Duration::from_millis(50)));
    let hook = webhook(1, &receiver.url("/in"), &["*"]);
    let mut bench = Bench::start(vec![hook.clone()], 2);
    for tag in 0..EACH {
        bench.send(Lane::Events, tag, false, event(false)).await;
        bench.send(Lane::DeliverSlow, EACH + tag, false, task(1, tag.into())).await;
    }
    receiver.wait_for("/in", 5, LIMIT).await;
    bench.save(change(hook));
    let returned = Instant::now();
    let mut unsent = Vec::new();
    let mut sent = 0;
    for _ in 0..2 * EACH {
        match bench.recorded().await.what.unwrap() {
            What::Attempt(_) => sent += 1,
            other => unsent.push(other),
        }
        assert_eq!(bench.settled().await.1, Settlement::Ack);
    }
    let requests = receiver.requests("/in");
    assert_eq!(requests.len(), sent);
    let late = requests.iter().filter(|request| request.at > returned + GRACE).count();
    assert!(late == 0 && !unsent.is_empty(), "{late} late, {sent} sent, {} not", unsent.len());
    unsent
}

#[tokio::test]
async fn after_deactivating_nothing_is_sent_and_what_waits_for_room_is_held() {
    let unsent = change_under_load(|hook| WebhookConfig { active: false, ..hook }).await;
    let held = |what: &What| matches!(what, What::Hold(hold) if hold.reason() == HoldReason::Inactive);
    assert!(unsent.iter().all(held), "{unsent:?}");
}

#[tokio::test]
async fn after_deleting_nothing_is_sent_and_what_waits_for_room_is_cancelled() {
    let deleted = |hook: WebhookConfig| WebhookConfig { id: hook.id, deleted: true, ..Default::default() };
    let unsent = change_under_load(deleted).await;
    let cancelled = |what: &What| matches!(what, What::Cancel(cancel) if cancel.error == "webhook deleted");
    assert!(unsent.iter().all(cancelled), "{unsent:?}");
}

#[tokio::test]
async fn what_is_deactivated_while_it_connects_is_not_sent() {
    let receiver = Receiver::start().await;
    let hook = webhook(1, &format!("http://slow.example:{}/in", receiver.address().port()), &["*"]);
    let mut bench = Bench::start(vec![hook.clone()], 10);
    for (begun, tag, change) in [(1, 7, WebhookConfig { active: false, ..hook.clone() }), (2, 8, hook.clone())] {
        bench.send(Lane::Events, tag, false, event(false)).await;
        blackbox::wait::eventually(LIMIT, "it looks up the name", async || {
            (bench.world.lookups_begun.load(Ordering::SeqCst) == begun).then_some(())
        })
        .await;
        bench.save(change);
        bench.known().await;
        bench.world.lookups.add_permits(1);
        let record = bench.recorded().await;
        match (tag, record.what) {
            (7, Some(What::Hold(hold))) => assert_eq!(hold.reason(), HoldReason::Inactive),
            (8, Some(What::Attempt(attempt))) => assert_eq!(attempt.response_code, 200),
            (_, other) => panic!("{other:?}"),
        }
        assert_eq!(receiver.count("/in"), usize::from(tag == 8));
        bench.save(hook.clone());
        bench.known().await;
    }
}

#[tokio::test]
async fn what_a_restored_database_lacks_is_forgotten_and_what_it_has_counts() {
    let receiver = Receiver::start().await;
    let mut bench = Bench::start(vec![webhook(1, &receiver.url("/one"), &["run.created"])], 10);
    let restore = bench.back_up();
    bench.save(WebhookConfig { id: 1, deleted: true, ..Default::default() });
    bench.save(webhook(2, &receiver.url("/two"), &["run.created"]));
    bench.known().await;
    restore();
    bench.known().await;
    bench.send(Lane::Events, 7, false, event(false)).await;
    assert_eq!(bench.recorded().await.delivery.unwrap().webhook_id, 1);
    bench.send(Lane::DeliverSlow, 8, false, task(2, 2)).await;
    match bench.recorded().await.what {
        Some(What::Hold(hold)) => assert_eq!((hold.reason(), hold.config_version), (HoldReason::UnknownWebhook, 1)),
        other => panic!("{other:?}"),
    }
    assert_eq!((receiver.count("/one"), receiver.count("/two")), (1, 0));
}
