//! Which webhooks get an event: wildcards, and filters over the generic payload.

use std::iter;

use blackbox::receiver::Receiver;
use broker::{Lane, Settlement};
use proto::internal::v1::{SkipReason, WebhookConfig, attempt_record::What};

use crate::world::{Bench, event, event_with, webhook};

/// Attempts to this address end at once.
const NOWHERE: &str = "http://127.0.0.1:1/";

fn filtered(id: i64, filter: &[&str]) -> WebhookConfig {
    let filter = filter.iter().map(|condition| (*condition).to_owned()).collect();
    WebhookConfig { filter, ..webhook(id, NOWHERE, &["run.created"]) }
}

fn generic(webhooks: &[i64]) -> Vec<(i64, String)> {
    webhooks.iter().copied().zip(iter::repeat("generic".to_owned())).collect()
}

#[tokio::test]
async fn wildcards_stand_for_their_event_types_once() {
    let webhooks = vec![
        webhook(1, NOWHERE, &["*"]),
        webhook(2, NOWHERE, &["run.*", "run.created", "*"]),
        webhook(3, NOWHERE, &["case.*", "automation_run.*"]),
        // As a newer subscription service may send it: what else it selects does not count either.
        webhook(4, NOWHERE, &["run.*", "flight.*"]),
    ];
    let mut bench = Bench::start(webhooks, 10);
    bench.send(Lane::Events, 7, false, event(false)).await;
    assert_eq!(bench.settled().await, (7, Settlement::Ack));
    assert_eq!(bench.opened(), (generic(&[1, 2]), vec!["generic".to_owned()]));
}

#[tokio::test]
async fn a_filter_must_accept_the_payload() {
    let webhooks = vec![
        filtered(1, &["event == run.created", "is_test == false"]),
        filtered(2, &["event == run.created", "is_test == true"]),
        filtered(3, &["data.team == red"]),
        filtered(4, &["data.team == blue"]),
        // As a newer subscription service may send it.
        filtered(5, &["event resembles run.created"]),
    ];
    let mut bench = Bench::start(webhooks, 10);
    bench.send(Lane::Events, 7, false, event_with(false, r#"{"team":"blue"}"#.into())).await;
    assert_eq!(bench.settled().await, (7, Settlement::Ack));
    assert_eq!(bench.opened(), (generic(&[1, 4]), vec!["generic".to_owned()]));
}

#[tokio::test]
async fn what_nobody_selects_leaves_no_trace_but_the_claim() {
    let elsewhere = WebhookConfig { instance: "other".into(), ..webhook(2, NOWHERE, &["*"]) };
    let unusable = filtered(3, &["event resembles run.created"]);
    let mut bench = Bench::start(vec![webhook(1, NOWHERE, &["case.*", "run.deleted"]), elsewhere, unusable], 10);
    bench.send(Lane::Events, 7, false, event(false)).await;
    assert_eq!(bench.settled().await, (7, Settlement::Ack));
    assert!(bench.world.opened.lock().unwrap().is_empty());
    bench.send(Lane::Events, 8, false, event(true)).await;
    assert_eq!(bench.settled().await, (8, Settlement::Ack));
    assert_eq!(bench.opened(), (vec![], vec![]));
    assert_eq!(bench.world.opened.lock().unwrap().concat().len(), 1, "the claim");
}

#[tokio::test]
async fn history_has_the_generic_body_of_what_somebody_selects_and_nobody_gets() {
    let inactive = WebhookConfig { active: false, ..webhook(1, NOWHERE, &["run.*"]) };
    let of_other_projects =
        WebhookConfig { all_projects: false, projects: vec![900], ..webhook(1, NOWHERE, &["run.created"]) };
    let without_projects = WebhookConfig { all_projects: false, ..inactive.clone() };
    for selecting in [inactive, of_other_projects, without_projects, filtered(1, &["is_test == true"])] {
        let mut bench = Bench::start(vec![selecting.clone()], 10);
        for claim in [false, true] {
            bench.send(Lane::Events, 7, false, event_with(claim, r#"{"team":"blue"}"#.into())).await;
            assert_eq!(bench.settled().await, (7, Settlement::Ack));
        }
        assert_eq!(bench.opened(), (vec![], vec!["generic".to_owned(); 2]));
        let opened = bench.world.opened.lock().unwrap().concat();
        for event in opened {
            let body: serde_json::Value = serde_json::from_slice(&event.bodies[0].content).unwrap();
            assert_eq!((&body["event"], &body["data"]["team"]), (&"run.created".into(), &"blue".into()));
            assert_eq!(event.event_type, "run.created");
        }
        // Once nobody selects it any more, it is not kept.
        let other = WebhookConfig { events: vec!["case.*".into()], ..selecting };
        bench.save(other);
        bench.known().await;
        bench.send(Lane::Events, 8, false, event(false)).await;
        assert_eq!(bench.settled().await, (8, Settlement::Ack));
        assert_eq!(bench.world.opened.lock().unwrap().concat().len(), 2);
        bench.save(WebhookConfig { deleted: true, ..webhook(1, NOWHERE, &["run.*"]) });
        bench.known().await;
        bench.send(Lane::Events, 9, false, event(false)).await;
        assert_eq!(bench.settled().await, (9, Settlement::Ack));
        assert_eq!(bench.world.opened.lock().unwrap().concat().len(), 2);
    }
}

fn inactive(webhook: WebhookConfig, inactive_reason: &str) -> WebhookConfig {
    WebhookConfig { active: false, inactive_reason: inactive_reason.to_owned(), ..webhook }
}

#[tokio::test]
async fn what_inactive_webhooks_would_get_is_told_with_the_reason() {
    let of = |id, projects: &[i64]| WebhookConfig {
        all_projects: false,
        projects: projects.to_vec(),
        ..webhook(id, NOWHERE, &["run.*"])
    };
    let elsewhere = WebhookConfig { instance: "other".into(), ..webhook(8, NOWHERE, &["*"]) };
    // The sample's own project.
    let webhooks = vec![
        inactive(webhook(1, NOWHERE, &["run.*", "run.created"]), ""),
        inactive(of(2, &[1, 900]), "plan_downgraded"),
        inactive(filtered(3, &["data.team == blue"]), "projects_deleted"),
        inactive(webhook(4, NOWHERE, &["*"]), "endpoint_failing"),
        inactive(webhook(5, NOWHERE, &["*"]), "of a later version"),
        inactive(of(6, &[900]), ""),
        inactive(of(7, &[]), "projects_deleted"),
        inactive(elsewhere, ""),
        inactive(webhook(9, NOWHERE, &["case.*"]), ""),
        inactive(filtered(10, &["data.team == red"]), ""),
        webhook(11, NOWHERE, &["*"]),
        filtered(12, &["data.team == red"]),
    ];
    let mut bench = Bench::start(webhooks, 10);
    bench.send(Lane::Events, 7, false, event_with(false, r#"{"team":"blue"}"#.into())).await;
    assert_eq!(bench.settled().await, (7, Settlement::Ack));
    assert_eq!(bench.opened(), (generic(&[11]), vec!["generic".to_owned()]));
    use SkipReason::{Failing, Inactive, Plan, ProjectDeleted};
    let expected = [(1, Inactive), (2, Plan), (3, ProjectDeleted), (4, Failing), (5, Inactive)];
    assert_eq!(bench.skipped(), expected);

    // Of an event that no filter can be asked about, those without one are known to skip it.
    let deep = format!(r#"{{"deep":{}{}}}"#, "[".repeat(1_000), "]".repeat(1_000));
    bench.world.opened.lock().unwrap().clear();
    bench.send(Lane::Events, 8, false, event_with(false, deep)).await;
    assert_eq!(bench.settled().await, (8, Settlement::Ack));
    assert_eq!(bench.skipped(), [(1, Inactive), (2, Plan), (4, Failing), (5, Inactive)]);
}

#[tokio::test]
async fn what_only_inactive_webhooks_select_is_skipped_until_they_are_active() {
    let hook = webhook(1, NOWHERE, &["run.created"]);
    let mut bench = Bench::start(vec![inactive(hook.clone(), "")], 10);
    bench.send(Lane::Events, 7, false, event(false)).await;
    assert_eq!(bench.settled().await, (7, Settlement::Ack));
    assert_eq!(bench.skipped(), [(1, SkipReason::Inactive)]);
    bench.save(hook);
    bench.known().await;
    bench.send(Lane::Events, 8, false, event(false)).await;
    assert_eq!(bench.settled().await, (8, Settlement::Ack));
    assert_eq!((bench.skipped().len(), bench.opened().0), (1, generic(&[1])));
}

#[tokio::test]
async fn history_has_the_generic_body_of_what_others_get() {
    let slack = WebhookConfig { r#type: "slack".into(), ..webhook(1, NOWHERE, &["run.created"]) };
    let mut bench = Bench::start(vec![slack], 10);
    bench.send(Lane::Events, 7, false, event(false)).await;
    assert_eq!(bench.settled().await, (7, Settlement::Ack));
    let (deliveries, mut formats) = bench.opened();
    formats.sort_unstable();
    assert_eq!((deliveries, formats), (vec![(1, "slack".to_owned())], vec!["generic".to_owned(), "slack".to_owned()]));
}

#[tokio::test]
async fn json_too_deep_for_filters_keeps_nobody_else_waiting() {
    let webhooks = vec![filtered(1, &["event == run.created"]), filtered(2, &[])];
    let mut bench = Bench::start(webhooks, 10);
    let deep = format!(r#"{{"deep":{}{}}}"#, "[".repeat(1_000), "]".repeat(1_000));
    bench.send(Lane::Events, 7, false, event_with(false, deep)).await;
    assert_eq!(bench.settled().await, (7, Settlement::Ack));
    assert_eq!(bench.opened(), (generic(&[2]), vec!["generic".to_owned()]));
}

#[tokio::test]
async fn a_redelivered_event_goes_by_what_was_matched_then() {
    let no_more = WebhookConfig { events: vec!["case.created".into()], ..filtered(1, &["is_test == true"]) };
    let mut bench = Bench::start(vec![no_more, filtered(2, &["is_test == true"])], 10);
    for (tag, webhook_id) in [(7, 1), (8, 2)] {
        bench.set_unsent(webhook_id, "generic");
        bench.send(Lane::Events, tag, true, event(false)).await;
        let record = bench.recorded().await;
        assert_eq!((record.delivery.unwrap().webhook_id, record.number), (webhook_id, 1));
        assert!(matches!(record.what, Some(What::Attempt(_))), "{:?}", record.what);
        assert_eq!(bench.settled().await, (tag, Settlement::Ack));
    }
}

#[tokio::test]
async fn each_type_gets_its_own_format() {
    let receiver = Receiver::start().await;
    let kinds =
        [(1, "generic", "/event"), (2, "slack", "/blocks"), (3, "teams", "/attachments"), (4, "discord", "/embeds")];
    let of_kind = |(id, kind, member): &(i64, &str, &str)| WebhookConfig {
        r#type: (*kind).into(),
        ..webhook(*id, &receiver.url(member), &["*"])
    };
    let mut bench = Bench::start(kinds.iter().map(of_kind).collect(), 10);
    bench.send(Lane::Events, 7, false, event(false)).await;
    assert_eq!(bench.settled().await, (7, Settlement::Ack));
    for (_, kind, member) in kinds {
        let request = receiver.requests(member)[0].clone();
        assert!(!request.json()[&member[1..]].is_null(), "{kind}: {}", request.json());
    }
    let (mut deliveries, mut formats) = bench.opened();
    deliveries.sort_unstable();
    formats.sort_unstable();
    assert_eq!(deliveries, kinds.map(|(id, kind, _)| (id, kind.to_owned())));
    assert_eq!(formats, ["discord", "generic", "slack", "teams"]);
}

#[tokio::test]
async fn a_restart_of_the_subscription_service_makes_nobody_go_by_what_was_true_before() {
    let old = webhook(1, NOWHERE, &["case.created"]);
    let mut bench = Bench::start(vec![old], 10);
    bench.known().await;
    // More questions than the one that the batch begins with and those that are asked while no events come.
    bench.save_and_leave(webhook(1, NOWHERE, &["run.created"]), 5);
    bench.send(Lane::Events, 7, false, event(false)).await;
    assert_eq!(bench.settled().await, (7, Settlement::Ack));
    assert_eq!(bench.opened(), (generic(&[1]), vec!["generic".to_owned()]));
}

#[tokio::test]
async fn events_go_on_with_what_is_known_while_the_subscription_service_stays_away() {
    let mut bench = Bench::start(vec![webhook(1, NOWHERE, &["run.created"])], 10);
    bench.known().await;
    bench.save_and_leave(webhook(1, NOWHERE, &["case.created"]), usize::MAX);
    for tag in [7, 8] {
        bench.send(Lane::Events, tag, false, event(false)).await;
        assert_eq!(bench.settled().await, (tag, Settlement::Ack));
    }
    assert_eq!(bench.opened().0, generic(&[1, 1]));
}
