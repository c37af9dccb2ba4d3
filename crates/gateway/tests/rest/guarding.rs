//! What surrounds the routes: services that are not there, and a log without secrets.

use gateway::Services;
use proto::channel::{LocalServices, remote};
use tonic::transport::Endpoint;

use crate::support::{Api, catalogue, logged, sessions};

#[tokio::test]
async fn services_that_are_not_there_are_unavailable() {
    let nowhere = Endpoint::from_static("http://127.0.0.1:1").connect_lazy();
    let local = LocalServices::default();
    let api = Api::over(Services {
        webhooks: remote(nowhere.clone()),
        history: local.channel(),
        catalogue: catalogue(),
        sessions: sessions(),
    });
    for path in ["/webhooks", "/webhooks/7", "/webhooks/events", "/tokens", "/webhooks/deliveries"] {
        // Again and again: the first failure must not change what comes after.
        for _ in 0..2 {
            let answer = api.get(path).await.refused(503, "unavailable", &[]);
            assert_eq!(answer.headers["retry-after"], "1", "{path}");
        }
    }
}

#[tokio::test]
async fn the_log_tells_routes_and_statuses_but_no_secrets() {
    let api = Api::new();
    let body = r#"{"name":"topsecret-name","url":"https://a.example/topsecret-path","type":"slack","events":[]}"#;
    api.send("admin", "POST", "/webhooks?x=topsecret-query", Some(body)).await.ok(422);
    api.send("admin", "POST", "/webhooks", Some(body)).await.ok(201);
    api.send("topsecret-token", "GET", "/webhooks/7/deliveries?cursor=topsecret-cursor", None).await.ok(401);
    api.send("admin", "GET", "/topsecret-path?x=topsecret-query", None).await.ok(404);
    api.send("broken", "GET", "/webhooks/7", None).await.ok(500);
    let text = logged();
    assert!(!text.contains("topsecret"), "{text}");
    for expected in [
        "http.route=\"/api/v1/webhooks\"",
        "http.route=\"/api/v1/webhooks/{id}/deliveries\"",
        "http.response.status_code=422",
        "http.response.status_code=201",
        "http.response.status_code=401",
        "http.response.status_code=404",
        "no column `hash`",
    ] {
        assert!(text.contains(expected), "{expected} is not in {text}");
    }
}
