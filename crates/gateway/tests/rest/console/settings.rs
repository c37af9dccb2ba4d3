//! What concerns the history of all webhooks together.

use axum::{
    body::{Body, to_bytes},
    http::header,
};

use super::browser::Browser;

#[tokio::test]
async fn all_of_history_is_downloaded() {
    let mut browser = Browser::signed_in("admin").await;
    browser.get("/settings").await.ok(200).shows(&["Download delivery history", "/settings/export?format=ndjson"]);
    for (format, kind) in [("json", "application/json"), ("ndjson", "application/x-ndjson"), ("x", "application/json")]
    {
        let request = browser.request("GET", &format!("/settings/export?format={format}")).body(Body::empty()).unwrap();
        let (head, body) = browser.api.raw(request).await;
        assert_eq!((head.status.as_u16(), head.headers[header::CONTENT_TYPE].to_str().unwrap()), (200, kind));
        assert!(head.headers[header::CONTENT_DISPOSITION].to_str().unwrap().starts_with("attachment"));
        let text = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
        assert!(text.contains("\"response_code\":503"), "{text}");
    }
}

#[tokio::test]
async fn project_administrators_have_no_settings() {
    let mut browser = Browser::signed_in("project_admin").await;
    for path in ["/settings", "/settings/export"] {
        browser.get(path).await.ok(403).shows(&["for system administrators"]);
    }
    assert!(browser.api.fake.calls().is_empty());
}

#[tokio::test]
async fn retention_is_chosen_and_clearing_is_confirmed() {
    let mut browser = Browser::signed_in("admin").await;
    browser.get("/settings").await.ok(200).shows(&["Delete webhook delivery history after", "After 90 days (default)"]);
    browser.post("/settings", &[("retention_days", "30")]).await.leads_to("/settings?done=settings");
    let call = browser.api.fake.calls().pop().unwrap();
    assert_eq!(call, "UpdateSettingsRequest { retention_days: 30 }");
    browser.get("/settings/clear").await.ok(200).shows(&["data-confirm", "clear-all-delivery-history"]);
    let confirmed = [("confirm", "clear-all-delivery-history")];
    browser.post("/settings/clear", &confirmed).await.leads_to("/settings?done=cleared");
    browser.get("/settings?done=cleared").await.ok(200).shows(&["was cleared"]);
}
