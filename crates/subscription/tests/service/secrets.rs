//! Secrets: shown once, unreadable at rest, and never without their key.

use std::sync::Arc;

use domain::Secret;
use proto::{
    internal::v1::ChangesRequest,
    v1::{
        ActivateWebhookRequest, CreateTokenRequest, DeactivateWebhookRequest, GetWebhookRequest, ListTokensRequest,
        ListWebhooksRequest,
    },
};
use sqlx::{Connection as _, Executor as _};
use subscription::StartError;

use crate::fixture::{ADMIN, Fixture, run, with};

#[tokio::test]
async fn a_secret_is_shown_once() {
    let fixture = Fixture::start().await;
    let mut client = fixture.webhooks();
    let created = fixture.create(None).await;
    let secret: Secret = created.secret.parse().unwrap();
    let masked = secret.masked();
    assert_ne!(fixture.create(None).await.secret, created.secret);

    let id = created.id;
    let read = client.get_webhook(with(ADMIN, GetWebhookRequest { id })).await.unwrap().into_inner().webhook;
    let listed = client.list_webhooks(with(ADMIN, ListWebhooksRequest::default())).await.unwrap().into_inner();
    let paused = client
        .deactivate_webhook(with(ADMIN, DeactivateWebhookRequest { id, if_version: None }))
        .await
        .unwrap()
        .into_inner();
    let resumed = client
        .activate_webhook(with(ADMIN, ActivateWebhookRequest { id, if_version: None }))
        .await
        .unwrap()
        .into_inner();
    for webhook in [read, listed.webhooks.into_iter().next(), paused.webhook, resumed.webhook] {
        assert_eq!(webhook.unwrap().secret, masked);
    }
    let changes =
        fixture.configuration().changes(ChangesRequest { since: 0, with_secrets: false }).await.unwrap().into_inner();
    assert!(changes.webhooks.iter().all(|webhook| webhook.secrets.is_empty() && webhook.active));
    let changes =
        fixture.configuration().changes(ChangesRequest { since: 0, with_secrets: true }).await.unwrap().into_inner();
    let config = changes.webhooks.iter().find(|webhook| webhook.id == id).unwrap();
    assert_eq!(config.secrets.iter().map(|secret| secret.text.as_str()).collect::<Vec<_>>(), [created.secret]);
}

#[tokio::test]
async fn a_token_is_shown_once() {
    let fixture = Fixture::start().await;
    let mut client = fixture.webhooks();
    let request = CreateTokenRequest { name: "CI".into(), role: "publisher".into(), ..CreateTokenRequest::default() };
    let made = client.create_token(with(ADMIN, request)).await.unwrap().into_inner();
    let listed = client.list_tokens(with(ADMIN, ListTokensRequest::default())).await.unwrap();
    let shown = format!("{listed:?}");
    assert!(shown.contains(&made.text[..10]) && !shown.contains(&made.text[..11]), "{shown}");
}

#[tokio::test]
async fn files_hold_neither_secrets_nor_tokens() {
    let fixture = Fixture::start().await;
    let secret = fixture.create(None).await.secret;
    let request = CreateTokenRequest { name: "CI".into(), role: "member".into(), ..CreateTokenRequest::default() };
    let token = fixture.webhooks().create_token(with(ADMIN, request)).await.unwrap().into_inner().text;
    for file in std::fs::read_dir(fixture.folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!holds(&secret["whsec_".len()..secret.len() - 4]) && !holds(&token[10..]));
    }
}

#[tokio::test]
async fn another_key_is_refused_at_the_start() {
    let fixture = Fixture::start().await;
    fixture.create(None).await;
    let wrong = run(&fixture.folder, 8, Arc::clone(&fixture.clock)).await.unwrap_err();
    assert!(matches!(wrong, StartError::WrongKey { .. }));
    let text = wrong.to_string();
    assert!(text.contains("secrets.key_file holds key ") && text.contains(" need key "), "{text}");
    assert!(run(&fixture.folder, 7, Arc::clone(&fixture.clock)).await.is_ok());
}

#[tokio::test]
async fn a_damaged_secret_stops_its_own_webhook_only() {
    let fixture = Fixture::start().await;
    let (damaged, whole) = (fixture.create(None).await, fixture.create(None).await);
    let address = format!("sqlite://{}", fixture.file().display());
    let mut connection = sqlx::SqliteConnection::connect(&address).await.unwrap();
    connection.execute("UPDATE webhooks SET secret = (SELECT secret FROM webhooks WHERE id = 2)").await.unwrap();

    let request = ChangesRequest { since: 0, with_secrets: true };
    let changes = fixture.configuration().changes(request).await.unwrap().into_inner();
    let found: Vec<_> =
        changes.webhooks.iter().map(|webhook| (webhook.id, webhook.active, webhook.secrets.len())).collect();
    assert_eq!(found, [(damaged.id, false, 0), (whole.id, true, 1)]);
}
