//! From the tree of a file to its webhooks, keeping every mistake on the way.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    env::VarError,
};

use super::{
    file::{Environment, Text, Wanted},
    yaml::{Member, Mistake, Node, Value, shown},
};

const FIELDS: [&str; 10] =
    ["name", "url", "type", "events", "projects", "allow_insecure", "send_traceparent", "headers", "filter", "active"];

/// Reads the tree. What it answers means something only if there was no mistake.
pub(super) struct Reader<'a> {
    environment: Environment<'a>,
    pub(super) mistakes: Vec<Mistake>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(environment: Environment<'a>) -> Self {
        Self { environment, mistakes: Vec::new() }
    }

    /// The webhooks of the file.
    pub(super) fn file(&mut self, root: Node) -> Vec<Wanted> {
        const SHAPE: &str = "the file must be a mapping with the member `webhooks`, a list; `webhooks: []` is none";
        let line = root.line;
        let Value::Map(members) = root.value else {
            let empty = if matches!(root.value, Value::Null) { "the file is empty: " } else { "" };
            self.fault(line, format!("{empty}{SHAPE}"));
            return Vec::new();
        };
        let mut members = self.known(members, &["webhooks"]);
        let Some(webhooks) = members.remove("webhooks") else {
            self.fault(line, SHAPE);
            return Vec::new();
        };
        let Value::List(items) = webhooks.value.value else {
            self.fault(webhooks.value.line, "webhooks: must be a list of webhooks; `webhooks: []` is none");
            return Vec::new();
        };
        let webhooks: Vec<Wanted> = items.into_iter().filter_map(|item| self.webhook(item)).collect();
        self.refuse_equal_names(&webhooks);
        webhooks
    }

    fn refuse_equal_names(&mut self, webhooks: &[Wanted]) {
        let mut lines = HashMap::new();
        for webhook in webhooks.iter().filter(|webhook| !webhook.name.is_empty()) {
            // Of a webhook that is an alias the name stands further up.
            let line = webhook.lines.iter().find(|(field, _)| *field == "name").map_or(0, |(_, line)| *line);
            let line = line.max(webhook.line);
            match lines.entry(&webhook.name) {
                Entry::Vacant(free) => drop(free.insert(line)),
                Entry::Occupied(first) => {
                    let why = "the name says which webhook on the server this is; choose another";
                    self.fault(line, format!("name: is that of the webhook in line {} already; {why}", first.get()));
                }
            }
        }
    }

    fn webhook(&mut self, node: Node) -> Option<Wanted> {
        let line = node.line;
        let Value::Map(members) = node.value else {
            self.fault(line, "a webhook must be a mapping with the members name, url and events");
            return None;
        };
        let mut members = self.known(members, &FIELDS);
        let lines = members.iter().map(|(field, member)| (*field, member.line)).collect();
        for (field, example) in [
            ("name", "name: CI failures"),
            ("url", "url: https://ci.example.com/hook"),
            ("events", "events: [run.completed]"),
        ] {
            if !members.contains_key(field) {
                self.fault(line, format!("{field}: is missing; add a line such as `{example}`"));
            }
        }
        let nothing = || Text { value: String::new(), variable: None, line };
        let generic = || Text { value: "generic".to_owned(), ..nothing() };
        let mut take = |field: &'static str| members.remove(field).map(|member| (field, member.value));
        Some(Wanted {
            name: take("name").map(|(_, node)| self.name(node)).unwrap_or_default(),
            line,
            url: take("url").and_then(|(field, node)| self.text(field, node)).unwrap_or_else(nothing),
            kind: take("type").map_or_else(generic, |(field, node)| self.text(field, node).unwrap_or_else(nothing)),
            events: take("events").map(|(field, node)| self.texts(field, node)).unwrap_or_default(),
            projects: take("projects").and_then(|(_, node)| self.projects(node)),
            allow_insecure: take("allow_insecure").is_some_and(|(field, node)| self.flag(field, &node)),
            send_traceparent: take("send_traceparent").is_some_and(|(field, node)| self.flag(field, &node)),
            headers: take("headers").map(|(_, node)| self.headers(node)).unwrap_or_default(),
            filter: take("filter").map(|(field, node)| self.texts(field, node)).unwrap_or_default(),
            active: take("active").is_none_or(|(field, node)| self.flag(field, &node)),
            lines,
        })
    }

    /// The members by name; the others are mistakes.
    fn known(&mut self, members: Vec<Member>, known: &[&'static str]) -> BTreeMap<&'static str, Member> {
        let mut found = BTreeMap::new();
        for member in members {
            if let Some(name) = known.iter().find(|name| **name == member.name) {
                found.insert(*name, member);
                continue;
            }
            let fix = match nearest(&member.name, known) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("known here: {}", known.join(", ")),
            };
            self.fault(member.line, format!("{} is no member here; {fix}", shown(&member.name)));
        }
        found
    }

    /// The name, which must be as the server keeps it: otherwise the next run would not find it.
    fn name(&mut self, node: Node) -> String {
        match node.value {
            Value::Text(text) if text.trim().is_empty() => self.fault(node.line, "name: must not be empty"),
            Value::Text(text) if text.trim() != text => {
                self.fault(node.line, "name: must not begin or end with white space");
            }
            Value::Text(text) => return text,
            Value::Map(_) => {
                self.fault(node.line, "name: must stand here itself: it says which webhook on the server this is");
            }
            _ => self.fault(node.line, "name: must be a text; put it in quotes"),
        }
        String::new()
    }

    /// A text, or that of `{env: NAME}`.
    fn text(&mut self, field: &str, node: Node) -> Option<Text> {
        let line = node.line;
        match node.value {
            Value::Text(value) => return Some(Text { value, variable: None, line }),
            Value::Map(members) => return self.variable(field, line, &members),
            Value::Null => self.fault(line, format!("{field}: must be a text or {{env: NAME}}; nothing stands here")),
            Value::List(_) => self.fault(line, format!("{field}: must be one text or {{env: NAME}}, not a list")),
            _ => self.fault(line, format!("{field}: must be a text; put numbers, true and false in quotes")),
        }
        None
    }

    fn variable(&mut self, field: &str, line: usize, members: &[Member]) -> Option<Text> {
        let name = match members {
            [Member { name, value: Node { value: Value::Text(variable), .. }, .. }] if name == "env" => variable,
            _ => {
                self.fault(line, format!("{field}: must be a text or {{env: NAME}}, with nothing else in the braces"));
                return None;
            }
        };
        // Anything else may be the secret itself, and is not repeated.
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if name.is_empty() || !is_name || name.starts_with(|first: char| first.is_ascii_digit()) {
            self.fault(line, format!("{field}: env must name an environment variable: letters, digits and _"));
            return None;
        }
        let wrong = match (self.environment)(name) {
            Ok(value) if !value.is_empty() => return Some(Text { value, variable: Some(name.clone()), line }),
            Ok(_) => "is empty",
            Err(VarError::NotPresent) => "is not set",
            Err(VarError::NotUnicode(_)) => "is not UTF-8",
        };
        self.fault(line, format!("{field}: the environment variable {name} {wrong}; set it before this runs"));
        None
    }

    fn texts(&mut self, field: &str, node: Node) -> Vec<Text> {
        let Value::List(items) = node.value else {
            self.fault(node.line, format!("{field}: must be a list, each item a text; write […] around a single one"));
            return Vec::new();
        };
        items.into_iter().filter_map(|item| self.text(field, item)).collect()
    }

    fn flag(&mut self, field: &str, node: &Node) -> bool {
        if let Value::Flag(flag) = node.value {
            return flag;
        }
        self.fault(node.line, format!("{field}: must be true or false, without quotes"));
        false
    }

    /// Ids; `None` is all.
    fn projects(&mut self, node: Node) -> Option<Vec<i64>> {
        let items = match node.value {
            Value::Null => return None,
            Value::Text(text) if text == "all" => return None,
            Value::List(items) => items,
            _ => {
                self.fault(node.line, "projects: must be `all`, or a list of project ids such as [1, 2]");
                return None;
            }
        };
        let mut ids = Vec::with_capacity(items.len());
        for item in items {
            match item.value {
                Value::Integer(id) => ids.push(id),
                _ => self.fault(item.line, "projects: must list ids, which are whole numbers without quotes"),
            }
        }
        Some(ids)
    }

    fn headers(&mut self, node: Node) -> Vec<(String, Text)> {
        let Value::Map(members) = node.value else {
            self.fault(node.line, "headers: must be a mapping of names to values, such as {X-Team: qa}");
            return Vec::new();
        };
        let mut headers = Vec::with_capacity(members.len());
        for member in members {
            if matches!(member.value.value, Value::Null) {
                // `{Authorization:hunter2}` is a name in YAML.
                self.fault(
                    member.line,
                    "headers: a value is missing; write `Name: value`, with a space after the colon",
                );
            } else if let Some(text) = self.text("headers", member.value) {
                headers.push((member.name, text));
            }
        }
        headers
    }

    fn fault(&mut self, line: usize, text: impl Into<String>) {
        self.mistakes.push(Mistake::new(line, text));
    }
}

/// The name that was likely meant: less than half of it is to be changed.
fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    let name = name.to_lowercase();
    let slips = |known: &str| strsim::osa_distance(&name, known);
    let best = known.iter().copied().min_by_key(|known| slips(known))?;
    (slips(best) * 2 < best.len().max(name.len())).then_some(best)
}
