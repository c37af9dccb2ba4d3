//! Webhooks, projects and change logs in PostgreSQL: what is read of them.

use async_trait::async_trait;
use domain::InstanceId;
use sqlx::{Row as _, postgres::PgRow};

use super::{
    super::{
        Change, Changes, Listed, Logged, Page, Project, Reach, StoreError, ToldPlan, Webhook, WebhookFilter,
        WebhookStore, common,
    },
    Postgres,
    begin::begin,
    change,
    rows::{self, webhook_columns, within_reach},
};

/// Of a [`WebhookFilter`] as parameters 3 to 6.
macro_rules! passes {
    () => {
        " AND ($3::boolean IS NULL OR active = $3) AND ($4::text IS NULL OR kind = $4) \
         AND ($5::bigint IS NULL OR projects IS NULL OR $5 = ANY (projects)) \
         AND ($6::text IS NULL OR strpos(search, $6) > 0)"
    };
}

/// The projects within a [`Reach`] as parameters 1 and 2.
macro_rules! projects_within_reach {
    () => {
        "deletion_version IS NULL AND instance = $1 AND ($2::bigint[] IS NULL OR project_id = ANY ($2))"
    };
}

#[async_trait]
impl WebhookStore for Postgres {
    async fn key_check(&self, fresh: &[u8]) -> Result<Vec<u8>, StoreError> {
        sqlx::query("INSERT INTO meta (name, value) VALUES ('key_check', $1) ON CONFLICT DO NOTHING")
            .bind(fresh)
            .execute(&self.pool)
            .await?;
        let value = sqlx::query_scalar("SELECT value FROM meta WHERE name = 'key_check'");
        Ok(value.fetch_one(&self.pool).await?)
    }

    async fn webhook(&self, reach: &Reach, id: i64) -> Result<Option<Webhook>, StoreError> {
        let row =
            sqlx::query(concat!("SELECT ", webhook_columns!(), " FROM webhooks WHERE id = $3 AND ", within_reach!()))
                .bind(reach.instance.as_str())
                .bind(&reach.projects)
                .bind(id)
                .fetch_optional(&self.pool)
                .await?;
        row.as_ref().map(rows::webhook).transpose()
    }

    async fn webhooks(&self, reach: &Reach, filter: &WebhookFilter, page: Page) -> Result<Listed<Webhook>, StoreError> {
        let text = filter.text.as_deref().map(str::to_lowercase);
        let total = sqlx::query_scalar(concat!("SELECT count(*) FROM webhooks WHERE ", within_reach!(), passes!()))
            .bind(reach.instance.as_str())
            .bind(&reach.projects)
            .bind(filter.active)
            .bind(&filter.kind)
            .bind(filter.project)
            .bind(&text)
            .fetch_one(&self.pool)
            .await?;
        let rows = sqlx::query(concat!(
            "SELECT ",
            webhook_columns!(),
            " FROM webhooks WHERE ",
            within_reach!(),
            passes!(),
            " ORDER BY id OFFSET $7 LIMIT $8"
        ))
        .bind(reach.instance.as_str())
        .bind(&reach.projects)
        .bind(filter.active)
        .bind(&filter.kind)
        .bind(filter.project)
        .bind(&text)
        .bind(page.offset)
        .bind(page.limit)
        .fetch_all(&self.pool)
        .await?;
        Ok(Listed { items: rows.iter().map(rows::webhook).collect::<Result<_, _>>()?, total })
    }

    async fn plan(&self, instance: &InstanceId) -> Result<Option<ToldPlan>, StoreError> {
        let row = sqlx::query("SELECT plan, plan_version FROM instances WHERE instance = $1")
            .bind(instance.as_str())
            .fetch_optional(&self.pool)
            .await?;
        row.map_or(Ok(None), |row| told_plan(instance, &row))
    }

    async fn log(&self, reach: &Reach, id: i64, page: Page) -> Result<Option<Listed<Logged>>, StoreError> {
        let found: bool = sqlx::query_scalar(concat!(
            "SELECT EXISTS (SELECT 1 FROM webhooks WHERE id = $3 AND (",
            within_reach!(),
            " OR deleted AND instance = $1 AND $2 IS NULL))"
        ))
        .bind(reach.instance.as_str())
        .bind(&reach.projects)
        .bind(id)
        .fetch_one(&self.pool)
        .await?;
        if !found {
            return Ok(None);
        }
        let total = sqlx::query_scalar("SELECT count(*) FROM webhook_changes WHERE webhook_id = $1")
            .bind(id)
            .fetch_one(&self.pool)
            .await?;
        let rows = sqlx::query(
            "SELECT version, at, action, actor, actor_role, fields FROM webhook_changes WHERE webhook_id = $1 \
             ORDER BY version DESC OFFSET $2 LIMIT $3",
        )
        .bind(id)
        .bind(page.offset)
        .bind(page.limit)
        .fetch_all(&self.pool)
        .await?;
        Ok(Some(Listed { items: rows.iter().map(rows::logged).collect::<Result<_, _>>()?, total }))
    }

    async fn projects(&self, reach: &Reach, page: Page) -> Result<Listed<Project>, StoreError> {
        let total = sqlx::query_scalar(concat!("SELECT count(*) FROM projects WHERE ", projects_within_reach!()))
            .bind(reach.instance.as_str())
            .bind(&reach.projects)
            .fetch_one(&self.pool)
            .await?;
        let rows = sqlx::query(concat!(
            "SELECT project_id, told_version, name, url, deletion_version FROM projects WHERE ",
            projects_within_reach!(),
            " ORDER BY lower(name) COLLATE \"C\", name COLLATE \"C\", project_id OFFSET $3 LIMIT $4"
        ))
        .bind(reach.instance.as_str())
        .bind(&reach.projects)
        .bind(page.offset)
        .bind(page.limit)
        .fetch_all(&self.pool)
        .await?;
        Ok(Listed { items: rows.iter().map(rows::project).collect::<Result<_, _>>()?, total })
    }

    async fn changes(&self, since: i64, limit: u32) -> Result<Changes, StoreError> {
        const VERSION: &str = "SELECT version FROM configuration";
        let version: i64 = sqlx::query_scalar(VERSION).fetch_one(&self.pool).await?;
        if version == since {
            return Ok(Changes { version, items: Vec::new(), more: false });
        }
        // All from one moment: whatever has a version up to the counter was committed before it, and nothing has a
        // later one.
        let mut moment = begin(&self.pool, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let version: i64 = sqlx::query_scalar(VERSION).fetch_one(&mut *moment).await?;
        let since = if since > version { 0 } else { since };
        let webhooks = sqlx::query(concat!(
            "SELECT instance, deleted, secret, ",
            webhook_columns!(),
            " FROM webhooks WHERE version > $1 ORDER BY version LIMIT $2"
        ))
        .bind(since)
        .bind(i64::from(limit) + 1)
        .fetch_all(&mut *moment)
        .await?;
        let projects = sqlx::query(
            "SELECT instance, project_id, deletion_version FROM projects WHERE deletion_version > $1 \
             ORDER BY deletion_version LIMIT $2",
        )
        .bind(since)
        .bind(i64::from(limit) + 1)
        .fetch_all(&mut *moment)
        .await?;
        moment.commit().await?;
        let webhooks = webhooks.iter().map(rows::changed_webhook);
        let items = webhooks.chain(projects.iter().map(rows::deleted_project)).collect::<Result<_, _>>()?;
        Ok(Changes::merge(version, limit, items))
    }

    async fn begin(&self, instance: &InstanceId) -> Result<Box<dyn Change>, StoreError> {
        let mut transaction = begin(&self.pool, "BEGIN").await?;
        // Makes the row if there is none, and locks it either way.
        let row = sqlx::query(
            "INSERT INTO instances (instance) VALUES ($1) ON CONFLICT (instance) DO UPDATE SET instance = \
             excluded.instance RETURNING plan, plan_version",
        )
        .bind(instance.as_str())
        .fetch_one(&mut *transaction)
        .await?;
        let plan = told_plan(instance, &row)?;
        Ok(Box::new(change::PostgresChange { transaction, instance: instance.clone(), plan }))
    }
}

fn told_plan(instance: &InstanceId, row: &PgRow) -> Result<Option<ToldPlan>, StoreError> {
    common::told_plan(instance, row.try_get("plan")?, row.try_get("plan_version")?)
}
