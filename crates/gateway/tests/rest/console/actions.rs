//! Every action as a plain form.

use super::browser::Browser;
use crate::fake::{DELIVERY, EVENT, REPLAY};

const NEW: [(&str, &str); 5] = [
    ("name", " Builds "),
    ("url", "https://ci.example.com/hook"),
    ("type", "generic"),
    ("events", "run.*"),
    ("events", "job.completed"),
];

#[tokio::test]
async fn a_webhook_is_created_and_its_secret_shown_once() {
    let browser = Browser::signed_in("admin").await;
    let more = [
        ("scope", "some"),
        ("projects", "3"),
        ("other_projects", "9"),
        ("send_traceparent", "yes"),
        ("headers", "x-a: 1\r\n\r\n"),
        ("filter", "a == 1\r\nb exists"),
    ];
    let page = browser.post("/webhooks/new", &[&NEW[..], &more].concat()).await.ok(201);
    page.shows(&["whsec_whole", "Copy to clipboard", "shown only once", "data-instead=\"/webhooks/41\""]);
    let call = browser.api.fake.calls().pop().unwrap();
    for part in ["Builds", "run.*", "job.completed", "3, 9", "x-a", "a == 1", "send_traceparent: true"] {
        assert!(call.contains(part), "{part}: {call}");
    }
}

#[tokio::test]
async fn mistakes_stand_beside_their_fields_and_nothing_written_is_lost() {
    let browser = Browser::signed_in("admin").await;
    let fields =
        [("name", "Builds"), ("url", "ftp://x"), ("type", "generic"), ("allow_insecure", "yes"), ("filter", "a == 1")];
    browser.post("/webhooks/new", &fields).await.ok(422).shows(&[
        "Must be https.",
        "Has no host.",
        "id=\"url-error\"",
        "aria-describedby=\"url-hint url-error\"",
        "id=\"events-error\"",
        "value=\"ftp://x\"",
        "value=\"Builds\"",
        "a == 1",
    ]);
    let page = browser.post("/webhooks/new", &[&NEW[..], &[("headers", "topsecret")]].concat()).await.ok(422);
    page.shows(&["Line 1 is not of the form"]);
    browser.post("/webhooks/new", &[&NEW[..], &[("other_projects", "x")]].concat()).await.ok(422);
    // What the fake refuses it refuses altogether, the projects of the form included.
    for (token, title) in [("later-plan", "Plan required"), ("later-forbidden", "Not permitted")] {
        let browser = Browser::signed_in_later(token).await;
        browser.post("/webhooks/new", &NEW).await.ok(403).shows(&[title, "Because the test says so."]);
    }
}

#[tokio::test]
async fn a_webhook_is_changed_if_nobody_else_has_changed_it() {
    let browser = Browser::signed_in("admin").await;
    let scope = ("scope", "all");
    let changed = [&NEW[..], &[scope, ("version", "12")]].concat();
    browser.post("/webhooks/7", &changed).await.leads_to("/webhooks/7?done=saved");
    let call = browser.api.fake.calls().pop().unwrap();
    // A box that is not ticked is not sent.
    for part in ["12", "Builds", "send_traceparent: Some(false)"] {
        assert!(call.contains(part), "{part}: {call}");
    }
    let page = browser.post("/webhooks/7", &[&NEW[..], &[scope, ("version", "11")]].concat()).await.ok(422);
    page.shows(&["was changed since you opened this page", "name=\"version\" value=\"12\"", "value=\"Builds\""]);
}

#[tokio::test]
async fn what_is_done_with_a_webhook_is_done() {
    let browser = Browser::signed_in("admin").await;
    let test = format!("/deliveries/{DELIVERY}?done=test");
    for (path, to, call) in [
        ("/webhooks/7/activate", "/webhooks/7?done=activated", "ActivateWebhookRequest { id: 7, if_version: None }"),
        (
            "/webhooks/7/deactivate",
            "/webhooks/7?done=deactivated",
            "DeactivateWebhookRequest { id: 7, if_version: None }",
        ),
        ("/webhooks/7/delete", "/?done=deleted", "DeleteWebhookRequest { id: 7, if_version: None }"),
        ("/webhooks/7/test", test.as_str(), "TestWebhookRequest { id: 7 }"),
        ("/tokens/3/revoke", "/tokens?done=revoked", "RevokeTokenRequest { id: 3 }"),
    ] {
        browser.post(path, &[]).await.leads_to(to);
        assert_eq!(browser.api.fake.calls(), [call]);
    }
    let page = browser.post("/webhooks/7/secret", &[("overlap_hours", "24")]).await.ok(200);
    page.shows(&["whsec_new", "goes on signing beside the new one until"]);
    assert_eq!(browser.api.fake.calls(), ["RegenerateSecretRequest { id: 7, overlap_hours: 24, if_version: None }"]);
    let retry = format!("/deliveries/{DELIVERY}/retry");
    browser.post(&retry, &[]).await.leads_to(&format!("/deliveries/{DELIVERY}?done=retried"));
    let conflict = Browser::signed_in_later("later-conflict").await;
    conflict.post(&retry, &[]).await.ok(409).shows(&["Not possible now", "Because the test says so."]);
}

#[tokio::test]
async fn a_replay_is_counted_first() {
    let browser = Browser::signed_in("admin").await;
    let fields = [("from", "2026-11-23T08:15"), ("to", ""), ("event", "")];
    let page = browser.post("/webhooks/7/replays/count", &fields).await.ok(200);
    page.shows(&["5 deliveries would be tried again", "Start replay", "value=\"2026-11-23T08:15:00\""]);
    assert!(!browser.api.fake.calls().iter().any(|call| call.starts_with("StartReplay")));
    let path = format!("/webhooks/7/replays/{REPLAY}");
    browser.post("/webhooks/7/replays", &fields).await.leads_to(&path);
    browser.post(&format!("{path}/cancel"), &[]).await.leads_to(&format!("{path}?done=cancelled"));
    browser.post("/webhooks/7/replays/count", &[("from", "")]).await.ok(422).shows(&["Say from when on."]);
    browser.post("/webhooks/7/replays/count", &[("from", "x")]).await.ok(422);
    let none = [("from", "2026-11-23T08:15"), ("event", "run.created")];
    let page = browser.post("/webhooks/7/replays/count", &none).await.ok(200);
    page.shows(&["0 deliveries"]).lacks(&["Start replay"]);
}

#[tokio::test]
async fn an_event_is_explained_in_each_way() {
    let browser = Browser::signed_in("admin").await;
    for fields in [
        &[("way", "past"), ("event_id", EVENT)][..],
        &[("way", "sample"), ("event", "run.completed"), ("project", "3")],
        &[("way", "pasted"), ("payload", "{\"event\":\"run.completed\"}")],
    ] {
        let page = browser.post("/webhooks/7/explain", fields).await.ok(200);
        page.shows(&["Does not pass", "Why filter.", "a == 1", "Nothing stands there".to_lowercase().as_str()]);
    }
    let page = browser.post("/webhooks/7/explain", &[("way", "past"), ("event_id", EVENT)]).await;
    page.shows(&["The delivery that was made of this event"]);
    browser.post("/webhooks/7/explain", &[("way", "past"), ("event_id", "x")]).await.ok(422).shows(&["is a UUID"]);
    browser.post("/webhooks/7/explain", &[("way", "sample"), ("project", "x")]).await.ok(422);
}

#[tokio::test]
async fn a_token_is_shown_once() {
    let browser = Browser::signed_in("admin").await;
    let fields = [("name", "ci"), ("role", "project_admin"), ("projects", "1, 2"), ("expires_at", "2027-01-01T00:00")];
    browser.post("/tokens", &fields).await.ok(201).shows(&["tmw_abcdef", "shown only once"]);
    let call = browser.api.fake.calls().pop().unwrap();
    assert!(call.contains("projects: [1, 2]") && call.contains("all_instances: false"), "{call}");
    browser
        .post("/tokens", &[("name", "ci"), ("projects", "one")])
        .await
        .ok(422)
        .shows(&["is no project id", "value=\"ci\""]);
}
