//! Plans: what a downgrade stops, and what it leaves.

use std::time::{Duration, Instant};

use proto::{
    error::{ApiError, ErrorCode},
    v1::{
        ActivateWebhookRequest, CreateWebhookRequest, DeactivateWebhookRequest, DeleteWebhookRequest,
        UpdateWebhookRequest,
    },
};
use tokio::task::JoinSet;

use crate::fixture::{ADMIN, Fixture, error, good, list, texts, with};

fn refused_by_plan(error: &ApiError) {
    assert_eq!(error.code, ErrorCode::PlanRequired);
    assert_eq!(error.message, "webhooks need the plan business or enterprise; this instance has starter");
}

fn patch(id: i64) -> UpdateWebhookRequest {
    UpdateWebhookRequest { id, ..UpdateWebhookRequest::default() }
}

#[tokio::test]
async fn a_downgrade_deactivates_and_an_upgrade_reactivates_none() {
    let fixture = Fixture::start().await;
    let (first, second) = (fixture.create(None).await.id, fixture.create(Some(&[1])).await.id);
    let paused = fixture.create_from(CreateWebhookRequest { inactive: true, ..good() }).await;
    let foreign = fixture.webhooks().create_webhook(with(crate::fixture::STRANGER, good())).await.unwrap();

    assert_eq!(fixture.set_plan("business", 3).await, 0);
    assert_eq!(fixture.set_plan("starter", 2).await, 0, "it is late");
    assert!(fixture.get(first).await.active);
    assert_eq!(fixture.set_plan("starter", 4).await, 2);
    for id in [first, second] {
        let webhook = fixture.get(id).await;
        assert_eq!((webhook.active, webhook.inactive_reason.as_str()), (false, "plan_downgraded"));
        let entry = fixture.log(id).await.remove(0);
        assert_eq!(
            (entry.action.as_str(), entry.actor.as_str(), entry.version),
            ("plan_downgraded", "Testmo core", webhook.version)
        );
        assert_eq!(texts(&entry.fields), ["active: true -> false"]);
    }
    let still = fixture.get(paused.id).await;
    assert_eq!((still.version, still.inactive_reason.as_str()), (paused.version, ""));
    assert!(foreign.into_inner().webhook.unwrap().active);

    assert_eq!(fixture.set_plan("starter", 4).await, 0);
    assert_eq!(fixture.set_plan("basic", 5).await, 0);
    assert_eq!(fixture.set_plan("enterprise", 6).await, 0);
    assert!(!fixture.get(first).await.active);
    let activate = ActivateWebhookRequest { id: first, if_version: None };
    let active =
        fixture.webhooks().activate_webhook(with(ADMIN, activate)).await.unwrap().into_inner().webhook.unwrap();
    assert_eq!((active.active, active.inactive_reason.as_str()), (true, ""));
    let entry = fixture.log(first).await.remove(0);
    assert_eq!(
        (entry.action.as_str(), entry.actor.as_str(), entry.actor_role.as_str()),
        ("activated", ADMIN, "system_admin")
    );
}

#[tokio::test]
async fn without_a_plan_webhooks_can_be_edited_and_not_activated() {
    let fixture = Fixture::start().await;
    let mut client = fixture.webhooks();
    let id = fixture.create(None).await.id;
    fixture.set_plan("starter", 1).await;
    for inactive in [false, true] {
        for validate_only in [false, true] {
            let request = CreateWebhookRequest { inactive, validate_only, ..good() };
            refused_by_plan(&error(client.create_webhook(with(ADMIN, request)).await));
        }
    }
    let activate = ActivateWebhookRequest { id, if_version: None };
    refused_by_plan(&error(client.activate_webhook(with(ADMIN, activate)).await));
    for validate_only in [false, true] {
        let both = UpdateWebhookRequest { name: Some("New".into()), active: Some(true), validate_only, ..patch(id) };
        refused_by_plan(&fixture.update(both).await.unwrap_err());
    }
    assert_eq!(fixture.get(id).await.name, "CI", "all or nothing");
    // Fields come before the plan.
    let wrong = CreateWebhookRequest { name: String::new(), ..good() };
    assert_eq!(error(client.create_webhook(with(ADMIN, wrong)).await).code, ErrorCode::Validation);

    let answer = fixture
        .update(UpdateWebhookRequest { name: Some("New".into()), active: Some(false), ..patch(id) })
        .await
        .unwrap();
    assert_eq!(texts(&answer.changes), [r#"name: "CI" -> "New""#]);
    let deactivate = DeactivateWebhookRequest { id, if_version: None };
    let still = client.deactivate_webhook(with(ADMIN, deactivate)).await.unwrap().into_inner().webhook.unwrap();
    assert_eq!(still.inactive_reason, "plan_downgraded");
    client.delete_webhook(with(ADMIN, DeleteWebhookRequest { id, if_version: None })).await.unwrap();
}

/// Whoever comes first: after the downgrade nothing is active.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_activation_slips_through_a_downgrade() {
    let fixture = Fixture::start().await;
    let mut ids = Vec::new();
    for _ in 0..10 {
        ids.push(fixture.create_from(CreateWebhookRequest { inactive: true, ..good() }).await.id);
    }
    let mut calls = JoinSet::new();
    for id in ids.clone() {
        let (mut activating, mut creating) = (fixture.webhooks(), fixture.webhooks());
        calls.spawn(async move {
            let activate = ActivateWebhookRequest { id, if_version: None };
            let _either = activating.activate_webhook(with(ADMIN, activate)).await;
        });
        calls.spawn(async move {
            let _either = creating.create_webhook(with(ADMIN, good())).await;
        });
    }
    fixture.set_plan("starter", 1).await;
    calls.join_all().await;
    let listed = fixture.webhooks().list_webhooks(with(ADMIN, Default::default())).await.unwrap().into_inner();
    assert!(listed.webhooks.len() >= ids.len() && listed.webhooks.iter().all(|webhook| !webhook.active));
}

#[tokio::test]
async fn a_thousand_webhooks_change_in_one_call() {
    let fixture = Fixture::start().await;
    for _ in 0..1_000 {
        fixture.create_from(CreateWebhookRequest { projects: list(Some(&[1])), ..good() }).await;
    }
    let start = Instant::now();
    assert_eq!(fixture.set_plan("starter", 1).await, 1_000);
    assert_eq!(fixture.delete_project(1, 1).await, 0);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[tokio::test]
async fn what_is_only_validated_is_not_there() {
    let fixture = Fixture::start().await;
    let request = CreateWebhookRequest { validate_only: true, inactive: true, projects: list(Some(&[2, 1])), ..good() };
    let shown = fixture.create_from(request).await;
    assert_eq!((shown.id, shown.version, shown.secret.as_str()), (0, 0, ""));
    assert_eq!((shown.active, shown.projects.unwrap().ids, shown.created_at), (false, vec![1, 2], None));
    let listed = fixture.webhooks().list_webhooks(with(ADMIN, Default::default())).await.unwrap();
    assert_eq!(listed.into_inner().total, 0);
    let first = fixture.create(None).await;
    assert_eq!((first.id, first.version), (1, 1));
}
