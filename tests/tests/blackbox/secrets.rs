//! The signing secret is shown once; and no secret is where it has no business, whatever is logged.

mod search;

use std::{fs, path::Path, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use blackbox::{
    events, history, in_both_modes, jwt,
    product::{Mode, Product},
    random,
    receiver::{Answer, Receiver},
    rest::Rest,
    servers,
    wait::eventually,
    webhooks,
};
use search::{Canaries, Place};
use serde_json::json;

in_both_modes!(a_secret_is_shown_once, a_secret_is_nowhere_else);

const SOON: Duration = Duration::from_secs(30);
/// All that any crate logs; the two are named because the product quietens them otherwise.
const EVERYTHING: &str = "trace,lapin=trace,opentelemetry=trace,opentelemetry_sdk=trace";
/// Files that are there to hold a secret.
const KEEPERS: [&str; 6] =
    ["admin.token", "publisher.token", "bootstrap.token", "services.token", "secrets.key", "secrets.key.old-"];

async fn a_secret_is_shown_once(mode: Mode) {
    let product = Product::start(mode).await;
    let rest = product.admin();
    let one = webhooks::create_generic(&rest, "http://127.0.0.1:9/in").await;
    let other = webhooks::create_generic(&rest, "http://127.0.0.1:9/in").await;
    assert_ne!(one.secret, other.secret);
    let key = BASE64_STANDARD.decode(one.secret.strip_prefix("whsec_").expect("whsec_…")).expect("base64");
    assert_eq!(key.len(), 32);

    let last_four = &one.secret[one.secret.len() - 4..];
    let shown = rest.get(&format!("/api/v1/webhooks/{}", one.id)).await.expect(200);
    let listed = rest.get("/api/v1/webhooks").await;
    let in_list = listed.json["result"].as_array().expect("a list").iter().find(|hook| hook["id"] == one.id).cloned();
    let deactivated = webhooks::act(&rest, one.id, "deactivate").await;
    for seen in [shown, in_list.expect("the webhook is listed"), deactivated] {
        let masked = seen["secret"].as_str().unwrap_or_else(|| panic!("no masked secret in {seen}"));
        assert!(masked.ends_with(last_four), "{masked} does not end with the last four characters");
        let body = one.secret.trim_start_matches("whsec_");
        let reveals = (0..body.len() - 8).any(|start| masked.contains(&body[start..start + 8]));
        assert!(!reveals, "{masked} shows more than it should of {}", one.secret);
    }
}

/// Every secret that the product handles, each a text that is found nowhere by chance.
async fn a_secret_is_nowhere_else(mode: Mode) {
    let mut canaries = Canaries::default();
    let jwt_key = canaries.text("the key of JWTs", random::key());
    let mut preparation = Product::prepare(mode)
        .set("log.filter", EVERYTHING)
        .set("auth.jwt_key_file", &jwt::key_file(&jwt_key))
        .set("delivery.retry_schedule", r#"["0s","1s","1h"]"#);
    if mode == Mode::Distributed {
        let mut database = servers::database().await;
        let password = canaries.text("the database's password", random::hex40());
        // The harness's own server asks for none.
        database.url = database.url.replacen("testmo@", &format!("testmo:{password}@"), 1);
        preparation = preparation.database(database);
    }
    let product = preparation.start().await;
    know_configured(&product, &mut canaries);
    let (rest, receiver) = (product.admin(), Receiver::start().await);
    receiver.script("/in", [Answer::status(500)]);
    let mut places = Vec::new();

    let id = manage_webhook(&rest, &receiver, &mut canaries, &mut places).await;
    use_tokens(&product, &jwt_key, &mut canaries, &mut places).await;
    let event = events::run_completed(1, 1);
    product.publisher().publish(event.clone()).await.expect("an accepted event");
    // The third attempt is an hour away: its message stays with the broker.
    let requests = receiver.wait_for("/in", 2, SOON).await;
    let delivery = requests[0].expect_header("x-testmo-delivery").to_owned();
    let sent = requests[1].expect_header("x-canary");
    assert!(canaries.holds(sent), "the receiver gets the header's value, not {sent}");
    eventually(SOON, "two attempts are recorded", async || {
        let shown = history::delivery(&rest, &delivery).await?;
        (shown.entries().iter().filter(|entry| entry.response_code() == Some(500)).count() == 2).then_some(())
    })
    .await;
    read_all(&product, &rest, id, &delivery, &mut places).await;
    run_commands(&product, &mut canaries, &mut places).await;

    let mut written = product.written().await;
    let is_keeper = |place: &str| {
        let name = Path::new(place).file_name().unwrap_or_default().to_string_lossy();
        KEEPERS.iter().any(|keeper| *name == **keeper || keeper.ends_with('-') && name.starts_with(keeper))
    };
    written.retain(|(place, _)| !is_keeper(place));
    search::assert_found(&written, &event.id, mode);
    places.extend(written);
    canaries.assert_nowhere(&places);
}

/// What the product was started with, or has made for itself.
fn know_configured(product: &Product, canaries: &mut Canaries) {
    canaries.text("the administrator's token", product.admin_token());
    canaries.text("the publisher's token", product.publisher_token());
    canaries.key_file(&product.key_file());
    if let Some(file) = product.setting(product.keeper(), "services.token_file") {
        canaries.text("the services' token", fs::read_to_string(file).expect("the services' token"));
    }
    if let Some(url) = product.setting(product.keeper(), "broker.url") {
        let url = url::Url::parse(url).expect("the address of the broker");
        canaries.text("the broker's password", url.password().expect("a password of this virtual host's own"));
    }
}

/// Everything that takes or gives a secret of a webhook; its id.
async fn manage_webhook(rest: &Rest, receiver: &Receiver, canaries: &mut Canaries, places: &mut Vec<Place>) -> i64 {
    let mut header = |what: &str| canaries.text(what, format!("{}+/ {}", random::hex40(), random::hex40()));
    let (first, second, beside_bad) =
        (header("a first header"), header("a second header"), header("a header in error"));
    let in_url = header("a password in a refused URL").replace("+/ ", "");
    let mut body = webhooks::generic(&receiver.url("/in"));
    body["headers"] = json!({"X-Canary": first});
    let hook = webhooks::create(rest, body.clone()).await;
    canaries.secret("the signing secret", &hook.secret);
    let path = format!("/api/v1/webhooks/{}", hook.id);

    let made = rest.post(&format!("{path}/secret"), json!({"overlap_hours": 24})).await.expect(200);
    canaries.secret("the new signing secret", made["secret"].as_str().expect("the new secret"));
    let mut answers = vec![rest.patch(&path, json!({"headers": {"X-Canary": second}})).await];
    for bad in [json!({"Host": "x"}), json!({"bad name": "x"}), json!({"X-Break": format!("{beside_bad}\r\nX: y")})] {
        let mut headers = bad;
        headers["X-Good"] = json!(beside_bad);
        answers.push(rest.patch(&path, json!({"headers": headers})).await);
        body["headers"] = headers;
        answers.push(rest.post("/api/v1/webhooks", body.clone()).await);
        assert_eq!(answers[answers.len() - 2].status, 422, "{}", answers[answers.len() - 2].json);
    }
    body["headers"] = json!([beside_bad]);
    answers.push(rest.post("/api/v1/webhooks", body.clone()).await);
    body["headers"] = json!({"X-Good": {"value": beside_bad}});
    answers.push(rest.post("/api/v1/webhooks", body.clone()).await);
    let cut = format!(r#"{{"name": "x", "headers": {{"X-Good": "{beside_bad}"#);
    answers.push(rest.post_raw("/api/v1/webhooks", "application/json", cut).await);
    let with_password = json!({"url": format!("https://ada:{in_url}@example.com/")});
    answers.push(rest.patch(&path, with_password).await);
    answers.push(rest.act(&format!("{path}/deactivate")).await);
    answers.push(rest.act(&format!("{path}/activate")).await);
    places.extend(answers.iter().map(|answer| search::answer("managing the webhook", answer)));
    hook.id
}

/// Callers of each kind, known and unknown.
async fn use_tokens(product: &Product, jwt_key: &str, canaries: &mut Canaries, places: &mut Vec<Place>) {
    let rest = product.admin();
    let made = rest.post("/api/v1/tokens", json!({"name": "second", "role": "system_admin"})).await.expect(201);
    let claims = json!({
        "sub": "ada@acme.example", "instance": "default", "role": "system_admin", "exp": jwt::in_seconds(600)
    });
    let (signed, forged) = (jwt::hs256(jwt_key, &claims), jwt::hs256("somebody else's key of 32 characters", &claims));
    let tokens = [
        ("a new token", made["token"].as_str().expect("the text of the token").to_owned(), 200),
        ("an unknown token", format!("tmwh_{}", random::hex40()), 401),
        ("a JWT", signed, 200),
        ("a JWT with a bad signature", forged, 401),
    ];
    for (what, token, status) in tokens {
        canaries.text(what, token.rsplit('.').next().expect("the signature, or all of it"));
        let answer = rest.with_token(Some(&token)).get("/api/v1/webhooks").await;
        assert_eq!(answer.status, status, "{what}: {}", answer.json);
        places.push(search::answer(what, &answer));
        let published = product.publisher_with(Some(&token)).publish(events::run_created(1, 1)).await;
        places.push((format!("publishing with {what}"), format!("{published:?}").into_bytes()));
    }
}

/// Everything that only shows.
async fn read_all(product: &Product, rest: &Rest, id: i64, delivery: &str, places: &mut Vec<Place>) {
    let paths = [
        "/api/v1/webhooks".to_owned(),
        format!("/api/v1/webhooks/{id}"),
        format!("/api/v1/webhooks/{id}/changes"),
        format!("/api/v1/webhooks/{id}/deliveries"),
        "/api/v1/webhooks/deliveries".to_owned(),
        format!("/api/v1/webhooks/deliveries/{delivery}"),
        "/api/v1/tokens".to_owned(),
    ];
    for path in paths {
        let answer = rest.get(&path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.json);
        places.push(search::answer(&path, &answer));
    }
    for service in product.mode().services() {
        let answer = product.health(*service).get("/metrics").await;
        assert!(answer.status == 200 && !answer.bytes.is_empty(), "no metrics of {service}");
        places.push(search::answer(&format!("the metrics of {service}"), &answer));
    }
}

/// The commands that read the configuration or the secrets.
async fn run_commands(product: &Product, canaries: &mut Canaries, places: &mut Vec<Place>) {
    for arguments in [&["config"][..], &["secrets", "rotate-key"]] {
        let mut command = product.command(arguments);
        let output = servers::blocking(move || command.output()).await.expect("a program that can be run");
        let text = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&text));
        places.push((format!("what {arguments:?} says"), text));
    }
    canaries.key_file(&product.key_file());
}
