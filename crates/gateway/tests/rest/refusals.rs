//! What every route refuses: a table of routes, and what is wrong with requests to them.

use axum::{body::Body, http::header};
use serde_json::json;

use crate::{
    fake::{DELIVERY, REPLAY as ONE},
    support::Api,
};

/// Method, path with a place for an id, an id that exists, a body that fits.
type Route = (&'static str, &'static str, &'static str, Option<&'static str>);

const WEBHOOK: &str = r#"{"name":"a","url":"https://a.example","type":"generic","events":["run.created"]}"#;
const TOKEN: &str = r#"{"name":"a","role":"member"}"#;

const SAMPLE: &str = r#"{"event":"run.created"}"#;

const REPLAY: &str = r#"{"from":"2026-11-23T08:15:00Z"}"#;

const ROUTES: [Route; 26] = [
    ("GET", "/webhooks", "", None),
    ("POST", "/webhooks", "", Some(WEBHOOK)),
    ("GET", "/webhooks/ID", "7", None),
    ("PATCH", "/webhooks/ID", "7", Some("{}")),
    ("DELETE", "/webhooks/ID", "7", None),
    ("POST", "/webhooks/ID/secret", "7", None),
    ("POST", "/webhooks/ID/explain", "7", Some(SAMPLE)),
    ("POST", "/webhooks/ID/test", "7", None),
    ("POST", "/webhooks/deliveries/ID/retry", DELIVERY, None),
    ("GET", "/webhooks/ID/changes", "7", None),
    ("GET", "/projects", "", None),
    ("POST", "/webhooks/ID/activate", "7", None),
    ("POST", "/webhooks/ID/deactivate", "7", None),
    ("GET", "/webhooks/ID/deliveries", "7", None),
    ("GET", "/webhooks/ID/stats", "7", None),
    ("GET", "/webhooks/deliveries", "", None),
    ("GET", "/webhooks/deliveries/export", "", None),
    ("GET", "/webhooks/deliveries/ID", DELIVERY, None),
    ("GET", "/webhooks/events", "", None),
    ("POST", "/webhooks/ID/replay", "7", Some(REPLAY)),
    ("GET", "/webhooks/ID/replays", "7", None),
    ("GET", "/webhooks/7/replays/ID", ONE, None),
    ("DELETE", "/webhooks/7/replays/ID", ONE, None),
    ("GET", "/tokens", "", None),
    ("POST", "/tokens", "", Some(TOKEN)),
    ("DELETE", "/tokens/ID", "7", None),
];

fn path(route: &Route) -> String {
    route.1.replace("ID", route.2)
}

#[tokio::test]
async fn every_route_answers_and_wants_a_token() {
    let api = Api::new();
    for route in &ROUTES {
        let path = path(route);
        assert!(api.send("admin", route.0, &path, route.3).await.status < 300, "{route:?}");
        for authorization in [
            &[][..],
            &[""],
            &["admin"],
            &["Bearer"],
            &["Bearer  "],
            &["Basic admin"],
            &["Bearer admin", "Bearer admin"],
            &["Bearer \u{e9}"],
        ] {
            api.fake.calls();
            // All else is bad as well: who may not come in is not told what is wrong.
            let mut request = api.request(route.0, &format!("{}?colour=1", route.1));
            for value in authorization {
                request = request.header(header::AUTHORIZATION, *value);
            }
            let answer = api.answer(request.body(Body::from("{")).unwrap()).await;
            let answer = answer.refused(401, "unauthenticated", &[]);
            assert_eq!(answer.headers["www-authenticate"], "Bearer", "{route:?}");
            assert!(api.fake.calls().is_empty(), "{route:?}");
        }
    }
    let request = api.request("GET", "/webhooks").header(header::AUTHORIZATION, "bearer   admin");
    api.answer(request.body(Body::empty()).unwrap()).await.ok(200);
}

#[tokio::test]
async fn token_and_role_come_before_all_else() {
    let api = Api::new();
    let role = "use a token of role system_admin or project_admin";
    for route in &ROUTES {
        for (token, status, code, text) in [
            ("nobody", 401, "unauthenticated", "because the test says so"),
            ("member", 403, "forbidden", "ask a system_admin for a token of role project_admin or system_admin"),
            ("publisher", 403, "forbidden", "publishes over gRPC"),
            ("publisher", 403, "forbidden", role),
            ("king", 403, "forbidden", role),
        ] {
            // The id is none, the parameter unknown, the content type missing, and the body not even there.
            let unread = futures::stream::poll_fn(|_| -> std::task::Poll<Option<Result<Vec<u8>, std::io::Error>>> {
                panic!("the body is read")
            });
            let request = api.request(route.0, &format!("{}?colour=1", route.1));
            let request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
            let answer = api.answer(request.body(Body::from_stream(unread)).unwrap()).await;
            let answer = answer.refused(status, code, &[]);
            assert!(answer.json["message"].as_str().unwrap().contains(text), "{route:?}: {}", answer.text);
            assert!(api.fake.calls().is_empty(), "{route:?}");
        }
        let status = api.send("project_admin", route.0, &path(route), route.3).await.status;
        assert_eq!(status == 403, is_for_system_admins(route.1), "{route:?} answers {status}");
        assert!(status < 300 || status == 403, "{route:?} answers {status}");
        assert!(api.send("admin", route.0, &path(route), route.3).await.status < 300, "{route:?}");
        api.fake.calls();
    }
}

fn is_for_system_admins(path: &str) -> bool {
    matches!(path, "/webhooks/deliveries" | "/webhooks/deliveries/export") || path.starts_with("/tokens")
}

#[tokio::test]
async fn what_the_services_say_becomes_a_status() {
    // A conflict where there can be none is not documented either.
    let api = Api::undocumented();
    for route in &ROUTES {
        for (token, status, code) in [
            ("nobody", 401, "unauthenticated"),
            ("forbidden", 403, "forbidden"),
            ("plan", 403, "plan_required"),
            ("conflict", 409, "conflict"),
            ("limited", 429, "rate_limited"),
            ("broken", 500, "internal"),
            ("old", 500, "internal"),
            ("panic", 500, "internal"),
            ("down", 503, "unavailable"),
        ] {
            for token in [token.to_owned(), format!("later-{token}")] {
                let answer = api.send(&token, route.0, &path(route), route.3).await;
                if route.1 == "/webhooks/events" && token.starts_with("later-") {
                    // The gateway has it itself: nobody is asked once it is known who calls.
                    assert_eq!(answer.status, 200, "{token}");
                    continue;
                }
                let answer = answer.refused(status, code, &[]);
                assert_eq!(answer.headers.contains_key("www-authenticate"), status == 401, "{route:?}");
                let retry_after = answer.headers.get("retry-after").map(|value| value.to_str().unwrap());
                assert_eq!(retry_after, (status == 503).then_some("1"), "{route:?}");
                assert!(!answer.text.contains("10.1.2.3") && !answer.text.contains("hash"), "{}", answer.text);
            }
        }
    }
}

#[tokio::test]
async fn unknown_parameters_are_named() {
    let api = Api::new();
    for route in &ROUTES {
        let path = path(route);
        let answer = api.send("admin", route.0, &format!("{path}?colour=1&per_page2=3"), route.3).await;
        let answer = answer.refused(422, "validation_failed", &["colour", "per_page2"]);
        let text = answer.json["errors"]["colour"][0].as_str().unwrap().to_owned();
        let known = match (route.0, route.1) {
            ("GET", "/webhooks") => "known are page, per_page, active, type, project, q",
            ("GET", "/tokens" | "/projects" | "/webhooks/ID/changes" | "/webhooks/ID/replays") => {
                "known are page, per_page"
            }
            ("POST", "/webhooks") | ("PATCH", _) => "known are validate_only",
            ("GET", "/webhooks/ID/stats") => "known are from, to, interval",
            ("GET", "/webhooks/deliveries/export") => {
                "known are format, webhook, status, event, from, to, test, cursor"
            }
            ("GET", "/webhooks/deliveries" | "/webhooks/ID/deliveries") => {
                "known are status, event, from, to, test, per_page, cursor"
            }
            _ => "none is taken here",
        };
        assert_eq!(text, format!("unknown query parameter; {known}"), "{route:?}");
    }
    assert!(api.fake.calls().is_empty());
}

#[tokio::test]
async fn parameters_have_their_values() {
    let api = Api::new();
    for (query, fields) in [
        ("page=0", &["page"][..]),
        ("page=-1", &["page"]),
        ("page=x", &["page"]),
        ("page=", &["page"]),
        ("page=2147483648", &["page"]),
        ("page=1&page=2", &["page"]),
        ("per_page=0", &["per_page"]),
        ("per_page=16", &["per_page"]),
        ("per_page=100.0", &["per_page"]),
        ("per_page=99999999999", &["per_page"]),
        ("page=0&per_page=1&x", &["page", "per_page", "x"]),
        ("%FF=1", &["\u{fffd}"]),
    ] {
        for path in ["/webhooks", "/tokens", "/projects", "/webhooks/7/changes"] {
            api.get(&format!("{path}?{query}")).await.refused(422, "validation_failed", fields);
        }
    }
    for (query, fields) in [
        ("active=yes", &["active"][..]),
        ("active=", &["active"]),
        ("active=TRUE", &["active"]),
        ("type=email", &["type"]),
        ("type=", &["type"]),
        ("project=0", &["project"]),
        ("project=-1", &["project"]),
        ("project=1.0", &["project"]),
        ("project=9223372036854775808", &["project"]),
        ("q=%00", &["q"]),
        ("q=%15", &["q"]),
        ("q=%C2%85", &["q"]),
        ("q=a&q=b", &["q"]),
        ("active=1&type=x&project=y&page=0", &["active", "page", "project", "type"]),
    ] {
        api.get(&format!("/webhooks?{query}")).await.refused(422, "validation_failed", fields);
    }
    api.get(&format!("/webhooks?q={}", "x".repeat(256))).await.refused(422, "validation_failed", &["q"]);
    for path in ["/webhooks", "/webhooks/7"] {
        let method = if path == "/webhooks" { "POST" } else { "PATCH" };
        let answer = api.send("admin", method, &format!("{path}?validate_only=1"), Some(WEBHOOK)).await;
        answer.refused(422, "validation_failed", &["validate_only"]);
    }
    for (query, fields) in [
        ("status=done", &["status"][..]),
        ("status=", &["status"]),
        ("status=Failed", &["status"]),
        ("event=", &["event"]),
        ("event=run.*", &["event"]),
        ("from=yesterday&to=2026-11-23", &["from", "to"]),
        ("from=2026-11-23T08:00:00%2B0100", &["from"]),
        ("test=1", &["test"]),
        ("page=1", &["page"]),
        ("per_page=-15&cursor=a&cursor=b", &["cursor", "per_page"]),
    ] {
        for path in ["/webhooks/deliveries", "/webhooks/7/deliveries"] {
            api.get(&format!("{path}?{query}")).await.refused(422, "validation_failed", fields);
        }
    }
    assert!(api.fake.calls().is_empty());
}

#[tokio::test]
async fn ids_that_are_none_do_not_exist() {
    let api = Api::new();
    for route in ROUTES.iter().filter(|route| !route.2.is_empty()) {
        for id in ["0", "-1", "+7", "07", "7.0", "x", "%20", "%FF", "9223372036854775808", "7%2F7", "null"] {
            let path = route.1.replace("ID", id);
            api.send("admin", route.0, &path, route.3).await.refused(404, "not_found", &[]);
        }
        assert!(api.fake.calls().is_empty(), "{route:?}");
        if route.1 != "/webhooks/ID/deliveries" {
            let unknown = if [DELIVERY, ONE].contains(&route.2) {
                "0190a8f2-5b7e-7c1d-9a3e-000000000000"
            } else {
                "9223372036854775807"
            };
            api.send("admin", route.0, &route.1.replace("ID", unknown), route.3).await.refused(404, "not_found", &[]);
            assert_eq!(api.fake.calls().len(), 1, "{route:?}");
        }
    }
}

#[tokio::test]
async fn unknown_addresses_and_methods() {
    let api = Api::new();
    for path in ["", "/", "/webhook", "/webhooks/", "/webhooks/7/", "/webhooks/7/explode", "/tokens/7/x"] {
        for method in ["GET", "POST", "BREW"] {
            // Whoever asks: which addresses there are is no secret.
            for token in ["admin", "member", "nobody"] {
                api.send(token, method, path, None).await.refused(404, "not_found", &[]);
            }
        }
    }
    for (path, allowed) in [
        ("/webhooks", "GET,HEAD,POST"),
        ("/webhooks/7", "DELETE,GET,HEAD,PATCH"),
        ("/webhooks/7/activate", "POST"),
        ("/webhooks/7/deactivate", "POST"),
        ("/webhooks/7/deliveries", "GET,HEAD"),
        ("/webhooks/deliveries", "DELETE,GET,HEAD"),
        ("/webhooks/deliveries/7", "GET,HEAD"),
        ("/webhooks/events", "GET,HEAD"),
        ("/webhooks/7/secret", "POST"),
        ("/webhooks/7/explain", "POST"),
        ("/webhooks/7/changes", "GET,HEAD"),
        ("/projects", "GET,HEAD"),
        ("/openapi.json", "GET,HEAD"),
        ("/docs", "GET,HEAD"),
        ("/tokens", "GET,HEAD,POST"),
        ("/tokens/7", "DELETE"),
    ] {
        for method in ["PUT", "TRACE", "OPTIONS", "BREW"] {
            api.send("nobody", method, path, None).await.refused(405, "method_not_allowed", &[]);
            let answer = api.send("admin", method, path, None).await.refused(405, "method_not_allowed", &[]);
            let mut allow: Vec<_> = answer.headers["allow"].to_str().unwrap().split(',').collect();
            allow.sort_unstable();
            assert_eq!(allow.join(","), allowed, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn an_answer_without_its_object_is_a_fault() {
    for path in ["/webhooks/13", "/webhooks/13/changes"] {
        let answer = Api::new().get(path).await.refused(500, "internal", &[]);
        assert_eq!(answer.json["errors"], json!({}));
    }
}
