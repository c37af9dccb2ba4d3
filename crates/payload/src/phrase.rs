//! Values as people read them: lengths of time, days, names of fields, JSON values.

use serde::de::IgnoredAny;
use serde_json::Value;
use time::{Date, macros::format_description};

use crate::{RenderError, text::Text};

/// Elements of a list that are written out.
const LISTED: usize = 12;
/// JSON text of a value that is shown as it is. In bytes.
const SHOWN: usize = 1024;

/// `singular` for one, `plural` otherwise, after the number.
pub(crate) fn count(number: i64, singular: &str, plural: &str) -> String {
    format!("{number} {}", if number == 1 { singular } else { plural })
}

/// A length of time in microseconds, in its two largest units; `None` where there is none.
pub(crate) fn duration(microseconds: Option<i64>) -> Option<Text> {
    let seconds = microseconds.filter(|length| *length > 0)? / 1_000_000;
    let text = match seconds {
        0 => "under 1 s".to_owned(),
        1..60 => format!("{seconds} s"),
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    };
    Some(Text::line(&text))
}

fn two(large: i64, large_unit: &str, small: i64, small_unit: &str) -> String {
    if small == 0 { format!("{large} {large_unit}") } else { format!("{large} {large_unit} {small} {small_unit}") }
}

/// The day that `YYYY-MM-DD` means.
pub(crate) fn parse_day(text: &str) -> Option<Date> {
    Date::parse(text, format_description!("[year]-[month]-[day]")).ok()
}

/// A day with its day of the week, such as `Tue, 14 Apr 2026`.
pub(crate) fn day(date: Date) -> Option<Text> {
    let format = format_description!("[weekday repr:short], [day padding:none] [month repr:short] [year]");
    date.format(format).ok().map(|text| Text::line(&text))
}

/// Values as a list, cut after a dozen.
pub(crate) fn list<'a>(values: impl ExactSizeIterator<Item = &'a str>) -> Option<Text> {
    let hidden = values.len().saturating_sub(LISTED);
    let texts = values.take(LISTED).map(Text::line).filter(|text| !text.is_blank());
    let shown: Vec<_> = texts.map(|text| text.short(100).to_string()).collect();
    if shown.is_empty() {
        return None;
    }
    let text = Text::line(&shown.join(", "));
    Some(if hidden == 0 { text } else { Text::line(&format!("{text} and {hidden} more")) })
}

/// The name of a field as people write it, such as `Due date`.
pub(crate) fn field(name: &str) -> Text {
    match name {
        "note" => Text::line("Description"),
        "custom_fields" => Text::line("Fields"),
        _ => {
            let name = Text::line(name).to_string().replace('_', " ");
            let mut letters = name.trim().chars();
            match letters.next() {
                Some(first) => Text::line(&first.to_uppercase().chain(letters).collect::<String>()),
                None => Text::line("Field"),
            }
        }
    }
}

/// What a change's JSON text says, as text; `None` where it says nothing (`null`, no text, an empty list).
///
/// # Errors
/// Text that is not JSON.
pub(crate) fn value(field: &str, json: &str) -> Result<Option<Text>, RenderError> {
    let json = json.trim_matches([' ', '\t', '\n', '\r']);
    if json.is_empty() || json == "null" {
        return Ok(None);
    }
    let fault = |source| RenderError::Change { field: field.to_owned(), source };
    let text = match json.as_bytes().first() {
        Some(b'"' | b'[' | b'{') => match serde_json::from_str::<Value>(json) {
            Ok(value) => readable(field, &value),
            // Sound JSON that has no value here: half a surrogate pair, a number or a nesting beyond all bounds.
            Err(_) => serde_json::from_str(json).map(|IgnoredAny| raw(json)).map_err(fault)?,
        },
        _ => {
            serde_json::from_str::<IgnoredAny>(json).map_err(fault)?;
            match json {
                "true" => Some(Text::line("yes")),
                "false" => Some(Text::line("no")),
                number => amount(field, number).or_else(|| raw(number)),
            }
        }
    };
    Ok(text.filter(|text| !text.is_blank()))
}

/// Efforts are microseconds.
fn amount(field: &str, number: &str) -> Option<Text> {
    if !matches!(field, "estimate" | "forecast" | "elapsed") {
        return None;
    }
    duration(number.parse().ok())
}

fn readable(field: &str, value: &Value) -> Option<Text> {
    match value {
        Value::Null => None,
        Value::String(text) if field.ends_with("_date") => {
            parse_day(text).and_then(day).or_else(|| Some(Text::line(text)))
        }
        Value::String(text) => Some(Text::line(text)),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().take(LISTED + 1).filter_map(|item| readable("", item)).collect();
            let texts: Vec<_> = items.iter().map(ToString::to_string).collect();
            list(texts.iter().map(String::as_str))
        }
        // An entity: its name says which.
        Value::Object(members) => match members.get("name") {
            Some(Value::String(name)) => Some(Text::line(name)),
            _ => raw(&value.to_string()),
        },
        Value::Bool(_) | Value::Number(_) => raw(&value.to_string()),
    }
}

fn raw(json: &str) -> Option<Text> {
    let mut end = json.len().min(SHOWN);
    while !json.is_char_boundary(end) {
        end -= 1;
    }
    Some(Text::line(&json[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(field: &str, json: &str) -> Option<String> {
        value(field, json).unwrap().map(|text| text.to_string())
    }

    #[test]
    fn lengths_of_time_have_two_units() {
        let cases = [
            (1, "under 1 s"),
            (59_000_000, "59 s"),
            (61_000_000, "1 min 1 s"),
            (7_200_000_000, "2 h"),
            (4_980_000_000, "1 h 23 min"),
            (90_000_000_000, "1 d 1 h"),
            (i64::MAX, "106751991 d 4 h"),
        ];
        for (length, expected) in cases {
            assert_eq!(duration(Some(length)).unwrap().to_string(), expected);
        }
        assert_eq!((duration(Some(0)), duration(Some(-1)), duration(None)), (None, None, None));
    }

    #[test]
    fn values_of_changes_are_readable() {
        let cases = [
            ("name", r#""Pay by card""#, Some("Pay by card")),
            ("estimate", "300000000", Some("5 min")),
            ("due_date", r#""2026-04-14""#, Some("Tue, 14 Apr 2026")),
            ("due_date", r#""soon""#, Some("soon")),
            ("is_started", "true", Some("yes")),
            ("count", " 12345678901234567890123 ", Some("12345678901234567890123")),
            ("size", "1e400", Some("1e400")),
            ("tags", r#"["a", "b", null, 3]"#, Some("a, b, 3")),
            ("status", r#"{"id": 2, "name": "Failed"}"#, Some("Failed")),
            ("custom", r#"{"b": [1]}"#, Some(r#"{"b":[1]}"#)),
            ("custom", r#""\ud800""#, Some(r#""\ud800""#)),
            ("custom", "null", None),
            ("custom", "", None),
            ("custom", r#""""#, None),
            ("custom", "[]", None),
        ];
        for (field, json, expected) in cases {
            assert_eq!(shown(field, json).as_deref(), expected, "{json}");
        }
        let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
        assert_eq!(shown("custom", &deep), Some(deep));
        for wrong in ["{", "1,2", "nothing", "\"a"] {
            assert!(matches!(value("f", wrong), Err(RenderError::Change { .. })), "{wrong}");
        }
    }

    #[test]
    fn long_lists_are_counted() {
        let tags: Vec<_> = (0..10_000).map(|number| format!("t{number}")).collect();
        let text = list(tags.iter().map(String::as_str)).unwrap().to_string();
        assert!(text.ends_with("t11 and 9988 more"), "{text}");
        assert_eq!(list(["", " "].into_iter()), None);
    }

    #[test]
    fn fields_are_named_for_people() {
        let cases =
            [("due_date", "Due date"), ("note", "Description"), ("", "Field"), ("_x", "X"), ("ümlaut", "Ümlaut")];
        for (name, expected) in cases {
            assert_eq!(field(name).to_string(), expected);
        }
    }
}
