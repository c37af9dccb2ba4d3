//! Slack: Block Kit.
//!
//! Links are text, not buttons: Slack expects an answer to every button that is pressed, also to one that only opens an
//! address, and shows a warning where the app behind a webhook gives none.

mod mrkdwn;

use serde::Serialize;
use time::{OffsetDateTime, macros::format_description};

use crate::{
    RenderError,
    detail::{Detail, first_that_fits},
    link::Link,
    notice::{Changed, Fact, Notice, Part, Sign, Thing},
    text::{Label, Text, fit, units},
};
use mrkdwn::{Mrkdwn, Plain};

/// Of a header. In UTF-16 units, like all lengths here.
const HEADER: usize = 150;
/// Of a section or a context element.
const SECTION: usize = 3000;
/// Of a field of a section.
const FIELD: usize = 2000;
/// Of the whole body, its JSON syntax included, which is the strictest way to count.
const BODY: usize = 13_000;
/// Of a link with its escapes, so that it and the text with it fit a section.
const LINK: usize = 2600;
/// Of one of many links.
const SIDE_LINK: usize = 1700;
/// Of the text that notifications show.
const SUMMARY: usize = 1000;

#[derive(Serialize)]
struct Message {
    text: String,
    blocks: Vec<Block>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Header {
        text: TextObject,
    },
    Section {
        text: TextObject,
    },
    #[serde(rename = "section")]
    Fields {
        fields: Vec<TextObject>,
    },
    Context {
        elements: Vec<TextObject>,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum TextObject {
    PlainText {
        text: String,
        emoji: bool,
    },
    /// With `verbatim`, Slack makes no links of addresses and names in it.
    Mrkdwn {
        text: String,
        verbatim: bool,
    },
}

/// The message for a notice.
pub(crate) fn render(notice: &Notice) -> Result<Vec<u8>, RenderError> {
    let build = |detail: &Detail| {
        let message = message(notice, detail);
        serde_json::to_string(&message).map(|body| (message.fits(), body))
    };
    let fits =
        |built: &Result<(bool, String), _>| built.as_ref().is_ok_and(|(fits, body)| *fits && units(body) <= BODY);
    let (_, body) = first_that_fits(build, fits).map_err(|source| RenderError::Value { member: "slack", source })?;
    Ok(body.into_bytes())
}

impl Message {
    /// Whether every text keeps its limit; the number of blocks and fields follows from how they are built.
    fn fits(&self) -> bool {
        let within = |text: &TextObject, limit| match text {
            TextObject::PlainText { text, .. } | TextObject::Mrkdwn { text, .. } => units(text) <= limit,
        };
        self.blocks.iter().all(|block| match block {
            Block::Header { text } => within(text, HEADER),
            Block::Section { text } => within(text, SECTION),
            Block::Fields { fields } => fields.iter().all(|field| within(field, FIELD)),
            Block::Context { elements } => elements.iter().all(|element| within(element, SECTION)),
        })
    }
}

fn message(notice: &Notice, detail: &Detail) -> Message {
    let mut blocks = Vec::with_capacity(8);
    if notice.is_test {
        let test = mrkdwn("🧪 *Test* · sent to try this webhook; nothing happened".to_owned());
        blocks.push(Block::Context { elements: vec![test] });
    }
    blocks.push(header(notice));
    if let Some(subject) = &notice.subject {
        let mut text = String::from("*");
        push_link(&mut text, &subject.name, notice.link.as_ref(), detail.name, LINK);
        text.push('*');
        blocks.push(section(text));
    }
    blocks.extend(notice.parts.iter().map(|part| block(part, detail)));
    blocks.push(Block::Context { elements: footer(notice, detail).into_iter().map(mrkdwn).collect() });
    Message { text: summary(notice), blocks }
}

fn section(text: String) -> Block {
    Block::Section { text: mrkdwn(text) }
}

fn mrkdwn(text: String) -> TextObject {
    TextObject::Mrkdwn { text, verbatim: true }
}

fn header(notice: &Notice) -> Block {
    let mut text = String::new();
    let test = if notice.is_test { "Test · " } else { "" };
    let headline = Text::line(&format!("{test}{} {}", notice.emoji, notice.headline));
    fit(&mut text, &headline, HEADER, &Plain);
    Block::Header { text: TextObject::PlainText { text, emoji: false } }
}

fn summary(notice: &Notice) -> String {
    let mut out = String::new();
    fit(&mut out, &notice.summary(), SUMMARY, &Mrkdwn);
    out
}

fn block(part: &Part, detail: &Detail) -> Block {
    match part {
        Part::Counts(counts) => {
            let numbers: Vec<_> = counts.parts().map(|(_, number, word)| format!("*{number}* {word}")).collect();
            let percent = counts.percent().map_or_else(String::new, |percent| format!("  {percent}% passed\n"));
            section(format!("{}{percent}{}  ·  *{}* in all", counts.bar(), numbers.join("  ·  "), counts.total))
        }
        Part::Changes(rows) => {
            let lines = rows.iter().take(detail.rows).map(|row| change(row, detail)).collect();
            section(listed(lines, rows.len()))
        }
        Part::Links(rows) => {
            let lines = rows.iter().take(detail.rows).map(|(sign, thing)| link(*sign, thing, detail)).collect();
            section(listed(lines, rows.len()))
        }
        Part::Quote(text) => {
            let mut quoted = String::new();
            fit(&mut quoted, text, detail.quote, &Mrkdwn);
            section(format!(">{}", quoted.replace('\n', "\n>")))
        }
        Part::Facts(facts) => Block::Fields { fields: facts.iter().map(|fact| mrkdwn(field(fact, detail))).collect() },
    }
}

/// Lines, and how many there are beyond them.
fn listed(mut lines: Vec<String>, all: usize) -> String {
    if all > lines.len() {
        lines.push(format!("… and {} more", all - lines.len()));
    }
    lines.join("\n")
}

fn change(row: &Changed, detail: &Detail) -> String {
    let mut out = String::new();
    fit(&mut out, &row.field, detail.value, &Label(Mrkdwn));
    out.push_str(":  ");
    value(&mut out, row.from.as_ref(), detail);
    out.push_str("  →  *");
    value(&mut out, row.to.as_ref(), detail);
    out.push('*');
    out
}

fn value(out: &mut String, value: Option<&Text>, detail: &Detail) {
    match value {
        Some(text) => fit(out, text, detail.value, &Mrkdwn),
        None => out.push_str("none"),
    }
}

fn link(sign: Sign, thing: &Thing, detail: &Detail) -> String {
    let mut out = match sign {
        Sign::Added => "➕  ".to_owned(),
        Sign::Removed => "➖  ".to_owned(),
        Sign::Modified => "✏️  ".to_owned(),
    };
    push_link(&mut out, &thing.name, detail.link(thing.link.as_ref()), detail.value, SIDE_LINK);
    out
}

fn field(fact: &Fact, detail: &Detail) -> String {
    let mut out = format!("*{}*\n", fact.label);
    push_link(&mut out, &fact.value.name, detail.link(fact.value.link.as_ref()), detail.value, SIDE_LINK);
    out
}

/// Where; who and when; and what to open, unless the subject links to it. Apart, because each may hold a long address.
fn footer(notice: &Notice, detail: &Detail) -> Vec<String> {
    let mut place = String::new();
    push_link(&mut place, &notice.project.name, notice.project.link.as_ref(), detail.name, LINK);
    let mut deed = String::new();
    if let Some(byline) = notice.byline(detail.name) {
        fit(&mut deed, &byline, detail.name + 20, &Mrkdwn);
        deed.push_str("  ·  ");
    }
    deed.push_str(&date(notice.at));
    let mut texts = vec![place, deed];
    if let (None, Some(button)) = (&notice.subject, notice.buttons.first()) {
        let mut open = String::new();
        push_link(&mut open, &Text::line(button.title), Some(&button.link), detail.name, LINK);
        texts.push(open);
    }
    texts
}

/// In each reader's own time zone; clients that cannot do that show UTC.
fn date(at: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
    let fallback = at.format(format).unwrap_or_default();
    format!("<!date^{}^{{date_short_pretty}}, {{time}}|{fallback}>", at.unix_timestamp())
}

/// A name that links to an address, unless that is longer than `longest` with its escapes.
fn push_link(out: &mut String, name: &Text, link: Option<&Link>, limit: usize, longest: usize) {
    let address = link.map(|link| link.as_str().replace('&', "&amp;")).filter(|address| address.len() <= longest);
    let Some(address) = address else {
        fit(out, name, limit, &Mrkdwn);
        return;
    };
    out.push('<');
    out.push_str(&address);
    out.push('|');
    fit(out, name, limit, &Mrkdwn);
    out.push('>');
}
