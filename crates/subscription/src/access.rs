//! Who may do what: the one place that decides. What a caller may not know of does not exist for it (404, by
//! [`Reach`]); what its role may not do at all is forbidden (403).

use domain::{Identity, InstanceId, Plan, Role, Scope};
use proto::error::{ApiError, ErrorCode};

use crate::store::{Reach, TokenReach};

/// The webhooks that a caller may see and manage.
///
/// # Errors
/// Forbidden to members and publishers.
pub(crate) fn to_webhooks(caller: &Identity) -> Result<Reach, ApiError> {
    let projects = match &caller.role {
        Role::SystemAdmin => None,
        Role::ProjectAdmin(projects) => Some(projects.clone()),
        Role::Member | Role::Publisher => return Err(forbidden(caller, "manage webhooks")),
    };
    Ok(Reach { instance: instance(caller)?, projects })
}

/// Whether a caller who manages webhooks may choose these projects for one (`None`: all).
///
/// # Errors
/// Forbidden to project administrators beyond their projects.
pub(crate) fn to_scope(caller: &Identity, projects: Option<&[i64]>) -> Result<(), ApiError> {
    let scope = projects.map_or(Scope::All, |projects| Scope::Projects(projects.to_vec()));
    // No project at all is a mistake in a field, and told as such.
    if projects.is_some_and(<[i64]>::is_empty) || caller.manages(&scope) {
        return Ok(());
    }
    let message = match scope {
        Scope::All => "only a system_admin may choose all projects; name projects that the token administers",
        Scope::Projects(_) => "projects must all be among those that the token administers",
    };
    Err(ApiError::new(ErrorCode::Forbidden, message))
}

/// Whether an instance with this plan may have active webhooks; untold is one that may.
///
/// # Errors
/// The plan has none.
pub(crate) fn to_plan(told: Option<&Plan>) -> Result<(), ApiError> {
    let Some(plan) = told.filter(|plan| !plan.allows_webhooks()) else { return Ok(()) };
    let message = format!("webhooks need the plan {}; this instance has {plan}", Plan::WITH_WEBHOOKS.join(" or "));
    Err(ApiError::new(ErrorCode::PlanRequired, message))
}

/// The instance whose plan or project a caller tells of; `named` is the one that the request names.
///
/// # Errors
/// Forbidden to all but publishers, and to those of another instance; a mistake in `instance`.
pub(crate) fn to_told_instance(caller: &Identity, named: &str) -> Result<InstanceId, ApiError> {
    if caller.role != Role::Publisher {
        let message =
            format!("a {} may not tell of plans and projects; use a token of a publisher", caller.role.name());
        return Err(ApiError::new(ErrorCode::Forbidden, message));
    }
    let mistake = |text: String| ApiError::fields(vec![("instance".to_owned(), text)]);
    if !named.is_empty() {
        named.parse::<InstanceId>().map_err(|error| mistake(error.to_string()))?;
    }
    match caller.instance_for(named) {
        Some(instance) => Ok(instance),
        None if named.is_empty() => Err(mistake("is required: this token is for all instances".to_owned())),
        None => Err(ApiError::new(ErrorCode::Forbidden, "instance: this token is for another instance")),
    }
}

/// The tokens that a caller may manage: those of its instance. A token for all instances belongs to none, and there is no
/// role above an instance yet; the operator of the service owns the instance `default`, so its administrators answer for
/// such tokens.
///
/// # Errors
/// Forbidden to all but system administrators.
pub(crate) fn to_tokens(caller: &Identity) -> Result<TokenReach, ApiError> {
    match caller.role {
        Role::SystemAdmin => {
            let instance = instance(caller)?;
            Ok(TokenReach { for_all: instance == InstanceId::default(), instance })
        }
        _ => Err(ApiError::new(ErrorCode::Forbidden, "only a system_admin may manage tokens")),
    }
}

/// The instance whose plan a caller may read.
///
/// # Errors
/// Forbidden to all but system administrators.
pub(crate) fn to_own_plan(caller: &Identity) -> Result<InstanceId, ApiError> {
    match caller.role {
        Role::SystemAdmin => instance(caller),
        _ => Err(ApiError::new(ErrorCode::Forbidden, "only a system_admin may read the plan")),
    }
}

/// The instance that a new token is for; `None`: for all.
///
/// # Errors
/// Forbidden to all but system administrators; for all instances, to all but those of the instance `default`.
pub(crate) fn to_new_token(caller: &Identity, all_instances: bool) -> Result<Option<InstanceId>, ApiError> {
    let reach = to_tokens(caller)?;
    match (all_instances, reach.for_all) {
        (false, _) => Ok(Some(reach.instance)),
        (true, true) => Ok(None),
        (true, false) => {
            let message = "only a system_admin of the instance `default` may make a token for all instances; leave out \
                           all_instances for one of your own instance";
            Err(ApiError::new(ErrorCode::Forbidden, message))
        }
    }
}

fn instance(caller: &Identity) -> Result<InstanceId, ApiError> {
    caller.instance.clone().ok_or_else(|| forbidden(caller, "manage an instance that it does not belong to"))
}

fn forbidden(caller: &Identity, what: &str) -> ApiError {
    let message = format!("a {} may not {what}; use a token of a system_admin or project_admin", caller.role.name());
    ApiError::new(ErrorCode::Forbidden, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(role: Role) -> Identity {
        Identity { role, instance: Some("acme".parse().unwrap()), name: "test".into() }
    }

    #[test]
    fn roles_have_their_reach() {
        assert_eq!(to_webhooks(&caller(Role::SystemAdmin)).unwrap().projects, None);
        assert_eq!(to_webhooks(&caller(Role::ProjectAdmin(vec![1, 2]))).unwrap().projects, Some(vec![1, 2]));
        for role in [Role::Member, Role::Publisher] {
            assert_eq!(to_webhooks(&caller(role.clone())).unwrap_err().code, ErrorCode::Forbidden);
            assert_eq!(to_tokens(&caller(role)).unwrap_err().code, ErrorCode::Forbidden);
        }
        assert_eq!(to_tokens(&caller(Role::ProjectAdmin(vec![1]))).unwrap_err().code, ErrorCode::Forbidden);
        assert_eq!(to_tokens(&caller(Role::SystemAdmin)).unwrap().instance.as_str(), "acme");
    }

    #[test]
    fn tokens_for_all_instances_are_for_the_operator() {
        let operator = Identity { instance: Some(InstanceId::default()), ..caller(Role::SystemAdmin) };
        assert!(to_tokens(&operator).unwrap().for_all && !to_tokens(&caller(Role::SystemAdmin)).unwrap().for_all);
        assert_eq!(to_new_token(&operator, true).unwrap(), None);
        assert_eq!(to_new_token(&operator, false).unwrap(), Some(InstanceId::default()));
        assert_eq!(to_new_token(&caller(Role::SystemAdmin), false).unwrap(), Some("acme".parse().unwrap()));
        assert_eq!(to_new_token(&caller(Role::SystemAdmin), true).unwrap_err().code, ErrorCode::Forbidden);
        for role in [Role::ProjectAdmin(vec![1]), Role::Member, Role::Publisher] {
            let other = Identity { role, ..operator.clone() };
            assert_eq!(to_new_token(&other, true).unwrap_err().code, ErrorCode::Forbidden, "{other:?}");
        }
    }

    #[test]
    fn nobody_works_in_all_instances() {
        for role in [Role::SystemAdmin, Role::ProjectAdmin(vec![1]), Role::Publisher] {
            let everywhere = Identity { instance: None, ..caller(role) };
            assert_eq!(to_webhooks(&everywhere).unwrap_err().code, ErrorCode::Forbidden);
            assert_eq!(to_tokens(&everywhere).unwrap_err().code, ErrorCode::Forbidden);
        }
    }

    #[test]
    fn scopes_stay_within_the_projects() {
        let system = caller(Role::SystemAdmin);
        let project = caller(Role::ProjectAdmin(vec![1, 2]));
        for (caller, projects, permitted) in [
            (&system, None, true),
            (&system, Some([9].as_slice()), true),
            (&project, None, false),
            (&project, Some(&[2, 1, 2]), true),
            (&project, Some(&[1, 3]), false),
            (&project, Some(&[]), true),
        ] {
            assert_eq!(to_scope(caller, projects).is_ok(), permitted, "{caller:?} {projects:?}");
        }
    }

    #[test]
    fn publishers_tell_of_their_instance() {
        let own = caller(Role::Publisher);
        let everywhere = Identity { instance: None, ..own.clone() };
        for (caller, named, expected) in [
            (&own, "", Ok("acme")),
            (&own, "acme", Ok("acme")),
            (&own, "other", Err(ErrorCode::Forbidden)),
            (&own, "No Name", Err(ErrorCode::Validation)),
            (&everywhere, "other", Ok("other")),
            (&everywhere, "", Err(ErrorCode::Validation)),
            (&everywhere, "No Name", Err(ErrorCode::Validation)),
        ] {
            let found = to_told_instance(caller, named).map_err(|error| error.code);
            assert_eq!(found.as_ref().map(InstanceId::as_str), expected.as_ref().copied(), "{caller:?} {named}");
        }
        for role in [Role::SystemAdmin, Role::ProjectAdmin(vec![1]), Role::Member] {
            assert_eq!(to_told_instance(&caller(role), "").unwrap_err().code, ErrorCode::Forbidden);
        }
    }
}
