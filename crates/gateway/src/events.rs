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
use serde_json::{Value, json, value::RawValue};

use crate::{
    Services,
    caller::Caller,
    openapi::{Operation, Route, Tag, schema},
    query::NoQuery,
};

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

    /// The samples, in the order of the catalogue. Members in them lose their order.
    pub(crate) fn samples(&self) -> Vec<Value> {
        // What `new` wrote can be read.
        let mut answer: Value = serde_json::from_slice(&self.0).unwrap_or_default();
        let entries = answer["result"].as_array_mut().map(std::mem::take).unwrap_or_default();
        entries.into_iter().map(|mut entry| entry["sample"].take()).collect()
    }
}

/// `GET /webhooks/events`
///
/// The same for everybody who may use the REST API at all.
async fn list(State(services): State<Services>, _: Caller, _: NoQuery) -> Response {
    let Catalogue(body) = services.catalogue;
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

pub(crate) fn routes() -> Vec<Route> {
    let answer =
        schema::object([("result", schema::list(schema::named("EventType"), "In the order of the catalogue."))]);
    let sample = json!({
        "id": "5f0c1c5e-8a4b-4d5e-9c3a-6b1f2e7d9a04", "event": "run.deleted", "created_at": "2026-11-23T08:15:00Z",
        "is_test": false, "instance": "acme", "project": {"id": 1, "name": "Webshop"}, "user": null,
        "data": {"run": {"id": 501, "name": "Release 3.2", "tags": []}}, "changes": {},
    });
    let entry = json!({"event": "run.deleted", "group": "Test Runs", "title": "Test run deleted", "sample": sample});
    let operation = Operation::new(Tag::Events, "listEventTypes", "List the types of events")
        .describe("All 23 types, each with a sample of what is posted to webhooks of type `generic`.")
        .answers(200, "The catalogue.", answer, json!({"result": [entry]}));
    vec![Route::get("/webhooks/events", list, operation)]
}

pub(crate) fn schemas() -> Vec<(&'static str, Value)> {
    let entry = schema::object([
        ("event", schema::text("Its name.")),
        ("group", schema::text("The heading under which it is shown.")),
        ("title", schema::text("What it is, for people.")),
        ("sample", json!({"type": "object", "description": "A payload, as webhooks of type `generic` get it."})),
    ]);
    vec![("EventType", schema::described(entry, "A type of event."))]
}
