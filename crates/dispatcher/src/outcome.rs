//! What came of an attempt, as it is recorded.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use domain::Timestamp;
use proto::internal::v1::{Attempt, AttemptTimings, HoldReason, RecordedHeader};

use crate::{post::Posted, stopwatch::Timings, webhooks::Webhook};

/// A retry that waits longer than this waits with less of the answer to the attempt before, because thousands may.
const SHORT_WAIT: Duration = Duration::from_secs(10);
/// How much that is, in bytes.
const LASTING_ANSWER: usize = 4 << 10;

/// Where the next attempt waits.
pub(crate) enum Next {
    None,
    Queued(Duration, Timestamp),
    Held(Timestamp),
}

/// What came of it.
pub(crate) fn attempt(posted: Posted, webhook: &Webhook, next: &Next) -> Attempt {
    let (next_due_at, next_held) = match next {
        Next::None => (0, HoldReason::Unspecified),
        Next::Queued(_, due_at) => (due_at.as_micros(), HoldReason::Unspecified),
        Next::Held(due_at) => (due_at.as_micros(), HoldReason::RetryAfter),
    };
    let (error_class, error) = match posted.error {
        Some((class, text)) => (class.name().to_owned(), text),
        None => (String::new(), String::new()),
    };
    let recorded = |headers: Vec<(String, String)>| {
        headers.into_iter().map(|(name, value)| RecordedHeader { name, value }).collect()
    };
    let (response_code, response_headers, response_body, response_truncated) = match posted.answer {
        Some(answer) => (i32::from(answer.status), answer.headers, answer.body, answer.truncated),
        None => (0, Vec::new(), Vec::new(), false),
    };
    Attempt {
        started_at: posted.started_at.as_micros(),
        duration_us: micros(posted.timings.total),
        delivered: error_class.is_empty(),
        response_code,
        error_class,
        error,
        url: webhook.masked_url.clone(),
        remote_address: posted.remote_address.as_ref().map(SocketAddr::to_string).unwrap_or_default(),
        request_headers: recorded(posted.request_headers),
        response_headers: recorded(response_headers),
        response_body: response_body.into(),
        response_truncated,
        next_due_at,
        next_held: next_held.into(),
        body_sha256: Bytes::new(),
        span_id: Bytes::new(),
        secret_ids: posted.secret_ids,
        timings: Some(timings(&posted.timings)),
    }
}

fn timings(timings: &Timings) -> AttemptTimings {
    AttemptTimings {
        dns_us: timings.dns.map(micros),
        connect_us: timings.connect.map(micros),
        tls_us: timings.tls.map(micros),
        first_byte_us: timings.first_byte.map(micros),
        connection_reused: timings.reused,
    }
}

fn micros(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}

/// What is kept of an attempt with the retry that waits. By the end of a long wait it is recorded, whole, but for a crash.
pub(crate) fn waiting(mut attempt: Attempt, wait: Duration) -> Attempt {
    if wait > SHORT_WAIT && attempt.response_body.len() > LASTING_ANSWER {
        // A copy, so that the rest does not stay in memory with it.
        attempt.response_body = Bytes::copy_from_slice(&attempt.response_body[..LASTING_ANSWER]);
        attempt.response_truncated = true;
    }
    attempt
}
