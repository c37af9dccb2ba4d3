//! Events that nobody wants to get: the samples with every text, list and number replaced.

use payload::sample;
use proto::v1::{AutomationLink, Change, Event, event::Data};
use serde_json::Value;

use domain::EventType;

/// A sample whose texts are all made by `text` from what they were; addresses, days and enum values stay.
pub(crate) fn rewritten(kind: EventType, text: &dyn Fn(&str) -> String) -> Event {
    let event = sample(kind);
    let body = payload::render_generic(&event, false).unwrap();
    let mut value: Value = serde_json::from_slice(&body).unwrap();
    for member in ["project", "user", "data"] {
        rewrite(&mut value[member], text);
    }
    let mut event = proto::event::from_json(&value.to_string()).unwrap();
    for (index, change) in event.changes.iter_mut().enumerate() {
        for json in [&mut change.from_json, &mut change.to_json] {
            let mut value: Value = serde_json::from_str(if json.is_empty() { "null" } else { json }).unwrap();
            rewrite(&mut value, text);
            if let Value::String(was) = &mut value {
                *was = text(was);
            }
            *json = value.to_string();
        }
        // Each once.
        change.field = if index == 0 { text(&change.field) } else { format!("{}{index}", text(&change.field)) };
    }
    event
}

fn rewrite(value: &mut Value, text: &dyn Fn(&str) -> String) {
    let fixed = |name: &str| {
        name.ends_with("url") || name.ends_with("_at") || matches!(name, "due_date" | "result" | "state" | "type")
    };
    match value {
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                match member {
                    Value::String(_) if fixed(name) => {}
                    Value::String(was) => *was = text(was),
                    other => rewrite(other, text),
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                if let Value::String(was) = item {
                    *was = text(was);
                } else {
                    rewrite(item, text);
                }
            }
        }
        _ => {}
    }
}

/// The event with as much of everything as its schema lets in.
pub(crate) fn crowded(mut event: Event, many: usize, text: &str) -> Event {
    event.changes = (0..many)
        .map(|number| Change {
            field: format!("{text}{number}"),
            from_json: Value::from(text).to_string(),
            to_json: Value::from(vec![text; 20]).to_string(),
        })
        .collect();
    let tags = || vec![text.to_owned(); many];
    match event.data.as_mut().unwrap() {
        Data::RunCompleted(data) => {
            let run = data.run.as_mut().unwrap();
            (run.tags, run.total_count, run.failure_count) = (tags(), Some(i64::MAX), Some(i64::MAX));
            (run.success_count, run.elapsed) = (Some(i64::MAX), Some(i64::MAX));
        }
        Data::CaseCreated(data) => data.case.as_mut().unwrap().tags = tags(),
        Data::SessionClosed(data) => data.session.as_mut().unwrap().tags = tags(),
        Data::CaseAutomationLinksChanged(data) => {
            let url = format!("https://example.testmo.net/{}", "x&".repeat(600));
            let link = AutomationLink { id: 7, name: text.to_owned(), url };
            let links = data.links.as_mut().unwrap();
            (links.added, links.modified) = (vec![link.clone(); many], vec![link; many]);
        }
        _ => {}
    }
    event
}

/// The event with every address replaced.
pub(crate) fn relinked(kind: EventType, address: &str) -> Event {
    let body = payload::render_generic(&sample(kind), false).unwrap();
    let mut value: Value = serde_json::from_slice(&body).unwrap();
    fn walk(value: &mut Value, address: &str) {
        match value {
            Value::Object(members) => {
                for (name, member) in members.iter_mut() {
                    if name.ends_with("url") {
                        *member = Value::from(address);
                    } else {
                        walk(member, address);
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| walk(item, address)),
            _ => {}
        }
    }
    walk(&mut value, address);
    proto::event::from_json(&value.to_string()).unwrap()
}

/// The sample with counts that contradict each other, or that no run can have.
pub(crate) fn miscounted() -> Vec<Event> {
    let counts = [[0; 5], [-1; 5], [i64::MAX; 5], [i64::MIN; 5], [3, 5, 7, 11, 13], [i64::MAX, 0, 0, i64::MAX, 1]];
    let all = counts.into_iter().map(|counts| counts.map(Some)).chain([[None; 5], [None, None, None, Some(5), None]]);
    all.flat_map(|[total, untested, completed, passed, failed]| {
        [EventType::RunStarted, EventType::RunCompleted, EventType::RunDeleted].map(|kind| {
            let mut event = sample(kind);
            let run = match event.data.as_mut().unwrap() {
                Data::RunStarted(data) => data.run.as_mut(),
                Data::RunCompleted(data) => data.run.as_mut(),
                Data::RunDeleted(data) => data.run.as_mut(),
                _ => None,
            };
            let run = run.unwrap();
            (run.total_count, run.untested_count, run.completed_count) = (total, untested, completed);
            (run.success_count, run.failure_count) = (passed, failed);
            (run.elapsed, run.forecast) = (failed, passed);
            (run.status1_count, run.status12_count, run.status24_count) = (passed, Some(i64::MAX), Some(-1));
            event
        })
    })
    .collect()
}

/// Addresses that are links, but not in every place of every target.
pub(crate) fn odd_addresses() -> Vec<String> {
    let hosts = ["testmo", "localhost:8080", "[2001:db8::1]", "a_b.example", "a..b", "@a.b", "/a.b", "testmo."];
    hosts.map(|host| format!("http://{host}/runs/view/214?a=)|>\"'<b>#*_`")).to_vec()
}

/// Texts that attack a target, or its limits.
pub(crate) fn hostile() -> Vec<String> {
    let attacks = [
        "<!channel> <!here|x> <@U012AB3CD> <#C024BE7LR> <!subteam^S1> <!date^1^{date}|x> <https://evil.example|click>",
        "@everyone @here @channel <@123> <@&456> <#789> <t:1:R> <:a:1> </x:1> <id:home>",
        "[click](https://evil.example) https://evil.example <https://evil.example> ![x](https://evil.example/x.png)",
        "**b** *i* __u__ _i_ ~~s~~ ~s~ `c` ```\nblock\n``` ||spoiler|| \\*x\\* \\",
        "# heading\n## h\n-# small\n- item\n* item\n+ item\n1. one\n2) two\n> quote\n>>> more\n&gt; x",
        "{{DATE(2026-01-01T00:00:00Z)}} {{{{TIME(x)}}}} ${name} <at>Ada</at> &lt;b&gt; &amp; <b>x</b>",
        "\u{202e}evil\u{2066}x\u{200b}y\u{feff}z\u{0}\u{1b}[31m\u{7}\u{2028}q\u{e0041}",
        "שלום *עולם* <@U1> مرحبا",
        ":tada: :warning: 10:30:45 a_b _c_",
        "]( ) | > < & \" ' ` * _ ~ # - \\ {",
        "@\u{200b}everyone @\u{2060}here <\u{200b}@U1> <\u{feff}!channel> [\u{ad}x](http://evil.example)",
        "&lt;!channel&gt; &amp;lt;@U1&amp;gt; &#60;b&#62; &lt;at&gt;x&lt;/at&gt;",
        "<http://evil.example|x> <mailto:a@evil.example|x> <a href='//evil.example'>x</a> //evil.example",
        ":100: :smile::skin-tone-2: :größe: 100:100:100",
        "C:\\temp\\* a_b_c _d_ __e__ f_ _g",
        "first\r\n# second\r\n1. third\n\n> fourth\n- fifth",
        "***",
        "___",
        "~~~",
        "===",
        "-",
        "1.",
        "12)",
        "1) x",
        "1. x",
        "\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}\u{fe0f}",
        "",
        " \u{200b}\u{3164} ",
    ];
    attacks.map(str::to_owned).to_vec()
}

/// Long texts of one kind of character each.
pub(crate) fn extreme() -> Vec<String> {
    let units = [
        "a",
        "&",
        "*",
        "\\",
        "\"",
        "<",
        "@everyone ",
        "漢",
        "😀",
        "👩🏻‍❤️‍💋‍👨🏻",
        "e\u{301}\u{302}",
        "\n",
        "א",
        "🇩🇪",
        "_ ",
        "{{",
        "://",
    ];
    let mut all: Vec<_> = units.iter().map(|unit| unit.repeat(10_000 / unit.len())).collect();
    all.push(format!("a{}", "\u{301}".repeat(6000)));
    all.push("words and words ".repeat(6000));
    all
}
