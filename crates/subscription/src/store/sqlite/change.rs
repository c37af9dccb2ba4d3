//! A change in the file. There is one at a time, whatever instance it is of.

use async_trait::async_trait;
use domain::InstanceId;
use runtime::fail_point;
use sqlx::{SqliteConnection, sqlite::SqliteTransaction};

use super::{
    super::{Change, Project, Reach, SealedWebhook, StoreError, ToldPlan, Write, row::Row},
    json,
    rows::{self, webhook_columns, within_reach},
    webhooks::projects,
};

/// All webhooks of parameter 1 that are there.
macro_rules! webhooks_where {
    ($condition:literal) => {
        concat!(
            "SELECT ",
            webhook_columns!(),
            ", secret FROM webhooks WHERE NOT deleted AND instance = ?1 AND ",
            $condition,
            " ORDER BY id"
        )
    };
}

/// The transaction, which alone may write.
pub(super) struct SqliteChange {
    pub(super) transaction: SqliteTransaction<'static>,
    pub(super) instance: InstanceId,
    pub(super) plan: Option<ToldPlan>,
}

#[async_trait]
impl Change for SqliteChange {
    fn plan(&self) -> Option<&ToldPlan> {
        self.plan.as_ref()
    }

    async fn put_plan(&mut self, told: &ToldPlan) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO instances (instance, plan, plan_version) VALUES (?1, ?2, ?3) ON CONFLICT (instance) \
             DO UPDATE SET plan = excluded.plan, plan_version = excluded.plan_version",
        )
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
             WHERE instance = ?1 AND project_id = ?2",
        )
        .bind(self.instance.as_str())
        .bind(id)
        .fetch_optional(&mut *self.transaction)
        .await?;
        row.as_ref().map(rows::project).transpose()
    }

    async fn deleted_projects(&mut self, ids: &[i64]) -> Result<Vec<i64>, StoreError> {
        let found = sqlx::query_scalar(
            "SELECT project_id FROM projects WHERE instance = ?1 AND project_id IN (SELECT value FROM json_each(?2)) \
             AND deletion_version IS NOT NULL ORDER BY project_id",
        );
        Ok(found.bind(self.instance.as_str()).bind(json(ids)?).fetch_all(&mut *self.transaction).await?)
    }

    async fn put_project(&mut self, project: &Project) -> Result<(), StoreError> {
        let deletion = if project.deleted { Some(next_versions(&mut self.transaction, 1).await?) } else { None };
        sqlx::query(
            "INSERT INTO projects (instance, project_id, told_version, name, url, deletion_version) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (instance, project_id) DO UPDATE SET \
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
        let id = sqlx::query_scalar(
            "UPDATE configuration SET last_webhook_id = last_webhook_id + 1 RETURNING last_webhook_id",
        );
        Ok(id.fetch_one(&mut *self.transaction).await?)
    }

    async fn webhook(&mut self, reach: &Reach, id: i64) -> Result<Option<SealedWebhook>, StoreError> {
        let row = sqlx::query(concat!(
            "SELECT ",
            webhook_columns!(),
            ", secret FROM webhooks WHERE id = ?3 AND ",
            within_reach!()
        ))
        .bind(self.instance.as_str())
        .bind(projects(reach)?)
        .bind(id)
        .fetch_optional(&mut *self.transaction)
        .await?;
        row.as_ref().map(rows::sealed).transpose()
    }

    async fn active_webhooks(&mut self) -> Result<Vec<SealedWebhook>, StoreError> {
        let rows = sqlx::query(webhooks_where!("active"))
            .bind(self.instance.as_str())
            .fetch_all(&mut *self.transaction)
            .await?;
        rows.iter().map(rows::sealed).collect()
    }

    async fn webhooks_of(&mut self, project: i64) -> Result<Vec<SealedWebhook>, StoreError> {
        let rows = sqlx::query(webhooks_where!("EXISTS (SELECT 1 FROM json_each(projects) WHERE value = ?2)"))
            .bind(self.instance.as_str())
            .bind(project)
            .fetch_all(&mut *self.transaction)
            .await?;
        rows.iter().map(rows::sealed).collect()
    }

    async fn write(&mut self, writes: &[Write]) -> Result<i64, StoreError> {
        let count = i64::try_from(writes.len()).unwrap_or(i64::MAX);
        let first = next_versions(&mut self.transaction, count).await? - count + 1;
        for row in Row::all(writes, first) {
            put_webhook(&mut self.transaction, &self.instance, &row).await?;
            add_log_entry(&mut self.transaction, &self.instance, &row).await?;
        }
        Ok(first)
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.transaction.commit().await?;
        fail_point("subscription.saved");
        Ok(())
    }
}

/// Takes the next versions and answers the last one.
async fn next_versions(transaction: &mut SqliteConnection, count: i64) -> Result<i64, StoreError> {
    let last = sqlx::query_scalar("UPDATE configuration SET version = version + ?1 RETURNING version").bind(count);
    Ok(last.fetch_one(transaction).await?)
}

async fn put_webhook(
    transaction: &mut SqliteConnection,
    instance: &InstanceId,
    row: &Row<'_>,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO webhooks (instance, id, version, deleted, name, url, kind, events, projects, allow_insecure, \
         headers, filter, active, inactive_reason, secret, secret_masked, previous_secret_expires_at, search, \
         created_at, updated_at, endpoint_since, secret_id, send_traceparent) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23) \
         ON CONFLICT (id) DO UPDATE SET version = excluded.version, deleted = excluded.deleted, \
         name = excluded.name, url = excluded.url, kind = excluded.kind, events = excluded.events, \
         projects = excluded.projects, allow_insecure = excluded.allow_insecure, headers = excluded.headers, \
         filter = excluded.filter, active = excluded.active, inactive_reason = excluded.inactive_reason, \
         secret = excluded.secret, secret_masked = excluded.secret_masked, \
         previous_secret_expires_at = excluded.previous_secret_expires_at, search = excluded.search, \
         updated_at = excluded.updated_at, endpoint_since = excluded.endpoint_since, secret_id = excluded.secret_id, \
             send_traceparent = excluded.send_traceparent",
    )
    .bind(instance.as_str())
    .bind(row.id)
    .bind(row.version)
    .bind(row.deleted)
    .bind(row.name)
    .bind(row.url)
    .bind(row.kind)
    .bind(json(row.events)?)
    .bind(row.projects.map(json).transpose()?)
    .bind(row.allow_insecure)
    .bind(json(row.headers)?)
    .bind(json(row.filter)?)
    .bind(row.active)
    .bind(row.inactive_reason)
    .bind(row.secret)
    .bind(row.secret_masked)
    .bind(row.previous_secret_expires_at)
    .bind(&row.search)
    .bind(row.created_at)
    .bind(row.updated_at)
    .bind(row.endpoint_since)
    .bind(row.secret_id)
    .bind(row.send_traceparent)
    .execute(transaction)
    .await?;
    Ok(())
}

async fn add_log_entry(
    transaction: &mut SqliteConnection,
    instance: &InstanceId,
    row: &Row<'_>,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO webhook_changes (instance, webhook_id, version, at, action, actor, actor_role, fields) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )
    .bind(instance.as_str())
    .bind(row.id)
    .bind(row.version)
    .bind(row.updated_at)
    .bind(row.action)
    .bind(row.actor)
    .bind(row.actor_role)
    .bind(row.fields)
    .execute(transaction)
    .await?;
    Ok(())
}
