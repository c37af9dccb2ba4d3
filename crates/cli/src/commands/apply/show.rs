//! The difference as text: like that of `diff`, and without secrets.

use domain::{WebhookKind, target};
use serde_json::Value as Json;
use url::Url;

use super::{
    file::{Text, Wanted},
    plan::{Change, Counts, Existing, Step},
};
use crate::out::{escape, quoted};

/// Colours of a terminal, or none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    pub(super) colours: bool,
}

impl Paint {
    fn paint(self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn created(self, text: &str) -> String {
        self.paint("32", text)
    }

    fn changed(self, text: &str) -> String {
        self.paint("33", text)
    }

    fn deleted(self, text: &str) -> String {
        self.paint("31", text)
    }
}

/// A step with what it is about, in lines.
pub(super) fn step(step: &Step<'_>, paint: Paint) -> String {
    let label = label(step);
    let (head, mut lines, warnings): (_, _, &[String]) = match step {
        Step::Create { wanted, warnings } => (paint.created(&format!("+ {label}")), created(wanted), warnings),
        Step::Update { wanted, changes, warnings, .. } => {
            let lines = changes.iter().map(|change| changed(wanted, change)).collect();
            (paint.changed(&format!("~ {label}")), lines, warnings)
        }
        Step::Delete(_) => (paint.deleted(&format!("- {label}")), Vec::new(), &[]),
        Step::Unchanged(_) | Step::Keep(_) => (format!("= {label}"), Vec::new(), &[]),
    };
    lines.extend(warnings.iter().map(|warning| paint.changed(&format!("warning: {}", escape(warning)))));
    lines.iter().fold(head, |text, line| format!("{text}\n    {line}"))
}

/// What is done about which webhook.
pub(super) fn label(step: &Step<'_>) -> String {
    let existing = |webhook: &Existing| format!("{} ({})", quoted(&webhook.name), webhook.id);
    match step {
        Step::Create { wanted, .. } => format!("create {}", quoted(&wanted.name)),
        Step::Update { existing: webhook, .. } => format!("update {}", existing(webhook)),
        Step::Delete(webhook) => format!("delete {}", existing(webhook)),
        Step::Unchanged(webhook) => format!("unchanged {}", existing(webhook)),
        Step::Keep(webhook) => format!("kept {}, which is not in the file", existing(webhook)),
    }
}

/// What all steps come to, in one line.
pub(super) fn summary(counts: Counts) -> String {
    let mut parts = if counts.to_do() == 0 {
        vec!["nothing to do".to_owned()]
    } else {
        let acts = [(counts.create, "create"), (counts.update, "change"), (counts.delete, "delete")];
        acts.map(|(count, verb)| format!("{count} to {verb}")).to_vec()
    };
    parts.push(format!("{} unchanged", counts.unchanged));
    if counts.keep > 0 {
        parts.push(format!("{} kept (--prune deletes what is not in the file)", counts.keep));
    }
    parts.join(", ")
}

/// The fields of a webhook that is not there yet.
fn created(wanted: &Wanted) -> Vec<String> {
    let kind = wanted.kind.value.parse().unwrap_or(WebhookKind::Generic);
    let url = Url::parse(wanted.url.value.trim()).map_or_else(|_| "…".to_owned(), |url| target::mask(&url, kind));
    let mut lines = vec![
        format!("url: {}", from_variable(&wanted.url).unwrap_or_else(|| quoted(&url))),
        format!("type: {}", text(&wanted.kind)),
        format!("events: {}", texts(&wanted.events)),
        format!("projects: {}", wanted.projects.as_ref().map_or_else(|| "all".to_owned(), |ids| joined(ids))),
    ];
    if wanted.allow_insecure {
        lines.push("allow_insecure: true".to_owned());
    }
    if wanted.send_traceparent {
        lines.push("send_traceparent: true".to_owned());
    }
    if !wanted.headers.is_empty() {
        let names: Vec<String> = wanted.headers.iter().map(|(name, _)| escape(name)).collect();
        lines.push(format!("headers: {} (values not shown)", names.join(", ")));
    }
    if !wanted.filter.is_empty() {
        lines.push(format!("filter: {}", texts(&wanted.filter)));
    }
    lines.push(format!("active: {}", wanted.active));
    lines
}

fn from_variable(text: &Text) -> Option<String> {
    text.variable.as_ref().map(|variable| format!("{{env: {variable}}}"))
}

fn text(text: &Text) -> String {
    from_variable(text).unwrap_or_else(|| quoted(&text.value))
}

fn texts(list: &[Text]) -> String {
    list.iter().map(text).collect::<Vec<_>>().join(", ")
}

fn joined(ids: &[i64]) -> String {
    ids.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}

fn changed(wanted: &Wanted, change: &Change) -> String {
    let field = escape(&change.field);
    // The server masks what may be secret in any URL; it cannot know that a whole text is.
    let variables = wanted.variables(&change.field);
    if change.field != "headers" && !variables.is_empty() {
        return format!("{field}: changes, with {{env: {}}}", variables.join("}, {env: "));
    }
    let lists = (items(&change.from), items(&change.to));
    match lists {
        _ if change.from == change.to && change.field == "headers" => format!("{field}: values changed"),
        _ if change.from == change.to => {
            format!("{field}: {}, changed in what is masked", shown(&change.field, &change.from))
        }
        (Some(from), Some(to)) if !from.is_empty() && !to.is_empty() => {
            let added = to.iter().filter(|item| !from.contains(item)).map(|item| format!("+ {item}"));
            let removed = from.iter().filter(|item| !to.contains(item)).map(|item| format!("- {item}"));
            let parts: Vec<String> = added.chain(removed).collect();
            let parts = if parts.is_empty() { "in another order".to_owned() } else { parts.join(", ") };
            format!("{field}: {parts}")
        }
        _ => format!("{field}: {} → {}", shown(&change.field, &change.from), shown(&change.field, &change.to)),
    }
}

/// The items of a list, or the names of an object's members, as they are shown.
fn items(value: &Json) -> Option<Vec<String>> {
    match value {
        Json::Array(items) => Some(items.iter().map(scalar).collect()),
        Json::Object(members) => Some(members.keys().map(|name| quoted(name)).collect()),
        _ => None,
    }
}

fn shown(field: &str, value: &Json) -> String {
    match items(value) {
        Some(items) if items.is_empty() => "none".to_owned(),
        Some(items) => items.join(", "),
        None if value.is_null() && field == "projects" => "all".to_owned(),
        None if value.is_null() => "none".to_owned(),
        None => scalar(value),
    }
}

fn scalar(value: &Json) -> String {
    value.as_str().map_or_else(|| escape(&value.to_string()), quoted)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::commands::apply::file;

    const PLAIN: Paint = Paint { colours: false };

    fn wanted(fields: &str) -> Wanted {
        let text = format!("webhooks:\n- {}\n", fields.replace('\n', "\n  "));
        let hidden = |_: &str| Ok("https://a.example/hunter2".to_owned());
        file::read(text.as_bytes(), &hidden).unwrap_or_else(|mistakes| panic!("{mistakes:?}")).remove(0)
    }

    fn existing() -> Existing {
        Existing { id: 12, version: 3, name: "a".to_owned() }
    }

    #[test]
    fn what_is_created_is_shown_without_secrets() {
        let slack = "name: \"a\\e[31m\\\"\"\nurl: https://hooks.slack.com/services/hunter2\ntype: slack\nevents: [run.created, '*']";
        let shown = step(&Step::Create { wanted: &wanted(slack), warnings: Vec::new() }, PLAIN);
        let expected = [
            r#"+ create "a\u{1b}[31m\"""#,
            r#"    url: "https://hooks.slack.com/…""#,
            r#"    type: "slack""#,
            r#"    events: "run.created", "*""#,
            "    projects: all",
            "    active: true",
        ];
        assert_eq!(shown.lines().collect::<Vec<_>>(), expected);

        let full = "name: b\nurl: http://ci.example.com/x?token=hunter2\nevents: [{env: E}]\nprojects: [2, 1]\nallow_insecure: true\nsend_traceparent: true\n\
                    headers: {X-A: hunter2, X-B: {env: B}}\nfilter: [data.result == failed, {env: F}]\nactive: false";
        let shown = step(&Step::Create { wanted: &wanted(full), warnings: vec!["insecure\n!".to_owned()] }, PLAIN);
        let expected = [
            r#"+ create "b""#,
            r#"    url: "http://ci.example.com/x?token=…""#,
            r#"    type: "generic""#,
            "    events: {env: E}",
            "    projects: 2, 1",
            "    allow_insecure: true",
            "    send_traceparent: true",
            "    headers: X-A, X-B (values not shown)",
            r#"    filter: "data.result == failed", {env: F}"#,
            "    active: false",
            r"    warning: insecure\n!",
        ];
        assert_eq!(shown.lines().collect::<Vec<_>>(), expected);
        let whole =
            step(&Step::Create { wanted: &wanted("name: c\nurl: {env: U}\nevents: []"), warnings: Vec::new() }, PLAIN);
        assert!(whole.contains("\n    url: {env: U}\n") && !whole.contains("hunter2"), "{whole}");
    }

    #[test]
    fn what_changes_is_shown_by_field() {
        let plain = wanted("name: a\nurl: u\nevents: []");
        for (field, from, to, expected) in [
            ("url", json!("https://a"), json!("https://b"), r#"url: "https://a" → "https://b""#),
            ("url", json!("https://a/…"), json!("https://a/…"), r#"url: "https://a/…", changed in what is masked"#),
            ("events", json!(["a", "b"]), json!(["b", "c"]), r#"events: + "c", - "a""#),
            ("filter", json!(["a", "b"]), json!(["b", "a"]), "filter: in another order"),
            ("filter", json!([]), json!(["a"]), r#"filter: none → "a""#),
            ("filter", json!(null), json!(["a"]), r#"filter: none → "a""#),
            ("projects", json!(null), json!([1, 2]), "projects: all → 1, 2"),
            ("projects", json!([1, 2]), json!([2, 3]), "projects: + 3, - 1"),
            ("projects", json!([1]), json!(null), "projects: 1 → all"),
            ("headers", json!(["x-a"]), json!(["x-a"]), "headers: values changed"),
            ("headers", json!(["x-a"]), json!(["x-b"]), r#"headers: + "x-b", - "x-a""#),
            ("headers", json!({"x-a": "…"}), json!({}), r#"headers: "x-a" → none"#),
            ("active", json!(false), json!(true), "active: false → true"),
            ("na\u{7}me", json!("\u{1b}"), json!({"x": 1}), r#"na\u{7}me: "\u{1b}" → "x""#),
        ] {
            assert_eq!(changed(&plain, &Change { field: field.to_owned(), from, to }), expected);
        }
        let hidden = wanted("name: a\nurl: {env: U}\nevents: []\nheaders: {X-A: {env: H}}");
        let change = |field: &str| Change { field: field.to_owned(), from: json!(["old"]), to: json!(["new"]) };
        assert_eq!(changed(&hidden, &change("url")), "url: changes, with {env: U}");
        assert_eq!(changed(&hidden, &change("headers")), r#"headers: + "new", - "old""#);
    }

    #[test]
    fn each_kind_of_step_has_its_sign_and_colour() {
        let wanted = wanted("name: a\nurl: u\nevents: []");
        let changes = vec![Change { field: "active".to_owned(), from: json!(true), to: json!(false) }];
        let update = Step::Update { wanted: &wanted, existing: existing(), changes, warnings: Vec::new() };
        let steps = [update, Step::Delete(existing()), Step::Unchanged(existing()), Step::Keep(existing())];
        let shown: Vec<String> = steps.iter().map(|of| step(of, PLAIN)).collect();
        let expected = [
            "~ update \"a\" (12)\n    active: true → false",
            "- delete \"a\" (12)",
            "= unchanged \"a\" (12)",
            "= kept \"a\" (12), which is not in the file",
        ];
        assert_eq!(shown, expected);
        let paint = Paint { colours: true };
        assert_eq!(step(&steps[1], paint), "\x1b[31m- delete \"a\" (12)\x1b[0m");
        assert_eq!(step(&steps[2], paint), expected[2]);
    }

    #[test]
    fn the_last_line_counts() {
        let counts = Counts { create: 1, update: 2, delete: 0, unchanged: 3, keep: 0 };
        assert_eq!(summary(counts), "1 to create, 2 to change, 0 to delete, 3 unchanged");
        let counts = Counts { keep: 2, ..Counts::default() };
        assert_eq!(summary(counts), "nothing to do, 0 unchanged, 2 kept (--prune deletes what is not in the file)");
    }
}
