//! Inputs to start from, which the targets take, and words that inputs are made of.

use std::sync::LazyLock;

use domain::{EventType, WebhookKind};
use payload::{render, sample};
use prost::Message as _;
use proto::{
    internal::v1::{
        AcceptedEvent, Attempt, AttemptRecord, Body, DeliveryRef, DeliveryTask, OpenDelivery, OpenEvent,
        PreviousAttempt, RecordBatch, attempt_record::What,
    },
    v1::{CreateWebhookRequest, CustomHeader, Event, ProjectList, PublishRequest},
};
use serde_json::Value;

/// What [`headers`](headers) are verified with.
pub(crate) const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

pub(crate) const TEXTS: &[&str] = &["\u{202e}", "\u{0}", "🏳️‍🌈", "<!channel>", "](", "*", "`", "9999999999", "\n\n", "é"];
pub(crate) const JSON: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\u0000",
    "\\ud800",
    "null",
    "true",
    "-0",
    "1e999",
    "0.1",
    "9223372036854775808",
    "\"name\":",
    "\"url\":",
    "\"events\":",
    "\"headers\":",
    "\"filter\":",
    "\"projects\":",
    "\"data\":",
    "\"changes\":",
    "\"2026-11-23T08:15:00Z\"",
    "\"2026-11-23T24:00:60.999999999999+23:59\"",
    "{\"a\":",
    "[[",
];
pub(crate) const QUERY: &[&str] = &[
    "&",
    "=",
    "%",
    "%00",
    "%ff",
    "+",
    "page=",
    "per_page=100",
    "status=",
    "event=",
    "from=",
    "to=",
    "test=true",
    "cursor=",
];
pub(crate) const TOKEN: &[&str] = &[".", "eyJhbGciOiJIUzI1NiJ9", "eyJhbGciOiJub25lIn0", "tmwh_", "=", "-", "_"];
pub(crate) const URL: &[&str] = &[
    "http://",
    "https://",
    "@",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "0x7f000001",
    "127.1",
    "localhost",
    "。",
    "%2e",
    ":0",
    ":443",
    "#",
    "?a=b",
    "\\",
    "\t",
    "xn--",
    ".internal",
    "..",
    "ⓔ",
    "0177.0.0.1",
    "[fe80::1%25eth0]",
];
pub(crate) const FILTER: &[&str] = &[
    "==", "!=", "<", ">=", "exists", "contains", "in", "data.", "changes[", "]", "\"", "\\", "null", "true", "1e400",
    " and ",
];
pub(crate) const HEADERS: &[&str] =
    &["sha256=", "v1,", "v1a,", "00-", "-01", "\n", " ", "=", "9999999999999999999", "-1"];
pub(crate) const TOML: &[&str] = &[
    "[",
    "]",
    "=",
    "\"",
    "\"\"\"",
    "'",
    "\\u0000",
    "#",
    "1979-05-27T07:32:00Z",
    "inf",
    "nan",
    "0x",
    "[[",
    "{",
    "}",
    "10s",
    "99999999999h",
    "delivery.",
    "broker.url",
    "true",
];
pub(crate) const YAML: &[&str] = &[
    "webhooks:",
    "- name: ",
    "  url: ",
    "{env: A}",
    "&a",
    "*a",
    "!!str",
    "<<: ",
    "---\n",
    "...\n",
    "|",
    ">",
    "\"",
    "'",
    "? ",
    ": ",
    "\t",
    "events: [",
    "]",
    "{",
    "}",
    "~",
    "0x1F",
    ".inf",
    "\u{feff}",
    "# ",
];
pub(crate) const HTTP: &[&str] = &[
    "HTTP/1.1 ",
    "HTTP/1.0 ",
    "HTTP/2 ",
    "200 OK\r\n",
    "100 Continue\r\n\r\n",
    "103 Early Hints\r\n\r\n",
    "101 Switching Protocols\r\n",
    "\r\n",
    "\n",
    "\r",
    "content-length: ",
    "transfer-encoding: chunked\r\n",
    "retry-after: ",
    "connection: close\r\n",
    "0\r\n\r\n",
    "ffffffffffffffff\r\n",
    "1\r\na\r\n",
    "set-cookie: a\r\n",
    "location: http://169.254.169.254/\r\n",
    "content-encoding: gzip\r\n",
    "\0",
];

fn bytes(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn samples() -> impl Iterator<Item = Event> {
    EventType::ALL.iter().map(|kind| sample(*kind)).map(|event| Event { instance: "acme".to_owned(), ..event })
}

/// The generic payloads of some samples, to try filters on.
pub(crate) fn payloads() -> &'static [Value] {
    static PAYLOADS: LazyLock<Vec<Value>> = LazyLock::new(|| {
        let rendered = samples().step_by(5).map(|event| render(&event, WebhookKind::Generic, false).expect("a sample"));
        rendered.map(|body| serde_json::from_slice(&body).expect("JSON")).collect()
    });
    &PAYLOADS
}

pub(crate) fn publish_requests() -> Vec<Vec<u8>> {
    samples().map(|event| PublishRequest { event: Some(event) }.encode_to_vec()).collect()
}

pub(crate) fn event_lines() -> Vec<Vec<u8>> {
    samples().map(|event| render(&event, WebhookKind::Generic, false).expect("a sample")).collect()
}

pub(crate) fn webhook_bodies() -> Vec<Vec<u8>> {
    bytes(&[
        r#"{"name":"CI","url":"https://ci.example.com/hook","type":"generic","events":["run.completed","case.*"],"projects":[1,2],
            "allow_insecure":false,"headers":{"X-Token":"abc"},"filter":["data.result == failed"],"active":true}"#,
        r#"{"name":"Chat","url":"https://hooks.slack.com/services/T/B/x","type":"slack","events":["*"],"projects":null}"#,
        r#"{"name":"In","url":"http://ci.example.com:8080/?a=b","type":"generic","events":["*"],"allow_insecure":true}"#,
    ])
}

pub(crate) fn webhook_requests() -> Vec<Vec<u8>> {
    let request = CreateWebhookRequest {
        name: "CI".to_owned(),
        url: "https://ci.example.com/hook".to_owned(),
        r#type: "generic".to_owned(),
        events: vec!["run.*".to_owned()],
        projects: Some(ProjectList { ids: vec![1, 2] }),
        headers: vec![CustomHeader { name: "x-token".to_owned(), value: "abc".to_owned() }],
        filter: vec!["data.result == failed".to_owned()],
        ..Default::default()
    };
    vec![request.encode_to_vec()]
}

pub(crate) fn questions() -> Vec<Vec<u8>> {
    bytes(&[
        r#"{"event_id":"0190a8f2-5b7e-7c1d-9a3e-1f2d3c4b5a69"}"#,
        r#"{"event":"run.completed","project":7}"#,
        r#"{"payload":{"event":"run.completed","data":{"run":{"id":1}}}}"#,
        r#"{"from":"2026-11-23T08:15:00Z","to":null,"events":["run.completed"],"count_only":true}"#,
    ])
}

pub(crate) fn queries() -> Vec<Vec<u8>> {
    bytes(&[
        "per_page=15&status=failed&event=run.completed&from=2026-11-23T08:15:00Z&to=2026-11-24T08:15:00Z&test=false",
        "page=2&per_page=25&active=true&type=slack&project=7&q=CI%20x",
        "format=ndjson&webhook=7&cursor=abc",
        "from=2026-11-23T08:15:00%2B02:00&interval=day",
        "confirm=yes",
    ])
}

pub(crate) fn cursors() -> Vec<Vec<u8>> {
    vec![history::fuzzing::good_cursor().into_bytes(), Vec::new()]
}

pub(crate) fn tokens() -> Vec<Vec<u8>> {
    bytes(&[
        "tmwh_0123456789abcdef0123456789abcdef01234567",
        "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic3lzdGVtX2FkbWluIiwiZXhwIjo5OTk5OTk5OTk5fQ.AAAA",
        "eyJhbGciOiJFZERTQSIsImNyaXQiOm51bGx9.e30.AAAA",
    ])
}

pub(crate) fn urls() -> Vec<Vec<u8>> {
    bytes(&[
        "\0https://ci.example.com/hook?token=abcdefghijklmnopqrstuvwxyz",
        "\u{4}http://ci.example.com:8080/a/b",
        "\u{1}https://hooks.slack.com/services/T00/B00/xyz",
        "\u{2}https://prod-1.westeurope.logic.azure.com:443/workflows/x/triggers/manual/paths/invoke?sig=abc",
        "\u{3}https://discord.com/api/webhooks/1/abc",
        "\0https://[2606:4700::1111]/",
    ])
}

pub(crate) fn filters() -> Vec<Vec<u8>> {
    bytes(&[
        "data.result == failed\nproject.id != 7",
        "data.run.name contains \"night\"\nchanges exists",
        "data.run.tests.failed >= 3\nuser.name in [\"a\", \"b\"]",
    ])
}

pub(crate) fn headers() -> Vec<Vec<u8>> {
    bytes(&[
        "11111111-2222-4333-8444-555555555555\n1700000000\nv1,VNHbOk94kLkjcUs6iMSxnLEwbauWBjjAg9ojFC2RYuk= v1a,x",
        "x\n-5\nsha256=d3f1ea16147b8b8d0304fe2a9559b4b4b84d057af19b132191df3378cbd1234a",
        "\n\n00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ])
}

fn reference() -> DeliveryRef {
    DeliveryRef {
        delivery_id: vec![7; 16].into(),
        instance: "acme".to_owned(),
        webhook_id: 7,
        event_id: vec![8; 16].into(),
        event_type: "run.completed".to_owned(),
        project_id: 1,
        matched_at: 1_700_000_000_000_000,
        format: "generic".to_owned(),
        is_test: false,
        trace: vec![1; 25].into(),
    }
}

pub(crate) fn event_messages() -> Vec<Vec<u8>> {
    let message = |event| AcceptedEvent {
        publish_id: vec![9; 16].into(),
        claim: true,
        accepted_at: 1_700_000_000_000_000,
        event: Some(event),
        trace: vec![1; 25].into(),
    };
    let id = "0190a8f2-5b7e-7c1d-9a3e-1f2d3c4b5a69";
    samples().map(|event| message(Event { id: id.to_owned(), ..event }).encode_to_vec()).collect()
}

pub(crate) fn delivery_messages() -> Vec<Vec<u8>> {
    let task = DeliveryTask {
        delivery: Some(reference()),
        number: 2,
        generation: 1,
        body: b"{}".to_vec().into(),
        manual: false,
        previous: Some(PreviousAttempt { attempt: Some(Attempt::default()), generation: 1 }),
        due_at: 1_700_000_000_000_000,
    };
    vec![task.encode_to_vec()]
}

pub(crate) fn record_messages() -> Vec<Vec<u8>> {
    let attempt = Attempt { started_at: 1_700_000_000_000_000, ..Default::default() };
    let record = AttemptRecord {
        delivery: Some(reference()),
        number: 1,
        what: Some(What::Attempt(attempt)),
        ..Default::default()
    };
    let opened = OpenEvent {
        instance: "acme".to_owned(),
        event_id: vec![8; 16].into(),
        publish_id: vec![9; 16].into(),
        event_type: "run.completed".to_owned(),
        project_id: 1,
        matched_at: 1_700_000_000_000_000,
        bodies: vec![Body { format: "generic".to_owned(), content: b"{}".to_vec().into() }],
        deliveries: vec![OpenDelivery { webhook_id: 7, format: "generic".to_owned() }],
        ..Default::default()
    };
    let records = RecordBatch { records: vec![record], opened: Vec::new() };
    let opened = RecordBatch { records: Vec::new(), opened: vec![opened] };
    vec![records.encode_to_vec(), opened.encode_to_vec()]
}

pub(crate) fn configurations() -> Vec<Vec<u8>> {
    bytes(&[
        "[http]\nlisten = \"127.0.0.1:8080\"\n[delivery]\ntimeout = \"10s\"\nallow_networks = [\"10.0.0.0/8\"]\nretry_schedule = [\"0s\", \"2m\"]\n",
        "[database]\nurl = \"postgres://a:b@localhost/c\"\n[broker]\nurl = \"amqp://a:b@localhost:5672/%2f\"\n[publishing]\nburst = 5\n",
        "delivery.retry_schedule=[\"1s\", \"500ms\", \"24h\"]",
        "log.filter=info,dispatcher=debug",
    ])
}

pub(crate) fn apply_files() -> Vec<Vec<u8>> {
    bytes(&[
        "webhooks:\n  - name: CI failures\n    url: https://ci.example.com/hook\n    events: [run.completed, \"case.*\"]\n    type: generic\n    projects: all\n    headers:\n      X-Token: {env: CI_TOKEN}\n    filter: [\"data.result == failed\"]\n    active: true\n\n  - name: Chat\n    url: {env: SLACK_URL}\n    type: slack\n    events: [\"*\"]\n",
        "{\"webhooks\": [{\"name\": \"a\", \"url\": \"https://a.example\", \"events\": [\"*\"], \"projects\": [1, 2]}]}",
        "webhooks:\n- &a\n  name: >-\n    x\n    y\n  url: \"https://a.example\"\n  events: ['*']\n- *a\n",
    ])
}

pub(crate) fn answers() -> Vec<Vec<u8>> {
    bytes(&[
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 503 Busy\r\nretry-after: 120\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 429 Slow\r\nretry-after: Sun, 06 Nov 2044 08:50:37 GMT\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.0 302 Found\r\nlocation: http://169.254.169.254/\r\n\r\nbody until the end",
    ])
}
