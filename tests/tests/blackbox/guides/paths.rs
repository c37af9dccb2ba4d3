//! Paths into payloads as guides write them, each in its tool's notation, looked up in the samples of the catalogue.
//!
//! A path is one of the events that the webhook selects which the page shows last before it.

use serde_json::{Value, json};

use super::{as_webhook, markdown, markdown::Piece};

/// What stands before a path, for each tool; jq has none of its own and is recognised by its command.
const JSON_PATH: &str = "$.";
const SMART_VALUE: &str = "webhookData.";
const CLIENT_PAYLOAD: &str = "client_payload.";

/// Panics unless every path of a guide leads to something in the sample of each event that it is used with.
pub(super) fn check(guide: &str, page: &str, catalogue: &Value) {
    let mut samples: Vec<&Value> = Vec::new();
    let mut checked = 0;
    for piece in markdown::pieces(page) {
        let text = match &piece {
            Piece::Line(line) => line,
            Piece::Block(language, text) => {
                if let Some(webhook) = (*language == "json").then(|| as_webhook(text)).flatten() {
                    samples = selected(&webhook, catalogue);
                }
                text.as_str()
            }
        };
        for path in text.lines().flat_map(paths) {
            assert!(!samples.is_empty(), "{guide}: {path} stands before any webhook");
            for sample in &samples {
                assert!(leads(sample, &path), "{guide}: {path} leads nowhere in the sample of {}", sample["event"]);
            }
            checked += 1;
        }
    }
    assert!(checked >= 4, "only {checked} paths found in {guide}");
}

/// Panics unless the filter of the Jenkinsfile, a text with variables and an expression without special characters,
/// lets the sample of the page's webhook through.
pub(super) fn check_jenkins_filter(page: &str, catalogue: &Value) {
    let webhook = markdown::blocks(page, "json").iter().find_map(|block| as_webhook(block)).expect("a webhook");
    let sample = selected(&webhook, catalogue).remove(0);
    let jenkinsfile = markdown::blocks(page, "groovy").remove(0);
    let mut text = quoted_after(&jenkinsfile, "regexpFilterText: ").to_owned();
    for line in jenkinsfile.lines().filter(|line| line.contains("[key: ")) {
        let path = quoted_after(line, "value: ").trim_start_matches(JSON_PATH);
        let value = path.split('.').fold(sample, |value, name| &value[name]);
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text = text.replace(&format!("${}", quoted_after(line, "key: ")), &value);
    }
    let expression = quoted_after(&jenkinsfile, "regexpFilterExpression: ");
    assert_eq!(text, expression.trim_start_matches('^').trim_end_matches('$'));
}

fn quoted_after<'a>(text: &'a str, mark: &str) -> &'a str {
    let quoted = text.split_once(mark).and_then(|(_, rest)| rest.split('\'').nth(1));
    quoted.unwrap_or_else(|| panic!("nothing in quotes after {mark} in {text}"))
}

/// The samples of the events that a webhook of a guide selects; guides name types, not wildcards.
fn selected<'a>(webhook: &Value, catalogue: &'a Value) -> Vec<&'a Value> {
    let entries = catalogue["result"].as_array().expect("the catalogue");
    let sample = |name: &Value| {
        let entry = entries.iter().find(|entry| entry["event"] == *name);
        &entry.unwrap_or_else(|| panic!("no type of event {name}"))["sample"]
    };
    webhook["events"].as_array().expect("a list of events").iter().map(sample).collect()
}

/// The paths in a line, in dots from the top of the payload; what GitHub gets has the payload in `testmo`.
fn paths(line: &str) -> Vec<String> {
    let mut found: Vec<String> = [JSON_PATH, SMART_VALUE]
        .iter()
        .flat_map(|mark| line.split(mark).skip(1))
        .map(|rest| path_at_start(rest).to_owned())
        .collect();
    let of_github = line.split(CLIENT_PAYLOAD).skip(1).map(path_at_start);
    found.extend(of_github.filter_map(|path| path.strip_prefix("testmo.")).map(str::to_owned));
    if line.contains("jq ") {
        let programs = line.split('\'').skip(1).step_by(2);
        let words = programs.flat_map(|program| program.split([' ', '(', ')', ',', '|', '"']));
        found.extend(words.filter_map(|word| word.strip_prefix('.')).map(|rest| path_at_start(rest).to_owned()));
    }
    found
}

fn path_at_start(text: &str) -> &str {
    let end = text.find(|letter: char| !letter.is_ascii_alphanumeric() && !"_.".contains(letter));
    text[..end.unwrap_or(text.len())].trim_end_matches('.')
}

fn leads(sample: &Value, path: &str) -> bool {
    let found = path.split('.').try_fold(sample, |value, name| value.get(name));
    found.is_some_and(|value| *value != json!({}))
}
