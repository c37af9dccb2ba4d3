//! Ids in paths. One that cannot be an id is an object that does not exist.

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use proto::error::ErrorCode;
use uuid::Uuid;

use crate::error::Failure;

/// The id of a webhook.
pub(crate) struct WebhookId(pub(crate) i64);
/// The id of a token.
pub(crate) struct TokenId(pub(crate) i64);
/// The id of a delivery.
pub(crate) struct DeliveryId(pub(crate) Uuid);

impl<S: Send + Sync> FromRequestParts<S> for WebhookId {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        text(parts, state).await.and_then(|text| number(&text)).map(Self).ok_or_else(|| not_found("webhook"))
    }
}

/// The id of a replay, with that of its webhook.
pub(crate) struct ReplayId(pub(crate) i64, pub(crate) Uuid);

impl<S: Send + Sync> FromRequestParts<S> for ReplayId {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let texts = Path::<(String, String)>::from_request_parts(parts, state).await.ok();
        let (webhook, replay) = texts.map(|Path(texts)| texts).unwrap_or_default();
        let webhook = number(&webhook).ok_or_else(|| not_found("webhook"))?;
        let replay = Uuid::parse_str(&replay).map_err(|_| not_found("replay"))?;
        Ok(Self(webhook, replay))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for TokenId {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        text(parts, state).await.and_then(|text| number(&text)).map(Self).ok_or_else(|| not_found("token"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for DeliveryId {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let id = text(parts, state).await.and_then(|text| Uuid::parse_str(&text).ok());
        id.map(Self).ok_or_else(|| not_found("delivery"))
    }
}

async fn text<S: Send + Sync>(parts: &mut Parts, state: &S) -> Option<String> {
    Path::<String>::from_request_parts(parts, state).await.ok().map(|Path(text)| text)
}

/// An integer from 1, in the one way to write it. 0 would mean all objects to some services.
pub(crate) fn number(text: &str) -> Option<i64> {
    let number = text.parse::<i64>().ok().filter(|number| *number > 0)?;
    (number.to_string() == text).then_some(number)
}

fn not_found(what: &str) -> Failure {
    Failure::new(ErrorCode::NotFound, format!("there is no {what} with this id"))
}
