//! JSON schemas (draft 2020-12, as OpenAPI 3.1 has them) in few words.
//!
//! Objects in answers are open, so that members can be added without breaking clients that validate; objects in
//! requests are closed, because the API refuses what it does not know.

use serde_json::{Map, Value, json};

/// The pattern of a name: no control characters, and not blank.
pub(crate) const VISIBLE: &str =
    r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$";

/// The pattern of a text that may be empty: no control characters.
pub(crate) const PRINTABLE: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";

/// A text.
pub(crate) fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

/// A text with bounds on its length, in characters.
pub(crate) fn bounded(description: &str, least: usize, most: usize) -> Value {
    json!({"type": "string", "minLength": least, "maxLength": most, "description": description})
}

/// A text of a known format, such as `date-time`.
pub(crate) fn formatted(format: &str, description: &str) -> Value {
    json!({"type": "string", "format": format, "description": description})
}

/// An address.
pub(crate) fn uri(description: &str) -> Value {
    formatted("uri", description)
}

/// A time.
pub(crate) fn time(description: &str) -> Value {
    formatted("date-time", description)
}

/// One of these texts.
pub(crate) fn choice<'a>(names: impl IntoIterator<Item = &'a str>, description: &str) -> Value {
    let names: Vec<&str> = names.into_iter().collect();
    json!({"type": "string", "enum": names, "description": description})
}

/// A truth value.
pub(crate) fn flag(description: &str) -> Value {
    json!({"type": "boolean", "description": description})
}

/// An integer.
pub(crate) fn integer(least: i64, most: i64, description: &str) -> Value {
    let format = if i32::try_from(most).is_ok() { "int32" } else { "int64" };
    json!({"type": "integer", "format": format, "minimum": least, "maximum": most, "description": description})
}

/// An id that the server or Testmo gave.
pub(crate) fn id(description: &str) -> Value {
    integer(1, i64::MAX, description)
}

/// A number of things.
pub(crate) fn count(description: &str) -> Value {
    integer(0, i64::MAX, description)
}

/// A list.
pub(crate) fn list(items: Value, description: &str) -> Value {
    json!({"type": "array", "items": items, "description": description})
}

/// A schema by its name among the components.
pub(crate) fn named(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// The same, or null.
pub(crate) fn or_null(schema: Value) -> Value {
    let Value::Object(mut members) = schema else { return schema };
    match members.get("type") {
        Some(Value::String(kind)) => {
            let kinds = json!([kind, "null"]);
            members.insert("type".to_owned(), kinds);
            if let Some(Value::Array(names)) = members.get_mut("enum") {
                names.push(Value::Null);
            }
            Value::Object(members)
        }
        _ => json!({"anyOf": [members, {"type": "null"}]}),
    }
}

/// The same with one more keyword.
pub(crate) fn with(schema: Value, keyword: &str, value: impl Into<Value>) -> Value {
    let Value::Object(mut members) = schema else { return schema };
    members.insert(keyword.to_owned(), value.into());
    Value::Object(members)
}

/// The same with a description.
pub(crate) fn described(schema: Value, description: &str) -> Value {
    with(schema, "description", description)
}

/// An object of an answer: all of these members are always there, and more may come.
pub(crate) fn object<'a>(members: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let members: Map<String, Value> = members.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    let required: Vec<&String> = members.keys().collect();
    json!({"type": "object", "required": required, "properties": members})
}

/// An object of a request: those named in `required` must be there, and others than these may not.
pub(crate) fn request<'a>(required: &[&str], members: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let members: Map<String, Value> = members.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    let object = json!({"type": "object", "properties": members, "additionalProperties": false});
    if required.is_empty() { object } else { with(object, "required", required.to_vec()) }
}

/// `{"result": …}`.
pub(crate) fn single(result: Value) -> Value {
    object([("result", result)])
}
