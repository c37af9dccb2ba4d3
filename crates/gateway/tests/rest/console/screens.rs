//! Every screen, and who sees what of it.

use super::browser::Browser;
use crate::fake::{DELIVERY, REPLAY};

#[tokio::test]
async fn the_list_shows_webhooks_with_their_health() {
    let mut browser = Browser::signed_in("admin").await;
    browser.get("/").await.ok(200).shows(&[
        "https://ci.example.com/hook",
        "Test run completed",
        "All projects",
        "<svg class=\"chart\"",
        "Page 1 of 2",
        "href=\"/?page=2\"",
        ">Settings</a>",
    ]);
    let page = browser.get("/?q=ci&active=inactive&type=slack&project=3&page=2").await.ok(200);
    page.shows(&["href=\"/?q=ci&#38;active=inactive&#38;type=slack&#38;project=3&#38;page=1\"", "Clear filters"]);
    let calls = browser.api.fake.calls();
    let asked = "ListWebhooksRequest { page: 2, per_page: 25, active: Some(false), r#type: \"slack\", project_id: 3, query: \"ci\" }";
    assert!(calls.iter().any(|call| call == asked), "{calls:?}");
    // What is no filter is none.
    browser.get("/?active=x&type=y&project=z&page=-1&done=%3Cscript%3E").await.ok(200).lacks(&["Clear filters"]);
}

#[tokio::test]
async fn history_is_listed_filtered_and_paged() {
    let mut browser = Browser::signed_in("admin").await;
    browser.get("/webhooks/7/deliveries").await.ok(200).shows(&[
        "Failed",
        "Pending",
        "503",
        "12 ms",
        &format!("/deliveries/{DELIVERY}#attempt-1"),
        "data-live=\"/webhooks/7/deliveries/live?\"",
        "href=\"/webhooks/7/deliveries?cursor=older\"",
    ]);
    let query = "status=failed&event=run.completed&from=2026-11-23T08:15&test=none";
    browser.get(&format!("/webhooks/7/deliveries?{query}&cursor=older")).await.ok(200).lacks(&["data-live="]);
    let calls = browser.api.fake.calls();
    let asked = calls.iter().find(|call| call.starts_with("ListEntriesRequest") && call.contains("older")).unwrap();
    for part in
        ["webhook_id: 7", "status: Failed", "event_type: \"run.completed\"", "is_test: Some(false)", "per_page: 25"]
    {
        assert!(asked.contains(part), "{part}: {asked}");
    }
    browser.get("/webhooks/7/deliveries?from=yesterday").await.ok(422).shows(&["From must be a day and a time"]);
    browser.get("/deliveries").await.ok(200).shows(&["All webhooks", "href=\"/webhooks/1/deliveries\""]);
    browser.get("/webhooks/0/deliveries").await.ok(404);
}

#[tokio::test]
async fn a_delivery_is_shown_whole() {
    let mut browser = Browser::signed_in("admin").await;
    browser.get(&format!("/deliveries/{DELIVERY}")).await.ok(200).shows(&[
        "Attempt 1",
        "Request",
        "Response",
        "Copy to clipboard",
        "Orphaned",
        "data-live=",
        "Explain",
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "First byte <strong>12 ms</strong>",
        &"0b".repeat(32),
        "signed with secret <strong>3</strong> and <strong>2</strong>",
    ]);
    browser.get("/deliveries/00000000-0000-0000-0000-000000000000").await.ok(404).shows(&["Not found"]);
    browser.get("/deliveries/nonsense").await.ok(404);
}

#[tokio::test]
async fn every_other_screen_opens() {
    let mut browser = Browser::signed_in("admin").await;
    let replay = format!("/webhooks/7/replays/{REPLAY}");
    for (path, parts) in [
        (
            "/webhooks/new",
            &["WEBHOOK", "PROJECTS", "This webhook applies to all projects", "Allow insecure connections"][..],
        ),
        ("/webhooks/7", &["value=\"CI\"", "x-team: …", "Send test payload", "Deactivate", "value=\"12\""]),
        ("/webhooks/7/secret", &["Overlap in hours", "data-confirm"]),
        ("/webhooks/7/delete", &["cancels all future deliveries", "data-confirm"]),
        ("/webhooks/7/explain?event_id=abc", &["value=\"abc\"", "A sample event"]),
        ("/webhooks/7/replays", &["Count deliveries"]),
        (replay.as_str(), &["Cancel replay", "<progress"]),
        ("/webhooks/7/changes", &["Updated", "deploy"]),
        ("/tokens", &["Create token", "tmw_ab"]),
        ("/tokens/3/revoke", &["data-confirm"]),
    ] {
        browser.get(path).await.ok(200).shows(parts);
    }
    for path in ["/webhooks/99", "/webhooks/0", "/webhooks/x", "/webhooks/99/changes", "/webhooks/7/replays/x"] {
        browser.get(path).await.ok(404).shows(&["Not found"]);
    }
    browser.get("/webhooks/13").await.ok(500).shows(&["Something went wrong"]);
}

#[tokio::test]
async fn project_administrators_see_theirs() {
    let mut browser = Browser::signed_in("project_admin").await;
    let page = browser.get("/").await.ok(200);
    page.shows(&["Project administrator"]).lacks(&[">Settings</a>", ">API tokens</a>", ">Delivery history</a>"]);
    let page = browser.get("/webhooks/new").await.ok(200);
    page.shows(&["Project 3", "Project 7"]).lacks(&["applies to all projects", "Project 4", "Other projects"]);
    for path in ["/deliveries", "/deliveries/live", "/tokens", "/tokens/3/revoke"] {
        browser.get(path).await.ok(403).shows(&["for system administrators"]);
    }
    browser.post("/tokens", &[("name", "x"), ("role", "member")]).await.ok(403);
    browser.post("/tokens/3/revoke", &[]).await.ok(403);
    assert!(!browser.api.fake.calls().iter().any(|call| call.contains("Token")));
}
