//! What the calls about tokens do.

use domain::{InstanceId, Role, Timestamp};
use proto::{
    convert::from_timestamp,
    error::ApiError,
    v1::{CreateTokenRequest, CreateTokenResponse, ListTokensRequest, ListTokensResponse},
};

use super::{Service, answer, paging};
use crate::{
    failure,
    store::{NewToken, TokenReach},
    token,
};

/// The last second that has a date with a year of four digits.
const LAST_SECOND: i64 = 253_402_300_799;

impl Service {
    pub(super) async fn make_token(
        &self,
        instance: Option<InstanceId>,
        request: CreateTokenRequest,
    ) -> Result<CreateTokenResponse, ApiError> {
        let now = self.clock.now();
        let (name, role, expires_at) = check(request, now)?;
        let text = token::generate(&*self.ids);
        let new = NewToken {
            instance,
            name,
            role,
            hash: token::hash(&text),
            prefix: token::shown(&text),
            at: now,
            expires_at,
        };
        let added = self.store.add_token(&new).await.map_err(failure::of_store)?;
        // Two random texts are never the same; should randomness be broken, nobody gets another's token.
        let Some(added) = added else { return Err(failure::of_randomness()) };
        Ok(CreateTokenResponse { token: Some(answer::token(added)), text })
    }

    pub(super) async fn tokens(
        &self,
        reach: &TokenReach,
        request: &ListTokensRequest,
    ) -> Result<ListTokensResponse, ApiError> {
        let page = paging::page(request.page, request.per_page)?;
        let listed = self.store.tokens(reach, page).await.map_err(failure::of_store)?;
        Ok(ListTokensResponse { tokens: listed.items.into_iter().map(answer::token).collect(), total: listed.total })
    }

    pub(super) async fn revoke(&self, reach: &TokenReach, id: i64) -> Result<(), ApiError> {
        let revoked = self.store.revoke_token(reach, id, self.clock.now()).await.map_err(failure::of_store)?;
        if revoked { Ok(()) } else { Err(ApiError::not_found("token", id)) }
    }
}

fn check(request: CreateTokenRequest, now: Timestamp) -> Result<(String, Role, Option<Timestamp>), ApiError> {
    let mut errors = Vec::new();
    let mut fault = |field: &str, message: String| errors.push((field.to_owned(), message));
    let name = request.name.trim();
    if name.is_empty() || name.chars().count() > 255 {
        fault("name", "must have 1 to 255 characters".to_owned());
    }
    if name.chars().any(char::is_control) {
        fault("name", "must not hold control characters".to_owned());
    }
    if let Some(project) = request.projects.iter().find(|project| **project < 1) {
        fault("projects", format!("{project} is not a project id; ids start at 1"));
    }
    let unnamed = request.projects.is_empty();
    let role = Role::from_name(&request.role, request.projects);
    match &role {
        None => fault("role", "must be one of system_admin, project_admin, member, publisher".to_owned()),
        Some(Role::ProjectAdmin(_)) if unnamed => {
            fault("projects", "must name at least one project for a project_admin".to_owned());
        }
        Some(Role::SystemAdmin | Role::Member | Role::Publisher) if !unnamed => {
            fault("projects", "must be empty for roles other than project_admin".to_owned());
        }
        Some(_) => {}
    }
    if request.all_instances && role.as_ref().is_some_and(|role| *role != Role::Publisher) {
        fault("all_instances", "must be false for roles other than publisher".to_owned());
    }
    let expires_at = request.expires_at.as_ref().map(from_timestamp);
    if expires_at.is_some_and(|end| end <= now) {
        fault("expires_at", "must be in the future".to_owned());
    }
    if expires_at.is_some_and(|end| end.as_seconds() > LAST_SECOND) {
        fault("expires_at", "must be before the year 10000; leave it out for a token that does not expire".to_owned());
    }
    match role {
        Some(role) if errors.is_empty() => Ok((name.to_owned(), role, expires_at)),
        _ => Err(ApiError::fields(errors)),
    }
}
