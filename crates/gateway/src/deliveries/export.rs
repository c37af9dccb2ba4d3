//! `/webhooks/deliveries/export`: everything, as one stream. What is in memory is a part of it at a time.

use std::io::{self, Write as _};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use flate2::{Compression, write::GzEncoder};
use proto::v1::{ExportEntriesRequest, ExportEntriesResponse, ExportedEntry};
use serde::Serialize;
use tonic::Streaming;

use super::EntryDetailJson;
use crate::{
    Services,
    caller::{Caller, SystemAdmin, answer},
    error::Failure,
    page::some_text,
    query::Query,
};

/// How many entries the export has.
const TOTAL: HeaderName = HeaderName::from_static("x-total-count");

/// What an export is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// One JSON array.
    Json,
    /// A JSON object a line.
    Ndjson,
}

/// The formats with their names.
pub(crate) const FORMATS: [(&str, Format); 2] = [("json", Format::Json), ("ndjson", Format::Ndjson)];

impl Format {
    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

/// An entry, whole, with what another export needs to go on after it.
#[derive(Serialize)]
struct ExportedJson {
    #[serde(flatten)]
    entry: EntryDetailJson,
    cursor: Option<String>,
}

/// `GET /webhooks/deliveries/export`
pub(super) async fn export(
    State(services): State<Services>,
    SystemAdmin(caller): SystemAdmin,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let (format, request) = query.export()?;
    send(&services, &caller, format, request, &headers).await
}

/// The answer with all entries that are asked for.
pub(crate) async fn send(
    services: &Services,
    caller: &Caller,
    format: Format,
    request: ExportEntriesRequest,
    headers: &HeaderMap,
) -> Result<Response, Failure> {
    let mut parts = answer(services.history().export_entries(caller.request(request))).await?;
    let total = parts.message().await?.ok_or_else(|| Failure::incomplete("number of entries"))?.total;
    let gzip = accepts_gzip(headers);
    let text = Text { format, empty: true, gzip: gzip.then(|| GzEncoder::new(Vec::new(), Compression::fast())) };
    let mut response = Body::from_stream(stream(parts, text)).into_response();
    let headers = response.headers_mut();
    headers.insert(TOTAL, HeaderValue::from(total));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    let file = match format {
        Format::Json => "attachment; filename=\"webhook-deliveries.json\"",
        Format::Ndjson => "attachment; filename=\"webhook-deliveries.ndjson\"",
    };
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(file));
    if gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

/// Whether the header `accept-encoding` takes gzip.
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = weight.trim().strip_prefix("q=").is_some_and(|weight| weight.trim().parse() == Ok(0.0));
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

/// What is written, part by part. It breaks off with an error where the export is cut short, so that nobody takes a part
/// for the whole.
fn stream(parts: Streaming<ExportEntriesResponse>, text: Text) -> impl futures::Stream<Item = io::Result<Vec<u8>>> {
    futures::stream::try_unfold(Some((parts, text)), async |state| {
        let Some((mut parts, mut text)) = state else { return Ok(None) };
        let part = match parts.message().await {
            Ok(Some(part)) => part,
            Ok(None) => return Err(broken_off("it was read too slowly, or the history service ended")),
            Err(status) => return Err(broken_off(status.message())),
        };
        if part.complete {
            return Ok(Some((text.finish()?, None)));
        }
        let written = text.write(part.entries)?;
        Ok(Some((written, Some((parts, text)))))
    })
}

fn broken_off(reason: &str) -> io::Error {
    tracing::warn!(reason, "an export is broken off");
    io::Error::other("the export is cut short")
}

/// The text so far.
struct Text {
    format: Format,
    empty: bool,
    gzip: Option<GzEncoder<Vec<u8>>>,
}

impl Text {
    fn write(&mut self, entries: Vec<ExportedEntry>) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        for ExportedEntry { entry, cursor } in entries {
            let entry = entry.ok_or_else(|| io::Error::other("the service's answer has no entry"))?;
            match self.format {
                Format::Json => text.extend(if self.empty { b"[\n" } else { b",\n" }),
                Format::Ndjson if self.empty => {}
                Format::Ndjson => text.push(b'\n'),
            }
            self.empty = false;
            serde_json::to_writer(&mut text, &ExportedJson { entry: entry.into(), cursor: some_text(cursor) })?;
        }
        let Some(gzip) = &mut self.gzip else { return Ok(text) };
        gzip.write_all(&text)?;
        // So that whoever reads sees what there is.
        gzip.flush()?;
        Ok(std::mem::take(gzip.get_mut()))
    }

    /// What comes at the end.
    fn finish(self) -> io::Result<Vec<u8>> {
        let end: &[u8] = match (self.format, self.empty) {
            (Format::Json, true) => b"[]\n",
            (Format::Json, false) => b"\n]\n",
            (Format::Ndjson, true) => b"",
            (Format::Ndjson, false) => b"\n",
        };
        let Some(mut gzip) = self.gzip else { return Ok(end.to_vec()) };
        gzip.write_all(end)?;
        gzip.finish()
    }
}
