//! The file: webhooks as they are to be, each with the lines of its fields.

use std::{cmp::Reverse, env::VarError, fmt};

use serde_json::{Map, Value as Json, json};

use super::{
    read::Reader,
    yaml::{self, Mistake},
};

/// A thousand webhooks take about a third of it.
pub(super) const MAX_BYTES: usize = 1 << 20;
/// So many mistakes are told. A file with one thing wrong throughout has thousands, and nobody reads them.
const TOLD: usize = 100;

/// Looks an environment variable up.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Result<String, VarError>;

/// A text of the file, or of an environment variable that the file names.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) value: String,
    /// Where the value comes from, if it does not stand in the file; it is never shown then.
    pub(super) variable: Option<String>,
    pub(super) line: usize,
}

impl fmt::Debug for Text {
    /// Not the value, which may be a secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Text(line {})", self.line)
    }
}

/// A webhook as the file wants it.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) name: String,
    /// Where it begins.
    pub(super) line: usize,
    pub(super) url: Text,
    pub(super) kind: Text,
    pub(super) events: Vec<Text>,
    /// `None`: all.
    pub(super) projects: Option<Vec<i64>>,
    pub(super) allow_insecure: bool,
    pub(super) send_traceparent: bool,
    /// Name and value; a value is never shown, wherever it comes from.
    pub(super) headers: Vec<(String, Text)>,
    pub(super) filter: Vec<Text>,
    pub(super) active: bool,
    /// The fields that the file names, and where.
    pub(super) lines: Vec<(&'static str, usize)>,
}

/// The webhooks of a file, or the mistakes in it, by line: all of them, up to [`TOLD`].
pub(super) fn read(bytes: &[u8], environment: Environment<'_>) -> Result<Vec<Wanted>, Vec<Mistake>> {
    let text = text(bytes).map_err(|mistake| vec![mistake])?;
    let root = yaml::parse(text)?;
    let mut reader = Reader::new(environment);
    let webhooks = reader.file(root);
    let mut mistakes = reader.mistakes;
    if mistakes.is_empty() {
        return Ok(webhooks);
    }
    mistakes.sort_by_key(|mistake| mistake.line);
    if mistakes.len() > TOLD {
        let more = mistakes.len() - TOLD;
        mistakes.truncate(TOLD);
        let line = mistakes.last().map_or(1, |mistake| mistake.line);
        mistakes.push(Mistake::new(line, format!("and {more} more mistakes from here on; mend these first")));
    }
    Err(mistakes)
}

fn text(bytes: &[u8]) -> Result<&str, Mistake> {
    if bytes.len() > MAX_BYTES {
        let text = format!("the file has more than {} KiB; apply it in parts, without --prune", MAX_BYTES >> 10);
        return Err(Mistake::new(1, text));
    }
    let text = str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        Mistake::new(line, "is not UTF-8; save the file as UTF-8")
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

impl Wanted {
    /// All fields but the name, as REST takes them: those that the file leaves out have their defaults.
    pub(super) fn fields(&self) -> Map<String, Json> {
        let texts = |texts: &[Text]| texts.iter().map(|text| text.value.as_str()).collect::<Json>();
        let headers: Map<_, _> =
            self.headers.iter().map(|(name, text)| (name.clone(), Json::from(text.value.as_str()))).collect();
        let fields = [
            ("url", json!(self.url.value)),
            ("type", json!(self.kind.value)),
            ("events", texts(&self.events)),
            ("projects", json!(self.projects)),
            ("allow_insecure", json!(self.allow_insecure)),
            ("send_traceparent", json!(self.send_traceparent)),
            ("headers", Json::Object(headers)),
            ("filter", texts(&self.filter)),
            ("active", json!(self.active)),
        ];
        fields.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()
    }

    /// The environment variables that a field's texts come from.
    pub(super) fn variables(&self, field: &str) -> Vec<&str> {
        self.texts().filter(|(of, _)| *of == field).filter_map(|(_, text)| text.variable.as_deref()).collect()
    }

    /// What the server says against a field, with the line that it is about and nothing in it that came from the
    /// environment.
    pub(super) fn mistake(&self, field: &str, message: &str) -> Mistake {
        // `headers.x-token` is about `headers`.
        let base = field.split(['.', '[']).next().unwrap_or_default();
        let line = self.line_of(base, &format!("{field} {message}"));
        Mistake::new(line, format!("{field}: {}", self.conceal(message)))
    }

    /// A text of the server with the names of environment variables in place of what came from them.
    pub(super) fn conceal(&self, message: &str) -> String {
        self.texts().fold(message.to_owned(), |message, (_, text)| match &text.variable {
            Some(variable) => message.replace(&text.value, &format!("{{env: {variable}}}")),
            None => message,
        })
    }

    /// Of a list, the line of the item that the message names, if it names one.
    fn line_of(&self, field: &str, message: &str) -> usize {
        let names_header = |name: &str| message.to_lowercase().contains(&name.to_lowercase());
        let item = match field {
            "events" => first_named(&self.events, message),
            "filter" => numbered(&self.filter, message).or_else(|| first_named(&self.filter, message)),
            "headers" => self.headers.iter().find(|(name, _)| names_header(name)).map(|(_, text)| text.line),
            _ => None,
        };
        let own = || self.lines.iter().find(|(name, _)| *name == field).map(|(_, line)| *line);
        item.or_else(own).unwrap_or(self.line)
    }

    /// All texts with the field that each is of.
    fn texts(&self) -> impl Iterator<Item = (&'static str, &Text)> {
        let events = self.events.iter().map(|text| ("events", text));
        let headers = self.headers.iter().map(|(_, text)| ("headers", text));
        let filter = self.filter.iter().map(|text| ("filter", text));
        [("url", &self.url), ("type", &self.kind)].into_iter().chain(events).chain(headers).chain(filter)
    }
}

/// The line of the text that the message names first; the rest of a message may be an example of what is right. Of two
/// that begin alike the longer is meant: `run.completed` rather than `run.complete`.
fn first_named(texts: &[Text], message: &str) -> Option<usize> {
    let place = |text: &Text| message.find(&text.value).filter(|_| !text.value.is_empty());
    let named = texts.iter().filter_map(|text| Some((place(text)?, Reverse(text.value.len()), text.line)));
    named.min().map(|(_, _, line)| line)
}

/// The line of the condition that the message numbers, as in `condition 2 has no value`.
fn numbered(texts: &[Text], message: &str) -> Option<usize> {
    let (_, rest) = message.split_once("condition ")?;
    let number: usize = rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()?;
    texts.get(number.checked_sub(1)?).map(|text| text.line)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn environment(name: &str) -> Result<String, VarError> {
        match name {
            "URL" => Ok("https://ci.example.com/in/hunter2".to_owned()),
            "TOKEN" => Ok("hunter2".to_owned()),
            "EMPTY" => Ok(String::new()),
            "BYTES" => Err(VarError::NotUnicode("x".into())),
            _ => Err(VarError::NotPresent),
        }
    }

    fn good(text: &str) -> Vec<Wanted> {
        read(text.as_bytes(), &environment).unwrap_or_else(|mistakes| panic!("{text}: {mistakes:?}"))
    }

    /// The mistakes as `LINE: text`.
    fn mistakes(text: &[u8]) -> Vec<String> {
        let mistakes = read(text, &environment).err().unwrap_or_default();
        mistakes.iter().map(|Mistake { line, text }| format!("{line}: {text}")).collect()
    }

    const FULL: &str = r#"
webhooks:
  - name: CI failures
    url: {env: URL}
    type: slack
    events: [run.completed, "case.*"]
    projects: [2, 1]
    allow_insecure: true
    send_traceparent: true
    headers:
      X-Token: {env: TOKEN}
      X-Team: qa
    filter:
      - data.result == failed
      - project.id == 1
    active: false
  - {name: "x", url: "https://a.example/", events: ["*"]}
"#;

    #[test]
    fn everything_that_is_left_out_has_its_default() {
        let webhooks = good(FULL);
        let body: Vec<Json> = webhooks.iter().map(|webhook| Json::Object(webhook.fields())).collect();
        let expected = json!([{
            "url": "https://ci.example.com/in/hunter2", "type": "slack", "events": ["run.completed", "case.*"],
            "projects": [2, 1], "allow_insecure": true, "send_traceparent": true, "headers": {"X-Token": "hunter2", "X-Team": "qa"},
            "filter": ["data.result == failed", "project.id == 1"], "active": false
        }, {
            "url": "https://a.example/", "type": "generic", "events": ["*"], "projects": null,
            "allow_insecure": false, "send_traceparent": false, "headers": {}, "filter": [], "active": true
        }]);
        assert_eq!(Json::from(body), expected);
        assert_eq!((webhooks[0].name.as_str(), webhooks[0].line, webhooks[1].line), ("CI failures", 3, 17));
        assert!(!format!("{webhooks:?}").contains("hunter2"));
    }

    #[test]
    fn json_is_read_as_yaml_is() {
        let text = "\u{feff}{\"webhooks\": [\n\t{\"name\": \"\\ud83d\\ude80\", \"url\": \"https://a/\",\n\t\"events\": []}]}\r\n";
        let webhooks = good(text);
        assert_eq!((webhooks[0].name.as_str(), webhooks[0].line), ("🚀", 2));
        assert!(good("webhooks: []").is_empty());
        let shared = "webhooks:\n- {name: a, url: u, events: &all ['*'], projects: all}\n- {name: b, url: u, events: *all, projects: ~}\n";
        let webhooks = good(shared);
        assert_eq!(webhooks[1].events[0].value, "*");
        assert_eq!((&webhooks[0].projects, &webhooks[1].projects), (&None, &None));
    }

    #[test]
    fn mistakes_of_the_server_are_in_the_line_of_their_field() {
        let webhook = &good(FULL)[0];
        for (field, message, line) in [
            ("url", "must not lead to a private address", 4),
            ("type", "is wrong", 5),
            ("projects", "0 is not a project id", 7),
            ("headers", "`x-team` is not possible", 12),
            ("headers.X-Token", "is too long", 11),
            ("headers", "too many", 10),
            ("filter", "`project.id == 1`: no such field", 15),
            ("filter", "`project.id` is wrong, as `project.id == 1`; try `data.result == failed`", 15),
            ("filter", "condition 2 has no value, as in `data.result == failed`", 15),
            ("filter", "condition 3 is one too many", 13),
            ("filter", "too many", 13),
            ("events", "`run.completed` is nothing", 6),
            ("name", "is taken", 3),
            ("secret", "is nothing of the file's", 3),
        ] {
            let mistake = webhook.mistake(field, message);
            assert_eq!((mistake.line, mistake.text), (line, format!("{field}: {message}")));
        }
        let mistake = webhook.mistake("url", "https://ci.example.com/in/hunter2 is bad");
        assert_eq!(mistake.text, "url: {env: URL} is bad");
    }

    #[test]
    fn every_mistake_is_told_with_its_line() {
        for case in include_str!("mistakes.txt").split("\n==== ").skip(1) {
            let (text, expected) = case.split_once("\n----\n").unwrap();
            let (title, text) = text.split_once('\n').unwrap_or((text, ""));
            let found = mistakes(text.as_bytes());
            let expected: Vec<&str> = expected.lines().collect();
            assert_eq!(found.len(), expected.len(), "{title}: {found:#?}");
            for (found, expected) in found.iter().zip(expected) {
                assert!(found.starts_with(expected), "{title}: {found} is not {expected}");
                assert!(!found.contains("hunter"), "{title}: {found}");
            }
        }
    }

    #[test]
    fn of_many_mistakes_the_first_are_told_and_how_many_there_are() {
        let told = mistakes(format!("webhooks:\n{}", "- x: 1\n".repeat(60)).as_bytes());
        assert_eq!(told.len(), TOLD + 1);
        assert!(told[TOLD].ends_with("and 140 more mistakes from here on; mend these first"), "{}", told[TOLD]);
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        assert_eq!(mistakes(b"webhooks:\n- name: a\xff\n"), ["2: is not UTF-8; save the file as UTF-8"]);
        assert!(mistakes(&vec![b' '; MAX_BYTES + 1])[0].starts_with("1: the file has more than 1024 KiB"));
        assert!(mistakes(&vec![b' '; MAX_BYTES])[0].starts_with("1: the file is empty"));
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(bytes in any::<Vec<u8>>(), text in "webhooks:( \\[|\n)(- |\\{|name|: |url|env|'a'|\n  |\\[|\\]|,|\\}|1|~|events|projects|headers|all){0,40}") {
            for bytes in [&bytes, text.as_bytes()] {
                if let Err(mistakes) = read(bytes, &environment) {
                    prop_assert!(!mistakes.is_empty());
                    prop_assert!(mistakes.is_sorted_by_key(|mistake| mistake.line));
                }
            }
        }
    }
}
