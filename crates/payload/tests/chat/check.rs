//! What targets demand of a message, stated anew: limits counted from the JSON, and small readers of each target's markup
//! that tell what it would link to, mention or format.

use domain::WebhookKind;
use serde_json::Value;

/// What a reader of markup finds in a message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Addresses that can be opened.
    pub(crate) links: Vec<String>,
    /// Formatting, quotations, lists, mentions, dates: everything else that is not text, in order.
    pub(crate) marks: Vec<String>,
}

pub(crate) fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    value.pointer(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn within(what: &str, text: &str, least: usize, most: usize) {
    let length = units(text);
    assert!((least..=most).contains(&length), "{what} has {length} units, not {least} to {most}: {text}");
}

/// Checks every limit, and that no text hides anything.
pub(crate) fn limits(target: WebhookKind, body: &[u8]) -> Value {
    let message: Value = serde_json::from_slice(body).unwrap();
    match target {
        WebhookKind::Slack => slack_limits(&message),
        WebhookKind::Discord => discord_limits(&message),
        WebhookKind::Teams => assert!(body.len() <= 20_000, "{} bytes", body.len()),
        WebhookKind::Generic => unreachable!(),
    }
    let hidden = |letter: char| {
        (letter.is_control() && letter != '\n')
            || matches!(letter, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}')
    };
    strings(&message, &mut |text| assert!(!text.contains(hidden), "{text:?}"));
    message
}

fn slack_limits(message: &Value) {
    within("text", text(message, "/text"), 1, 4000);
    let blocks = list(message, "/blocks");
    assert!((2..=50).contains(&blocks.len()));
    let mut all = units(text(message, "/text"));
    for block in blocks {
        let (most, texts): (usize, Vec<&Value>) = match text(block, "/type") {
            "header" => (150, vec![&block["text"]]),
            "section" if block.get("text").is_some() => (3000, vec![&block["text"]]),
            "section" => (2000, list(block, "/fields").iter().collect()),
            "context" => (3000, list(block, "/elements").iter().collect()),
            other => panic!("block {other}"),
        };
        assert!((1..=10).contains(&texts.len()));
        for object in texts {
            within("text object", text(object, "/text"), 1, most);
            all += units(text(object, "/text"));
        }
    }
    assert!(all <= 13_000 && units(&message.to_string()) <= 13_000, "{all}");
}

fn discord_limits(message: &Value) {
    assert_eq!(message["allowed_mentions"], serde_json::json!({"parse": []}));
    let [embed] = list(message, "/embeds") else { panic!("one embed") };
    within("title", text(embed, "/title"), 1, 256);
    within("description", text(embed, "/description"), 0, 4096);
    within("author", text(embed, "/author/name"), 1, 256);
    within("footer", text(embed, "/footer/text"), 0, 2048);
    for path in ["/url", "/author/url"] {
        let address = text(embed, path);
        within("url", address, 0, 2048);
        let host = address.split('/').nth(2).unwrap_or(".");
        assert!(host.contains('.') && !host.starts_with('['), "Discord takes no such host: {address}");
    }
    let fields = list(embed, "/fields");
    assert!(fields.len() <= 25);
    let mut all: usize =
        ["/title", "/description", "/author/name", "/footer/text"].map(|path| units(text(embed, path))).iter().sum();
    for field in fields {
        within("field name", text(field, "/name"), 1, 256);
        within("field value", text(field, "/value"), 1, 1024);
        all += units(text(field, "/name")) + units(text(field, "/value"));
    }
    assert!(all <= 6000, "{all}");
}

/// Calls `see` with every string of a message.
pub(crate) fn strings(value: &Value, see: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => see(text),
        Value::Array(items) => items.iter().for_each(|item| strings(item, see)),
        Value::Object(members) => members.values().for_each(|item| strings(item, see)),
        _ => {}
    }
}

/// What a message links to, mentions and formats.
pub(crate) fn read(target: WebhookKind, message: &Value) -> Found {
    let mut found = Found::default();
    match target {
        WebhookKind::Slack => {
            read_mrkdwn(text(message, "/text"), &mut found);
            for block in list(message, "/blocks") {
                let objects =
                    std::iter::once(&block["text"]).chain(list(block, "/fields")).chain(list(block, "/elements"));
                for object in objects.filter(|object| text(object, "/type") == "mrkdwn") {
                    assert_eq!(object["verbatim"], true, "Slack would make links of addresses");
                    read_mrkdwn(text(object, "/text"), &mut found);
                }
            }
        }
        WebhookKind::Discord => {
            let embed = &message["embeds"][0];
            found.links.extend(["/url", "/author/url"].map(|path| text(embed, path).to_owned()));
            read_discord(text(embed, "/title"), &mut found);
            read_discord(text(embed, "/description"), &mut found);
            list(embed, "/fields").iter().for_each(|field| read_discord(text(field, "/value"), &mut found));
            for path in ["/author/name", "/footer/text"] {
                let plain = text(embed, path);
                for markup in ["](", "<@", "<#", "<:", "<t:", "@everyone", "@here", "://"] {
                    assert!(!plain.contains(markup), "{plain}");
                }
            }
        }
        WebhookKind::Teams => read_card(&message["attachments"][0]["content"], &mut found),
        WebhookKind::Generic => unreachable!(),
    }
    found.links.retain(|link| !link.is_empty());
    found
}

/// `<…>` of any kind, escapes, quotations, and characters that format unless they stand within a word.
fn read_mrkdwn(text: &str, found: &mut Found) {
    let mut rest = text;
    let mut before = '\n';
    while let Some(letter) = rest.chars().next() {
        let mut length = letter.len_utf8();
        match letter {
            '<' => {
                let end = rest.find('>').expect("what is opened is closed");
                let inner = &rest[1..end];
                let (address, label) = inner.split_once('|').expect("a link has a label");
                assert!(!label.is_empty() && !inner.contains('<'), "{inner}");
                if address.starts_with("!date^") {
                    found.marks.push(address.to_owned());
                    length = end + 1;
                } else {
                    found.links.push(address.replace("&amp;", "&"));
                    length = address.len() + 2;
                }
            }
            '&' => {
                let known = ["&amp;", "&lt;", "&gt;"].iter().any(|escape| rest.starts_with(escape));
                assert!(known, "a bare & in {text}");
                assert!(!(before == '\n' && rest.starts_with("&gt;")), "a quotation in {text}");
            }
            '>' if before == '\n' => found.marks.push(">".to_owned()),
            '*' | '~' | '`' => found.marks.push(letter.to_string()),
            '_' => assert!(within_word(before, rest), "italics in {text}"),
            ':' => assert!(!is_emoji(rest), "an emoji in {text}"),
            '@' => {
                let lower = rest.to_lowercase();
                assert!(!["@channel", "@here", "@everyone"].iter().any(|name| lower.starts_with(name)), "{text}");
            }
            _ => {}
        }
        before = letter;
        rest = &rest[length..];
    }
}

/// Discord's inline rules in the order that its clients try them: escape, link, mention, address, formatting.
fn read_discord(text: &str, found: &mut Found) {
    let mut rest = text;
    let mut line_start = true;
    while let Some(letter) = rest.chars().next() {
        let mut length = letter.len_utf8();
        let next = rest[length..].chars().next();
        match letter {
            '\\' if next.is_some_and(|next| next.is_ascii_punctuation()) => length += 1,
            '\\' => panic!("half an escape in {text}"),
            '[' => {
                let end = unescaped(rest, ']').expect("our links only");
                assert!(rest[end..].starts_with("]("), "{text}");
                let close = end + rest[end..].find(')').expect("our links only");
                found.links.push(rest[end + 2..close].to_owned());
                found.marks.push("link".to_owned());
                let mut label = Found::default();
                read_discord(&rest[1..end], &mut label);
                assert_eq!(label, Found::default(), "markup in the text of a link in {text}");
                length = close + 1;
            }
            '<' | '`' | '|' | '~' | '_' | ']' => panic!("{letter} in {text}"),
            '*' => {
                assert!(rest.starts_with("**"), "{text}");
                found.marks.push("**".to_owned());
                length = 2;
            }
            '>' => {
                assert!(line_start && rest.starts_with("> "), "{text}");
                found.marks.push("> ".to_owned());
                // Lists and headings work within a quotation.
                rest = &rest[2..];
                continue;
            }
            '#' | '-' | '+' => assert!(!line_start, "a list or heading in {text}"),
            ':' => assert!(!rest.starts_with("://") && !is_emoji(rest), "an address or an emoji in {text}"),
            '@' => assert!(!(rest.starts_with("@everyone") || rest.starts_with("@here")), "a mention in {text}"),
            _ if line_start && letter.is_ascii_digit() => {
                let after = rest.trim_start_matches(|letter: char| letter.is_ascii_digit());
                assert!(!(after.starts_with(". ") || after.starts_with(") ")), "a list in {text}");
            }
            _ => {}
        }
        line_start = letter == '\n';
        rest = &rest[length..];
    }
}

/// Whether a name between colons begins a text; times of day are none.
fn is_emoji(text: &str) -> bool {
    // What stands for a back quote and an underscore in Slack is a letter to Unicode, but in no name.
    let fits = |letter: char| (letter.is_alphanumeric() && !"ˋˍ".contains(letter)) || "_-+'".contains(letter);
    let name = text[1..].split(|letter| !fits(letter)).next().unwrap();
    let closed = text[1 + name.len()..].starts_with(':') && name.chars().count() < 100;
    closed && name.contains(|letter: char| !letter.is_ascii_digit())
}

/// Where a character stands first that no backslash stands before.
fn unescaped(text: &str, wanted: char) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(index, letter)| {
        let found = letter == wanted && !escaped;
        escaped = letter == '\\' && !escaped;
        found.then_some(index)
    })
}

/// Whether the first character of `rest` stands within a word, which may be cut right after it: no emphasis begins there.
fn within_word(before: char, rest: &str) -> bool {
    before.is_ascii_alphanumeric() && rest[1..].starts_with(|next: char| next.is_ascii_alphanumeric() || next == '…')
}

fn read_card(element: &Value, found: &mut Found) {
    let functions = |text: &str| {
        let own = text.split_once("{{DATE(").map_or("", |(_, date)| date);
        let own_only = own.is_empty() || text.ends_with(own) && own.ends_with(")}}") && own.matches("{{").count() == 1;
        let outside = text.split("{{DATE(").next().unwrap();
        assert!(own_only && !outside.contains("{{") && !outside.contains("}}"), "a function in {text}");
        assert!(!text.contains("${") && !text.contains("<at") && !text.contains("</"), "{text}");
    };
    match text(element, "/type") {
        "TextBlock" => {
            let block = text(element, "/text");
            functions(block);
            read_teams(block, found);
        }
        "TextRun" => {
            let run = text(element, "/text");
            assert!(!run.contains("{{"), "a function in {run}");
            functions(run);
        }
        "Action.OpenUrl" => found.links.push(text(element, "/url").to_owned()),
        "FactSet" => {
            for fact in list(element, "/facts") {
                let value = text(fact, "/value");
                functions(value);
                read_teams(value, found);
            }
        }
        _ => functions(text(element, "/fallbackText")),
    }
    for path in ["/body", "/items", "/columns", "/inlines", "/actions"] {
        list(element, path).iter().for_each(|child| read_card(child, found));
    }
}

/// CommonMark's inline rules, as far as a text block knows them.
fn read_teams(text: &str, found: &mut Found) {
    let text = text.split("{{DATE(").next().unwrap();
    let mut rest = text;
    assert!(!text.starts_with(['-', '+', '#', '>']), "a list in {text}");
    let after = text.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let listed = [". ", ") "].iter().any(|mark| after.starts_with(mark)) || matches!(after, "." | ")");
    assert!(after.len() == text.len() || !listed, "a list in {text}");
    let mut before = ' ';
    while let Some(letter) = rest.chars().next() {
        let mut length = letter.len_utf8();
        match letter {
            '\\' => {
                let next = rest[1..].chars().next().expect("half an escape");
                assert!(next.is_ascii_punctuation(), "half an escape in {text}");
                length += next.len_utf8();
            }
            '[' => found.marks.push("[".to_owned()),
            ']' => {
                assert!(rest.starts_with("]("), "{text}");
                let end = rest.find(')').expect("our links only");
                found.links.push(rest[2..end].to_owned());
                found.marks.push("]".to_owned());
                length = end + 1;
            }
            '*' => found.marks.push("*".to_owned()),
            '_' => assert!(within_word(before, rest), "italics in {text}"),
            '&' => assert!(!rest[1..].starts_with(|next: char| next == '#' || next.is_ascii_alphabetic()), "{text}"),
            '`' | '<' | '~' => panic!("{letter} in {text}"),
            '/' => assert!(!rest.starts_with("//"), "an address in {text}"),
            _ => {}
        }
        before = letter;
        rest = &rest[length..];
    }
}
