//! Text that others wrote does nothing but stand there.

use super::browser::Browser;

const HOSTILE: &str = "\"><script>alert(1)</script><img src=x onerror=alert(1)>\u{202e}\u{1b}[31m";

#[tokio::test]
async fn what_was_typed_comes_back_as_text() {
    let mut browser = Browser::signed_in("admin").await;
    let fields = [
        ("name", HOSTILE),
        ("url", HOSTILE),
        ("type", HOSTILE),
        ("events", HOSTILE),
        ("headers", HOSTILE),
        ("filter", HOSTILE),
        ("other_projects", HOSTILE),
        ("version", HOSTILE),
        ("way", HOSTILE),
        ("event_id", HOSTILE),
        ("payload", HOSTILE),
        ("role", HOSTILE),
        ("projects", HOSTILE),
        ("from", HOSTILE),
        ("expires_at", HOSTILE),
    ];
    for path in ["/webhooks/new", "/webhooks/7", "/webhooks/7/explain", "/webhooks/7/replays/count", "/tokens"] {
        browser.post(path, &fields).await.lacks(&["<script>", "<img"]);
    }
    let query: String = HOSTILE.bytes().map(|byte| format!("%{byte:02X}")).collect();
    for path in [
        "/",
        "/webhooks/7/deliveries",
        "/deliveries",
        "/webhooks/7/explain",
        "/webhooks/7/changes",
        "/tokens",
        "/sign-in",
    ] {
        for name in ["q", "done", "status", "event", "from", "cursor", "event_id", "page", "next", "why"] {
            let page = browser.get(&format!("{path}?{name}={query}")).await.lacks(&["<script>", "<img"]);
            assert!(matches!(page.status, 200 | 422), "{path} {name}: {}", page.status);
        }
    }
    browser.get(&format!("/{query}")).await.ok(404).lacks(&["<script>", "<img"]);
}
