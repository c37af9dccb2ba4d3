//! The generic payload: the JSON envelope of an event, written straight into one buffer.

use std::{borrow::Cow, fmt};

use domain::{EventType, InstanceId};
use proto::{
    event::data_members,
    json::timestamp,
    v1::{Change, Event, Project, event::Data},
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, MapAccess, Visitor},
};

/// Room for the envelope and an entity with all its counts, so that the buffer need not grow.
const TYPICAL_BYTES: usize = 2048;

/// Why an event has no body.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The event lacks a member that every payload has.
    #[error("event has no `{0}`; set it before rendering")]
    Missing(&'static str),
    /// A time outside the years 0 to 9999, or an enum value without a name.
    #[error("`{member}` has no JSON form: {source}")]
    Value {
        /// The member of the envelope.
        member: &'static str,
        /// What serde says of it.
        source: serde_json::Error,
    },
    /// `created_at` cannot be written as RFC 3339.
    #[error("`created_at` is outside the years 0 to 9999; send a time within them")]
    Time,
    /// `extra_json` is not the text of a JSON object.
    #[error("`extra_json` is not a JSON object: {0}")]
    Extra(serde_json::Error),
    /// A name in `extra_json` that the schema has for this type of event, or that comes twice.
    #[error("`extra_json` has `{0}`, which `data` has already; choose another name")]
    ExtraName(String),
    /// A value before or after a change is not JSON text.
    #[error("`changes.{field}` holds text that is not JSON: {source}")]
    Change {
        /// The field that changed.
        field: String,
        /// What serde says of it.
        source: serde_json::Error,
    },
    /// Two changes of the same field.
    #[error("`changes` has `{0}` twice; send one change for each field")]
    ChangeTwice(String),
}

/// The generic payload of an event, members in the documented order.
///
/// `extra_json` and the values of changes are embedded as they were written; they are looked through, because a fault
/// in them would make the whole body unreadable. An event without an instance is of the instance `default`.
///
/// # Errors
/// An event that ingest would have refused: see [`RenderError`].
pub fn render_generic(event: &Event, is_test: bool) -> Result<Vec<u8>, RenderError> {
    let data = event.data.as_ref().ok_or(RenderError::Missing("data"))?;
    let project = project_of(event, data)?;
    let created_at = event.created_at.as_ref().ok_or(RenderError::Missing("created_at"))?;
    let created_at = timestamp::format(created_at).ok_or(RenderError::Time)?;
    if event.id.is_empty() {
        return Err(RenderError::Missing("id"));
    }
    let instance = if event.instance.is_empty() { InstanceId::DEFAULT } else { &event.instance };

    let mut out = Vec::with_capacity(TYPICAL_BYTES + event.extra_json.len());
    out.push(b'{');
    member(&mut out, "id", &event.id)?;
    member(&mut out, "event", data.event_type().name())?;
    member(&mut out, "created_at", &created_at)?;
    member(&mut out, "is_test", &is_test)?;
    member(&mut out, "instance", instance)?;
    member(&mut out, "project", project)?;
    member(&mut out, "user", &event.user)?;
    out.extend_from_slice(b",\"data\":");
    write_data(&mut out, data, &event.extra_json)?;
    out.extend_from_slice(b",\"changes\":");
    write_changes(&mut out, &event.changes)?;
    out.push(b'}');
    Ok(out)
}

/// The event's project; that of a mention is the project of what the comment stands on.
pub(crate) fn project_of<'a>(event: &'a Event, data: &'a Data) -> Result<&'a Project, RenderError> {
    match data {
        Data::UserMentioned(mention) => mention
            .entity
            .as_ref()
            .and_then(|entity| entity.project.as_ref())
            .ok_or(RenderError::Missing("data.entity.project")),
        _ => event.project.as_ref().ok_or(RenderError::Missing("project")),
    }
}

/// Writes a member of an object that has just been opened or has members already. `name` needs no escaping.
fn member<T: Serialize + ?Sized>(out: &mut Vec<u8>, name: &'static str, value: &T) -> Result<(), RenderError> {
    separate(out);
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    serde_json::to_writer(out, value).map_err(|source| RenderError::Value { member: name, source })
}

/// A comma, unless an object has just been opened.
fn separate(out: &mut Vec<u8>) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
}

fn write_data(out: &mut Vec<u8>, data: &Data, extra: &str) -> Result<(), RenderError> {
    data.to_json(out).map_err(|source| RenderError::Value { member: "data", source })?;
    let extra = extra_members(data.event_type(), extra)?;
    if !extra.is_empty() {
        // Opened again, so that the extra members stand beside the typed ones.
        out.pop();
        separate(out);
        out.extend_from_slice(extra.as_bytes());
        out.push(b'}');
    }
    Ok(())
}

/// What stands between the braces of `extra_json`, if that is an object with names of its own.
fn extra_members(kind: EventType, extra: &str) -> Result<&str, RenderError> {
    if extra.is_empty() {
        return Ok("");
    }
    let Names(mut names) = serde_json::from_str(extra).map_err(RenderError::Extra)?;
    if let Some(taken) = names.iter().find(|name| data_members(kind).contains(&name.as_ref())) {
        return Err(RenderError::ExtraName(taken.to_string()));
    }
    if let Some(twice) = repeated(&mut names) {
        return Err(RenderError::ExtraName(twice.to_string()));
    }
    let object = trim(extra);
    Ok(object.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).map_or("", trim))
}

/// Without the white space that JSON knows.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r'])
}

fn write_changes(out: &mut Vec<u8>, changes: &[Change]) -> Result<(), RenderError> {
    let mut fields: Vec<&str> = changes.iter().map(|change| change.field.as_str()).collect();
    if let Some(twice) = repeated(&mut fields) {
        return Err(RenderError::ChangeTwice((*twice).to_owned()));
    }
    out.push(b'{');
    for change in changes {
        let fault = |source| RenderError::Change { field: change.field.clone(), source };
        separate(out);
        serde_json::to_writer(&mut *out, &change.field).map_err(fault)?;
        out.extend_from_slice(b":{\"from\":");
        embed(out, &change.from_json).map_err(fault)?;
        out.extend_from_slice(b",\"to\":");
        embed(out, &change.to_json).map_err(fault)?;
        out.push(b'}');
    }
    out.push(b'}');
    Ok(())
}

/// Writes JSON text as it is; none is `null`.
fn embed(out: &mut Vec<u8>, json: &str) -> Result<(), serde_json::Error> {
    if json.is_empty() {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    serde_json::from_str::<IgnoredAny>(json)?;
    out.extend_from_slice(json.as_bytes());
    Ok(())
}

/// A name that comes twice. Sorted rather than compared pair by pair: a publisher may send tens of thousands.
fn repeated<T: Ord>(names: &mut [T]) -> Option<&T> {
    names.sort_unstable();
    names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| &pair[0])
}

/// The names of a JSON object's members; borrowed from its text where they hold no escapes.
struct Names<'a>(Vec<Cow<'a, str>>);

impl<'de> Deserialize<'de> for Names<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// serde copies a bare `Cow`; with this attribute it borrows.
        #[derive(Deserialize)]
        struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Names<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names<'de>, A::Error> {
                let mut names = Vec::new();
                while let Some((Name(name), IgnoredAny)) = map.next_entry()? {
                    names.push(name);
                }
                Ok(Names(names))
            }
        }
        deserializer.deserialize_map(Object)
    }
}
