//! Events as publishers send them, for `tests/fuzz`.

use bytes::Bytes;
use domain::{Identity, Role, SystemClock, SystemIds};
use prost::Message as _;
use proto::{
    internal::v1::AcceptedEvent,
    strict,
    v1::{Event, PublishRequest},
};
use runtime::{Span, SpanKind};

use crate::accept::accept;

/// An encoded [`PublishRequest`]: what would be queued.
///
/// # Errors
/// Why it is refused.
pub fn request(bytes: &[u8]) -> Result<Bytes, String> {
    let request = PublishRequest::decode(bytes).map_err(|error| error.to_string())?;
    if let Some(path) = strict::unknown_field(".testmo.webhooks.v1.PublishRequest", bytes) {
        return Err(path);
    }
    event(request.event)
}

/// An event: what would be queued, which can be read again.
///
/// # Errors
/// Why it is refused.
pub fn event(event: Option<Event>) -> Result<Bytes, String> {
    let caller = Identity { role: Role::Publisher, instance: None, name: "fuzz".to_owned() };
    let mut span = Span::begin("fuzz", "publish", SpanKind::Producer, None);
    let accepted = accept(event, &caller, &mut span, &SystemClock, &SystemIds).map_err(|error| error.to_string())?;
    let read = AcceptedEvent::decode(accepted.body.clone()).map_err(|error| error.to_string());
    let id = read.map(|read| read.event.map(|event| event.id));
    assert_eq!(id, Ok(Some(accepted.id.to_string())), "what is queued can be read again");
    Ok(accepted.body)
}
