//! An operation of the API as the document describes it: said once, beside its handler.

use axum::{
    handler::Handler,
    http::Method,
    routing::{self, MethodRouter},
};
use proto::error::ErrorCode;
use serde_json::{Map, Value, json};

use crate::Services;

use super::{Tag, errors, schema};

/// What every request with a token can be answered.
const ALWAYS: [ErrorCode; 7] = [
    ErrorCode::Malformed,
    ErrorCode::Unauthenticated,
    ErrorCode::Forbidden,
    ErrorCode::Validation,
    ErrorCode::RateLimited,
    ErrorCode::Internal,
    ErrorCode::Unavailable,
];

/// `*`, or entity tags with commas between.
const TAGS: &str = r#"^(\*|(W/)?"[!#-~]*"([ \t]*,[ \t]*(W/)?"[!#-~]*")*)$"#;

/// A route: its handler and what the document says of it. The table of routes makes both the router and the document,
/// so that neither has what the other lacks.
pub(crate) struct Route {
    pub(crate) method: Method,
    /// Below `/api/v1`, with `{id}` in the place of an id, `{replay_id}` in that of a second one.
    pub(crate) path: &'static str,
    pub(crate) operation: Operation,
    pub(crate) handler: MethodRouter<Services>,
}

macro_rules! constructors {
    ($($name:ident = $method:ident),+) => {
        impl Route {
            $(#[doc = concat!("Answers ", stringify!($method), " on this path.")]
            pub(crate) fn $name<H: Handler<T, Services>, T: 'static>(
                path: &'static str,
                handler: H,
                operation: Operation,
            ) -> Self {
                Self { method: Method::$method, path, operation, handler: routing::$name(handler) }
            })+
        }
    };
}

constructors!(get = GET, post = POST, put = PUT, patch = PATCH, delete = DELETE);

/// What the document says of a route.
pub(crate) struct Operation {
    pub(super) tag: Tag,
    pub(super) name: &'static str,
    summary: &'static str,
    description: String,
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: Vec<(u16, Value)>,
    errors: Vec<ErrorCode>,
    needs_token: bool,
}

impl Operation {
    /// An operation that needs a token. `name` is its `operationId`.
    pub(crate) fn new(tag: Tag, name: &'static str, summary: &'static str) -> Self {
        Self {
            tag,
            name,
            summary,
            description: String::new(),
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            errors: ALWAYS.into(),
            needs_token: true,
        }
    }

    /// What it does, in more words.
    pub(crate) fn describe(self, description: impl Into<String>) -> Self {
        Self { description: description.into(), ..self }
    }

    /// It needs no token.
    pub(crate) fn without_token(mut self) -> Self {
        self.needs_token = false;
        self.errors = vec![ErrorCode::Malformed, ErrorCode::Validation, ErrorCode::Internal];
        self
    }

    /// Its path has the id of such an object.
    pub(crate) fn of(mut self, object: &str, id: Value, example: impl Into<Value>) -> Self {
        self.errors.push(ErrorCode::NotFound);
        self.within("id", object, id, example)
    }

    /// Its path has the id of such an object beside that of another.
    pub(crate) fn within(mut self, name: &str, object: &str, id: Value, example: impl Into<Value>) -> Self {
        self.parameters.push(json!({
            "name": name, "in": "path", "required": true, "schema": id, "example": example.into(),
            "description": format!("The id of the {object}. What cannot be an id is one that does not exist: 404."),
        }));
        self
    }

    /// It takes this parameter in its query.
    pub(crate) fn query(mut self, name: &str, schema: Value, example: impl Into<Value>) -> Self {
        let description = schema["description"].clone();
        self.parameters.push(json!({
            "name": name, "in": "query", "schema": schema, "description": description, "example": example.into(),
        }));
        self
    }

    /// It takes this header, which holds entity tags.
    pub(crate) fn tags(mut self, name: &str, example: &str, description: &str) -> Self {
        let schema = json!({"type": "string", "minLength": 1, "pattern": TAGS});
        self.parameters.push(json!({
            "name": name, "in": "header", "schema": schema, "description": description, "example": example,
        }));
        self
    }

    /// It makes its change only where `If-Match` holds.
    pub(crate) fn conditional(self) -> Self {
        let description = "Make the change only if the webhook is in a version with one of these entity tags, else \
                           answer 412; `*` and no header: whatever version it is in. Weak tags match nothing.";
        self.tags("If-Match", "\"42\"", description).fails(ErrorCode::PreconditionFailed)
    }

    /// It takes a JSON body of this schema, by its name.
    pub(crate) fn takes(mut self, schema: &str, required: bool, examples: &[(&str, Value)]) -> Self {
        let examples: Map<String, Value> =
            examples.iter().map(|(name, value)| ((*name).to_owned(), json!({"value": value}))).collect();
        let content = json!({"application/json": {"schema": schema::named(schema), "examples": examples}});
        self.body = Some(json!({"required": required, "content": content}));
        self.reads_body()
    }

    /// Its body is read, if only to see that there is none.
    pub(crate) fn reads_body(self) -> Self {
        self.fails(ErrorCode::TooLarge).fails(ErrorCode::UnsupportedMediaType)
    }

    /// It can be answered with this error as well.
    pub(crate) fn fails(mut self, code: ErrorCode) -> Self {
        self.errors.push(code);
        self
    }

    /// An answer without a body.
    pub(crate) fn answers_nothing(mut self, status: u16, description: &str) -> Self {
        self.answers.push((status, json!({"description": description})));
        self
    }

    /// An answer with a JSON body.
    pub(crate) fn answers(self, status: u16, description: &str, schema: Value, example: Value) -> Self {
        self.answers_as(status, description, "application/json", schema, example)
    }

    /// An answer with a body of this media type.
    pub(crate) fn answers_as(mut self, status: u16, about: &str, media: &str, schema: Value, example: Value) -> Self {
        let content = json!({media: {"schema": schema, "example": example}});
        self.answers.push((status, json!({"description": about, "content": content})));
        self
    }

    /// The answer given last may have a body of this media type instead.
    pub(crate) fn or_as(mut self, media: &str, schema: Value, example: impl Into<Value>) -> Self {
        if let Some((_, answer)) = self.answers.last_mut() {
            answer["content"][media] = json!({"schema": schema, "example": example.into()});
        }
        self
    }

    /// The answer given last has the tag of the webhook's version, always or sometimes.
    pub(crate) fn tagged(mut self, always: bool) -> Self {
        if let Some((_, answer)) = self.answers.last_mut() {
            let tag = schema::with(schema::text("The tag of the webhook's version."), "examples", json!(["\"42\""]));
            answer["headers"] = json!({"ETag": {"required": always, "schema": tag}});
        }
        self
    }

    /// The answer given last has this header.
    pub(crate) fn with_header(mut self, name: &str, schema: Value) -> Self {
        if let Some((_, answer)) = self.answers.last_mut() {
            answer["headers"][name] = json!({"required": true, "schema": schema});
        }
        self
    }

    /// An answer with a page of objects of this schema, by its name; the example is its `result`.
    pub(crate) fn answers_page(self, schema: &str, example: Value) -> Self {
        let page = json!({"page": 1, "prev_page": null, "next_page": null, "last_page": 1, "per_page": 100,
            "total": example.as_array().map_or(0, Vec::len), "result": example});
        self.query("page", schema::integer(1, i64::from(i32::MAX), "Which page; 1 where it is left out."), 1)
            .per_page()
            .answers(200, "A page.", super::page(schema), page)
    }

    /// It takes `per_page`.
    pub(crate) fn per_page(self) -> Self {
        let sizes = json!({"type": "integer", "format": "int32", "enum": crate::query::PER_PAGE,
            "default": crate::query::PER_PAGE_DEFAULT, "description": "How many on a page."});
        self.query("per_page", sizes, 15)
    }

    /// As OpenAPI writes it.
    pub(super) fn document(&self) -> Value {
        let mut responses: Map<String, Value> =
            self.errors.iter().map(|code| (code.http().to_string(), errors::reference(*code))).collect();
        responses.extend(self.answers.iter().map(|(status, answer)| (status.to_string(), answer.clone())));
        let mut operation = json!({
            "operationId": self.name, "tags": [self.tag.name()], "summary": self.summary, "responses": responses,
        });
        if !self.description.is_empty() {
            operation["description"] = self.description.clone().into();
        }
        if !self.parameters.is_empty() {
            operation["parameters"] = self.parameters.clone().into();
        }
        if let Some(body) = &self.body {
            operation["requestBody"] = body.clone();
        }
        if !self.needs_token {
            operation["security"] = json!([]);
        }
        operation
    }
}
