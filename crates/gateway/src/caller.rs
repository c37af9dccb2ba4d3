//! Who calls: the request's bearer token, looked at before anything else of the request and handed on to the services
//! as it is; and the call itself.

use std::time::Duration;

use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};
use domain::Role;
use proto::{error::ErrorCode, v1::GetCallerRequest};
use tonic::{
    Status,
    metadata::{Ascii, MetadataValue},
};

use crate::{Services, error::Failure};

/// How long a service may take to answer; a client is better told than left waiting.
const PATIENCE: Duration = Duration::from_secs(15);

/// Somebody whose token is valid and of a role that the REST API is for. What exactly it may do, the services decide
/// with every call.
///
/// Every handler takes it before path, query and body: who may not come in learns nothing of what is wrong with those,
/// and has nothing read.
#[derive(Clone)]
pub(crate) struct Caller {
    authorization: MetadataValue<Ascii>,
    is_system_admin: bool,
}

impl FromRequestParts<Services> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, services: &Services) -> Result<Self, Failure> {
        let mut headers = parts.headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (headers.next(), headers.next()) else { return Err(unauthenticated()) };
        let token = value.to_str().ok().and_then(bearer).ok_or_else(unauthenticated)?;
        let caller = Self::of(token).ok_or_else(unauthenticated)?;
        let known = answer(services.webhooks().get_caller(caller.request(GetCallerRequest {}))).await?;
        let role = admit(&known.role)?;
        Ok(Self { is_system_admin: role == Role::SystemAdmin, ..caller })
    }
}

/// A caller of the routes that are for system administrators alone.
pub(crate) struct SystemAdmin(pub(crate) Caller);

impl FromRequestParts<Services> for SystemAdmin {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, services: &Services) -> Result<Self, Failure> {
        let caller = Caller::from_request_parts(parts, services).await?;
        if !caller.is_system_admin {
            return Err(Failure::new(ErrorCode::Forbidden, "this is for a system_admin; use a token of that role"));
        }
        Ok(Self(caller))
    }
}

/// The role, if the REST API is for it.
pub(crate) fn admit(role: &str) -> Result<Role, Failure> {
    let text = match Role::from_name(role, Vec::new()) {
        Some(role @ (Role::SystemAdmin | Role::ProjectAdmin(_))) => return Ok(role),
        Some(Role::Member) => {
            "a member may use nothing here; ask a system_admin for a token of role project_admin or system_admin"
        }
        Some(Role::Publisher) => {
            "a publisher publishes over gRPC and has no REST API; use a token of role system_admin or project_admin here"
        }
        // A service that is newer than this one may know more.
        None => "the role of this token has no REST API; use a token of role system_admin or project_admin",
    };
    Err(Failure::new(ErrorCode::Forbidden, text))
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
    /// Whoever this token stands for, not asked yet; `None`: it cannot be a token.
    pub(crate) fn of(token: &str) -> Option<Self> {
        let mut authorization = MetadataValue::<Ascii>::try_from(format!("Bearer {token}")).ok()?;
        authorization.set_sensitive(true);
        Some(Self { authorization, is_system_admin: false })
    }

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
