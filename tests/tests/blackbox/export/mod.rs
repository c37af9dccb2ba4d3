//! *Export all*: what lists and details show, whole, in one stream.

mod command;
mod interrupted;

use std::{collections::BTreeMap, io::Read as _, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use blackbox::{
    events,
    history::{self, Entry},
    in_both_modes,
    product::{Mode, Product},
    receiver::{Answer, Receiver},
    rest::Rest,
    wait::eventually,
    webhooks::{self, Webhook},
};
use command::the_command_writes_files_and_goes_on_with_them;
use http_body_util::BodyExt as _;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

in_both_modes!(
    everything_is_exported_as_it_is_shown,
    what_is_written_meanwhile_does_not_disturb,
    the_command_writes_files_and_goes_on_with_them,
);

const SOON: Duration = Duration::from_secs(60);
const EXPORT: &str = "/api/v1/webhooks/deliveries/export";
const DELIVERED: usize = 200;
const REFUSED: usize = 30;
const WAITING: usize = 5;
/// All entries: those that wait have failed before, and there is a test payload.
const ENTRIES: usize = DELIVERED + REFUSED + 2 * WAITING + 1;
const HEADER: &str = "value-of-a-custom-header";
/// No UTF-8.
const BYTES: &[u8] = b"\xff\xfe\x00 refused\n\xc3";

/// History of every kind.
struct Scene {
    product: Product,
    rest: Rest,
    receiver: Receiver,
    /// Its deliveries are delivered, refused and waiting.
    hooks: [Webhook; 3],
}

impl Scene {
    /// With so many bytes more in each delivered payload.
    async fn new(mode: Mode, extra: usize) -> Self {
        let product = Product::prepare(mode).set("delivery.retry_schedule", r#"["1h"]"#).start().await;
        let (rest, receiver) = (product.admin(), Receiver::start().await);
        receiver.script("/delivered", Answer::status(200).body("ok\n\"{\u{2028}"));
        receiver.script("/refused", Answer::status(410).body(BYTES));
        receiver.script("/waiting", 503);
        let create = async |path: &str, event: &str| {
            let mut body = webhooks::generic(&receiver.url(path));
            (body["events"], body["headers"]) = (json!([event]), json!({"X-Custom": HEADER}));
            webhooks::create(&rest, body).await
        };
        let hooks = [
            create("/delivered", "run.completed").await,
            create("/refused", "run.created").await,
            create("/waiting", "milestone.completed").await,
        ];
        let scene = Self { product, rest, receiver, hooks };
        let publisher = scene.product.publisher();
        let delivered = events::many(DELIVERED).into_iter().map(|event| events::with_extra(event, extra));
        publisher.publish_all(&delivered.collect::<Vec<_>>(), 20, SOON).await;
        let refused: Vec<_> = (1..).take(REFUSED).map(|number| events::run_created(1, number)).collect();
        publisher.publish_all(&refused, 100, SOON).await;
        let waiting: Vec<_> = (1..).take(WAITING).map(|number| events::milestone_completed(1, number)).collect();
        publisher.publish_all(&waiting, 100, SOON).await;
        drop(scene.rest.act(&format!("/api/v1/webhooks/{}/test", scene.hooks[0].id)).await.expect(202));
        scene.settled(ENTRIES).await;
        scene
    }

    /// All entries, once there are this many and none waits but those that do for an hour.
    async fn settled(&self, count: usize) -> Vec<Entry> {
        eventually(SOON, format!("{count} entries stand in history"), async || {
            let found = history::all_of_instance(&self.rest).await;
            let pending = found.iter().filter(|entry| entry.status() == "pending").count();
            (found.len() == count && pending == WAITING).then_some(found)
        })
        .await
    }

    async fn export(&self, query: &str) -> blackbox::rest::Answer {
        let answer = self.rest.get(&format!("{EXPORT}?{query}")).await;
        assert_eq!(answer.status, 200, "{}", answer.json);
        answer
    }
}

/// The entries of NDJSON, each a line.
fn lines(text: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(text).expect("UTF-8");
    assert!(text.is_empty() || text.ends_with('\n'), "the last line is whole");
    text.split_terminator('\n').map(|line| serde_json::from_str(line).expect("an object a line")).collect()
}

async fn everything_is_exported_as_it_is_shown(mode: Mode) {
    let scene = Scene::new(mode, 0).await;
    let array = scene.export("").await;
    assert_eq!(array.headers["x-total-count"], ENTRIES.to_string().as_str());
    assert_eq!(array.headers["content-type"], "application/json");
    let exported: Vec<Value> = serde_json::from_slice(&array.bytes).expect("an array");

    let ndjson = scene.export("format=ndjson").await;
    assert_eq!(ndjson.headers["content-type"], "application/x-ndjson");
    assert!(lines(&ndjson.bytes) == exported, "both formats have the same");
    let packed = scene.rest.clone().with_header("accept-encoding", "br, gzip;q=0.5");
    for (format, plain) in [("json", &array), ("ndjson", &ndjson)] {
        let packed = packed.get(&format!("{EXPORT}?format={format}")).await;
        assert_eq!((packed.status, &packed.headers["content-encoding"]), (200, &"gzip".parse().expect("a value")));
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&packed.bytes[..]).read_to_end(&mut unpacked).expect("gzip, whole");
        assert!(unpacked == plain.bytes, "compressed {format} is the same");
        assert!(packed.bytes.len() < plain.bytes.len() / 4, "{} bytes", packed.bytes.len());
    }
    is_what_is_shown(&scene, &exported).await;
    is_of_every_kind(&exported);
    let text = String::from_utf8(array.bytes.to_vec()).expect("UTF-8");
    assert!(!text.contains(HEADER) && text.to_lowercase().contains("x-custom"), "values of headers are masked");
    for hook in &scene.hooks {
        assert!(!text.contains(hook.secret.trim_start_matches("whsec_")), "no signing secret");
    }
    goes_on_and_filters(&scene, &exported).await;
    let token = json!({"name": "p1", "role": "project_admin", "projects": [1]});
    let token = scene.rest.post("/api/v1/tokens", token).await.expect(201);
    let project_admin = scene.rest.with_token(token["token"].as_str());
    project_admin.get(EXPORT).await.expect_error(403, Some("forbidden"), &[]);
}

/// The list, in its order, and the details of each delivery.
async fn is_what_is_shown(scene: &Scene, exported: &[Value]) {
    let listed = scene.settled(ENTRIES).await;
    assert_eq!(exported.len(), listed.len());
    for (exported, Entry(listed)) in exported.iter().zip(&listed) {
        for (name, value) in listed.as_object().expect("an entry") {
            assert_eq!(&exported[name], value, "{name} of {}", listed["id"]);
        }
    }
    let mut deliveries: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for entry in exported {
        deliveries.entry(entry["delivery_id"].as_str().expect("an id")).or_default().push(entry);
    }
    for (id, entries) in deliveries {
        let delivery = history::delivery(&scene.rest, id).await.expect("it is shown");
        let shown: BTreeMap<_, _> =
            delivery.entries().into_iter().map(|entry| (entry.id().to_owned(), entry.0)).collect();
        assert_eq!(shown.len(), entries.len(), "entries of {id}");
        for entry in entries {
            let mut entry = entry.clone();
            let cursor = entry.as_object_mut().expect("an entry").remove("cursor");
            assert!(cursor.is_some_and(|cursor| cursor.is_string()), "an export can go on after each");
            assert_eq!(shown.get(entry["id"].as_str().expect("an id")), Some(&entry));
        }
    }
}

fn is_of_every_kind(exported: &[Value]) {
    let of = |status: &str| exported.iter().filter(|entry| entry["status"] == status).collect::<Vec<_>>();
    assert_eq!([of("delivered").len(), of("pending").len()], [DELIVERED + 1, WAITING]);
    assert_eq!(of("failed").len(), REFUSED + WAITING);
    assert_eq!(exported.iter().filter(|entry| entry["is_test"] == true).count(), 1);
    for entry in of("failed").iter().filter(|entry| entry["response_code"] == 410) {
        assert_eq!(entry["response"]["body_encoding"], "base64");
        let body = BASE64_STANDARD.decode(entry["response"]["body"].as_str().expect("a body")).expect("base64");
        assert_eq!(body, BYTES);
    }
    for entry in of("delivered") {
        assert_eq!(entry["response"]["body"], "ok\n\"{\u{2028}");
        let sent: Value = serde_json::from_str(entry["request"]["body"].as_str().expect("a body")).expect("JSON");
        assert_eq!(sent["event"], entry["event"]);
    }
}

async fn goes_on_and_filters(scene: &Scene, exported: &[Value]) {
    let cursor = exported[99]["cursor"].as_str().expect("a cursor");
    let rest = scene.export(&format!("format=ndjson&cursor={cursor}")).await;
    assert_eq!(rest.headers["x-total-count"], (ENTRIES - 100).to_string().as_str());
    assert!(lines(&rest.bytes) == exported[100..], "it goes on after the entry");
    let refused = scene.rest.get(&format!("{EXPORT}?status=failed&cursor={cursor}")).await;
    refused.expect_error(400, None, &["cursor"]);
    let id = scene.hooks[1].id;
    for (query, count) in [
        (format!("webhook={id}"), REFUSED),
        (format!("webhook={id}&status=delivered"), 0),
        ("event=milestone.completed&status=pending".to_owned(), WAITING),
        ("test=true".to_owned(), 1),
    ] {
        let found = scene.export(&query).await;
        assert_eq!(found.headers["x-total-count"], count.to_string().as_str(), "{query}");
        assert_eq!(found.json.as_array().map(Vec::len), Some(count), "{query}");
    }
}

/// It shows one moment, however long it takes to read.
async fn what_is_written_meanwhile_does_not_disturb(mode: Mode) {
    // More than fits between the database and a reader who does not read.
    let scene = Scene::new(mode, 100 << 10).await;
    let stream = tokio::net::TcpStream::connect(scene.rest.address()).await.expect("a connection");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a connection");
    let connection = blackbox::spawn(connection);
    let request = Request::get(format!("{EXPORT}?format=ndjson"))
        .header(header::HOST, scene.rest.address().to_string())
        .header(header::AUTHORIZATION, format!("Bearer {}", scene.product.admin_token()))
        .body(http_body_util::Empty::<bytes::Bytes>::new())
        .expect("a request");
    let answer = sender.send_request(request).await.expect("an answer");
    assert_eq!(answer.headers()["x-total-count"], ENTRIES.to_string().as_str());

    let late = scene.product.publisher().publish(events::run_created(1, 9_999)).await.expect("an accepted event");
    scene.settled(ENTRIES + 1).await;
    let text = answer.into_body().collect().await.expect("it comes whole").to_bytes();
    connection.abort();
    let exported = lines(&text);
    assert_eq!(exported.len(), ENTRIES);
    assert!(exported.iter().all(|entry| entry["event_id"] != late.as_str()), "what came later is not in it");
    assert!(text.len() > DELIVERED * (100 << 10), "the payloads are in it");
    assert_eq!(scene.receiver.count("/refused"), REFUSED + 1);
}
