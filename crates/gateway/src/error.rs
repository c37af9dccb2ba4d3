//! Errors as REST shows them: `{"message", "code", "errors": {"field": ["…"]}}`.

use std::collections::BTreeMap;

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use proto::error::{ApiError, ErrorCode};
use serde::Serialize;
use tonic::Status;

use crate::console;

/// An error on its way to the caller of the REST API.
#[derive(Debug)]
pub(crate) struct Failure(ApiError);

#[derive(Serialize)]
struct ErrorJson<'a> {
    message: &'a str,
    code: &'static str,
    errors: BTreeMap<&'a str, Vec<&'a str>>,
}

impl Failure {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self(ApiError::new(code, message))
    }

    /// What kind of error it is.
    pub(crate) const fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// What is wrong with each field that is at fault.
    pub(crate) fn fields(&self) -> &[(String, String)] {
        &self.0.fields
    }

    /// What the caller is told.
    pub(crate) fn message(&self) -> &str {
        public_message(&self.0)
    }

    /// A service left out what its schema promises.
    pub(crate) fn incomplete(what: &str) -> Self {
        Self::new(ErrorCode::Internal, format!("the service's answer has no {what}"))
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let mut error = ApiError::from(&status);
        // Method and size of the caller's request have been looked at here. A service that complains of them has no
        // such call, or an answer beyond what the client takes: the caller can do nothing about either.
        if matches!(error.code, ErrorCode::MethodNotAllowed | ErrorCode::TooLarge) {
            error.code = ErrorCode::Internal;
        }
        Self(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Self(error) = self;
        let mut errors: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (field, text) in &error.fields {
            errors.entry(field).or_default().push(text);
        }
        let body = Json(ErrorJson { message: public_message(&error), code: error.code.name(), errors });
        let status = StatusCode::from_u16(error.code.http()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, body).into_response();
        match error.code {
            ErrorCode::Unauthenticated => {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            ErrorCode::Unavailable => {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}

/// What the caller is told. Faults on this side may name hosts and tables: those go to the log, and here alone.
fn public_message(error: &ApiError) -> &str {
    match error.code {
        ErrorCode::Internal => {
            tracing::error!(error = %error, "request failed");
            "something went wrong on this side; the log of the service says what"
        }
        ErrorCode::Unavailable => {
            tracing::warn!(error = %error, "request failed for now");
            "a service that this needs cannot be reached now; repeat the request"
        }
        _ => &error.message,
    }
}

/// Answers requests to paths that are not served.
pub(crate) async fn unknown_path(uri: Uri, headers: HeaderMap) -> Response {
    let message = "there is no such address; the API is below /api/v1";
    shown(Failure::new(ErrorCode::NotFound, message), console::is_for_people(uri.path(), &headers))
}

/// Answers requests with a method that their path does not have; axum adds `Allow`.
pub(crate) async fn wrong_method(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let message = format!("{method} is not possible on this address; the header `allow` names what is");
    shown(Failure::new(ErrorCode::MethodNotAllowed, message), console::is_for_people(uri.path(), &headers))
}

/// A failure for whoever asked: a page for people, JSON for programs.
pub(crate) fn shown(failure: Failure, for_people: bool) -> Response {
    if for_people { console::trouble(failure) } else { failure.into_response() }
}
