//! Who looks at a page: the session's token, and who the services say that it stands for. They are asked with every
//! request, so that a revoked token ends at once.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, Method, Uri, request::Parts},
    response::{IntoResponse, Response},
};
use domain::Role;
use proto::{error::ErrorCode, v1::GetCallerRequest};

use super::{page, session, sign_in, trouble::Trouble};
use crate::{
    Services,
    caller::{Caller, admit, answer},
    error::Failure,
};

/// Somebody who is signed in, with a role that the console is for.
pub(super) struct Visitor {
    pub(super) caller: Caller,
    pub(super) name: String,
    pub(super) instance: String,
    role: Role,
    /// See [`session::Session::proof`].
    pub(super) proof: String,
}

impl Visitor {
    pub(super) fn is_system_admin(&self) -> bool {
        self.role == Role::SystemAdmin
    }

    /// The projects that it administers; `None`: all.
    pub(super) fn projects(&self) -> Option<&[i64]> {
        match &self.role {
            Role::ProjectAdmin(projects) => Some(projects),
            _ => None,
        }
    }

    pub(super) fn role_title(&self) -> &'static str {
        if self.is_system_admin() { "System administrator" } else { "Project administrator" }
    }

    /// Refuses everybody but system administrators.
    pub(super) fn must_be_system_admin(&self) -> Result<(), Trouble> {
        if self.is_system_admin() {
            return Ok(());
        }
        let text = "This page is for system administrators. Your token is a project administrator's.";
        Err(Failure::new(ErrorCode::Forbidden, text).into())
    }
}

/// Why somebody is not let in.
pub(super) enum NotAdmitted {
    /// There is no session, or its token is no longer valid.
    SignedOut,
    /// The token's role has no console.
    Role(String),
    Failure(Failure),
}

/// Who a token stands for.
pub(super) async fn admitted(services: &Services, token: &str, proof: String) -> Result<Visitor, NotAdmitted> {
    let caller = Caller::of(token).ok_or(NotAdmitted::SignedOut)?;
    let known = match answer(services.webhooks().get_caller(caller.request(GetCallerRequest {}))).await {
        Ok(known) => known,
        Err(failure) if failure.code() == ErrorCode::Unauthenticated => return Err(NotAdmitted::SignedOut),
        Err(failure) => return Err(NotAdmitted::Failure(failure)),
    };
    let role = match admit(&known.role) {
        Ok(Role::ProjectAdmin(_)) => Role::ProjectAdmin(known.projects),
        Ok(role) => role,
        Err(_) => return Err(NotAdmitted::Role(known.role)),
    };
    Ok(Visitor { caller, name: known.name, instance: known.instance, role, proof })
}

impl FromRequestParts<Services> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, services: &Services) -> Result<Self, Response> {
        let Some(session) = services.sessions.of(&parts.headers) else {
            return Err(sign_in::needed(&parts.method, &parts.uri, &parts.headers));
        };
        match admitted(services, &session.token, session.proof).await {
            Ok(visitor) => Ok(visitor),
            Err(NotAdmitted::SignedOut) => Err(ended(&parts.method, &parts.uri, &parts.headers)),
            Err(NotAdmitted::Role(name)) => Err(sign_in::wrong_role(&name)),
            Err(NotAdmitted::Failure(failure)) => Err(Trouble::from(failure).into_response()),
        }
    }
}

/// To the page for signing in, without the session that opens nothing any more.
fn ended(method: &Method, uri: &Uri, headers: &HeaderMap) -> Response {
    let mut response = page::see_other(&sign_in::path(method, uri, "ended"));
    if let Some(cookie) = session::end(headers) {
        response.headers_mut().insert(axum::http::header::SET_COOKIE, cookie);
    }
    response
}
