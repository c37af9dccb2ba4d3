//! Further request headers: their values are given once, kept by their mask, and dropped with the host.

use proto::{
    error::ErrorCode,
    internal::v1::ChangesRequest,
    v1::{CreateWebhookRequest, CustomHeader, CustomHeaderList, UpdateWebhookRequest},
};

use crate::fixture::{ADMIN, Fixture, error, fields, good, texts, with};

const CANARY: &str = "canary-4711";

fn header(name: &str, value: &str) -> CustomHeader {
    CustomHeader { name: name.into(), value: value.into() }
}

fn list(headers: &[(&str, &str)]) -> Option<CustomHeaderList> {
    Some(CustomHeaderList { headers: headers.iter().map(|(name, value)| header(name, value)).collect() })
}

/// What the dispatcher sends.
async fn sent(fixture: &Fixture, id: i64) -> Vec<(String, String)> {
    let request = ChangesRequest { since: 0, with_secrets: true };
    let webhooks = fixture.configuration().changes(request).await.unwrap().into_inner().webhooks;
    let config = webhooks.into_iter().find(|webhook| webhook.id == id).unwrap();
    config.headers.into_iter().map(|header| (header.name, header.value)).collect()
}

async fn with_headers(fixture: &Fixture) -> i64 {
    let headers = vec![header("Authorization", CANARY), header("X-B", "b")];
    fixture.create_from(CreateWebhookRequest { headers, ..good() }).await.id
}

fn pairs(headers: &[(&str, &str)]) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn values_are_kept_by_their_mask() {
    let fixture = Fixture::start().await;
    let id = with_headers(&fixture).await;
    let shown = fixture.get(id).await.headers;
    assert_eq!(shown, [header("authorization", "…"), header("x-b", "…")]);
    assert_eq!(sent(&fixture, id).await, pairs(&[("authorization", CANARY), ("x-b", "b")]));

    let headers = list(&[("x-c", "c"), ("X-B", "new"), ("AUTHORIZATION", " … ")]);
    let answer = fixture.update(UpdateWebhookRequest { id, headers, ..Default::default() }).await.unwrap();
    assert_eq!(texts(&answer.changes), [r#"headers: ["authorization","x-b"] -> ["x-c","x-b","authorization"]"#]);
    assert_eq!(sent(&fixture, id).await, pairs(&[("x-c", "c"), ("x-b", "new"), ("authorization", CANARY)]));

    // Only a value: the same names on both sides.
    let headers = list(&[("x-c", "c2"), ("x-b", "…"), ("authorization", "…")]);
    let answer = fixture.update(UpdateWebhookRequest { id, headers, ..Default::default() }).await.unwrap();
    let names = r#"["x-c","x-b","authorization"]"#;
    assert_eq!(texts(&answer.changes), [format!("headers: {names} -> {names}")]);
    assert_eq!(sent(&fixture, id).await[0], ("x-c".to_owned(), "c2".to_owned()));
    let log = format!("{:?}", fixture.log(id).await);
    assert!(!log.contains(CANARY) && log.contains("authorization"));
}

#[tokio::test]
async fn headers_go_with_their_host() {
    let fixture = Fixture::start().await;
    let id = with_headers(&fixture).await;
    let patch = |url: &str, headers| UpdateWebhookRequest { id, url: Some(url.into()), headers, ..Default::default() };

    fixture.update(patch("https://example.com/other?path", None)).await.unwrap();
    assert_eq!(sent(&fixture, id).await.len(), 2);
    let elsewhere = "https://other.example/hook";
    let refused = fixture.update(patch(elsewhere, list(&[("x-b", "…"), ("x-c", "c")]))).await.unwrap_err();
    assert_eq!((refused.code, fields(&refused)), (ErrorCode::Validation, vec!["headers"]));
    assert!(refused.message.contains("header 1 needs its value again"), "{}", refused.message);
    let shown = fixture.update(UpdateWebhookRequest { validate_only: true, ..patch(elsewhere, None) }).await.unwrap();
    assert!(shown.webhook.unwrap().headers.is_empty());
    assert_eq!(sent(&fixture, id).await.len(), 2);

    let answer = fixture.update(patch(elsewhere, list(&[("x-b", "b again")]))).await.unwrap();
    assert_eq!(answer.changes.len(), 2);
    assert_eq!(sent(&fixture, id).await, pairs(&[("x-b", "b again")]));
    for url in ["https://other.example:8443/hook", "https://example.com/"] {
        fixture
            .update(UpdateWebhookRequest { headers: list(&[("x-b", "b")]), ..patch(elsewhere, None) })
            .await
            .unwrap();
        let answer = fixture.update(patch(url, None)).await.unwrap();
        assert_eq!(texts(&answer.changes)[1..], [r#"headers: ["x-b"] -> []"#], "{url}");
        assert_eq!(sent(&fixture, id).await, [], "{url}");
        fixture.update(patch(elsewhere, None)).await.unwrap();
    }
}

#[tokio::test]
async fn a_mask_is_no_value() {
    let fixture = Fixture::start().await;
    let request = CreateWebhookRequest { headers: vec![header("x-a", "…")], ..good() };
    let refused = error(fixture.webhooks().create_webhook(with(ADMIN, request)).await);
    assert_eq!((refused.code, fields(&refused)), (ErrorCode::Validation, vec!["headers"]));
    let id = with_headers(&fixture).await;
    let headers = list(&[("x-b", "…"), ("canary-in-the-name", "…")]);
    let refused = fixture.update(UpdateWebhookRequest { id, headers, ..Default::default() }).await.unwrap_err();
    assert_eq!((refused.code, fields(&refused)), (ErrorCode::Validation, vec!["headers"]));
    assert!(refused.message.contains("header 2 has no value so far") && !refused.message.contains("canary"));
    // Nobody else is told of values.
    let request = ChangesRequest { since: 0, with_secrets: false };
    let webhooks = fixture.configuration().changes(request).await.unwrap().into_inner().webhooks;
    assert!(webhooks.iter().all(|webhook| webhook.headers.is_empty()));
}

#[tokio::test]
async fn files_hold_no_values() {
    let fixture = Fixture::start().await;
    let id = with_headers(&fixture).await;
    let url = Some("https://example.com/new".to_owned());
    fixture.update(UpdateWebhookRequest { id, url, ..Default::default() }).await.unwrap();
    for file in std::fs::read_dir(fixture.folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()));
    }
}
