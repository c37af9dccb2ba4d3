//! What a new webhook must be like.

use proto::{
    error::{ApiError, ErrorCode},
    v1::{CreateWebhookRequest, CustomHeader, ListWebhooksRequest},
};

use crate::fixture::{ADMIN, Fixture, NOON, PROJECT_ADMIN, error, fields, good, list, with};

async fn refusal(fixture: &Fixture, request: CreateWebhookRequest) -> ApiError {
    let error = error(fixture.webhooks().create_webhook(with(ADMIN, request)).await);
    assert_eq!(error.code, ErrorCode::Validation);
    error
}

#[tokio::test]
async fn a_good_one_is_answered_in_order() {
    let fixture = Fixture::start().await;
    let request = CreateWebhookRequest {
        name: " CI ".into(),
        events: ["run.completed", "run.created", "run.completed"].map(str::to_owned).to_vec(),
        projects: list(Some(&[7, 3, 7])),
        ..good()
    };
    let answer = fixture.webhooks().create_webhook(with(ADMIN, request)).await.unwrap().into_inner();
    let webhook = answer.webhook.unwrap();
    assert_eq!((webhook.id, webhook.name.as_str(), webhook.r#type.as_str()), (1, "CI", "generic"));
    assert_eq!(webhook.events, ["run.created", "run.completed"]);
    assert_eq!(webhook.projects.unwrap().ids, [3, 7]);
    assert!(webhook.active && webhook.inactive_reason.is_empty() && webhook.warnings.is_empty());
    assert_eq!(webhook.created_at, Some(proto::convert::timestamp(NOON)));
    assert_eq!(webhook.updated_at, webhook.created_at);
}

#[tokio::test]
async fn every_mistake_is_named_at_once() {
    let fixture = Fixture::start().await;
    let bad = CreateWebhookRequest {
        name: "x".repeat(256),
        url: "ftp://example.com".into(),
        r#type: "pigeon".into(),
        events: vec!["run.exploded".into()],
        projects: list(Some(&[0])),
        allow_insecure: true,
        headers: vec![CustomHeader { name: "Host".into(), value: "x".into() }],
        filter: vec!["nonsense".into()],
        ..CreateWebhookRequest::default()
    };
    let found = refusal(&fixture, bad).await;
    assert_eq!(fields(&found), ["name", "type", "events", "projects", "url", "headers", "filter"]);
    let empty = refusal(&fixture, CreateWebhookRequest::default()).await;
    assert_eq!(fields(&empty), ["name", "type", "events", "url"]);
    let many: Vec<i64> = (1..=5_001).collect();
    let found = refusal(&fixture, CreateWebhookRequest { projects: list(Some(&many)), ..good() }).await;
    assert_eq!(fields(&found), ["projects"]);
}

#[tokio::test]
async fn an_empty_scope_is_a_mistake_for_everybody() {
    let fixture = Fixture::start().await;
    for token in [ADMIN, PROJECT_ADMIN] {
        let request = CreateWebhookRequest { projects: list(Some(&[])), ..good() };
        let found = error(fixture.webhooks().create_webhook(with(token, request)).await);
        assert_eq!((found.code, fields(&found)), (ErrorCode::Validation, vec!["projects"]), "{token}");
    }
}

#[tokio::test]
async fn chat_types_need_https_and_a_living_connector() {
    let fixture = Fixture::start().await;
    for kind in ["slack", "teams", "discord"] {
        let chat = CreateWebhookRequest { r#type: kind.into(), ..good() };
        let made = fixture.webhooks().create_webhook(with(ADMIN, chat.clone())).await.unwrap().into_inner();
        assert_eq!(made.webhook.unwrap().r#type, kind);
        let plain = CreateWebhookRequest { url: "http://example.com/hook".into(), ..chat.clone() };
        assert_eq!(fields(&refusal(&fixture, plain).await), ["url"]);
        let insecure = CreateWebhookRequest { allow_insecure: true, ..chat };
        assert_eq!(fields(&refusal(&fixture, insecure).await), ["allow_insecure"]);
    }
    let retired = "https://acme.webhook.office.com/webhookb2/1";
    let found = refusal(&fixture, CreateWebhookRequest { r#type: "teams".into(), url: retired.into(), ..good() }).await;
    assert_eq!(fields(&found), ["url"]);
    assert!(found.message.contains("Workflows"), "{}", found.message);
}

#[tokio::test]
async fn insecure_connections_are_warned_of() {
    let fixture = Fixture::start().await;
    let insecure = CreateWebhookRequest { url: "http://example.com/hook".into(), allow_insecure: true, ..good() };
    let answer = fixture.webhooks().create_webhook(with(ADMIN, insecure.clone())).await.unwrap().into_inner();
    assert_eq!(answer.webhook.unwrap().warnings.len(), 1);
    let found = refusal(&fixture, CreateWebhookRequest { allow_insecure: false, ..insecure }).await;
    assert_eq!(fields(&found), ["url"]);
}

#[tokio::test]
async fn no_address_inside_is_accepted() {
    let fixture = Fixture::start().await;
    for (url, reason) in [
        (
            "https://127.0.0.1/",
            "(127.0.0.1); the operator of the service can open networks with delivery.allow_networks",
        ),
        ("https://0x7f.1/", "(127.0.0.1)"),
        ("https://[::ffff:10.0.0.1]/", "reserved address"),
        ("https://localhost/", "internal host name"),
        ("https://db.internal/", "internal host name"),
        ("https://mixed.example/", "as host mixed.example does; the operator of the service can open networks with "),
        ("https://mixed6.example/", "as host mixed6.example does"),
        ("https://metadata.example/", "as host metadata.example does"),
        ("https://mapped.example/", "as host mapped.example does"),
        ("https://none.example/", "host none.example does not resolve"),
        ("https://unknown.example/", "host unknown.example does not resolve"),
    ] {
        let found = refusal(&fixture, CreateWebhookRequest { url: url.into(), ..good() }).await;
        assert_eq!(fields(&found), ["url"], "{url}");
        assert!(found.message.contains(reason), "{url}: {}", found.message);
    }
    let listed = fixture.webhooks().list_webhooks(with(ADMIN, ListWebhooksRequest::default())).await.unwrap();
    assert_eq!(listed.into_inner().total, 0);
}

#[tokio::test]
async fn lists_go_by_pages_of_known_sizes() {
    let fixture = Fixture::start().await;
    for _ in 0..17 {
        fixture.create(None).await;
    }
    let mut client = fixture.webhooks();
    for (page, per_page, length) in [(0, 0, 17), (1, 15, 15), (2, 15, 2), (3, 15, 0), (i32::MAX, 100, 0)] {
        let answer = client
            .list_webhooks(with(ADMIN, ListWebhooksRequest { page, per_page, ..Default::default() }))
            .await
            .unwrap();
        assert_eq!((answer.get_ref().webhooks.len(), answer.get_ref().total), (length, 17), "{page}");
    }
    let found = error(
        client.list_webhooks(with(ADMIN, ListWebhooksRequest { page: -1, per_page: 7, ..Default::default() })).await,
    );
    assert_eq!(fields(&found), ["page", "per_page"]);
}
