//! The OpenAPI document holds: a stock validator accepts it, and a stock fuzzer that it drives finds nothing that it does
//! not say. What the fuzzer checks, and what not and why, is in `tests/python/schemathesis.toml`.

use std::{fs, path::Path, process::Command, time::Duration};

use blackbox::{
    events, history, in_both_modes, jwt,
    product::{Mode, Product},
    random,
    receiver::Receiver,
    rest::Rest,
    run, webhooks,
};
use serde_json::{Value, json};

use super::stock_tools::{output, python, scripts_folder};

in_both_modes!(the_document_is_valid_and_kept);

const SOON: Duration = Duration::from_secs(30);

async fn the_document_is_valid_and_kept(mode: Mode) {
    let secret = random::hex40();
    let product = Product::prepare(mode).set("auth.jwt_key_file", &jwt::key_file(&secret)).start().await;
    let (admin, receiver) = (product.admin(), Receiver::start().await);
    let delivery = make_state(&product, &receiver).await;

    let folder = run::folder("openapi");
    let document = admin.get("/api/v1/openapi.json").await;
    assert_eq!(document.status, 200, "{}", document.json);
    fs::write(folder.join("openapi.json"), &document.bytes).expect("a new file");
    let mut validator = python(&folder);
    validator.args(["-m", "openapi_spec_validator", "openapi.json"]);
    output(validator, "the validator of OpenAPI documents").await;

    let real = json!({"url": receiver.url("/example"), "delivery": delivery});
    // The fuzzer revokes tokens; a JWT is none of those that it can.
    let token = jwt::hs256(&secret, &claims());
    let report = output(fuzzer(&folder, &admin, &token, &real), "the fuzzer").await;
    println!("{report}");
    let operations = document.json["paths"].as_object().expect("paths").values();
    let operations: usize = operations.map(|path| path.as_object().map_or(0, serde_json::Map::len)).sum();
    assert!(report.contains(&format!("Tested: {operations}")), "not all {operations} operations:\n{report}");
}

/// Webhooks of every type, on and off, deliveries that arrived and that failed, and tokens; the id of a delivery.
///
/// There are as many as the small ids in the document's examples need.
async fn make_state(product: &Product, receiver: &Receiver) -> String {
    let admin = product.admin();
    let body = |path: &str| webhooks::generic(&receiver.url(path));
    receiver.script("/refuses", 404);
    let failing = webhooks::create(&admin, body("/refuses")).await.id;
    for kind in ["slack", "teams", "discord"] {
        let url = format!("https://{}/chat", receiver.address());
        let body = json!({"name": kind, "url": url, "type": kind, "events": ["milestone.*"], "projects": null});
        webhooks::create(&admin, body).await;
    }
    let inactive = webhooks::create(&admin, body("/in")).await.id;
    webhooks::act(&admin, inactive, "deactivate").await;
    let rotated = webhooks::create(&admin, body("/in")).await.id;
    let overlap = json!({"overlap_hours": 24});
    let _shown_once = admin.post(&format!("/api/v1/webhooks/{rotated}/secret"), overlap).await.expect(200);
    let mut full = body("/full");
    full["headers"] = json!({"x-api-key": "of the receiver"});
    full["filter"] = json!(["data.result == failed"]);
    full["projects"] = json!([events::PROJECT, 2]);
    let full = webhooks::create(&admin, full).await.id;
    for (name, role) in [("reader", "member"), ("core", "publisher"), ("operator", "system_admin")] {
        let _shown_once = admin.post("/api/v1/tokens", json!({"name": name, "role": role})).await.expect(201);
    }

    product.publisher().publish(events::run_completed(events::PROJECT, 1)).await.expect("an accepted event");
    let requests = [receiver.wait_for("/full", 1, SOON).await, receiver.wait_for("/refuses", 1, SOON).await].concat();
    for request in &requests {
        let status = if request.path == "/full" { "delivered" } else { "failed" };
        history::wait_for_status(&admin, request.expect_header("x-testmo-delivery"), status, SOON).await;
    }
    for webhook in [failing, full] {
        assert_eq!(history::page(&admin, webhook, "").await.len(), 1);
    }
    requests[0].expect_header("x-testmo-delivery").to_owned()
}

fn claims() -> Value {
    json!({"sub": "fuzzer@acme.example", "instance": "default", "role": "system_admin", "exp": jwt::in_seconds(3_600)})
}

/// Schemathesis with `openapi.json` of the folder; given its URL it would leave out the operation that serves it.
fn fuzzer(folder: &Path, rest: &Rest, token: &str, real: &Value) -> Command {
    let mut command = python(folder);
    command.env("TOKEN", token).env("REAL", real.to_string()).env("PYTHONPATH", scripts_folder());
    command.args(["-m", "schemathesis.cli", "--no-color", "--config-file"]);
    command.arg(scripts_folder().join("schemathesis.toml"));
    command.args(["run", "openapi.json", "--url"]).arg(format!("http://{}/api/v1", rest.address()));
    command
}
