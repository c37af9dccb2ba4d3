//! What surrounds every request: a span without secrets, an answer even after a panic, and security headers.

use std::{panic::AssertUnwindSafe, time::Instant};

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};
use futures::FutureExt as _;
use proto::error::ErrorCode;
use tracing::Instrument as _;

use crate::{
    console,
    error::{self, Failure},
};

/// The outermost layer. The span has the route and never the path or the query, which are the caller's.
pub(crate) async fn guard(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let span = tracing::info_span!(
        "rest",
        http.request.method = %request.method(),
        http.route = route.as_ref().map_or("", MatchedPath::as_str),
    );
    observed(request, next).instrument(span).await
}

async fn observed(request: Request, next: Next) -> Response {
    let start = Instant::now();
    let is_patch = request.method() == Method::PATCH;
    let for_people = console::is_for_people(request.uri().path(), request.headers());
    // Nothing outlives the request that a panic could have left half done.
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let panicked = |_| error::shown(Failure::new(ErrorCode::Internal, "the handler panicked"), for_people);
    let mut response = answer.unwrap_or_else(panicked);
    let status = response.status();
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // The console's own files say that they may be kept.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if is_patch && status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        // RFC 5789, 2.2.
        headers.insert("accept-patch", HeaderValue::from_static("application/json"));
    }
    tracing::info!(
        http.response.status_code = status.as_u16(),
        duration_ms = start.elapsed().as_secs_f64() * 1_000.0,
        "answered"
    );
    response
}
