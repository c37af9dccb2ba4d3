//! What callers of the REST API send, for `tests/fuzz`.

use axum::{body::Bytes, http::Uri};
use proto::v1::CreateWebhookRequest;

use crate::{
    body,
    error::Failure,
    query::Query,
    replays,
    webhooks::{self, explain},
};

/// The webhook that a body describes.
///
/// # Errors
/// Why it is refused.
pub fn webhook(bytes: &[u8]) -> Result<CreateWebhookRequest, String> {
    body::parse(Bytes::copy_from_slice(bytes)).and_then(webhooks::wanted).map_err(|failure| told(&failure))
}

/// The body of a question why an event was delivered, and of a replay.
///
/// # Errors
/// Why neither can be read of it.
pub fn question(bytes: &[u8]) -> Result<(), String> {
    let fields = || body::parse(Bytes::copy_from_slice(bytes));
    let explained = fields().and_then(explain::asked).map(drop);
    let replayed = fields().and_then(|fields| replays::asked(1, fields)).map(drop);
    explained.or(replayed).map_err(|failure| told(&failure))
}

/// The query of each list.
///
/// # Errors
/// A text that cannot stand in an address, or why no list can be asked this way.
pub fn query(text: &str) -> Result<(), String> {
    let uri: Uri = format!("/?{text}").parse().map_err(|_| "no address".to_owned())?;
    let read = || Query::parse(&uri);
    let results = [
        read().and_then(|query| query.entries(0)).map(drop),
        read().and_then(Query::export).map(drop),
        read().and_then(Query::webhooks).map(drop),
        read().and_then(|query| query.stats(1)).map(drop),
        read().and_then(Query::page).map(drop),
        read().and_then(Query::confirmation).map(drop),
    ];
    let all = results.into_iter().map(|result| result.map_err(|failure| told(&failure)));
    all.reduce(Result::or).unwrap_or(Ok(()))
}

/// What a caller is told, which is never the caller's text at its length many times over.
fn told(failure: &Failure) -> String {
    let fields = failure.fields();
    assert!(fields.len() <= 200, "{} mistakes", fields.len());
    format!("{} {fields:?}", failure.message())
}
