//! Endpoints that have failed for too long: what history asks for, and since when an endpoint counts.

use std::time::Duration;

use domain::Timestamp;
use proto::{
    convert::{from_timestamp, timestamp},
    error::{ApiError, ErrorCode},
    internal::v1::{ChangesRequest, DeactivateFailingRequest, WebhookConfig},
    v1::{ActivateWebhookRequest, CreateWebhookRequest, DeleteWebhookRequest, UpdateWebhookRequest, Webhook},
};

use crate::fixture::{ADMIN, Fixture, NOON, code, error, fields, good, texts, with};

fn request(webhook: &Webhook) -> DeactivateFailingRequest {
    DeactivateFailingRequest {
        instance: "acme".into(),
        webhook_id: webhook.id,
        version: webhook.version,
        failing_since: Some(timestamp(Timestamp::from_micros(1_795_000_000_654_321 - 1_000_000_000))),
        last_error: "timeout: no answer\nwithin 10 s".into(),
    }
}

async fn deactivate(fixture: &Fixture, request: DeactivateFailingRequest) -> Result<bool, ApiError> {
    let answer = fixture.configuration().deactivate_failing(request).await;
    answer.map(|answer| answer.into_inner().deactivated).map_err(|status| ApiError::from(&status))
}

async fn told(fixture: &Fixture, id: i64) -> WebhookConfig {
    let answer = fixture.configuration().changes(ChangesRequest::default()).await.unwrap().into_inner();
    answer.webhooks.into_iter().find(|webhook| webhook.id == id).unwrap()
}

#[tokio::test]
async fn a_webhook_that_keeps_failing_is_deactivated_with_the_reason() {
    let fixture = Fixture::start().await;
    let (webhook, other) = (fixture.create(None).await, fixture.create(None).await);
    fixture.clock.advance(Duration::from_secs(60));
    assert!(deactivate(&fixture, request(&webhook)).await.unwrap());
    let now = fixture.get(webhook.id).await;
    // In whole seconds, and one line.
    let error = "timeout: no answer within 10 s";
    let reason = format!("endpoint_failing: no attempt has succeeded since 2026-11-18T10:50:00Z; last error: {error}");
    assert_eq!((now.active, now.inactive_reason.as_str()), (false, reason.as_str()));
    assert!(now.version > webhook.version && now.updated_at != webhook.updated_at);
    let entry = fixture.log(webhook.id).await.remove(0);
    assert_eq!(
        (entry.action.as_str(), entry.actor.as_str(), entry.actor_role.as_str()),
        ("endpoint_failing", "system", "system")
    );
    assert_eq!(entry.version, now.version);
    assert_eq!(texts(&entry.fields), ["active: true -> false".to_owned(), format!("inactive_reason:  -> {reason:?}")]);
    assert!(!told(&fixture, webhook.id).await.active);
    assert!(fixture.get(other.id).await.active);
    // Once is enough, and activating takes the reason away.
    assert!(!deactivate(&fixture, request(&webhook)).await.unwrap());
    assert!(!deactivate(&fixture, request(&now)).await.unwrap());
    let activate = ActivateWebhookRequest { id: webhook.id, if_version: None };
    let active =
        fixture.webhooks().activate_webhook(with(ADMIN, activate)).await.unwrap().into_inner().webhook.unwrap();
    assert_eq!((active.active, active.inactive_reason.as_str()), (true, ""));
}

#[tokio::test]
async fn one_that_is_not_as_it_was_judged_stays_as_it_is() {
    let fixture = Fixture::start().await;
    let webhook = fixture.create(None).await;
    let stale = request(&webhook);
    let rename = UpdateWebhookRequest { id: webhook.id, name: Some("Other".into()), ..UpdateWebhookRequest::default() };
    fixture.update(rename).await.unwrap();
    assert!(!deactivate(&fixture, stale).await.unwrap());
    let now = fixture.get(webhook.id).await;
    let foreign = DeactivateFailingRequest { instance: "other".into(), ..request(&now) };
    assert!(!deactivate(&fixture, foreign).await.unwrap());
    let unknown = DeactivateFailingRequest { webhook_id: 999, ..request(&now) };
    assert!(!deactivate(&fixture, unknown).await.unwrap());
    assert_eq!(fixture.get(webhook.id).await, now);
    fixture
        .webhooks()
        .delete_webhook(with(ADMIN, DeleteWebhookRequest { id: now.id, if_version: None }))
        .await
        .unwrap();
    assert!(!deactivate(&fixture, request(&now)).await.unwrap());
    // Nothing is left locked.
    fixture.create(None).await;
}

#[tokio::test]
async fn only_services_ask_and_mistakes_are_named() {
    let fixture = Fixture::start().await;
    let webhook = fixture.create(None).await;
    let bare = fixture.bare_configuration().deactivate_failing(request(&webhook)).await;
    assert_eq!(code(&bare), Some(ErrorCode::Forbidden));
    let token = fixture.bare_configuration().deactivate_failing(with(ADMIN, request(&webhook))).await;
    assert_eq!(error(token).code, ErrorCode::Forbidden);
    let nowhere = DeactivateFailingRequest { instance: String::new(), ..request(&webhook) };
    assert_eq!(fields(&deactivate(&fixture, nowhere).await.unwrap_err()), ["instance"]);
    let never = DeactivateFailingRequest { failing_since: None, ..request(&webhook) };
    assert_eq!(fields(&deactivate(&fixture, never).await.unwrap_err()), ["failing_since"]);
    assert!(fixture.get(webhook.id).await.active);
}

#[tokio::test]
async fn an_endpoint_is_the_one_that_it_is_since_it_was_activated_or_led_elsewhere() {
    const HOUR: Duration = Duration::from_secs(3600);
    let fixture = Fixture::start().await;
    let id = fixture.create_from(CreateWebhookRequest { inactive: true, ..good() }).await.id;
    let since = async || {
        let since = from_timestamp(&told(&fixture, id).await.endpoint_since.unwrap());
        since.since(NOON).as_secs() / HOUR.as_secs()
    };
    let patch = || UpdateWebhookRequest { id, ..UpdateWebhookRequest::default() };
    assert_eq!(since().await, 0);
    for (hour, request, expected) in [
        (1, UpdateWebhookRequest { name: Some("Other".into()), ..patch() }, 0),
        (2, UpdateWebhookRequest { active: Some(true), ..patch() }, 2),
        (3, UpdateWebhookRequest { active: Some(false), ..patch() }, 2),
        (4, UpdateWebhookRequest { url: Some("https://example.com/other".into()), ..patch() }, 4),
        (5, UpdateWebhookRequest { r#type: Some("discord".into()), ..patch() }, 5),
        (6, UpdateWebhookRequest { url: Some("https://example.com/more".into()), validate_only: true, ..patch() }, 5),
        (7, UpdateWebhookRequest { url: Some("https://example.com/other".into()), ..patch() }, 5),
    ] {
        fixture.clock.advance(HOUR);
        fixture.update(request).await.unwrap();
        assert_eq!(since().await, expected, "after {hour} hours");
    }
}
