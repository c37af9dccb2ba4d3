//! Request bodies: a JSON object, read member by member, so that every mistake names its field.

use std::{fmt, time::Duration};

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::header,
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use prost_types::Timestamp;
use proto::error::ErrorCode;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Value, error::Category};

use crate::{error::Failure, named::Named};

const LIMIT: usize = 256 * 1024;
/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// The members of the body, not yet read.
pub(crate) struct Fields(Named<Value>);

impl<S: Sync> FromRequest<S> for Fields {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        if !is_json(&request) {
            return Err(Failure::new(
                ErrorCode::UnsupportedMediaType,
                "the content type is not JSON; send application/json",
            ));
        }
        let body = read(request).await?;
        parse(&body)
    }
}

/// That there is no body, or an empty object: an action takes nothing, and a field sent to it is a mistake.
pub(crate) struct NoBody;

impl<S: Sync> FromRequest<S> for NoBody {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let body = read(request).await?;
        if body.is_empty() {
            return Ok(Self);
        }
        parse(&body)?.finish().map(|()| Self)
    }
}

fn is_json(request: &Request) -> bool {
    let header = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = header.and_then(|value| value.split(';').next()).unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

async fn read(request: Request) -> Result<Bytes, Failure> {
    let body = Limited::new(request.into_body(), LIMIT).collect();
    match tokio::time::timeout(PATIENCE, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(Failure::new(ErrorCode::TooLarge, format!("the body is larger than {} KiB", LIMIT / 1024)))
        }
        Ok(Err(_)) => Err(Failure::new(ErrorCode::Malformed, "the body ended early; send it whole")),
        Err(_) => Err(Failure::new(
            ErrorCode::Malformed,
            format!("the body did not arrive within {PATIENCE:?}; send it faster"),
        )),
    }
}

fn parse(body: &[u8]) -> Result<Fields, Failure> {
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        // Sound JSON, but a list or a number.
        Category::Data => Failure::new(ErrorCode::Validation, "the body must be a JSON object"),
        _ => Failure::new(ErrorCode::Malformed, format!("the body is not JSON: {error}")),
    })
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut named = Named::new("field");
                while let Some((name, value)) = map.next_entry()? {
                    named.add(name, value);
                }
                Ok(Fields(named))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl Fields {
    /// A text that must be there.
    pub(crate) fn text(&mut self, name: &'static str) -> String {
        match self.required(name) {
            Some(Value::String(text)) => text,
            Some(_) => self.wrong(name, "must be a string"),
            None => String::new(),
        }
    }

    /// A truth value; false where it is absent.
    pub(crate) fn flag(&mut self, name: &'static str) -> bool {
        match self.0.take(name) {
            Some(Value::Bool(flag)) => flag,
            Some(_) => self.wrong(name, "must be true or false"),
            None => false,
        }
    }

    /// A list of texts that must be there.
    pub(crate) fn texts(&mut self, name: &'static str) -> Vec<String> {
        let text = |value: Value| if let Value::String(text) = value { Some(text) } else { None };
        match self.required(name) {
            Some(Value::Array(items)) => self.items(name, items, "a string", text),
            Some(_) => self.wrong(name, "must be a list of strings"),
            None => Vec::new(),
        }
    }

    /// A list of ids; `None` where it is null or absent.
    pub(crate) fn ids(&mut self, name: &'static str) -> Option<Vec<i64>> {
        match self.0.take(name) {
            Some(Value::Array(items)) => Some(self.items(name, items, "an integer", |value| value.as_i64())),
            None | Some(Value::Null) => None,
            Some(_) => self.wrong(name, "must be null or a list of integers"),
        }
    }

    /// A time; `None` where it is null or absent.
    pub(crate) fn time(&mut self, name: &'static str) -> Option<Timestamp> {
        let time = match self.0.take(name) {
            None | Some(Value::Null) => return None,
            Some(Value::String(text)) => proto::json::timestamp::parse(&text),
            Some(_) => None,
        };
        if time.is_none() {
            self.0.fault(name, "must be null or a time in RFC 3339, such as 2026-11-23T08:15:00Z");
        }
        time
    }

    /// All mistakes at once.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        self.0.finish()
    }

    fn required(&mut self, name: &'static str) -> Option<Value> {
        let value = self.0.take(name);
        if value.is_none() {
            self.0.fault(name, "is required");
        }
        value
    }

    /// Keeps the mistake; the value that stands in for the right one is never used.
    fn wrong<T: Default>(&mut self, name: &str, message: &str) -> T {
        self.0.fault(name, message);
        T::default()
    }

    fn items<T>(&mut self, name: &str, items: Vec<Value>, what: &str, read: impl Fn(Value) -> Option<T>) -> Vec<T> {
        let mut list = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            match read(item) {
                Some(item) => list.push(item),
                None => {
                    // The first is enough: a list of the wrong kind would say it a thousand times.
                    self.0.fault(name, format!("item {} must be {what}", index + 1));
                    break;
                }
            }
        }
        list
    }
}
