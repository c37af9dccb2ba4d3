//! Teams: an Adaptive Card 1.4, as its Workflows take it.
//!
//! Text of users stands in rich text blocks, which know no markup. Names that are links, facts, and the line with the date
//! are text with markup, because Teams does not open links of rich text everywhere, nor writes dates in it.

mod card;
mod syntax;

use time::{OffsetDateTime, macros::format_description};

use crate::{
    RenderError,
    counts::Counts,
    detail::{Detail, first_that_fits},
    link::Link,
    notice::{Changed, Fact, Notice, Part, Sign, Thing, Tone},
    text::{Text, fit},
};
use card::{Action, Attachment, Card, Column, Element, FactRow, Message, Style, TextRun};
use syntax::{Markup, Plain, Unlinked};

/// Of the whole body, in bytes: 20 KB where a KB is 1,000.
const BODY: usize = 20_000;
/// Of the headline, in UTF-16 units.
const HEADLINE: usize = 200;
/// Of the text that clients show that know no cards, in UTF-16 units.
const SUMMARY: usize = 600;

/// The message for a notice.
pub(crate) fn render(notice: &Notice) -> Result<Vec<u8>, RenderError> {
    let build = |detail: &Detail| serde_json::to_vec(&message(notice, detail));
    let fits = |body: &Result<Vec<u8>, _>| body.as_ref().is_ok_and(|body| body.len() <= BODY);
    first_that_fits(build, fits).map_err(|source| RenderError::Value { member: "teams", source })
}

fn message(notice: &Notice, detail: &Detail) -> Message {
    let content = Card {
        kind: "AdaptiveCard",
        schema: "http://adaptivecards.io/schemas/adaptive-card.json",
        version: "1.4",
        fallback_text: summary(notice),
        body: body(notice, detail),
        actions: actions(notice, detail),
    };
    let content_type = "application/vnd.microsoft.card.adaptive";
    Message { kind: "message", attachments: [Attachment { content_type, content_url: None, content }] }
}

/// What clients show that cannot show the card; they may read it as text with markup.
fn summary(notice: &Notice) -> String {
    let mut out = String::new();
    fit(&mut out, &notice.summary(), SUMMARY, &Unlinked);
    out
}

fn actions(notice: &Notice, detail: &Detail) -> Vec<Action> {
    let mut actions: Vec<_> = notice
        .buttons
        .iter()
        .filter(|button| notice.link.as_ref() == Some(&button.link) || detail.link(Some(&button.link)).is_some())
        .map(|button| Action::open(button.title, button.link.as_str()))
        .collect();
    let project = notice.project.link.as_ref();
    actions.extend(project.map(|link| Action::open("Open project", link.as_str())));
    actions
}

fn body(notice: &Notice, detail: &Detail) -> Vec<Element> {
    let mut head = Vec::with_capacity(3);
    if notice.is_test {
        head.push(Element::block("🧪 **Test** · sent to try this webhook; nothing happened".to_owned(), Style::SUBTLE));
    }
    let headline = written(&Text::line(&format!("{} {}", notice.emoji, notice.headline)), HEADLINE);
    head.push(Element::runs(vec![TextRun::new(headline, Style::TITLE)]));
    if let Some(subject) = &notice.subject {
        head.push(named(&subject.name, notice.link.as_ref(), Style::NAME, detail.name).close());
    }
    let mut elements = vec![Element::Container { style: style(notice.tone), bleed: true, items: head }];
    for part in &notice.parts {
        push_part(&mut elements, part, detail);
    }
    elements.push(Element::block(footer(notice, detail), Style::SMALL));
    elements
}

/// Where, who, when.
fn footer(notice: &Notice, detail: &Detail) -> String {
    let mut out = linked(&notice.project.name, notice.project.link.as_ref(), detail.name);
    if let Some(byline) = notice.byline(detail.name) {
        out.push_str(" · ");
        fit(&mut out, &byline, detail.name + 20, &Markup);
    }
    out.push_str(&format!(" · {}", date(notice.at)));
    out
}

/// The colour behind the headline.
fn style(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Bad => "attention",
        Tone::Warning => "warning",
        Tone::News => "accent",
        Tone::Change | Tone::Gone => "emphasis",
    }
}

/// In each reader's own language and time zone.
fn date(at: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    let at = at.format(format).unwrap_or_default();
    format!("{{{{DATE({at}, SHORT)}}}} {{{{TIME({at})}}}}")
}

fn written(text: &Text, limit: usize) -> String {
    let mut out = String::new();
    fit(&mut out, text, limit, &Plain);
    out
}

/// A name, as a link where there is an address.
fn named(name: &Text, link: Option<&Link>, style: Style, limit: usize) -> Element {
    match link {
        Some(link) => Element::block(markup(name, link, limit), style),
        None => Element::runs(vec![TextRun::new(written(name, limit), style)]),
    }
}

/// A name in text with markup, as a link where there is an address.
fn linked(name: &Text, link: Option<&Link>, limit: usize) -> String {
    let Some(link) = link else {
        let mut out = String::new();
        fit(&mut out, name, limit, &Markup);
        return out;
    };
    markup(name, link, limit)
}

fn markup(name: &Text, link: &Link, limit: usize) -> String {
    let mut out = String::from("[");
    fit(&mut out, name, limit, &Markup);
    out.push_str("](");
    out.push_str(link.as_str());
    out.push(')');
    out
}

fn push_part(elements: &mut Vec<Element>, part: &Part, detail: &Detail) {
    match part {
        Part::Counts(counts) => push_counts(elements, counts),
        Part::Changes(rows) => {
            push_rows(elements, rows.iter().map(|row| change(row, detail)), detail);
        }
        Part::Links(rows) => {
            push_rows(elements, rows.iter().map(|(sign, thing)| link(*sign, thing, detail)), detail);
        }
        Part::Quote(text) => {
            let items = vec![Element::runs(vec![TextRun::new(written(text, detail.quote), Style::PLAIN)])];
            elements.push(Element::Container { style: "emphasis", bleed: false, items });
        }
        Part::Facts(facts) => {
            elements.push(Element::FactSet { facts: facts.iter().map(|entry| fact(entry, detail)).collect() });
        }
    }
}

/// Rows close to each other, and how many there are beyond them.
fn push_rows(elements: &mut Vec<Element>, rows: impl ExactSizeIterator<Item = Element>, detail: &Detail) {
    let hidden = rows.len().saturating_sub(detail.rows);
    let rows = rows.take(detail.rows).enumerate();
    elements.extend(rows.map(|(index, row)| if index == 0 { row } else { row.close() }));
    if hidden > 0 {
        elements.push(Element::runs(vec![TextRun::new(format!("… and {hidden} more"), Style::SUBTLE)]).close());
    }
}

/// Large numbers side by side, each above its word, and the bar below.
fn push_counts(elements: &mut Vec<Element>, counts: &Counts) {
    let column = |number: i64, word: &'static str, color: &'static str| {
        let word = Element::block(word.to_owned(), Style::SUBTLE);
        Column::new(vec![Element::block(number.to_string(), Style::number(color)), word.close()])
    };
    let color = |square, number| match square {
        _ if number == 0 => "Default",
        '🟩' => "Good",
        '🟥' => "Attention",
        '🟨' => "Warning",
        _ => "Default",
    };
    let mut columns: Vec<_> =
        counts.parts().map(|(square, number, word)| column(number, word, color(square, number))).collect();
    columns.push(column(counts.total, "in all", "Default"));
    elements.push(Element::ColumnSet { columns });
    if let Some(percent) = counts.percent() {
        elements.push(Element::block(format!("{}  {percent}% passed", counts.bar()), Style::PLAIN).close());
    }
}

fn change(row: &Changed, detail: &Detail) -> Element {
    let value = |value: Option<&Text>| value.map_or_else(|| "none".to_owned(), |text| written(text, detail.value));
    Element::runs(vec![
        TextRun::new(format!("{}:  ", written(&row.field, detail.value)), Style::SUBTLE),
        TextRun::new(value(row.from.as_ref()), Style::PLAIN),
        TextRun::new("  →  ", Style::SUBTLE),
        TextRun::new(value(row.to.as_ref()), Style::BOLD),
    ])
}

fn link(sign: Sign, thing: &Thing, detail: &Detail) -> Element {
    let sign = match sign {
        Sign::Added => "➕  ",
        Sign::Removed => "➖  ",
        Sign::Modified => "✏️  ",
    };
    match detail.link(thing.link.as_ref()) {
        Some(link) => Element::block(format!("{sign}{}", markup(&thing.name, link, detail.value)), Style::PLAIN),
        None => {
            Element::runs(vec![TextRun::new(format!("{sign}{}", written(&thing.name, detail.value)), Style::PLAIN)])
        }
    }
}

fn fact(fact: &Fact, detail: &Detail) -> FactRow {
    let value = linked(&fact.value.name, detail.link(fact.value.link.as_ref()), detail.value);
    FactRow { title: fact.label, value }
}
