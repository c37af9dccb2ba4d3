//! Who calls: the request's bearer token, handed on to the services as it is, and the call itself.

use std::time::Duration;

use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};
use proto::error::ErrorCode;
use tonic::{
    Status,
    metadata::{Ascii, MetadataValue},
};

use crate::error::Failure;

/// How long a service may take to answer; a client is better told than left waiting.
const PATIENCE: Duration = Duration::from_secs(15);

/// Somebody with a bearer token; whether the token is good is for the services to say.
pub(crate) struct Caller {
    authorization: MetadataValue<Ascii>,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let mut headers = parts.headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (headers.next(), headers.next()) else { return Err(unauthenticated()) };
        let token = value.to_str().ok().and_then(bearer).ok_or_else(unauthenticated)?;
        let mut authorization =
            MetadataValue::<Ascii>::try_from(format!("Bearer {token}")).map_err(|_| unauthenticated())?;
        authorization.set_sensitive(true);
        Ok(Self { authorization })
    }
}

/// The token of a header of the scheme `Bearer`, whose name has no case.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn unauthenticated() -> Failure {
    Failure::new(ErrorCode::Unauthenticated, "a token is needed; send the header `authorization: Bearer <token>`")
}

impl Caller {
    /// The message as this caller's request.
    pub(crate) fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        request.metadata_mut().insert("authorization", self.authorization.clone());
        request
    }
}

/// The answer of a service, waited for so long and no longer.
pub(crate) async fn answer<T>(call: impl Future<Output = Result<tonic::Response<T>, Status>>) -> Result<T, Failure> {
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(answer) => Ok(answer?.into_inner()),
        Err(_) => Err(Status::deadline_exceeded(format!("no answer within {PATIENCE:?}")).into()),
    }
}
