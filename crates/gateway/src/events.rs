//! `/webhooks/events`: the catalogue of event types.

use std::error::Error;

use axum::{
    body::Bytes,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use domain::EventType;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{Services, caller::Caller, query::NoQuery};

/// The answer of the catalogue, made once.
#[derive(Clone)]
pub struct Catalogue(Bytes);

/// A sample that could not be had, or is not JSON.
#[derive(Debug, thiserror::Error)]
#[error("the sample of {event} is no payload: {source}")]
pub struct InvalidSample {
    /// The event type.
    pub event: EventType,
    /// What is wrong with its sample.
    pub source: Box<dyn Error + Send + Sync>,
}

#[derive(Serialize)]
struct EventJson<'a> {
    event: &'static str,
    group: &'static str,
    title: &'static str,
    /// As it is: through `Value` its members would lose their order.
    sample: &'a RawValue,
}

impl Catalogue {
    /// The catalogue with these samples: generic payloads, which this crate does not make itself.
    ///
    /// # Errors
    /// `sample` fails for a type, or gives something other than JSON.
    pub fn new<E: Error + Send + Sync + 'static>(
        sample: impl Fn(EventType) -> Result<Vec<u8>, E>,
    ) -> Result<Self, InvalidSample> {
        let mut body = br#"{"result":["#.to_vec();
        for (index, kind) in EventType::ALL.iter().enumerate() {
            let fault = |source| InvalidSample { event: *kind, source };
            let payload = sample(*kind).map_err(|error| fault(error.into()))?;
            let sample: &RawValue = serde_json::from_slice(&payload).map_err(|error| fault(error.into()))?;
            let entry = EventJson { event: kind.name(), group: kind.group().title(), title: kind.title(), sample };
            if index > 0 {
                body.push(b',');
            }
            serde_json::to_writer(&mut body, &entry).map_err(|error| fault(error.into()))?;
        }
        body.extend_from_slice(b"]}");
        Ok(Self(body.into()))
    }
}

/// `GET /webhooks/events`
///
/// The same for everybody who may use the REST API at all.
pub(crate) async fn list(State(services): State<Services>, _: Caller, _: NoQuery) -> Response {
    let Catalogue(body) = services.catalogue;
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
