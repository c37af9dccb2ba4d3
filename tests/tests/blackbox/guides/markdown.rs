//! The parts of a page in Markdown that can be checked.

use std::{fs, path::Path};

use blackbox::rest::Rest;
use serde_json::json;

/// What a page is made of, in its order.
#[derive(Debug)]
pub(crate) enum Piece<'a> {
    /// A line outside of fenced blocks.
    Line(&'a str),
    /// A fenced block: its language, and its lines.
    Block(&'a str, String),
}

/// The pieces of a page.
pub(crate) fn pieces(page: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            pieces.push(Piece::Line(line));
            continue;
        };
        let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
        pieces.push(Piece::Block(language, block.join("\n") + "\n"));
    }
    pieces
}

/// The blocks in a language.
pub(crate) fn blocks(page: &str, language: &str) -> Vec<String> {
    let found = pieces(page).into_iter().filter_map(|piece| match piece {
        Piece::Block(name, text) if name == language => Some(text),
        _ => None,
    });
    found.collect()
}

/// The anchor that GitHub gives a heading.
pub(crate) fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// Panics unless each link of a page leads to a heading of the page or to a file.
pub(crate) fn check_links(file: &Path) {
    let page = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let lines: Vec<_> = pieces(&page)
        .into_iter()
        .filter_map(|piece| if let Piece::Line(line) = piece { Some(line) } else { None })
        .collect();
    let headings = lines.iter().filter_map(|line| line.trim_start_matches('#').strip_prefix(' '));
    let anchors: Vec<_> = headings.map(anchor).collect();
    for target in lines.iter().flat_map(|line| line.split("](").skip(1)).filter_map(|rest| rest.split(')').next()) {
        if target.starts_with("https://") {
            continue;
        }
        let (path, heading) = target.split_once('#').unwrap_or((target, ""));
        if path.is_empty() {
            assert!(anchors.iter().any(|anchor| anchor == heading), "{}: no heading for {target}", file.display());
        } else {
            let folder = file.parent().expect("the folder of a page");
            assert!(folder.join(path).exists(), "{}: no file for the link {target}", file.display());
        }
    }
}

/// Conditions of filters that a page names, in the text or in blocks without a language.
pub(crate) fn conditions(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    for piece in pieces(page) {
        match piece {
            Piece::Line(line) => found.extend(line.split('`').skip(1).step_by(2).map(str::to_owned)),
            Piece::Block("", text) => found.extend(text.lines().map(str::to_owned)),
            Piece::Block(..) => {}
        }
    }
    found.retain(|text| is_condition(text));
    found
}

fn is_condition(text: &str) -> bool {
    const OPERATORS: [&str; 9] = ["==", "!=", "<", "<=", ">", ">=", "in", "contains", "exists"];
    const TOPS: [&str; 7] = ["data.", "changes.", "project.", "user.", "event", "is_test", "instance"];
    let mut words = text.split(' ');
    let path = words.next().is_some_and(|path| TOPS.iter().any(|top| path.starts_with(top)));
    path && words.next().is_some_and(|operator| OPERATORS.contains(&operator))
}

/// Panics unless the product takes this as a condition of a webhook, without a warning.
pub(crate) async fn check_condition(rest: &Rest, condition: &str) {
    let body = json!({
        "name": "test", "url": "https://127.0.0.1:9/in", "type": "generic", "events": ["*"], "projects": null,
        "filter": [condition]
    });
    let checked = rest.post("/api/v1/webhooks?validate_only=true", body).await.expect(200);
    assert_eq!(checked["warnings"], json!([]), "{condition}");
}
