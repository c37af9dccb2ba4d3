//! What is stored of an attempt beside its columns: the encoded `StoredRequest` in `request_headers`.
//!
//! Rows from before there was such a message hold an `HttpRequest`, which reads as one: its headers have the same number.

use bytes::Bytes;
use domain::TraceContext;
use prost::Message as _;
use proto::{
    internal::v1::{AttemptTimings, StoredRequest},
    v1::Timings,
};

/// What is stored of an entry that no attempt was made for.
pub(crate) fn unmade(trace: &[u8]) -> Vec<u8> {
    StoredRequest { trace_id: trace_id(trace), ..StoredRequest::default() }.encode_to_vec()
}

/// The trace id of a trace context; empty: it is none.
pub(crate) fn trace_id(trace: &[u8]) -> Bytes {
    TraceContext::from_bytes(trace).map(|trace| Bytes::copy_from_slice(trace.trace_id())).unwrap_or_default()
}

/// What was written here, which can be read here.
pub(crate) fn read(stored: &[u8]) -> StoredRequest {
    StoredRequest::decode(stored).unwrap_or_default()
}

/// As the public schema has them.
pub(crate) fn timings(stored: AttemptTimings, total_us: i64) -> Timings {
    let AttemptTimings { dns_us, connect_us, tls_us, first_byte_us, connection_reused } = stored;
    Timings { dns_us, connect_us, tls_us, first_byte_us, total_us, connection_reused }
}

#[cfg(test)]
mod tests {
    use domain::SystemIds;
    use proto::v1::{Header, HttpRequest};

    use super::*;

    #[test]
    fn rows_from_before_are_read() {
        let headers = vec![Header { name: "x-testmo-attempt".into(), value: "1".into() }];
        let old = HttpRequest { headers: headers.clone(), ..HttpRequest::default() };
        let expected = StoredRequest { headers, ..StoredRequest::default() };
        assert_eq!(read(&old.encode_to_vec()), expected);
        assert_eq!(read(&[]), StoredRequest::default());
        // And an older program that is still running finds the headers of newer rows.
        let new = StoredRequest { trace_id: vec![7; 16].into(), timings: Some(AttemptTimings::default()), ..expected };
        assert_eq!(HttpRequest { secret_ids: Vec::new(), ..HttpRequest::decode(&*new.encode_to_vec()).unwrap() }, old);
    }

    #[test]
    fn what_was_not_made_has_its_trace() {
        let trace = TraceContext::fresh(&SystemIds);
        assert_eq!(read(&unmade(&trace.to_bytes())).trace_id.as_ref(), trace.trace_id());
        assert!(unmade(&[]).is_empty());
    }
}
