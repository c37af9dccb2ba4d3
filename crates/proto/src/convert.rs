//! Between the schema's types and the domain's.

use std::time::Duration;

use bytes::Bytes;
use domain::{Timestamp, TraceContext};
use uuid::Uuid;

/// A UUID as it is in internal messages.
#[must_use]
pub fn uuid_bytes(id: Uuid) -> Bytes {
    Bytes::copy_from_slice(id.as_bytes())
}

/// A UUID from an internal message; `None` where it is not 16 bytes.
#[must_use]
pub fn uuid_from(bytes: &[u8]) -> Option<Uuid> {
    Uuid::from_slice(bytes).ok()
}

/// A trace context as it is in internal messages.
#[must_use]
pub fn trace_bytes(trace: &TraceContext) -> Bytes {
    Bytes::copy_from_slice(&trace.to_bytes())
}

/// The header `traceparent` of what an internal message has; `None` where that is no trace context.
#[must_use]
pub fn traceparent(trace: &[u8]) -> Option<String> {
    TraceContext::from_bytes(trace).map(|trace| trace.to_string())
}

/// A time as the schema has it.
#[must_use]
pub fn timestamp(time: Timestamp) -> prost_types::Timestamp {
    let micros = time.as_micros();
    let nanos = i32::try_from(micros.rem_euclid(1_000_000) * 1_000).unwrap_or_default();
    prost_types::Timestamp { seconds: micros.div_euclid(1_000_000), nanos }
}

/// A length of time as the schema has it.
#[must_use]
pub fn duration(length: Duration) -> prost_types::Duration {
    let seconds = i64::try_from(length.as_secs()).unwrap_or(i64::MAX);
    prost_types::Duration { seconds, nanos: i32::try_from(length.subsec_nanos()).unwrap_or_default() }
}

/// A time from the schema, to the microsecond.
#[must_use]
pub fn from_timestamp(time: &prost_types::Timestamp) -> Timestamp {
    Timestamp::from_micros(time.seconds.saturating_mul(1_000_000).saturating_add(i64::from(time.nanos) / 1_000))
}
