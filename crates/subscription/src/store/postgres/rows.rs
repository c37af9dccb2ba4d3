//! Rows of webhooks, projects and change logs in PostgreSQL.

use domain::Timestamp;
use sqlx::{Row as _, postgres::PgRow};

use super::super::{Changed, ChangedWebhook, LogEntry, Logged, Project, SealedWebhook, StoreError, Webhook, common};

macro_rules! webhook_columns {
    () => {
        "id, version, name, url, kind, events, projects, allow_insecure, headers, filter, active, inactive_reason, \
         secret_masked, previous_secret_expires_at, created_at, updated_at, endpoint_since, secret_id, send_traceparent"
    };
}

/// Of a `Reach` as parameters 1 and 2. All projects are `NULL`, which is part of nothing.
macro_rules! within_reach {
    () => {
        "NOT deleted AND instance = $1 AND ($2::bigint[] IS NULL OR (projects <@ $2 AND projects <> '{}'))"
    };
}

pub(super) use {webhook_columns, within_reach};

pub(super) fn webhook(row: &PgRow) -> Result<Webhook, StoreError> {
    let previous: Option<i64> = row.try_get("previous_secret_expires_at")?;
    Ok(Webhook {
        id: row.try_get("id")?,
        version: row.try_get("version")?,
        name: row.try_get("name")?,
        url: row.try_get("url")?,
        kind: row.try_get("kind")?,
        events: row.try_get("events")?,
        scope: common::scope(row.try_get("projects")?),
        allow_insecure: row.try_get("allow_insecure")?,
        send_traceparent: row.try_get("send_traceparent")?,
        headers: row.try_get("headers")?,
        filter: row.try_get("filter")?,
        active: row.try_get("active")?,
        inactive_reason: row.try_get("inactive_reason")?,
        secret_masked: row.try_get("secret_masked")?,
        secret_id: row.try_get("secret_id")?,
        previous_secret_expires_at: previous.map(Timestamp::from_micros),
        created_at: Timestamp::from_micros(row.try_get("created_at")?),
        updated_at: Timestamp::from_micros(row.try_get("updated_at")?),
        endpoint_since: Timestamp::from_micros(row.try_get("endpoint_since")?),
    })
}

pub(super) fn sealed(row: &PgRow) -> Result<SealedWebhook, StoreError> {
    Ok(SealedWebhook { webhook: webhook(row)?, credentials: row.try_get("secret")? })
}

pub(super) fn changed_webhook(row: &PgRow) -> Result<Changed, StoreError> {
    let id: i64 = row.try_get("id")?;
    let deleted: bool = row.try_get("deleted")?;
    Ok(Changed::Webhook(Box::new(ChangedWebhook {
        id,
        version: row.try_get("version")?,
        instance: common::instance(&format!("webhook {id}"), row.try_get("instance")?)?,
        webhook: if deleted { None } else { Some(sealed(row)?) },
    })))
}

pub(super) fn deleted_project(row: &PgRow) -> Result<Changed, StoreError> {
    let project: i64 = row.try_get("project_id")?;
    Ok(Changed::ProjectDeleted {
        version: row.try_get("deletion_version")?,
        instance: common::instance(&format!("project {project}"), row.try_get("instance")?)?,
        project,
    })
}

pub(super) fn project(row: &PgRow) -> Result<Project, StoreError> {
    Ok(Project {
        id: row.try_get("project_id")?,
        version: row.try_get("told_version")?,
        name: row.try_get("name")?,
        url: row.try_get("url")?,
        deleted: row.try_get::<Option<i64>, _>("deletion_version")?.is_some(),
    })
}

pub(super) fn logged(row: &PgRow) -> Result<Logged, StoreError> {
    let entry = LogEntry {
        at: Timestamp::from_micros(row.try_get("at")?),
        action: row.try_get("action")?,
        actor: row.try_get("actor")?,
        actor_role: row.try_get("actor_role")?,
        fields: row.try_get("fields")?,
    };
    Ok(Logged { version: row.try_get("version")?, entry })
}
