//! The guides in `docs/receivers` hold: the product takes every webhook and every condition that they show, and
//! delivers; every path into a payload leads somewhere in the samples; their YAML can be read; the relay to GitHub runs.
//!
//! Jenkins, GitHub, GitLab and Jira themselves are not here: what a guide says of them is not tested.

pub(crate) mod markdown;
mod paths;
mod relay;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use blackbox::{
    events, in_both_modes,
    product::{Mode, Product},
    receiver::Receiver,
    run_test, signature, webhooks,
};
use serde_json::{Value, json};
use url::Url;

in_both_modes!(webhooks_of_guides_deliver);

const GUIDES: [&str; 4] = ["jenkins", "github", "gitlab", "jira"];
const SOON: Duration = Duration::from_secs(20);

fn file(guide: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/receivers").join(format!("{guide}.md"))
}

fn page(guide: &str) -> String {
    fs::read_to_string(file(guide)).unwrap_or_else(|error| panic!("{}: {error}", file(guide).display()))
}

/// The webhook that a block of JSON is, if it is one.
fn as_webhook(block: &str) -> Option<Value> {
    let json: Value = serde_json::from_str(block).unwrap_or_else(|error| panic!("not JSON: {error}\n{block}"));
    json.get("events").is_some().then_some(json)
}

fn webhooks_of(guide: &str) -> Vec<Value> {
    let found: Vec<_> = markdown::blocks(&page(guide), "json").iter().filter_map(|block| as_webhook(block)).collect();
    assert!(!found.is_empty(), "{guide} shows no webhook");
    found
}

fn url_of(webhook: &Value) -> Url {
    let url = webhook["url"].as_str().unwrap_or_else(|| panic!("no URL in {webhook}"));
    Url::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// The webhook with the host and port of `place`: those of a guide are examples, and do not resolve.
fn moved(mut webhook: Value, place: &Url) -> Value {
    let mut url = url_of(&webhook);
    url.set_host(place.host_str()).expect("a host");
    url.set_port(place.port()).expect("a port");
    webhook["url"] = json!(url.as_str());
    webhook
}

#[test]
fn links_of_guides_lead_somewhere() {
    for guide in GUIDES {
        markdown::check_links(&file(guide));
    }
}

#[test]
fn yaml_of_guides_can_be_read() {
    let mut read = 0;
    for guide in GUIDES {
        for block in markdown::blocks(&page(guide), "yaml") {
            for event in saphyr_parser::Parser::new_from_str(&block) {
                event.unwrap_or_else(|error| panic!("{guide}: {error}\n{block}"));
            }
            read += 1;
        }
    }
    assert!(read >= 2, "only {read} blocks of YAML: there is a workflow for GitHub and a pipeline for GitLab");
}

#[test]
fn webhooks_conditions_and_paths_of_guides_hold() {
    run_test(async {
        let product = Product::start(Mode::Embedded).await;
        let rest = product.admin();
        let place = Url::parse("http://127.0.0.1:9").expect("a URL");
        let catalogue = rest.get("/api/v1/webhooks/events").await.json;
        for guide in GUIDES {
            for webhook in webhooks_of(guide) {
                let answer = rest.post("/api/v1/webhooks?validate_only=true", moved(webhook, &place)).await;
                assert_eq!(answer.status, 200, "{guide}: {}", answer.json);
            }
            for condition in markdown::conditions(&page(guide)) {
                markdown::check_condition(&rest, &condition).await;
            }
            paths::check(guide, &page(guide), &catalogue);
        }
        paths::check_jenkins_filter(&page("jenkins"), &catalogue);
    });
}

/// A failed run comes in at the path, and with the headers and the query, that each guide's first webhook says.
async fn webhooks_of_guides_deliver(mode: Mode) {
    let product = Product::start(mode).await;
    for guide in GUIDES {
        let receiver = Receiver::start().await;
        let place = Url::parse(&receiver.url("/")).expect("a URL");
        let mut webhook = moved(webhooks_of(guide).remove(0), &place);
        let mut url = url_of(&webhook);
        url.set_scheme("http").expect("another scheme of the web");
        webhook["url"] = json!(url.as_str());
        webhook["allow_insecure"] = json!(true);
        let hook = webhooks::create(&product.admin(), webhook.clone()).await;

        product.publisher().publish(events::run_completed(events::PROJECT, 1)).await.expect("an accepted event");
        let request = receiver.wait_for(url.path(), 1, SOON).await.remove(0);
        signature::verify(&request, &hook.secret);
        assert_eq!(request.query.as_deref(), url.query(), "{guide}");
        for (name, value) in webhook["headers"].as_object().into_iter().flatten() {
            assert_eq!(request.header(name), value.as_str(), "{guide}: {name}");
        }
        webhooks::delete(&product.admin(), hook.id).await;
    }
}
