//! What is stored, as the schema shows it.

use domain::{Filter, Identity, InstanceId, MASKED, Role, Scope, Timestamp};
use proto::{convert::timestamp, v1};

use crate::store::{Project, Token, Webhook};

const INSECURE: &str = "insecure connections are permitted: http:// and certificates that cannot be verified expose \
                        deliveries to whoever is on the way; use it for receivers in your own network only";

/// Who is calling.
pub(super) fn caller(caller: Identity) -> v1::GetCallerResponse {
    v1::GetCallerResponse {
        role: caller.role.name().to_owned(),
        instance: name(caller.instance.as_ref()),
        projects: projects(caller.role),
        name: caller.name,
    }
}

/// A webhook as it is at `now`, its secrets masked.
pub(super) fn webhook(webhook: Webhook, now: Timestamp) -> v1::Webhook {
    let previous = webhook.previous_secret_expires_at.filter(|end| now < *end);
    let masked = |name| v1::CustomHeader { name, value: MASKED.to_owned() };
    let warnings = warnings(&webhook);
    v1::Webhook {
        id: webhook.id,
        name: webhook.name,
        url: webhook.url,
        r#type: webhook.kind,
        events: webhook.events,
        projects: match webhook.scope {
            Scope::All => None,
            Scope::Projects(ids) => Some(v1::ProjectList { ids }),
        },
        allow_insecure: webhook.allow_insecure,
        send_traceparent: webhook.send_traceparent,
        active: webhook.active,
        inactive_reason: webhook.inactive_reason,
        secret: webhook.secret_masked,
        secret_id: webhook.secret_id,
        created_at: Some(timestamp(webhook.created_at)),
        updated_at: Some(timestamp(webhook.updated_at)),
        warnings,
        headers: webhook.headers.into_iter().map(masked).collect(),
        filter: webhook.filter,
        version: webhook.version,
        previous_secret_expires_at: previous.map(timestamp),
    }
}

/// What to beware of.
fn warnings(webhook: &Webhook) -> Vec<String> {
    let insecure = webhook.allow_insecure.then(|| INSECURE.to_owned());
    // It was read when it was saved.
    let filter = Filter::parse(&webhook.filter).unwrap_or_default();
    insecure.into_iter().chain(filter.warnings()).collect()
}

/// A project.
pub(super) fn project(project: Project) -> v1::Project {
    v1::Project { id: project.id, name: project.name, url: project.url }
}

/// A token.
pub(super) fn token(token: Token) -> v1::Token {
    v1::Token {
        id: token.id,
        name: token.name,
        role: token.role.name().to_owned(),
        projects: projects(token.role),
        instance: name(token.instance.as_ref()),
        prefix: token.prefix,
        created_at: Some(timestamp(token.created_at)),
        expires_at: token.expires_at.map(timestamp),
    }
}

/// Empty: all instances.
fn name(instance: Option<&InstanceId>) -> String {
    instance.map(InstanceId::as_str).unwrap_or_default().to_owned()
}

fn projects(role: Role) -> Vec<i64> {
    match role {
        Role::ProjectAdmin(projects) => projects,
        Role::SystemAdmin | Role::Member | Role::Publisher => Vec::new(),
    }
}
