//! What the members of a body may be: a reader for each kind, which says what is wrong with what it cannot read.

use domain::{EventType, UnknownEventType};
use prost_types::Timestamp;
use proto::v1::CustomHeader;
use uuid::Uuid;

use crate::value::Json;

/// Makes a value of what was sent; the error completes the sentence that starts with the member's name.
pub(crate) type Reader<T> = fn(Json) -> Result<T, String>;

/// A text.
pub(crate) fn text(value: Json) -> Result<String, String> {
    if let Json::Text(text) = value { Ok(text) } else { Err("must be a string".to_owned()) }
}

/// A truth value.
pub(crate) fn flag(value: Json) -> Result<bool, String> {
    if let Json::Flag(flag) = value { Ok(flag) } else { Err("must be true or false".to_owned()) }
}

/// A list of texts.
pub(crate) fn texts(value: Json) -> Result<Vec<String>, String> {
    let Json::List(items) = value else { return Err("must be a list of strings".to_owned()) };
    all(items, "a string", |item| text(item).ok())
}

/// A list of texts, of which null has none.
pub(crate) fn texts_or_null(value: Json) -> Result<Vec<String>, String> {
    match value {
        Json::Null => Ok(Vec::new()),
        Json::List(_) => texts(value),
        _ => Err("must be null or a list of strings".to_owned()),
    }
}

/// A list of ids; `None`: null.
pub(crate) fn ids_or_null(value: Json) -> Result<Option<Vec<i64>>, String> {
    match value {
        Json::Null => Ok(None),
        Json::List(items) => {
            all(items, "an integer", |item| if let Json::Number(number) = item { number } else { None }).map(Some)
        }
        _ => Err("must be null or a list of integers".to_owned()),
    }
}

/// A time; `None`: null.
pub(crate) fn time_or_null(value: Json) -> Result<Option<Timestamp>, String> {
    let time = match value {
        Json::Null => return Ok(None),
        Json::Text(text) => proto::json::timestamp::parse(&text),
        _ => None,
    };
    time.map(Some).ok_or_else(|| "must be null or a time in RFC 3339, such as 2026-11-23T08:15:00Z".to_owned())
}

/// A time that must not be null.
pub(crate) fn time(value: Json) -> Result<Option<Timestamp>, String> {
    let text = text(value).ok();
    let time = text.and_then(|text| proto::json::timestamp::parse(&text));
    time.map(Some).ok_or_else(|| "must be a time in RFC 3339, such as 2026-11-23T08:15:00Z".to_owned())
}

/// How many hours an old secret goes on signing.
pub(crate) fn overlap_hours(value: Json) -> Result<i32, String> {
    let hours = if let Json::Number(Some(number)) = value { i32::try_from(number).ok() } else { None };
    hours.filter(|hours| (0..=72).contains(hours)).ok_or_else(|| "must be an integer from 0 to 72".to_owned())
}

/// How many days history is kept.
pub(crate) fn retention_days(value: Json) -> Result<i32, String> {
    let days = if let Json::Number(Some(number)) = value { i32::try_from(number).ok() } else { None };
    days.filter(|days| [7, 30, 90].contains(days)).ok_or_else(|| "must be 7, 30 or 90".to_owned())
}

/// A UUID, in any of its spellings.
pub(crate) fn uuid(value: Json) -> Result<Uuid, String> {
    let id = text(value).ok().and_then(|text| Uuid::parse_str(&text).ok());
    id.ok_or_else(|| "must be a UUID, such as 0190a8f2-5b7e-7c1d-9a3e-1f2d3c4b5a69".to_owned())
}

/// The id of a project.
pub(crate) fn project(value: Json) -> Result<i64, String> {
    let id = if let Json::Number(number) = value { number.filter(|id| *id > 0) } else { None };
    id.ok_or_else(|| "must be a project id, an integer from 1".to_owned())
}

/// An event type.
pub(crate) fn event_type(value: Json) -> Result<EventType, String> {
    text(value)?.parse().map_err(|error: UnknownEventType| error.to_string())
}

/// Request headers, in the order sent, repeated ones included. A mistake is told by its place: a secret may have been
/// pasted where a name belongs.
pub(crate) fn headers(value: Json) -> Result<Vec<CustomHeader>, String> {
    let Json::Object(members) = value else {
        return Err("must be an object with a string for each header".to_owned());
    };
    let wrong = |index: usize| format!("header {} must have a string as its value", index + 1);
    let header = |(index, (name, value)): (usize, (String, Json))| {
        text(value).map(|value| CustomHeader { name, value }).map_err(|_| wrong(index))
    };
    members.into_iter().enumerate().map(header).collect()
}

/// The first wrong item is enough: a list of the wrong kind would say it a thousand times.
fn all<T>(items: Vec<Json>, what: &str, read: impl Fn(Json) -> Option<T>) -> Result<Vec<T>, String> {
    let wrong = |index: usize| format!("item {} must be {what}", index + 1);
    items.into_iter().enumerate().map(|(index, item)| read(item).ok_or_else(|| wrong(index))).collect()
}
