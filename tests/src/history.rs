//! Delivery history as REST shows it. The names of its members are written down here and nowhere else.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value;

use crate::{rest::Rest, wait::eventually};

/// An attempt, or a delivery that waits for its next one.
#[derive(Clone, Debug)]
pub struct Entry(pub Value);

/// A delivery with all its entries.
#[derive(Clone, Debug)]
pub struct Delivery(pub Value);

impl Entry {
    /// The entry's own id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.text("id")
    }

    /// The id of its delivery.
    #[must_use]
    pub fn delivery(&self) -> &str {
        self.text("delivery_id")
    }

    /// The id of its event.
    #[must_use]
    pub fn event(&self) -> &str {
        self.text("event_id")
    }

    /// The id of its webhook.
    #[must_use]
    pub fn webhook(&self) -> i64 {
        self.number("webhook_id")
    }

    /// `delivered`, `failed` or `pending`.
    #[must_use]
    pub fn status(&self) -> &str {
        self.text("status")
    }

    /// 1, 2, …
    #[must_use]
    pub fn attempt(&self) -> i64 {
        self.number("attempt")
    }

    /// The HTTP status that came back, if one did.
    #[must_use]
    pub fn response_code(&self) -> Option<i64> {
        self.0["response_code"].as_i64()
    }

    /// How long the attempt took.
    #[must_use]
    #[track_caller]
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(
            self.0["duration_ms"].as_f64().unwrap_or_else(|| panic!("no duration in {}", self.0)) / 1000.0,
        )
    }

    /// What went wrong: the class, and the text for people; empty if nothing did.
    #[must_use]
    pub fn error(&self) -> String {
        match &self.0["error"] {
            Value::Null => String::new(),
            error => format!("{}: {}", text(error, "class"), text(error, "message")),
        }
    }

    /// Why a pending entry waits, if not for its turn.
    #[must_use]
    pub fn waits_for(&self) -> &str {
        self.0["waits_for"].as_str().unwrap_or("")
    }

    /// Whether its project was deleted.
    #[must_use]
    #[track_caller]
    pub fn is_orphaned(&self) -> bool {
        self.0["orphaned"].as_bool().unwrap_or_else(|| panic!("no mark `orphaned` in {}", self.0))
    }

    /// The trace id of its event.
    #[must_use]
    #[track_caller]
    pub fn trace_id(&self) -> &str {
        self.text("trace_id")
    }

    /// Where the time of the attempt went, in milliseconds.
    #[must_use]
    pub fn timing(&self, step: &str) -> Option<f64> {
        self.0["timings"][step].as_f64()
    }

    /// Whether the request went over a connection that another attempt had opened.
    #[must_use]
    #[track_caller]
    pub fn is_reused(&self) -> bool {
        self.0["timings"]["connection_reused"].as_bool().unwrap_or_else(|| panic!("no timings in {}", self.0))
    }

    /// SHA-256 of the body that was sent.
    #[must_use]
    #[track_caller]
    pub fn body_sha256(&self) -> &str {
        text(&self.0["request"], "body_sha256")
    }

    /// The secrets that signed, the current one first.
    #[must_use]
    pub fn secret_ids(&self) -> Vec<i64> {
        self.0["request"]["secret_ids"].as_array().into_iter().flatten().filter_map(Value::as_i64).collect()
    }

    /// The body that was sent.
    #[must_use]
    #[track_caller]
    pub fn request_body(&self) -> &str {
        text(&self.0["request"], "body")
    }

    /// A header that was sent.
    #[must_use]
    pub fn request_header(&self, name: &str) -> Option<&str> {
        header(&self.0["request"]["headers"], name)
    }

    /// The body that came back.
    #[must_use]
    #[track_caller]
    pub fn response_body(&self) -> &str {
        text(&self.0["response"], "body")
    }

    /// The bytes of the body that came back, as far as they are kept; none if there was no answer.
    #[must_use]
    #[track_caller]
    pub fn response_bytes(&self) -> Vec<u8> {
        let response = &self.0["response"];
        match response["body_encoding"].as_str() {
            Some("base64") => BASE64_STANDARD.decode(text(response, "body")).expect("base64"),
            Some(_) => text(response, "body").as_bytes().to_vec(),
            None => Vec::new(),
        }
    }

    /// Whether more of the body came back than is kept.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.0["response"]["truncated"].as_bool().unwrap_or(false)
    }

    /// A header that came back.
    #[must_use]
    pub fn response_header(&self, name: &str) -> Option<&str> {
        header(&self.0["response"]["headers"], name)
    }

    /// When it started, or has been pending since.
    #[must_use]
    #[track_caller]
    pub fn time(&self) -> &str {
        self.text("time")
    }

    /// The type of its event.
    #[must_use]
    #[track_caller]
    pub fn event_type(&self) -> &str {
        self.text("event")
    }

    /// Whether it is of a test payload.
    #[must_use]
    #[track_caller]
    pub fn is_test(&self) -> bool {
        self.0["is_test"].as_bool().unwrap_or_else(|| panic!("no mark `is_test` in {}", self.0))
    }

    fn text(&self, member: &str) -> &str {
        text(&self.0, member)
    }

    fn number(&self, member: &str) -> i64 {
        self.0[member].as_i64().unwrap_or_else(|| panic!("no number `{member}` in {}", self.0))
    }
}

impl Delivery {
    /// Where the delivery as a whole stands.
    #[must_use]
    pub fn status(&self) -> &str {
        text(&self.0, "status")
    }

    /// Its entries, oldest first, whole.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        let entries = self.0["attempts"].as_array().unwrap_or_else(|| panic!("no `attempts` in {}", self.0));
        entries.iter().cloned().map(Entry).collect()
    }
}

/// The first page of a webhook's entries; `query` such as `status=pending`, or empty.
pub async fn page(rest: &Rest, webhook: i64, query: &str) -> Vec<Entry> {
    let answer = rest.get(&format!("/api/v1/webhooks/{webhook}/deliveries?{query}")).await;
    assert_eq!(answer.status, 200, "answered: {}", answer.json);
    entries(&answer.json)
}

/// All entries of a webhook, newest first, page by page.
pub async fn all(rest: &Rest, webhook: i64) -> Vec<Entry> {
    filtered(rest, webhook, "").await
}

/// All entries of a webhook that a query such as `status=failed&test=true` asks for, newest first, page by page.
pub async fn filtered(rest: &Rest, webhook: i64, query: &str) -> Vec<Entry> {
    follow(rest, &format!("/api/v1/webhooks/{webhook}/deliveries?{query}")).await
}

/// All entries of all webhooks, newest first, page by page.
pub async fn all_of_instance(rest: &Rest) -> Vec<Entry> {
    follow(rest, "/api/v1/webhooks/deliveries?").await
}

async fn follow(rest: &Rest, path: &str) -> Vec<Entry> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let answer = rest.get(&format!("{path}&per_page=100{cursor}")).await;
        assert_eq!(answer.status, 200, "answered: {}", answer.json);
        assert_eq!(answer.json["per_page"], 100, "in {}", answer.json);
        let page = entries(&answer.json);
        assert!(page.len() <= 100, "a page has {} entries", page.len());
        found.extend(page);
        match &answer.json["next_cursor"] {
            Value::String(next) => cursor = format!("&cursor={next}"),
            Value::Null => return found,
            other => panic!("next_cursor is {other}"),
        }
    }
}

/// A delivery with all its entries; `None` if there is none (yet).
pub async fn delivery(rest: &Rest, id: &str) -> Option<Delivery> {
    let answer = rest.get(&format!("/api/v1/webhooks/deliveries/{id}")).await;
    if answer.status == 404 {
        return None;
    }
    Some(Delivery(answer.expect(200)))
}

/// Waits until a delivery as a whole has this status.
pub async fn wait_for_status(rest: &Rest, id: &str, status: &str, timeout: Duration) -> Delivery {
    eventually(timeout, format!("delivery {id} is {status}"), async || {
        delivery(rest, id).await.filter(|delivery| delivery.status() == status)
    })
    .await
}

/// Waits until no entry of a webhook is pending.
pub async fn wait_until_settled(rest: &Rest, webhook: i64, timeout: Duration) {
    eventually(timeout, format!("nothing of webhook {webhook} is pending"), async || {
        page(rest, webhook, "status=pending&per_page=15").await.is_empty().then_some(())
    })
    .await;
}

/// Entries by the id of their event.
#[must_use]
pub fn by_event(entries: Vec<Entry>) -> BTreeMap<String, Vec<Entry>> {
    let mut found: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    for entry in entries {
        found.entry(entry.event().to_owned()).or_default().push(entry);
    }
    found
}

fn entries(list: &Value) -> Vec<Entry> {
    list["result"].as_array().unwrap_or_else(|| panic!("no list in {list}")).iter().cloned().map(Entry).collect()
}

#[track_caller]
fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("no text `{member}` in {value}"))
}

/// A header in `[{"name", "value"}, …]`.
fn header<'a>(headers: &'a Value, name: &str) -> Option<&'a str> {
    let list = headers.as_array().unwrap_or_else(|| panic!("no list of headers: {headers}"));
    list.iter().find(|header| header["name"].as_str().is_some_and(|key| key.eq_ignore_ascii_case(name)))?["value"]
        .as_str()
}
