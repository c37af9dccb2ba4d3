//! The schemas of the OpenAPI document, as tables of fields.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::EventType;
use crate::guides::markdown::anchor;

/// The schemas by name, and for each the order of its fields.
pub(super) struct Schemas<'a> {
    document: &'a Value,
    schemas: &'a Value,
    orders: BTreeMap<String, Vec<String>>,
}

/// A row of a table of fields.
pub(super) struct Field {
    /// As it is written in paths, in Markdown.
    pub(super) name: String,
    /// What it can be, in Markdown.
    pub(super) kind: String,
    /// Whether it is in every payload.
    pub(super) always: bool,
    /// What it means, in Markdown.
    pub(super) meaning: String,
}

impl<'a> Schemas<'a> {
    /// The schemas of a document. Panics if a sample has a member that they do not describe.
    pub(super) fn new(document: &'a Value, events: &[EventType]) -> Self {
        let mut made = Self { document, schemas: &document["components"]["schemas"], orders: BTreeMap::new() };
        for event in events {
            // What only later samples have goes where it stands in them: behind what comes before it.
            let mut places: BTreeMap<String, usize> = BTreeMap::new();
            for path in &event.sample.members {
                let Some((owner, field)) = made.owner(&event.name, path) else { continue };
                let next = places.get(&owner).map_or(0, |place| place + 1);
                let order = made.orders.entry(owner.clone()).or_default();
                let known = order.iter().position(|name| *name == field);
                places.insert(owner, known.unwrap_or(next));
                if known.is_none() {
                    order.insert(next, field);
                }
            }
        }
        made
    }

    /// The name of the schema of an event's whole payload.
    pub(super) fn payload(&self, event: &str) -> &str {
        let content = &self.document["webhooks"][event]["post"]["requestBody"]["content"];
        let name = reference(&content["application/json"]["schema"]);
        name.unwrap_or_else(|| panic!("the document describes no payload of {event}"))
    }

    /// The name of the schema of an event's `data`.
    pub(super) fn data(&self, event: &str) -> &str {
        let data = &self.schemas[self.payload(event)]["properties"]["data"];
        reference(data).unwrap_or_else(|| panic!("the document describes no data of {event}"))
    }

    /// What a schema describes.
    pub(super) fn description(&self, name: &str) -> &str {
        self.schemas[name]["description"].as_str().unwrap_or_else(|| panic!("{name} has no description"))
    }

    /// The fields of a schema, in the order of the samples; what no sample has comes last.
    pub(super) fn fields(&self, name: &str) -> Vec<Field> {
        let schema = &self.schemas[name];
        let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut fields: Vec<_> =
            schema["properties"].as_object().unwrap_or_else(|| panic!("no schema {name}")).iter().collect();
        let order = self.orders.get(name).map(Vec::as_slice).unwrap_or_default();
        fields.sort_by_key(|(field, _)| {
            let place = order.iter().position(|name| name == *field).unwrap_or(usize::MAX);
            let (around, number) = numbered(field).unwrap_or_else(|| ((*field).clone(), 0));
            (place, around, number)
        });
        let row = |(field, schema): (&String, &Value)| Field {
            name: format!("`{field}`"),
            kind: kind(schema),
            always: required.iter().any(|required| required == field),
            meaning: schema["description"].as_str().unwrap_or_default().to_owned(),
        };
        series(fields.into_iter().map(row).collect())
    }

    /// The entities that payloads hold: everything that the data of events refers to, however deep, by name.
    pub(super) fn entities(&self, events: &[EventType]) -> BTreeSet<String> {
        let data: BTreeSet<_> = events.iter().map(|event| self.data(&event.name).to_owned()).collect();
        let mut wanted: Vec<_> = events.iter().map(|event| self.payload(&event.name).to_owned()).collect();
        let mut found = BTreeSet::new();
        while let Some(name) = wanted.pop() {
            let properties = self.schemas[&name]["properties"].as_object().into_iter().flat_map(|all| all.values());
            for name in properties.filter_map(referred) {
                if found.insert(name.to_owned()) {
                    wanted.push(name.to_owned());
                }
            }
        }
        found.difference(&data).cloned().collect()
    }

    /// The schema and the name of the field that a path of a payload leads to; `None` inside of what has no schema of
    /// its own (the changes).
    fn owner(&self, event: &str, path: &[String]) -> Option<(String, String)> {
        let mut owner = self.payload(event).to_owned();
        let (last, above) = path.split_last()?;
        for name in above {
            owner = referred(&self.schemas[&owner]["properties"][name])?.to_owned();
        }
        let known = self.schemas[&owner]["properties"].get(last).is_some();
        assert!(known, "the sample of {event} has {}, which {owner} does not describe", path.join("."));
        Some((owner, last.clone()))
    }
}

/// The name of the schema that this one refers to.
fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix("#/components/schemas/")
}

/// The name of the schema that this one, one of its elements, or one of its alternatives refers to.
fn referred(schema: &Value) -> Option<&str> {
    let alternatives = schema["anyOf"].as_array().into_iter().flatten();
    reference(schema).or_else(|| reference(&schema["items"])).or_else(|| alternatives.filter_map(reference).next())
}

/// What a value can be, in Markdown.
pub(super) fn kind(schema: &Value) -> String {
    if let Some(name) = reference(schema) {
        return format!("[{name}](#{})", anchor(name));
    }
    let quoted = |value: &Value| format!("`{}`", value.as_str().unwrap_or_default());
    if let Some(alternatives) = schema["anyOf"].as_array() {
        return alternatives.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    if let Some(values) = schema["enum"].as_array() {
        return values.iter().map(quoted).collect::<Vec<_>>().join(" or ");
    }
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("array"), _) => format!("list of {}", kind(&schema["items"])),
        (_, Some("date-time")) => "time".to_owned(),
        (_, Some("date")) => "date".to_owned(),
        (_, Some("uri")) => "URL".to_owned(),
        (_, Some("uuid")) => "UUID".to_owned(),
        (Some("string"), _) => "text".to_owned(),
        (Some("null"), _) => "`null`".to_owned(),
        (Some(other), _) => other.to_owned(),
        (None, _) => "any value".to_owned(),
    }
}

/// Fields that differ by a number alone (`status1_count`, `status2_count`, …) become one row.
fn series(fields: Vec<Field>) -> Vec<Field> {
    let mut rows: Vec<Field> = Vec::new();
    // By the name around the number: the row, its number, name and meaning as they were.
    let mut first: BTreeMap<String, (usize, usize, String, String)> = BTreeMap::new();
    for field in fields {
        let Some((around, number)) = numbered(&field.name) else {
            rows.push(field);
            continue;
        };
        let Some((row, start, name, meaning)) = first.get(&around) else {
            first.insert(around, (rows.len(), number, field.name.clone(), field.meaning.clone()));
            rows.push(field);
            continue;
        };
        rows[*row].name = format!("{name} … {}", field.name);
        rows[*row].meaning = meaning.replace(&start.to_string(), &format!("{start} … {number}"));
    }
    rows
}

/// A name with its number taken out (`status#_count`), and the number.
fn numbered(name: &str) -> Option<(String, usize)> {
    let start = name.find(|letter: char| letter.is_ascii_digit())?;
    let digits = name[start..].chars().take_while(char::is_ascii_digit).count();
    let number = name[start..start + digits].parse().ok()?;
    Some((format!("{}#{}", &name[..start], &name[start + digits..]), number))
}
