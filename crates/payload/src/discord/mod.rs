//! Discord: one embed.

mod markdown;

use serde::Serialize;
use time::{OffsetDateTime, macros::format_description};

use crate::{
    RenderError,
    detail::{Detail, first_that_fits},
    link::Link,
    notice::{Changed, Fact, Notice, Part, Sign, Thing, Tone},
    text::{Label, Text, fit, units},
};
use markdown::{Markdown, Plain};

/// Of a title or an author. In UTF-16 units, like all lengths here.
const TITLE: usize = 256;
/// Of a description.
const DESCRIPTION: usize = 4096;
/// Of the value of a field.
const VALUE: usize = 1024;
/// Of all texts together.
const ALL: usize = 6000;

#[derive(Serialize)]
struct Message {
    embeds: [Embed; 1],
    allowed_mentions: AllowedMentions,
}

/// Nobody is to be mentioned, whatever the text says.
#[derive(Serialize)]
struct AllowedMentions {
    parse: [&'static str; 0],
}

#[derive(Serialize)]
struct Embed {
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    color: u32,
    author: Author,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<Field>,
    #[serde(skip_serializing_if = "Option::is_none")]
    footer: Option<Footer>,
    timestamp: String,
}

#[derive(Serialize)]
struct Author {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

#[derive(Serialize)]
struct Field {
    name: &'static str,
    value: String,
    inline: bool,
}

#[derive(Serialize)]
struct Footer {
    text: String,
}

/// The message for a notice.
pub(crate) fn render(notice: &Notice) -> Result<Vec<u8>, RenderError> {
    let embed = first_that_fits(|detail| embed(notice, detail), Embed::fits);
    let message = Message { embeds: [embed], allowed_mentions: AllowedMentions { parse: [] } };
    serde_json::to_vec(&message).map_err(|source| RenderError::Value { member: "discord", source })
}

impl Embed {
    /// Whether the texts that grow with the event keep their limits.
    fn fits(&self) -> bool {
        let fields: usize = self.fields.iter().map(|field| units(field.name) + units(&field.value)).sum();
        let footer = self.footer.as_ref().map_or(0, |footer| units(&footer.text));
        let texts = [&self.title, &self.description, &self.author.name];
        let all = fields + footer + texts.iter().map(|text| units(text)).sum::<usize>();
        all <= ALL
            && units(&self.description) <= DESCRIPTION
            && self.fields.iter().all(|field| units(&field.value) <= VALUE)
    }
}

fn embed(notice: &Notice, detail: &Detail) -> Embed {
    let (mut description, mut fields) = (Vec::from_iter(opening(notice, detail)), Vec::new());
    for part in &notice.parts {
        match part {
            Part::Facts(facts) => fields.extend(facts.iter().map(|fact| field(fact, detail))),
            part => description.push(paragraph(part, detail)),
        }
    }
    let mut author = String::new();
    fit(&mut author, &notice.project.name, detail.name, &Plain);
    Embed {
        title: title(notice),
        url: address(notice.link.as_ref()),
        description: description.join("\n\n"),
        color: color(notice.tone),
        author: Author { name: author, url: address(notice.project.link.as_ref()) },
        fields,
        footer: footer(notice, detail),
        timestamp: timestamp(notice.at),
    }
}

/// Who did it; whether it is a test.
fn footer(notice: &Notice, detail: &Detail) -> Option<Footer> {
    let test = notice.is_test.then(|| "🧪 Test · sent to try this webhook".to_owned());
    let byline = notice.byline(detail.name).map(|byline| byline.to_string());
    let texts: Vec<_> = test.into_iter().chain(byline).collect();
    let mut text = String::new();
    fit(&mut text, &Text::line(&texts.join(" · ")), detail.name + 80, &Plain);
    (!text.is_empty()).then_some(Footer { text })
}

/// What happened and to what, in one line that is a link.
fn title(notice: &Notice) -> String {
    let test = if notice.is_test { "Test · " } else { "" };
    let headline = format!("{test}{} {}", notice.emoji, notice.headline.short(TITLE / 2));
    let title = match &notice.subject {
        Some(subject) => format!("{headline} · {}", subject.name),
        None => headline,
    };
    let mut out = String::new();
    fit(&mut out, &Text::line(&title), TITLE, &Markdown);
    out
}

/// An address of the embed itself.
fn address(link: Option<&Link>) -> Option<String> {
    link.filter(|link| link.suits_embeds()).map(|link| link.as_str().to_owned())
}

/// Links for the text, to what title and author cannot link to.
fn opening(notice: &Notice, detail: &Detail) -> Option<String> {
    let title = notice.buttons.first().map_or("Open", |button| button.title);
    let links = [(title, &notice.link), ("Open project", &notice.project.link)];
    let links = links.into_iter().filter_map(|(title, link)| Some((title, detail.link(link.as_ref())?)));
    let texts: Vec<_> = links
        .filter(|(_, link)| !link.suits_embeds())
        .map(|(title, link)| format!("[{title}]({})", link.as_str()))
        .collect();
    (!texts.is_empty()).then(|| texts.join(" · "))
}

fn color(tone: Tone) -> u32 {
    match tone {
        Tone::Good => 0x2E_A0_43,
        Tone::Bad => 0xD7_3A_4A,
        Tone::Warning => 0xE3_A0_08,
        Tone::News => 0x2F_81_F7,
        Tone::Change => 0x89_57_E5,
        Tone::Gone => 0x6E_76_81,
    }
}

fn timestamp(at: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    at.format(format).unwrap_or_default()
}

fn paragraph(part: &Part, detail: &Detail) -> String {
    match part {
        Part::Counts(counts) => {
            let numbers: Vec<_> = counts.parts().map(|(_, number, word)| format!("**{number}** {word}")).collect();
            let percent = counts.percent().map_or_else(String::new, |percent| format!("  {percent}% passed\n"));
            format!("{}{percent}{} · **{}** in all", counts.bar(), numbers.join(" · "), counts.total)
        }
        Part::Changes(rows) => {
            listed(rows.iter().take(detail.rows).map(|row| change(row, detail)).collect(), rows.len())
        }
        Part::Links(rows) => {
            let line = |(sign, thing): &(Sign, Thing)| link_line(*sign, thing, detail);
            listed(rows.iter().take(detail.rows).map(line).collect(), rows.len())
        }
        Part::Quote(text) => {
            let mut quoted = String::new();
            fit(&mut quoted, text, detail.quote, &Markdown);
            format!("> {}", quoted.replace('\n', "\n> "))
        }
        Part::Facts(facts) => listed(facts.iter().map(|fact| field(fact, detail).value).collect(), facts.len()),
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
    fit(&mut out, &row.field, detail.value, &Label(Markdown));
    out.push_str(": ");
    value(&mut out, row.from.as_ref(), detail);
    out.push_str(" → **");
    value(&mut out, row.to.as_ref(), detail);
    out.push_str("**");
    out
}

fn value(out: &mut String, value: Option<&Text>, detail: &Detail) {
    match value {
        Some(text) => fit(out, text, detail.value, &Markdown),
        None => out.push_str("none"),
    }
}

fn link_line(sign: Sign, thing: &Thing, detail: &Detail) -> String {
    let mut out = match sign {
        Sign::Added => "➕ ".to_owned(),
        Sign::Removed => "➖ ".to_owned(),
        Sign::Modified => "✏️ ".to_owned(),
    };
    push_link(&mut out, thing, detail);
    out
}

fn field(fact: &Fact, detail: &Detail) -> Field {
    let mut value = String::new();
    push_link(&mut value, &fact.value, detail);
    Field { name: fact.label, value, inline: true }
}

/// A name that links to an address, if both fit a field.
fn push_link(out: &mut String, thing: &Thing, detail: &Detail) {
    let mut name = String::new();
    fit(&mut name, &thing.name, detail.value, &Markdown);
    match detail.link(thing.link.as_ref()).filter(|link| units(&name) + link.as_str().len() + 4 <= VALUE) {
        Some(link) => out.push_str(&format!("[{name}]({})", link.as_str())),
        None => out.push_str(&name),
    }
}
