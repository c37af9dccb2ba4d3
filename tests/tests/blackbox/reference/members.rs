//! Samples in the order in which the product writes their members, which a parsed JSON object has lost.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// A sample payload.
pub(super) struct Sample {
    /// Indented, members in the order in which they are sent.
    pub(super) text: String,
    /// The paths of all members, in that order; an element of a list has the path of its list.
    pub(super) members: Vec<Vec<String>>,
    /// The fields that `changes` names.
    pub(super) changed: Vec<String>,
}

/// The samples of the catalogue, in its order.
pub(super) fn samples(catalogue: &[u8]) -> Vec<Sample> {
    let parsed: BTreeMap<String, Vec<BTreeMap<String, &RawValue>>> =
        serde_json::from_slice(catalogue).expect("the catalogue");
    let entries = &parsed["result"];
    entries.iter().map(|entry| sample(entry["sample"].get())).collect()
}

fn sample(compact: &str) -> Sample {
    let text = indented(compact);
    let members = members(&text);
    let changed = members.iter().filter(|path| path.len() == 2 && path[0] == "changes");
    let changed = changed.map(|path| path[1].clone()).collect();
    Sample { text, members, changed }
}

/// Compact JSON over several lines, two spaces for each level.
fn indented(compact: &str) -> String {
    let mut text = String::new();
    let (mut level, mut in_text, mut escaped) = (0, false, false);
    let mut letters = compact.chars().peekable();
    while let Some(letter) = letters.next() {
        let closes = matches!(letter, '}' | ']') && !in_text;
        if closes {
            level -= 1;
            if !text.ends_with(['{', '[']) {
                new_line(&mut text, level);
            }
        }
        text.push(letter);
        if in_text {
            in_text = letter != '"' || escaped;
            escaped = letter == '\\' && !escaped;
            continue;
        }
        match letter {
            '"' => in_text = true,
            ':' => text.push(' '),
            ',' => new_line(&mut text, level),
            '{' | '[' => {
                level += 1;
                if !matches!(letters.peek(), Some('}' | ']')) {
                    new_line(&mut text, level);
                }
            }
            _ => {}
        }
    }
    text
}

fn new_line(text: &mut String, level: usize) {
    text.push('\n');
    text.push_str(&"  ".repeat(level));
}

/// The paths of the members of indented JSON, line by line.
fn members(text: &str) -> Vec<Vec<String>> {
    let mut above: Vec<Option<&str>> = Vec::new();
    let mut paths: Vec<Vec<String>> = Vec::new();
    for line in text.lines() {
        let member = line.trim_start();
        above.truncate((line.len() - member.len()) / 2);
        let name = member.strip_prefix('"').and_then(|rest| rest.split_once("\": ")).map(|(name, _)| name);
        above.push(name);
        if name.is_some() {
            let path: Vec<String> = above.iter().flatten().map(|name| (*name).to_owned()).collect();
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
    }
    paths
}
