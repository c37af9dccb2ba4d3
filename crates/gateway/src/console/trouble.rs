//! Errors as people see them.

use askama::Template;
use axum::{
    extract::{FromRequestParts, rejection::QueryRejection},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use proto::error::ErrorCode;

use super::{
    page::{Frame, html},
    text::Text,
};
use crate::{Services, error::Failure};

/// A failure, to be shown as a page.
pub(super) struct Trouble(pub(super) Failure);

#[derive(Template)]
#[template(path = "trouble.html")]
struct TroublePage {
    frame: Frame,
    message: Text,
    /// What else is wrong, by field.
    details: Vec<Text>,
    may_repeat: bool,
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl From<QueryRejection> for Trouble {
    fn from(_: QueryRejection) -> Self {
        Failure::new(ErrorCode::Malformed, "The address of this page cannot be read.").into()
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let Self(failure) = self;
        let title = title(failure.code());
        let message = Text::line(sentence(failure.message()));
        let details = failure.fields().iter().map(|(field, text)| Text::line(format!("{field}: {text}"))).collect();
        let may_repeat = matches!(failure.code(), ErrorCode::Unavailable | ErrorCode::RateLimited);
        let status = StatusCode::from_u16(failure.code().http()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        html(status, &TroublePage { frame: Frame::outside(title), message, details, may_repeat })
    }
}

fn title(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::NotFound => "Not found",
        ErrorCode::Forbidden => "Not permitted",
        ErrorCode::PlanRequired => "Plan required",
        ErrorCode::Conflict | ErrorCode::PreconditionFailed => "Not possible now",
        ErrorCode::MethodNotAllowed => "Not possible on this address",
        ErrorCode::Unavailable => "Not available now",
        ErrorCode::RateLimited => "Too much at once",
        ErrorCode::Internal => "Something went wrong",
        _ => "Not understood",
    }
}

/// What services say as part of a line, as a sentence.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let Some(first) = letters.next() else { return String::new() };
    let end = if text.ends_with(['.', '!', '?', '…']) { "" } else { "." };
    format!("{}{}{end}", first.to_uppercase(), letters.as_str())
}

/// An extractor of the REST API whose refusal is shown as a page.
pub(super) struct Shown<T>(pub(super) T);

impl<T: FromRequestParts<Services, Rejection = Failure>> FromRequestParts<Services> for Shown<T> {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, services: &Services) -> Result<Self, Trouble> {
        Ok(Self(T::from_request_parts(parts, services).await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_services_say_becomes_a_sentence() {
        assert_eq!(sentence("there is no webhook 7"), "There is no webhook 7.");
        assert_eq!(sentence("Done."), "Done.");
        assert_eq!(sentence(""), "");
    }
}
