//! The page in Markdown: what explains, and the tables between.

use std::fmt::Write;

use serde_json::Value;

use super::{
    EventType,
    schemas::{Field, Schemas, kind},
};
use crate::guides::markdown::anchor;

const TITLE: &str = "\
# Payload reference

<!-- Made from GET /api/v1/openapi.json and GET /api/v1/webhooks/events of the running product; do not edit. After a
     change: UPDATE_DOCS=1 cargo test -p blackbox --all-features --test blackbox -- reference -->

What a webhook of type `generic` posts: one event, as JSON. Webhooks of type `slack`, `teams` and `discord` post a
message for people in the format of their target instead. How to verify a delivery is told in the
[overview](README.md).

- [A delivery](#a-delivery): [headers](#headers), [envelope](#envelope), [your answer](#your-answer)
- [Names in filters](#names-in-filters)
";

const DELIVERY: &str = "
## A delivery

A delivery is one `POST` with a body in JSON, in UTF-8. The bytes of the body are the bytes that are signed: verify them
as they came, before anything parses them. The same event may come more than once (a retry after an answer that was
lost): remember `X-Testmo-Delivery` if twice does harm. Events may arrive in another order than they happened in.

Fields may be added at any time: ignore what you do not know. A field that has no value is left out; it is not `null`.

### Headers

`Content-Type: application/json; charset=utf-8`, the webhook's own headers, and these. Names of headers are written in any
case.
";

const FILTERS: &str = "
## Names in filters

A webhook's `filter` is a list of conditions, all of which must hold. A condition starts with a path: the names of this
page, joined by dots, from the top of the payload. A number takes an element of a list, from 0.

```
data.result == failed
data.run.failure_count > 0
data.run.tags contains release-4.2
changes.due_date exists
project.id in [1, 2]
```

On what is left out of a payload no condition holds but `not exists`. A path that no event can have is saved with a
warning. All operators, and how values are written, are in the [grammar](../../crates/domain/src/filter/mod.rs).
";

const KINDS: &str = "
## Entities

*Time* is RFC 3339 in UTC (`2026-03-09T14:30:00Z`), *date* is `YYYY-MM-DD`, *URL* is an `http` or `https` address.
Integers may need 64 bits. *Always* means: in every payload that has the entity.
";

/// The whole page.
pub(super) fn render(document: &Value, schemas: &Schemas, events: &[EventType]) -> String {
    let entities = schemas.entities(events);
    let mut page = TITLE.to_owned();
    let links: Vec<_> = entities.iter().map(|name| format!("[{name}](#{})", anchor(name))).collect();
    line(&mut page, &format!("- [Events](#events), all {}", events.len()));
    line(&mut page, &format!("- [Entities](#entities): {}", links.join(", ")));
    page.push_str(DELIVERY);
    headers(&mut page, document);
    envelope(&mut page, document, schemas, events);
    answers(&mut page, document);
    page.push_str(FILTERS);
    contents(&mut page, schemas, events);
    let mut group = "";
    for event in events {
        if event.group != group {
            group = &event.group;
            line(&mut page, &format!("\n### {group}"));
        }
        one(&mut page, schemas, event);
    }
    page.push_str(KINDS);
    for name in &entities {
        line(&mut page, &format!("\n### {name}\n\n{}\n", schemas.description(name)));
        table(&mut page, &schemas.fields(name));
    }
    page
}

fn line(page: &mut String, text: &str) {
    writeln!(page, "{text}").expect("memory");
}

/// Every event of the document lists the same ones.
fn headers(page: &mut String, document: &Value) {
    line(page, "\n| header | example | |\n|---|---|---|");
    let post = &document["webhooks"]["run.completed"]["post"];
    for parameter in post["parameters"].as_array().expect("headers of a delivery") {
        let name = parameter["$ref"].as_str().and_then(|path| path.rsplit('/').next()).expect("a reference");
        let parameter = &document["components"]["parameters"][name];
        let text = |member: &str| parameter[member].as_str().unwrap_or_else(|| panic!("{name} has no {member}"));
        line(page, &format!("| `{name}` | `{}` | {} |", text("example"), text("description")));
    }
}

fn envelope(page: &mut String, document: &Value, schemas: &Schemas, events: &[EventType]) {
    line(page, "\n### Envelope\n\nThe top of every payload, whatever happened.\n");
    let first = schemas.fields(schemas.payload(&events[0].name));
    let others: Vec<_> = events.iter().map(|event| schemas.fields(schemas.payload(&event.name))).collect();
    let mut rows = Vec::new();
    for (index, mut field) in first.into_iter().enumerate() {
        assert!(others.iter().all(|fields| fields[index].name == field.name), "envelopes differ in their fields");
        if others.iter().any(|fields| fields[index].kind != field.kind) {
            "by [event](#events)".clone_into(&mut field.kind);
        }
        rows.push(field);
    }
    let changes = &document["components"]["schemas"][schemas.payload(&events[0].name)]["properties"];
    let change = changes["changes"]["additionalProperties"]["properties"].as_object().expect("the shape of a change");
    for (name, schema) in change {
        rows.push(Field {
            name: format!("`changes.<field>.{name}`"),
            kind: kind(schema),
            always: true,
            meaning: schema["description"].as_str().unwrap_or_default().to_owned(),
        });
    }
    table(page, &rows);
}

fn answers(page: &mut String, document: &Value) {
    line(page, "\n### Your answer\n\n| status | means |\n|---|---|");
    let responses = document["webhooks"]["run.completed"]["post"]["responses"].as_object().expect("answers");
    for (status, response) in responses {
        line(page, &format!("| {status} | {} |", response["description"].as_str().unwrap_or_default()));
    }
}

/// All events at a glance.
fn contents(page: &mut String, schemas: &Schemas, events: &[EventType]) {
    line(page, "\n## Events\n\n| event | fires when | `data` has |\n|---|---|---|");
    for event in events {
        let fields = schemas.fields(schemas.data(&event.name));
        let names: Vec<_> = fields.into_iter().map(|field| field.name).collect();
        let (link, when) = (anchor(&heading(event)), when(schemas, event));
        line(page, &format!("| [`{}`](#{link}) | {when} | {} |", event.name, names.join(", ")));
    }
}

fn heading(event: &EventType) -> String {
    format!("`{}`: {}", event.name, event.title)
}

/// When an event fires, as the gRPC schema says: `` `run.created`: a new test run was created. ``
fn when(schemas: &Schemas, event: &EventType) -> String {
    let description = schemas.description(schemas.data(&event.name));
    let when = description.strip_prefix(&format!("`{}`: ", event.name));
    when.unwrap_or_else(|| panic!("the description of {} starts with something else", event.name)).to_owned()
}

fn one(page: &mut String, schemas: &Schemas, event: &EventType) {
    let when = when(schemas, event);
    line(page, &format!("\n#### {}\n\nFires when {when} Its `data`:\n", heading(event)));
    table(page, &schemas.fields(schemas.data(&event.name)));
    if !event.sample.changed.is_empty() {
        let names: Vec<_> = event.sample.changed.iter().map(|name| format!("`{name}`")).collect();
        let names = names.join(", ");
        line(page, &format!("\n[`changes`](#envelope) names what changed; in the sample {names}."));
    }
    let text = &event.sample.text;
    line(page, &format!("\n<details><summary>Sample</summary>\n\n```json\n{text}\n```\n\n</details>"));
}

fn table(page: &mut String, fields: &[Field]) {
    line(page, "| field | type | always | meaning |\n|---|---|---|---|");
    for Field { name, kind, always, meaning } in fields {
        let always = if *always { "yes" } else { "" };
        line(page, &format!("| {name} | {kind} | {always} | {} |", meaning.replace('|', "\\|")));
    }
}
