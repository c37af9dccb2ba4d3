//! Error answers: one for each status, with an example for each code.

use proto::error::ErrorCode;
use serde_json::{Map, Value, json};

use super::schema;

use ErrorCode as E;

/// All codes, by status.
pub(super) const CODES: [ErrorCode; 14] = [
    E::Malformed,
    E::Unauthenticated,
    E::Forbidden,
    E::PlanRequired,
    E::NotFound,
    E::MethodNotAllowed,
    E::Conflict,
    E::PreconditionFailed,
    E::TooLarge,
    E::UnsupportedMediaType,
    E::Validation,
    E::RateLimited,
    E::Internal,
    E::Unavailable,
];

/// The name of the answer among the components, what it means, and what a message may say.
fn about(code: ErrorCode) -> (&'static str, &'static str, &'static str) {
    match code {
        E::Malformed => (
            "Malformed",
            "The request cannot be read: JSON, query, cursor or a header is broken.",
            "the body is not JSON: expected value at line 1 column 9",
        ),
        E::Unauthenticated => (
            "Unauthenticated",
            "There is no token, or none that is valid.",
            "a token is needed; send the header `authorization: Bearer <token>`",
        ),
        E::Forbidden => (
            "Forbidden",
            "The role of the token does not permit it, or the plan of the instance has no webhooks (`plan_required`).",
            "only a system_admin may manage tokens",
        ),
        E::PlanRequired => {
            ("Forbidden", "", "the plan of this instance has no webhooks; upgrade to business or enterprise")
        }
        E::NotFound => ("NotFound", "There is no such object, or none for this caller.", "there is no webhook 7"),
        E::MethodNotAllowed => (
            "MethodNotAllowed",
            "The address has no such method; the header `Allow` names what it has.",
            "PUT is not possible on this address; the header `allow` names what is",
        ),
        E::Conflict => (
            "Conflict",
            "It does not fit the state of the object, such as activating a webhook whose last project was deleted.",
            "the last project of this webhook was deleted; give it a project first",
        ),
        E::PreconditionFailed => (
            "PreconditionFailed",
            "The object is not in a version that `If-Match` names. Nothing was changed: read it again.",
            "the webhook is at version 43, which if-match does not name; read it again",
        ),
        E::TooLarge => ("TooLarge", "The body has more than 256 KiB.", "the body is larger than 256 KiB"),
        E::UnsupportedMediaType => (
            "UnsupportedMediaType",
            "The body is not `application/json` by its content type. (PATCH takes no `application/merge-patch+json`: \
             headers are replaced as a whole and not merged.)",
            "the content type is not JSON; send application/json",
        ),
        E::Validation => (
            "ValidationFailed",
            "A field or a query parameter breaks a rule or is unknown. `errors` names each with its mistakes.",
            "colour: unknown query parameter; known are page, per_page",
        ),
        E::RateLimited => ("RateLimited", "Too many requests for now; wait.", "too many requests; wait a second"),
        E::Internal => (
            "Internal",
            "Something went wrong on the side of the service, whose log says what.",
            "something went wrong on this side; the log of the service says what",
        ),
        E::Unavailable => (
            "Unavailable",
            "A part of the service cannot be reached now. Repeat the request.",
            "a service that this needs cannot be reached now; repeat the request",
        ),
    }
}

/// The answer with this error, by its name.
pub(super) fn reference(code: ErrorCode) -> Value {
    json!({"$ref": format!("#/components/responses/{}", about(code).0)})
}

/// All error answers.
pub(super) fn responses() -> Map<String, Value> {
    let mut responses = Map::new();
    for code in CODES {
        let (name, description, message) = about(code);
        let errors = match code {
            E::Validation => json!({"colour": ["unknown query parameter; known are page, per_page"]}),
            _ => json!({}),
        };
        let example = json!({"value": {"message": message, "code": code.name(), "errors": errors}});
        let response = responses.entry(name).or_insert_with(|| {
            let content = json!({"schema": schema::named("Error"), "examples": {}});
            let mut response = json!({"description": description, "content": {"application/json": content}});
            if let Some((header, about)) = header(code) {
                response["headers"] = json!({header: {"required": true, "schema": schema::text(about)}});
            }
            response
        });
        response["content"]["application/json"]["examples"][code.name()] = example;
    }
    responses
}

fn header(code: ErrorCode) -> Option<(&'static str, &'static str)> {
    match code {
        E::Unauthenticated => Some(("WWW-Authenticate", "`Bearer`.")),
        E::MethodNotAllowed => Some(("Allow", "The methods that the address has.")),
        E::Unavailable => Some(("Retry-After", "Seconds to wait before the request is repeated.")),
        _ => None,
    }
}

/// The schema of every error.
pub(super) fn schema() -> Value {
    let mistakes = schema::list(schema::text("A mistake."), "The mistakes of one field or query parameter.");
    let errors = json!({
        "type": "object",
        "additionalProperties": mistakes,
        "description": "The fields and query parameters at fault, at most 100; empty where the error is not about any.",
    });
    let error = schema::object([
        ("message", schema::with(schema::text("What is wrong and what to do, for people."), "minLength", 1)),
        ("code", schema::choice(CODES.map(ErrorCode::name), "What kind of error it is, for programs.")),
        ("errors", errors),
    ]);
    schema::described(error, "An error.")
}
