//! Whether answers are what the document says.

use std::sync::OnceLock;

use axum::http::{HeaderMap, header};
use serde_json::Value;

use crate::schema_check::{Unknown, mistakes};

/// The document that the router serves; the same in all tests.
static DOCUMENT: OnceLock<Value> = OnceLock::new();

/// Keeps the document for the checks to come.
pub(crate) fn document(fetch: impl FnOnce() -> Value) -> &'static Value {
    DOCUMENT.get_or_init(fetch)
}

/// The operation for this method and path (below `/api/v1`), if there is one.
pub(crate) fn operation<'a>(document: &'a Value, method: &str, path: &str) -> Option<&'a Value> {
    let method = if method == "HEAD" { "GET" } else { method };
    let segments: Vec<&str> = path.split('/').collect();
    let fits = |template: &str| {
        let wanted: Vec<&str> = template.split('/').collect();
        // An id may be empty where more comes after it: the router takes it for one, and there is no such object.
        let is_id =
            |place: usize| wanted[place].starts_with('{') && (place + 1 < wanted.len() || !segments[place].is_empty());
        wanted.len() == segments.len()
            && (0..wanted.len()).all(|place| wanted[place] == segments[place] || is_id(place))
    };
    let mut templates: Vec<_> = document["paths"].as_object().unwrap().iter().filter(|(name, _)| fits(name)).collect();
    // `/webhooks/deliveries` before `/webhooks/{id}`.
    templates.sort_by_key(|(name, _)| name.matches('{').count());
    templates.first()?.1.get(method.to_lowercase())
}

/// Panics unless the document says that this operation may be answered so.
pub(crate) fn check(
    document: &Value,
    what: &str,
    operation: Option<&Value>,
    status: u16,
    headers: &HeaderMap,
    text: &str,
) {
    let response = match operation {
        Some(operation) => {
            let response = &operation["responses"][status.to_string()];
            assert!(!response.is_null(), "{what} is answered {status}, which the document does not know: {text}");
            response
        }
        // No operation: the address or the method is unknown.
        None if status == 404 => &document["components"]["responses"]["NotFound"],
        None if status == 405 => &document["components"]["responses"]["MethodNotAllowed"],
        None => panic!("{what} is no operation and is answered {status}: {text}"),
    };
    let response = match response["$ref"].as_str() {
        Some(place) => document.pointer(&place[1..]).unwrap(),
        None => response,
    };
    for (name, header) in response["headers"].as_object().into_iter().flatten() {
        assert!(header["required"] == false || headers.contains_key(name), "{what} {status} lacks {name}");
    }
    for known in ["etag", "allow", "retry-after", "www-authenticate"] {
        let documented =
            response["headers"].as_object().into_iter().flatten().any(|(name, _)| name.eq_ignore_ascii_case(known));
        assert!(documented || !headers.contains_key(known), "{what} {status} has {known}, which is not documented");
    }
    let Some(content) = response["content"].as_object() else {
        assert_eq!(text, "", "{what} {status} has a body");
        return;
    };
    let media = headers[header::CONTENT_TYPE].to_str().unwrap().split(';').next().unwrap();
    let content = content.get(media).unwrap_or_else(|| panic!("{what} {status} is {media}, which is not documented"));
    let value = if media == "application/json" { serde_json::from_str(text).unwrap() } else { Value::from(text) };
    // The document itself has a standard of its own.
    let unknown = if what.contains("openapi.json") { Unknown::Permitted } else { Unknown::Refused };
    let found = mistakes(document, &content["schema"], &value, unknown);
    assert!(found.is_empty(), "{what} {status} is not as documented: {found:#?}\n{text}");
}
