//! The one table of error codes, to gRPC and to HTTP, and how an error travels from one to the other.

use std::fmt;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

const DOMAIN: &str = "webhooks.testmo";

/// What kind of error it is, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The request could not be read as what it should be.
    Malformed,
    /// No valid token.
    Unauthenticated,
    /// The caller's role does not permit it.
    Forbidden,
    /// The instance's plan does not permit it.
    PlanRequired,
    /// No such object, or none that the caller may know of.
    NotFound,
    /// The method is not possible on this address.
    MethodNotAllowed,
    /// It does not fit the object's state.
    Conflict,
    /// The object is not the version that the caller wants to change.
    PreconditionFailed,
    /// The request is too large.
    TooLarge,
    /// The body is not JSON by its content type.
    UnsupportedMediaType,
    /// A field breaks a rule.
    Validation,
    /// Too many requests for now.
    RateLimited,
    /// Something that it needs cannot be reached now; repeat it.
    Unavailable,
    /// A fault of the service.
    Internal,
}

use ErrorCode as E;

/// Code, name in answers, gRPC status, HTTP status.
const TABLE: [(ErrorCode, &str, Code, u16); 14] = [
    (E::Malformed, "malformed", Code::InvalidArgument, 400),
    (E::Unauthenticated, "unauthenticated", Code::Unauthenticated, 401),
    (E::Forbidden, "forbidden", Code::PermissionDenied, 403),
    (E::PlanRequired, "plan_required", Code::PermissionDenied, 403),
    (E::NotFound, "not_found", Code::NotFound, 404),
    (E::MethodNotAllowed, "method_not_allowed", Code::Unimplemented, 405),
    (E::Conflict, "conflict", Code::FailedPrecondition, 409),
    (E::PreconditionFailed, "precondition_failed", Code::Aborted, 412),
    (E::TooLarge, "too_large", Code::OutOfRange, 413),
    (E::UnsupportedMediaType, "unsupported_media_type", Code::InvalidArgument, 415),
    (E::Validation, "validation_failed", Code::InvalidArgument, 422),
    (E::RateLimited, "rate_limited", Code::ResourceExhausted, 429),
    (E::Unavailable, "unavailable", Code::Unavailable, 503),
    (E::Internal, "internal", Code::Internal, 500),
];

impl ErrorCode {
    fn row(self) -> (ErrorCode, &'static str, Code, u16) {
        TABLE.into_iter().find(|row| row.0 == self).unwrap_or(TABLE[TABLE.len() - 1])
    }

    /// Its name in answers, such as `not_found`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// The HTTP status that goes with it.
    #[must_use]
    pub fn http(self) -> u16 {
        self.row().3
    }

    fn from_name(name: &str) -> Option<Self> {
        TABLE.into_iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// For a status that carries no name: made by tonic or by somebody else.
    fn from_grpc(code: Code) -> Self {
        match code {
            Code::DeadlineExceeded | Code::Cancelled | Code::Aborted => Self::Unavailable,
            Code::InvalidArgument => Self::Malformed,
            // Tonic says so of a message over the limit.
            Code::OutOfRange | Code::ResourceExhausted => Self::TooLarge,
            Code::AlreadyExists => Self::Conflict,
            other => TABLE.into_iter().find(|row| row.2 == other).map_or(Self::Internal, |row| row.0),
        }
    }
}

/// An error on its way to a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// What kind it is.
    pub code: ErrorCode,
    /// For people: what is wrong and what to do.
    pub message: String,
    /// Field and what is wrong with it, where fields are at fault.
    pub fields: Vec<(String, String)>,
}

impl ApiError {
    /// An error that is not about a field.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), fields: Vec::new() }
    }

    /// Mistakes in fields. The message is the first one, with its field.
    #[must_use]
    pub fn fields(fields: Vec<(String, String)>) -> Self {
        let message = match fields.as_slice() {
            [(field, text)] => format!("{field}: {text}"),
            [(field, text), more @ ..] => format!("{field}: {text} (and {} more)", more.len()),
            [] => "a field is wrong".to_owned(),
        };
        Self { code: ErrorCode::Validation, message, fields }
    }

    /// No object of this kind and id.
    #[must_use]
    pub fn not_found(what: &str, id: impl fmt::Display) -> Self {
        Self::new(ErrorCode::NotFound, format!("there is no {what} {id}"))
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}

impl From<ApiError> for Status {
    fn from(error: ApiError) -> Self {
        let (_, name, code, _) = error.code.row();
        let mut details = ErrorDetails::new();
        details.set_error_info(name.to_uppercase(), DOMAIN, std::collections::HashMap::new());
        if !error.fields.is_empty() {
            let violations = error.fields.into_iter().map(|(field, text)| FieldViolation::new(field, text));
            details.set_bad_request(violations.collect::<Vec<_>>());
        }
        Self::with_error_details(code, error.message, details)
    }
}

impl From<&Status> for ApiError {
    fn from(status: &Status) -> Self {
        let details = status.get_error_details();
        let named = details.error_info().filter(|info| info.domain == DOMAIN);
        let code = named.and_then(|info| ErrorCode::from_name(&info.reason.to_lowercase()));
        let fields = details.bad_request().map(|request| request.field_violations.as_slice()).unwrap_or_default();
        Self {
            code: code.unwrap_or_else(|| ErrorCode::from_grpc(status.code())),
            message: status.message().to_owned(),
            fields: fields.iter().map(|fault| (fault.field.clone(), fault.description.clone())).collect(),
        }
    }
}

/// A status about one field; `message` is whole.
#[must_use]
pub fn invalid_field(field: &str, message: &str) -> Status {
    let fields = vec![(field.to_owned(), message.to_owned())];
    ApiError { code: ErrorCode::Validation, message: message.to_owned(), fields }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_the_way_through_grpc() {
        for (code, ..) in TABLE {
            let error = ApiError { code, message: "why".into(), fields: vec![("url".into(), "bad".into())] };
            assert_eq!(ApiError::from(&Status::from(error.clone())), error);
        }
    }

    #[test]
    fn foreign_statuses_find_a_place() {
        assert_eq!(ApiError::from(&Status::deadline_exceeded("slow")).code, ErrorCode::Unavailable);
        assert_eq!(ApiError::from(&Status::unknown("?")).code, ErrorCode::Internal);
    }
}
