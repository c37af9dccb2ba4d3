//! Request bodies: a JSON object, read member by member, so that every mistake names its field.

use std::{collections::HashMap, fmt, time::Duration};

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use proto::error::ErrorCode;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{error::Category, value::RawValue};

use crate::{error::Failure, named::Named, read::Reader, value::Json};

const LIMIT: usize = 256 * 1024;
/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// The members of the body, not yet read.
pub(crate) struct Fields {
    members: Named<Json>,
    /// All of it, as it was sent.
    body: Bytes,
}

impl<S: Sync> FromRequest<S> for Fields {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        must_be_json(request.headers())?;
        parse(read(request).await?)
    }
}

/// The members of a body that may be left out.
pub(crate) struct OptionalFields(pub(crate) Fields);

impl<S: Sync> FromRequest<S> for OptionalFields {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let json = must_be_json(request.headers());
        let body = read(request).await?;
        if body.is_empty() {
            return Ok(Self(Fields { members: Named::new("field"), body }));
        }
        json?;
        parse(body).map(Self)
    }
}

/// That there is no body, or an empty object: an action takes nothing, and a field sent to it is a mistake.
pub(crate) struct NoBody;

impl<S: Sync> FromRequest<S> for NoBody {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let OptionalFields(fields) = OptionalFields::from_request(request, state).await?;
        fields.finish().map(|()| Self)
    }
}

/// JSON and nothing near it. `application/merge-patch+json` would promise that headers are merged one by one, where
/// ours are replaced.
fn must_be_json(headers: &HeaderMap) -> Result<(), Failure> {
    let header = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = header.and_then(|value| value.split(';').next()).unwrap_or_default();
    if essence.trim().eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Failure::new(ErrorCode::UnsupportedMediaType, "the content type is not JSON; send application/json"))
}

/// Not compressed: a few bytes could stand for any number of them.
fn must_be_plain(headers: &HeaderMap) -> Result<(), Failure> {
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    if codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Ok(());
    }
    Err(Failure::new(
        ErrorCode::UnsupportedMediaType,
        "the body is compressed; send it as it is, without content-encoding",
    ))
}

/// All of a body, within bounds of size and time.
pub(crate) async fn read(request: Request) -> Result<Bytes, Failure> {
    must_be_plain(request.headers())?;
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

pub(crate) fn parse(body: Bytes) -> Result<Fields, Failure> {
    let members = serde_json::from_slice(&body).map_err(|error| match error.classify() {
        // Sound JSON, but a list or a number.
        Category::Data => Failure::new(ErrorCode::Validation, "the body must be a JSON object"),
        _ => Failure::new(ErrorCode::Malformed, format!("the body is not JSON: {error}")),
    });
    let Members(members) = members?;
    Ok(Fields { members, body })
}

/// The members of an object.
struct Members(Named<Json>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut named = Named::new("field");
                while let Some((name, value)) = map.next_entry()? {
                    named.add(name, value);
                }
                Ok(Members(named))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl Fields {
    /// A member that must be there. After a mistake the default stands in for it and is never used.
    pub(crate) fn required<T: Default>(&mut self, name: &'static str, read: Reader<T>) -> T {
        match self.members.take(name) {
            Some(value) => self.read(name, value, read).unwrap_or_default(),
            None => {
                self.members.fault(name, "is required");
                T::default()
            }
        }
    }

    /// A member that may be left out; `None` where it is.
    pub(crate) fn given<T>(&mut self, name: &'static str, read: Reader<T>) -> Option<T> {
        let value = self.members.take(name)?;
        self.read(name, value, read)
    }

    /// An object that may be left out, as the text that was sent: its numbers keep their digits.
    pub(crate) fn object(&mut self, name: &'static str) -> Option<String> {
        let Json::Object(_) = self.members.take(name)? else {
            self.fault(name, "must be an object");
            return None;
        };
        // What was read once can be read again.
        let members: HashMap<String, &RawValue> = serde_json::from_slice(&self.body).unwrap_or_default();
        members.get(name).map(|text| text.get().to_owned())
    }

    /// Whether there is a member of this name that was not taken yet.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.members.has(name)
    }

    /// Keeps a mistake.
    pub(crate) fn fault(&mut self, name: &str, message: impl Into<String>) {
        self.members.fault(name, message);
    }

    /// Refuses members that answers have and requests must not.
    pub(crate) fn read_only(&mut self, names: &[&str]) {
        for name in names {
            if self.members.drop(name) {
                self.members.fault(name, "is read only; leave it out");
            }
        }
    }

    /// All mistakes at once.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        self.members.finish()
    }

    fn read<T>(&mut self, name: &str, value: Json, read: Reader<T>) -> Option<T> {
        read(value).map_err(|fault| self.members.fault(name, fault)).ok()
    }
}
