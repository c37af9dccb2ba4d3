//! Traces over OTLP: what a publish has led to, in both modes.

use std::{collections::BTreeMap, time::Duration};

use blackbox::{
    collector::{Collector, Span},
    events, history, in_both_modes, ports,
    product::{Mode, Preparation, Product},
    receiver::{Answer, Receiver, Script},
    wait::eventually,
    webhooks,
};

in_both_modes!(
    one_trace_holds_publish_match_attempts_and_records,
    a_trace_begins_where_none_came_with,
    what_is_not_sampled_is_not_told,
    deliveries_go_on_while_the_collector_is_away,
    receivers_that_ask_are_told_the_trace,
);

const SOON: Duration = Duration::from_secs(30);
const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN_ID: &str = "00f067aa0ba902b7";

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE_ID}-{SPAN_ID}-{flags}")
}

fn prepared(mode: Mode, collector: &str) -> Preparation {
    let product = Product::prepare(mode).set("traces.otlp_endpoint", collector);
    product.set("delivery.retry_schedule", r#"["0s"]"#)
}

/// The span of this name that goes on from another.
fn child<'a>(spans: &'a [Span], name: &str, parent: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name && span.parent == parent).collect()
}

/// Each scope is a program of its own in distributed mode.
fn is_told_by_its_program(span: &Span, mode: Mode) {
    let scope = span.name.split(' ').next().expect("a scope");
    let program = match mode {
        Mode::Embedded => "testmo-webhooks".to_owned(),
        Mode::Distributed => format!("testmo-{scope}"),
    };
    assert_eq!(span.service, program, "{span:?}");
}

fn has(span: &Span, attributes: &[(&str, &str)]) {
    for (key, value) in attributes {
        assert_eq!(span.attributes.get(*key).map(String::as_str), Some(*value), "{key} of {span:?}");
    }
}

async fn one_trace_holds_publish_match_attempts_and_records(mode: Mode) {
    let (collector, receiver) = (Collector::start(), Receiver::start().await);
    let product = prepared(mode, &collector.address()).start().await;
    receiver.script("/in", Script::by_attempt(vec![Answer::status(503), Answer::status(200)]));
    let hook = webhooks::create_generic(&product.admin(), &receiver.url("/in?key=canary")).await;
    let event = events::run_completed(1, 1);
    let event_id = product.publisher().publish_traced(event, &traceparent("01")).await.expect("an accepted event");

    let spans = collector.trace(TRACE_ID, 6, SOON).await;
    let [publish] = child(&spans, "ingest publish", SPAN_ID)[..] else { panic!("{spans:#?}") };
    has(
        publish,
        &[("testmo.event.id", &event_id), ("testmo.event.type", "run.completed"), ("testmo.instance", "default")],
    );
    let [matched] = child(&spans, "dispatcher match", &publish.id)[..] else { panic!("{spans:#?}") };
    has(matched, &[("testmo.event.id", &event_id), ("testmo.match.outcome", "new"), ("testmo.match.deliveries", "1")]);
    let attempts = child(&spans, "dispatcher attempt", &matched.id);
    let delivery_id = receiver.requests("/in")[0].expect_header("x-testmo-delivery").to_owned();
    let webhook_id = hook.id.to_string();
    assert_eq!(attempts.len(), 2, "{spans:#?}");
    for ((attempt, number), (status, error)) in
        attempts.into_iter().zip(["1", "2"]).zip([("503", Some("the endpoint answered 503")), ("200", None)])
    {
        has(attempt, &[("testmo.delivery.id", &delivery_id), ("testmo.webhook.id", &webhook_id)]);
        has(attempt, &[("testmo.delivery.attempt", number), ("http.response.status_code", status)]);
        assert_eq!(attempt.error.as_deref(), error);
        let [record] = child(&spans, "history record", &attempt.id)[..] else { panic!("{spans:#?}") };
        has(record, &[("testmo.delivery.id", &delivery_id), ("testmo.delivery.attempt", number)]);
        assert!(record.end >= attempt.end, "{spans:#?}");
    }
    assert_eq!(spans.len(), 6, "{spans:#?}");
    for span in &spans {
        is_told_by_its_program(span, mode);
        assert!(span.start <= span.end, "{span:?}");
    }
    assert!(!format!("{spans:?}").contains("canary"), "what is secret in a URL is in no span: {spans:#?}");
}

async fn a_trace_begins_where_none_came_with(mode: Mode) {
    let (collector, receiver) = (Collector::start(), Receiver::start().await);
    let mut product = prepared(mode, &collector.address()).start().await;
    let rest = product.admin();
    let hook = webhooks::create_generic(&rest, &receiver.url("/in")).await;
    product.publisher().publish(events::run_completed(1, 1)).await.expect("an accepted event");
    receiver.wait_for("/in", 1, SOON).await;
    drop(rest.act(&format!("/api/v1/webhooks/{}/test", hook.id)).await.expect(202));
    receiver.wait_for("/in", 2, SOON).await;
    let refused = product.publisher().publish(events::run_completed(-1, 2)).await.expect_err("a mistake");
    let entries = eventually(SOON, "both are delivered", async || {
        let entries = history::all(&rest, hook.id).await;
        (entries.len() == 2 && entries.iter().all(|entry| entry.status() == "delivered")).then_some(entries)
    })
    .await;
    // The end of a program does not wait for company.
    for service in mode.services() {
        product.stop(*service).await;
    }
    let spans = collector.spans();
    let roots: BTreeMap<&str, &Span> =
        spans.iter().filter(|span| span.parent.is_empty()).map(|span| (span.trace_id.as_str(), span)).collect();
    assert_eq!(roots.len(), 3, "{spans:#?}");
    for entry in entries {
        let id = entry.delivery();
        let detail = spans.iter().find(|span| {
            span.name == "history record" && span.attributes.get("testmo.delivery.id").is_some_and(|of| *of == id)
        });
        let trace_id = &detail.expect("a record of each delivery").trace_id;
        let names: Vec<_> =
            spans.iter().filter(|span| span.trace_id == *trace_id).map(|span| span.name.as_str()).collect();
        let root = roots[trace_id.as_str()].name.as_str();
        let expected: &[&str] = match root {
            "ingest publish" => &["ingest publish", "dispatcher match", "dispatcher attempt", "history record"],
            _ => &["subscription test", "dispatcher attempt", "history record"],
        };
        assert_eq!(names, expected);
    }
    let failed = roots.values().find(|root| root.error.is_some()).expect("the event that was refused");
    assert_eq!(failed.error.as_deref(), Some(refused.message()));
    has(failed, &[("error.type", "validation_failed")]);
}

async fn what_is_not_sampled_is_not_told(mode: Mode) {
    let (collector, receiver) = (Collector::start(), Receiver::start().await);
    let product = prepared(mode, &collector.address()).set("traces.ratio", "0.0").start().await;
    drop(webhooks::create_generic(&product.admin(), &receiver.url("/in")).await);
    let publisher = product.publisher();
    publisher.publish(events::run_completed(1, 1)).await.expect("an accepted event");
    publisher.publish_traced(events::run_completed(1, 2), &traceparent("00")).await.expect("an accepted event");
    receiver.wait_for("/in", 2, SOON).await;
    // Whoever publishes decides for what follows, whatever the ratio.
    let sampled = traceparent("01").replace(TRACE_ID, &TRACE_ID.replace('4', "5"));
    publisher.publish_traced(events::run_completed(1, 3), &sampled).await.expect("an accepted event");
    collector.trace(&TRACE_ID.replace('4', "5"), 4, SOON).await;
    assert_eq!(collector.spans().len(), 4, "{:#?}", collector.spans());
}

async fn deliveries_go_on_while_the_collector_is_away(mode: Mode) {
    let (port, receiver) = (ports::free(), Receiver::start().await);
    let product = prepared(mode, &format!("http://127.0.0.1:{port}")).start().await;
    drop(webhooks::create_generic(&product.admin(), &receiver.url("/in")).await);
    product.publisher().publish(events::run_completed(1, 1)).await.expect("an accepted event");
    receiver.wait_for("/in", 1, SOON).await;
    let program = product.sender();
    eventually(SOON, "the log tells it", async || {
        product.output(program).contains("the collector takes no spans").then_some(())
    })
    .await;
    let collector = Collector::start_at(port);
    eventually(SOON, "spans come", async || {
        product.publisher().publish(events::run_completed(1, 2)).await.expect("an accepted event");
        let spans = collector.spans();
        ["ingest publish", "history record"]
            .iter()
            .all(|name| spans.iter().any(|span| span.name == *name))
            .then_some(())
    })
    .await;
    assert_eq!(product.output(program).matches("the collector takes no spans").count(), 1, "it is told once");
}

async fn receivers_that_ask_are_told_the_trace(mode: Mode) {
    let (collector, receiver) = (Collector::start(), Receiver::start().await);
    let product = prepared(mode, &collector.address()).start().await;
    let rest = product.admin();
    drop(webhooks::create_generic(&rest, &receiver.url("/plain")).await);
    let mut asking = webhooks::generic(&receiver.url("/asking"));
    asking["send_traceparent"] = true.into();
    let hook = webhooks::create(&rest, asking).await.id;
    let publisher = product.publisher();
    publisher.publish_traced(events::run_completed(1, 1), &traceparent("01")).await.expect("an accepted event");
    let spans = collector.trace(TRACE_ID, 6, SOON).await;
    let id = hook.to_string();
    let of_hook = |span: &&Span| span.name == "dispatcher attempt" && span.attributes["testmo.webhook.id"] == id;
    let attempt = spans.iter().find(of_hook).expect("its attempt");
    let told = receiver.requests("/asking")[0].expect_header("traceparent").to_owned();
    assert_eq!(told, format!("00-{TRACE_ID}-{}-01", attempt.id));
    assert!(receiver.requests("/plain")[0].header("traceparent").is_none());
    // Nobody is told of this one, so that the receiver goes on from the publisher.
    publisher.publish_traced(events::run_completed(1, 2), &traceparent("00")).await.expect("an accepted event");
    receiver.wait_for("/asking", 2, SOON).await;
    assert_eq!(receiver.requests("/asking")[1].expect_header("traceparent"), traceparent("00"));
    drop(
        rest.patch(&format!("/api/v1/webhooks/{hook}"), serde_json::json!({"send_traceparent": false}))
            .await
            .expect(200),
    );
    publisher.publish(events::run_completed(1, 3)).await.expect("an accepted event");
    receiver.wait_for("/asking", 3, SOON).await;
    assert!(receiver.requests("/asking")[2].header("traceparent").is_none());
}
