//! The OpenAPI document and the page made from it: whole, in step with the router, and the same as the one that is
//! checked in.
//!
//! After a change that is meant, write the new one with `UPDATE_OPENAPI=1 cargo test -p gateway document`.

use std::{collections::BTreeSet, convert::Infallible, fs, path::Path};

use axum::{body::Body, http::StatusCode};
use domain::EventType;
use gateway::{Catalogue, Services};
use payload::{render_generic, sample};
use proto::channel::LocalServices;
use serde_json::Value;

use crate::{
    conformance::operation,
    fake::REPLAY,
    schema_check::{Unknown, mistakes},
    support::{Answer, Api, sessions},
};

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

fn with_samples(catalogue: Catalogue) -> Api {
    let local = LocalServices::default();
    Api::over(Services { webhooks: local.channel(), history: local.channel(), catalogue, sessions: sessions() })
}

/// Without a token.
async fn get(api: &Api, path: &str) -> Answer {
    api.answer(api.request("GET", path).body(Body::empty()).unwrap()).await.ok(200)
}

/// As the program serves it.
async fn served() -> Value {
    let catalogue = Catalogue::new(|kind: EventType| render_generic(&sample(kind), false)).unwrap();
    get(&with_samples(catalogue), "/openapi.json").await.json
}

/// Every operation: method, path, what is said of it.
fn operations(document: &Value) -> Vec<(String, &String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item)| members(item).map(move |(method, about)| (method.to_uppercase(), path, about));
    paths.iter().flat_map(of_path).collect()
}

/// A path with ids of what exists.
fn addressed(path: &str) -> String {
    path.replace("{id}", "7").replace("{replay_id}", REPLAY)
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// Every value within, with the names that lead to it.
fn walk<'a>(value: &'a Value, place: &str, visit: &mut dyn FnMut(&str, &'a Value)) {
    visit(place, value);
    for (name, member) in members(value) {
        walk(member, &format!("{place}/{name}"), visit);
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        walk(item, &format!("{place}/{index}"), visit);
    }
}

#[tokio::test]
async fn the_document_is_the_one_that_is_checked_in() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let text = format!("{:#}\n", served().await);
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let checked_in = fs::read_to_string(&path).unwrap_or_default();
    let line = text.lines().zip(checked_in.lines()).position(|(now, then)| now != then);
    assert!(
        text == checked_in,
        "docs/openapi.json is another document, from line {line:?} (counted from 0) on; if that is meant: \
         UPDATE_OPENAPI=1 cargo test -p gateway document"
    );
}

#[tokio::test]
async fn router_and_document_have_the_same_routes() {
    let api = Api::new();
    let document = api.document().await;
    let mut found = 0;
    for (path, _) in members(&document["paths"]) {
        let address = addressed(path);
        for method in METHODS {
            let documented = operation(document, method, &address).is_some();
            let answer = api.send("admin", method, &address, None).await;
            assert_eq!(answer.status != 405, documented, "{method} {path}");
            found += usize::from(documented);
        }
    }
    assert_eq!((found, operations(document).len()), (32, 32));
}

#[tokio::test]
async fn every_operation_is_described() {
    let document = served().await;
    let tags: Vec<&Value> = document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    let mut names = BTreeSet::new();
    for (method, path, about) in operations(&document) {
        let what = format!("{method} {path}");
        assert!(names.insert(about["operationId"].as_str().unwrap()), "{what}: its operationId comes twice");
        assert!(!about["summary"].as_str().unwrap().is_empty(), "{what}");
        assert!(tags.contains(&&about["tags"][0]), "{what}");
        let parameters = about["parameters"].as_array().cloned().unwrap_or_default();
        let in_path: Vec<_> = parameters.iter().filter(|parameter| parameter["in"] == "path").collect();
        assert_eq!(in_path.len(), path.matches('{').count(), "{what}");
        for parameter in &parameters {
            assert!(parameter["description"].is_string() && !parameter["example"].is_null(), "{what}: {parameter}");
        }
        let open = about["security"] == serde_json::json!([]);
        for status in ["401", "403", "429", "503"] {
            assert_eq!(about["responses"].get(status).is_none(), open, "{what}: {status}");
        }
        let names_an_object =
            parameters.iter().any(|parameter| parameter["in"] == "path" || parameter["name"] == "webhook");
        assert_eq!(about["responses"].get("404").is_some(), names_an_object, "{what}");
        for (status, response) in members(&about["responses"]) {
            let shown = members(&response["content"]).all(|(_, content)| !content["example"].is_null());
            assert!(shown, "{what} {status} has no example");
        }
        for (_, content) in members(&about["requestBody"]["content"]) {
            assert!(members(&content["examples"]).count() > 0, "{what} has no example of its body");
        }
    }
}

#[tokio::test]
async fn references_lead_somewhere_and_components_are_used() {
    let document = served().await;
    let mut used = BTreeSet::new();
    walk(&document, "", &mut |place, value| {
        if let (true, Some(target)) = (place.ends_with("/$ref"), value.as_str()) {
            assert!(document.pointer(&target[1..]).is_some(), "{target} at {place} leads nowhere");
            used.insert(target.to_owned());
        }
    });
    for kind in ["schemas", "responses", "parameters"] {
        for (name, _) in members(&document["components"][kind]) {
            // What answers requests that are no operation.
            let apart = name == "MethodNotAllowed";
            assert!(apart || used.contains(&format!("#/components/{kind}/{name}")), "nothing uses {kind} {name}");
        }
    }
}

#[tokio::test]
async fn examples_keep_their_schemas() {
    let document = served().await;
    let mut seen = 0;
    walk(&document, "", &mut |place, value| {
        let Some(schema) = value.get("schema") else { return };
        let examples = members(value.get("examples").unwrap_or(&Value::Null)).map(|(_, example)| &example["value"]);
        for example in examples.chain(value.get("example")) {
            let found = mistakes(&document, schema, example, Unknown::Refused);
            assert!(found.is_empty() || place.contains("openapi.json"), "{place}: {found:#?}");
            seen += 1;
        }
    });
    assert!(seen > 80, "{seen}");
}

#[tokio::test]
async fn every_type_of_event_is_documented_by_its_sample() {
    let document = served().await;
    let names: Vec<&String> = members(&document["webhooks"]).map(|(name, _)| name).collect();
    let mut expected: Vec<&str> = EventType::ALL.iter().map(|event| event.name()).collect();
    expected.sort_unstable();
    assert_eq!(names, expected);
    for (event, entry) in members(&document["webhooks"]) {
        let content = &entry["post"]["requestBody"]["content"]["application/json"];
        assert_eq!(content["example"]["event"], event.as_str());
        // That it keeps its schema is held above; that the schema says anything, here.
        for (name, value) in [("event", Value::from("run.exploded")), ("data", Value::from(1)), ("id", Value::from(1))]
        {
            let mut wrong = content["example"].clone();
            wrong[name] = value;
            assert!(!mistakes(&document, &content["schema"], &wrong, Unknown::Permitted).is_empty(), "{event} {name}");
        }
        let mut bare = content["example"].clone();
        bare["data"] = serde_json::json!({});
        assert!(!mistakes(&document, &content["schema"], &bare, Unknown::Permitted).is_empty(), "{event}");
        assert_eq!(entry["post"]["parameters"].as_array().unwrap().len(), 9);
    }
    let run = &document["components"]["schemas"]["Run"];
    assert_eq!(run["description"], "A test run.");
    assert_eq!(run["properties"]["status24_count"]["description"], "Tests whose status has the id 24.");
    assert_eq!(
        document["components"]["schemas"]["RunCompleted"]["properties"]["result"]["enum"],
        serde_json::json!(["passed", "failed"])
    );
}

#[tokio::test]
async fn examples_of_requests_are_accepted() {
    let api = Api::new();
    for (method, path, about) in operations(api.document().await) {
        for (name, example) in members(&about["requestBody"]["content"]["application/json"]["examples"]) {
            let answer = api.send("admin", &method, &addressed(path), Some(&example["value"].to_string())).await;
            assert!(answer.status < 300, "{method} {path} {name}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn the_page_shows_everything_and_asks_for_nothing() {
    let evil = "</pre><script>alert(1)</script><img src=x onerror=alert(1)>\"'";
    let catalogue = Catalogue::new(|kind| {
        Ok::<_, Infallible>(serde_json::json!({"event": kind.name(), "x": evil}).to_string().into_bytes())
    });
    let api = with_samples(catalogue.unwrap());
    let page = get(&api, "/docs").await;
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'self';") && !policy.contains("unsafe"), "{policy}");
    for (method, path, about) in operations(&served().await) {
        for part in
            [format!("id=\"{}\"", about["operationId"].as_str().unwrap()), format!("{method}</b> <code>{path}</code>")]
        {
            assert!(page.text.contains(&part), "{part}");
        }
    }
    for event in EventType::ALL {
        assert!(page.text.contains(&format!("id=\"event-{event}\"")), "{event}");
    }
    assert!(page.text.contains("&lt;script&gt;alert(1)"), "the samples are there");
    for tag in page.text.split('<').skip(1).filter_map(|rest| rest.split('>').next()) {
        let element = tag.split_whitespace().next().unwrap_or_default();
        assert!(!["script", "img", "style", "iframe", "object", "form"].contains(&element), "<{tag}>");
        for forbidden in [" src=", " style=", " on", "href=\"http", "href=\"/", "url("] {
            assert!(!tag.contains(forbidden), "<{tag}>");
        }
    }
    let targets: BTreeSet<&str> = page.text.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    for link in page.text.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(targets.contains(link), "#{link} leads nowhere");
    }
    let style = get(&api, "/docs.css").await;
    assert!(style.text.contains("prefers-color-scheme: dark") && !style.text.contains("url("));
    assert_eq!(style.headers["content-type"], "text/css; charset=utf-8");
    let refused = api.answer(api.request("GET", "/docs?x=1").body(Body::empty()).unwrap()).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY.as_u16());
}
