//! Entity tags and conditions.

use axum::{body::Body, http::header};

use crate::support::{Answer, Api};

/// What honours `If-Match`: method, path, body, status.
const CHANGES: [(&str, &str, &str, u16); 5] = [
    ("PATCH", "/webhooks/ID", "{}", 200),
    ("DELETE", "/webhooks/ID", "", 204),
    ("POST", "/webhooks/ID/activate", "", 200),
    ("POST", "/webhooks/ID/deactivate", "", 200),
    ("POST", "/webhooks/ID/secret", "", 200),
];

async fn send(
    api: &Api,
    (method, path, body, _): (&str, &str, &str, u16),
    id: &str,
    headers: &[(&str, &[u8])],
) -> Answer {
    let mut request = api.request(method, &path.replace("ID", id)).header(header::AUTHORIZATION, "Bearer admin");
    request = request.header(header::CONTENT_TYPE, "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    api.answer(request.body(Body::from(body.to_owned())).unwrap()).await
}

#[tokio::test]
async fn a_change_insists_on_the_version_that_it_was_made_for() {
    let api = Api::new();
    for change in CHANGES {
        for (lines, version, reads) in [
            (&["\"12\""][..], "Some(12)", 0),
            (&["*"], "None", 0),
            (&[], "None", 0),
            // Of several the service is asked for the one that the webhook has.
            (&["\"11\", \"12\""], "Some(12)", 1),
            (&["\"11\"", "\"12\", W/\"9\""], "Some(12)", 1),
            (&["\"other\", \"12\""], "Some(12)", 0),
        ] {
            api.fake.calls();
            let headers: Vec<(&str, &[u8])> = lines.iter().map(|line| ("if-match", line.as_bytes())).collect();
            send(&api, change, "7", &headers).await.ok(change.3);
            let calls = api.fake.calls();
            assert_eq!(calls.len(), reads + 1, "{change:?} {lines:?}: {calls:?}");
            assert!(calls[reads].contains(&format!("if_version: {version}")), "{change:?} {lines:?}: {calls:?}");
        }
    }
}

#[tokio::test]
async fn another_version_is_left_alone() {
    let api = Api::new();
    for change in CHANGES {
        for tag in ["\"11\"", "\"11\", \"13\""] {
            send(&api, change, "7", &[("if-match", tag.as_bytes())]).await.refused(412, "precondition_failed", &[]);
        }
        // None of these can be a strong tag of ours, so that the service is not asked for any change.
        for tag in [
            "W/\"12\"",
            "\"\"",
            "\"012\"",
            "\"+12\"",
            "\"12a\"",
            "\"0\"",
            "\"-12\"",
            "\"9223372036854775808\"",
            "\"\u{e9}\"",
        ] {
            api.fake.calls();
            let answer = send(&api, change, "7", &[("if-match", tag.as_bytes())]).await;
            answer.refused(412, "precondition_failed", &[]);
            assert_eq!(api.fake.calls(), ["GetWebhookRequest { id: 7 }"], "{change:?} {tag}");
        }
        // What is not there is not there, whatever the condition.
        for tag in ["\"11\"", "\"x\"", "\"1\", \"2\"", "*"] {
            send(&api, change, "41", &[("if-match", tag.as_bytes())]).await.refused(404, "not_found", &[]);
        }
    }
}

#[tokio::test]
async fn what_is_no_condition_is_malformed() {
    let api = Api::new();
    for bad in
        [&b"12"[..], b"", b"\"12", b"12\"", b"w/\"12\"", b"*, \"12\"", b"\"12\" \"13\"", b"\"1 2\"", b",", b"\xff"]
    {
        for change in CHANGES {
            send(&api, change, "7", &[("if-match", bad)]).await.refused(400, "malformed", &[]);
        }
        send(&api, ("GET", "/webhooks/ID", "", 200), "7", &[("if-none-match", bad)]).await.refused(
            400,
            "malformed",
            &[],
        );
    }
    send(&api, CHANGES[0], "7", &[("if-match", b"\"12\""), ("if-match", b"*")]).await.refused(400, "malformed", &[]);
    assert!(api.fake.calls().is_empty());
}

#[tokio::test]
async fn mistakes_in_the_request_come_before_conditions() {
    let api = Api::new();
    let change = ("PATCH", "/webhooks/ID", r#"{"name":1}"#, 422);
    send(&api, change, "7", &[("if-match", b"\"11\"")]).await.refused(422, "validation_failed", &["name"]);
    send(&api, change, "7", &[("if-match", b"\"x\"")]).await.refused(422, "validation_failed", &["name"]);
    assert!(api.fake.calls().is_empty());
}

#[tokio::test]
async fn who_has_the_version_is_not_sent_it_again() {
    let api = Api::new();
    let read = ("GET", "/webhooks/ID", "", 200);
    let whole = send(&api, read, "7", &[]).await.ok(200);
    assert_eq!(whole.headers["etag"], "\"12\"");
    for known in ["\"12\"", "W/\"12\"", "*", "\"1\", \"12\"", "\"x\",W/\"12\""] {
        let answer = send(&api, read, "7", &[("if-none-match", known.as_bytes())]).await.ok(304);
        assert_eq!((answer.text.as_str(), &answer.headers["etag"]), ("", &whole.headers["etag"]), "{known}");
    }
    for unknown in ["\"11\"", "\"x\"", "W/\"1\", \"012\""] {
        send(&api, read, "7", &[("if-none-match", unknown.as_bytes())]).await.ok(200);
    }
    send(&api, read, "41", &[("if-none-match", b"*")]).await.refused(404, "not_found", &[]);
}
