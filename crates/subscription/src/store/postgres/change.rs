//! A change of an instance in PostgreSQL.
//!
//! Locks are always taken in this order, so that nobody waits for somebody who waits for him: the row of the instance,
//! rows of its webhooks by id, the row of `configuration`.

use async_trait::async_trait;
use domain::InstanceId;
use runtime::fail_point;
use sqlx::{PgConnection, PgTransaction};

use super::{
    super::{Change, Project, Reach, SealedWebhook, StoreError, ToldPlan, Write, common, row::Row},
    rows::{self, webhook_columns, within_reach},
};

/// All webhooks of parameter 1 that are there, locked: whoever seals secrets with another key waits.
macro_rules! lock_webhooks_where {
    ($condition:literal) => {
        concat!(
            "SELECT ",
            webhook_columns!(),
            ", secret FROM webhooks WHERE NOT deleted AND instance = $1 AND ",
            $condition,
            " ORDER BY id FOR UPDATE"
        )
    };
}

/// The transaction, which holds the lock of the instance.
pub(super) struct PostgresChange {
    pub(super) transaction: PgTransaction<'static>,
    pub(super) instance: InstanceId,
    pub(super) plan: Option<ToldPlan>,
}

#[async_trait]
impl Change for PostgresChange {
    fn plan(&self) -> Option<&ToldPlan> {
        self.plan.as_ref()
    }

    async fn put_plan(&mut self, told: &ToldPlan) -> Result<(), StoreError> {
        sqlx::query("UPDATE instances SET plan = $2, plan_version = $3 WHERE instance = $1")
            .bind(self.instance.as_str())
            .bind(told.plan.as_str())
            .bind(told.version)
            .execute(&mut *self.transaction)
            .await?;
        self.plan = Some(told.clone());
        Ok(())
    }

    async fn project(&mut self, id: i64) -> Result<Option<Project>, StoreError> {
        let row = sqlx::query(
            "SELECT project_id, told_version, name, url, deletion_version FROM projects \
             WHERE instance = $1 AND project_id = $2",
        )
        .bind(self.instance.as_str())
        .bind(id)
        .fetch_optional(&mut *self.transaction)
        .await?;
        row.as_ref().map(rows::project).transpose()
    }

    async fn deleted_projects(&mut self, ids: &[i64]) -> Result<Vec<i64>, StoreError> {
        let found = sqlx::query_scalar(
            "SELECT project_id FROM projects WHERE instance = $1 AND project_id = ANY ($2) \
             AND deletion_version IS NOT NULL ORDER BY project_id",
        );
        Ok(found.bind(self.instance.as_str()).bind(ids).fetch_all(&mut *self.transaction).await?)
    }

    async fn put_project(&mut self, project: &Project) -> Result<(), StoreError> {
        let deletion = if project.deleted { Some(next_versions(&mut self.transaction, 1).await?) } else { None };
        sqlx::query(
            "INSERT INTO projects (instance, project_id, told_version, name, url, deletion_version) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (instance, project_id) DO UPDATE SET \
             told_version = excluded.told_version, name = excluded.name, url = excluded.url, \
             deletion_version = excluded.deletion_version",
        )
        .bind(self.instance.as_str())
        .bind(project.id)
        .bind(project.version)
        .bind(&project.name)
        .bind(&project.url)
        .bind(deletion)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    async fn next_webhook_id(&mut self) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar("SELECT nextval('webhook_ids')").fetch_one(&mut *self.transaction).await?)
    }

    async fn webhook(&mut self, reach: &Reach, id: i64) -> Result<Option<SealedWebhook>, StoreError> {
        let row = sqlx::query(concat!(
            "SELECT ",
            webhook_columns!(),
            ", secret FROM webhooks WHERE id = $3 AND ",
            within_reach!(),
            " FOR UPDATE"
        ))
        .bind(self.instance.as_str())
        .bind(&reach.projects)
        .bind(id)
        .fetch_optional(&mut *self.transaction)
        .await?;
        row.as_ref().map(rows::sealed).transpose()
    }

    async fn active_webhooks(&mut self) -> Result<Vec<SealedWebhook>, StoreError> {
        let rows = sqlx::query(lock_webhooks_where!("active"))
            .bind(self.instance.as_str())
            .fetch_all(&mut *self.transaction)
            .await?;
        rows.iter().map(rows::sealed).collect()
    }

    async fn webhooks_of(&mut self, project: i64) -> Result<Vec<SealedWebhook>, StoreError> {
        let rows = sqlx::query(lock_webhooks_where!("$2 = ANY (projects)"))
            .bind(self.instance.as_str())
            .bind(project)
            .fetch_all(&mut *self.transaction)
            .await?;
        rows.iter().map(rows::sealed).collect()
    }

    async fn write(&mut self, writes: &[Write]) -> Result<i64, StoreError> {
        let count = i64::try_from(writes.len()).unwrap_or(i64::MAX);
        let first = next_versions(&mut self.transaction, count).await? - count + 1;
        let rows = serde_json::to_string(&Row::all(writes, first))
            .map_err(|error| common::damaged("a webhook to write", error.to_string()))?;
        sqlx::query(
            "INSERT INTO webhooks (instance, id, version, deleted, name, url, kind, events, projects, allow_insecure, \
             headers, filter, active, inactive_reason, secret, secret_masked, previous_secret_expires_at, search, \
             created_at, updated_at, endpoint_since, secret_id, send_traceparent) \
             SELECT $1, written.* FROM json_to_recordset($2::json) AS written (id bigint, version bigint, \
             deleted boolean, name text, url text, kind text, events text[], projects bigint[], \
             allow_insecure boolean, headers text[], filter text[], active boolean, inactive_reason text, \
             secret bytea, secret_masked text, previous_secret_expires_at bigint, search text, created_at bigint, \
             updated_at bigint, endpoint_since bigint, secret_id bigint, send_traceparent boolean) \
             ON CONFLICT (id) DO UPDATE SET version = excluded.version, deleted = excluded.deleted, \
             name = excluded.name, url = excluded.url, kind = excluded.kind, events = excluded.events, \
             projects = excluded.projects, allow_insecure = excluded.allow_insecure, headers = excluded.headers, \
             filter = excluded.filter, active = excluded.active, inactive_reason = excluded.inactive_reason, \
             secret = excluded.secret, secret_masked = excluded.secret_masked, \
             previous_secret_expires_at = excluded.previous_secret_expires_at, search = excluded.search, \
             updated_at = excluded.updated_at, endpoint_since = excluded.endpoint_since, secret_id = excluded.secret_id, \
             send_traceparent = excluded.send_traceparent",
        )
        .bind(self.instance.as_str())
        .bind(&rows)
        .execute(&mut *self.transaction)
        .await?;
        sqlx::query(
            "INSERT INTO webhook_changes (instance, webhook_id, version, at, action, actor, actor_role, fields) \
             SELECT $1, written.* FROM json_to_recordset($2::json) AS written (id bigint, version bigint, \
             updated_at bigint, action text, actor text, actor_role text, fields text)",
        )
        .bind(self.instance.as_str())
        .bind(&rows)
        .execute(&mut *self.transaction)
        .await?;
        Ok(first)
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.transaction.commit().await?;
        fail_point("subscription.saved");
        Ok(())
    }
}

/// Takes the next versions and answers the last one; with it the lock that makes the order of versions the order of
/// commits.
async fn next_versions(transaction: &mut PgConnection, count: i64) -> Result<i64, StoreError> {
    let last = sqlx::query_scalar("UPDATE configuration SET version = version + $1 RETURNING version").bind(count);
    Ok(last.fetch_one(transaction).await?)
}
