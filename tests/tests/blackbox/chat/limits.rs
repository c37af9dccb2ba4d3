//! How large a message may be, by the specification: in UTF-16 units, after escaping.

use serde_json::Value;

/// How many UTF-16 units a text has; none if it is not there.
fn units(text: &Value) -> usize {
    text.as_str().map_or(0, |text| text.encode_utf16().count())
}

#[track_caller]
fn at_most(what: &str, value: usize, limit: usize) {
    assert!(value <= limit, "{what}: {value} of {limit}");
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

#[track_caller]
pub(super) fn slack(message: &Value) {
    let blocks = list(&message["blocks"]);
    assert!(!blocks.is_empty() && units(&message["text"]) > 0, "an empty message: {message}");
    at_most("blocks", blocks.len(), 50);
    for block in blocks {
        let limit = if block["type"] == "header" { 150 } else { 3_000 };
        at_most("a block's text", units(&block["text"]["text"]), limit);
        at_most("fields", list(&block["fields"]).len(), 10);
        for field in list(&block["fields"]) {
            at_most("a field", units(&field["text"]), 2_000);
        }
    }
    at_most("the message", super::texts(message).iter().map(|text| text.encode_utf16().count()).sum(), 13_000);
}

#[track_caller]
pub(super) fn teams(body: &[u8], card: &Value) {
    assert!(!list(&card["body"]).is_empty(), "an empty card: {card}");
    at_most("the message", body.len(), 20 * 1024);
}

#[track_caller]
pub(super) fn discord(message: &Value) {
    let embeds = list(&message["embeds"]);
    assert!(!embeds.is_empty() && embeds.len() <= 10, "{message}");
    let mut all = 0;
    for embed in embeds {
        at_most("title", units(&embed["title"]), 256);
        at_most("description", units(&embed["description"]), 4_096);
        at_most("footer", units(&embed["footer"]["text"]), 2_048);
        at_most("author", units(&embed["author"]["name"]), 256);
        let fields = list(&embed["fields"]);
        at_most("fields", fields.len(), 25);
        for field in fields {
            at_most("a field's name", units(&field["name"]), 256);
            at_most("a field's value", units(&field["value"]), 1_024);
            all += units(&field["name"]) + units(&field["value"]);
        }
        all += units(&embed["title"]) + units(&embed["description"]) + units(&embed["footer"]["text"]);
        all += units(&embed["author"]["name"]);
    }
    at_most("all texts of the embeds", all, 6_000);
}
