
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
