//! Webhooks in the file.

use async_trait::async_trait;
use domain::Timestamp;
use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};

use super::{
    super::{
        ChangedWebhook, Changes, Listed, NewWebhook, Page, Reach, StoreError, Target, Webhook, WebhookStore, schema,
    },
    Sqlite, json, list, optional_list,
};

macro_rules! webhook_columns {
    () => {
        "id, version, name, url, kind, events, projects, allow_insecure, active, secret_masked, created_at, updated_at"
    };
}

/// Of a [`Reach`] as parameters 1 and 2. All projects are `NULL`, which is part of nothing.
macro_rules! within_reach {
    () => {
        "NOT deleted AND instance = ?1 AND (?2 IS NULL OR (projects <> '[]' AND NOT EXISTS \
         (SELECT 1 FROM json_each(projects) AS own WHERE own.value NOT IN (SELECT value FROM json_each(?2)))))"
    };
}

#[async_trait]
impl WebhookStore for Sqlite {
    async fn key_check(&self, fresh: &[u8]) -> Result<Vec<u8>, StoreError> {
        sqlx::query("INSERT INTO meta (name, value) VALUES ('key_check', ?1) ON CONFLICT DO NOTHING")
            .bind(fresh)
            .execute(&self.writer)
            .await?;
        let value = sqlx::query_scalar("SELECT value FROM meta WHERE name = 'key_check'");
        Ok(value.fetch_one(&self.readers).await?)
    }

    async fn next_webhook_id(&self) -> Result<i64, StoreError> {
        let mut transaction = self.begin().await?;
        let id = sqlx::query_scalar(
            "UPDATE configuration SET last_webhook_id = last_webhook_id + 1 RETURNING last_webhook_id",
        )
        .fetch_one(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(id)
    }

    async fn create_webhook(&self, new: &NewWebhook) -> Result<Webhook, StoreError> {
        let events: Vec<_> = new.spec.events.iter().map(|event| event.name()).collect();
        let mut transaction = self.begin().await?;
        let version = next_version(&mut transaction).await?;
        let row = sqlx::query(concat!(
            "INSERT INTO webhooks (id, version, instance, name, url, kind, events, projects, allow_insecure, active, \
             secret, secret_masked, created_at, updated_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 1, ?10, ?11, ?12, ?12) RETURNING ",
            webhook_columns!()
        ))
        .bind(new.id)
        .bind(version)
        .bind(new.instance.as_str())
        .bind(&new.spec.name)
        .bind(new.spec.url.as_str())
        .bind(new.spec.kind.name())
        .bind(json(&events)?)
        .bind(schema::projects_of(&new.spec.scope).map(json).transpose()?)
        .bind(new.spec.allow_insecure)
        .bind(&new.secret)
        .bind(&new.secret_masked)
        .bind(new.at.as_micros())
        .fetch_one(&mut *transaction)
        .await?;
        transaction.commit().await?;
        webhook(&row)
    }

    async fn webhook(&self, reach: &Reach, id: i64) -> Result<Option<Webhook>, StoreError> {
        find(&mut *self.readers.acquire().await?, reach, id).await
    }

    async fn webhooks(&self, reach: &Reach, page: Page) -> Result<Listed<Webhook>, StoreError> {
        let projects = projects(reach)?;
        let total = sqlx::query_scalar(concat!("SELECT count(*) FROM webhooks WHERE ", within_reach!()))
            .bind(reach.instance.as_str())
            .bind(&projects)
            .fetch_one(&self.readers)
            .await?;
        let rows = sqlx::query(concat!(
            "SELECT ",
            webhook_columns!(),
            " FROM webhooks WHERE ",
            within_reach!(),
            " ORDER BY id LIMIT ?4 OFFSET ?3"
        ))
        .bind(reach.instance.as_str())
        .bind(&projects)
        .bind(page.offset)
        .bind(page.limit)
        .fetch_all(&self.readers)
        .await?;
        Ok(Listed { items: rows.iter().map(webhook).collect::<Result<_, _>>()?, total })
    }

    async fn set_active(
        &self,
        reach: &Reach,
        id: i64,
        active: bool,
        at: Timestamp,
    ) -> Result<Option<Webhook>, StoreError> {
        let mut transaction = self.begin().await?;
        let found = find(&mut transaction, reach, id).await?;
        if found.as_ref().is_none_or(|found| found.active == active) {
            transaction.rollback().await?;
            return Ok(found);
        }
        let version = next_version(&mut transaction).await?;
        let row = sqlx::query(concat!(
            "UPDATE webhooks SET version = ?2, active = ?3, updated_at = ?4 WHERE id = ?1 RETURNING ",
            webhook_columns!()
        ))
        .bind(id)
        .bind(version)
        .bind(active)
        .bind(at.as_micros())
        .fetch_one(&mut *transaction)
        .await?;
        transaction.commit().await?;
        webhook(&row).map(Some)
    }

    async fn delete_webhook(&self, reach: &Reach, id: i64, at: Timestamp) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        if find(&mut transaction, reach, id).await?.is_none() {
            transaction.rollback().await?;
            return Ok(false);
        }
        let version = next_version(&mut transaction).await?;
        sqlx::query(
            "UPDATE webhooks SET version = ?2, deleted = 1, name = '', url = '', kind = '', events = '[]', \
             projects = '[]', allow_insecure = 0, active = 0, secret = x'', secret_masked = '', updated_at = ?3 \
             WHERE id = ?1",
        )
        .bind(id)
        .bind(version)
        .bind(at.as_micros())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn changes(&self, since: i64, limit: u32) -> Result<Changes, StoreError> {
        // The counter first: whatever has a version up to it was committed before the rows are read. Read after them,
        // it could name a version whose row was not seen.
        let version: i64 = sqlx::query_scalar("SELECT version FROM configuration").fetch_one(&self.readers).await?;
        if version == since {
            return Ok(Changes { version, webhooks: Vec::new(), more: false });
        }
        let since = if since > version { 0 } else { since };
        let rows = sqlx::query(
            "SELECT id, version, instance, deleted, active, kind, url, events, projects, allow_insecure, secret \
             FROM webhooks WHERE version > ?1 ORDER BY version LIMIT ?2",
        )
        .bind(since)
        .bind(i64::from(limit) + 1)
        .fetch_all(&self.readers)
        .await?;
        Changes::from_rows(version, limit, rows.iter().map(changed_webhook))
    }
}

/// There is one transaction at a time, so that the order of versions is the order of commits.
async fn next_version(transaction: &mut SqliteConnection) -> Result<i64, StoreError> {
    let version = sqlx::query_scalar("UPDATE configuration SET version = version + 1 RETURNING version");
    Ok(version.fetch_one(transaction).await?)
}

async fn find(connection: &mut SqliteConnection, reach: &Reach, id: i64) -> Result<Option<Webhook>, StoreError> {
    let row = sqlx::query(concat!("SELECT ", webhook_columns!(), " FROM webhooks WHERE id = ?3 AND ", within_reach!()))
        .bind(reach.instance.as_str())
        .bind(projects(reach)?)
        .bind(id)
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(webhook).transpose()
}

fn projects(reach: &Reach) -> Result<Option<String>, StoreError> {
    reach.projects.as_deref().map(json).transpose()
}

fn webhook(row: &SqliteRow) -> Result<Webhook, StoreError> {
    let id: i64 = row.try_get("id")?;
    let what = format!("webhook {id}");
    Ok(Webhook {
        id,
        version: row.try_get("version")?,
        name: row.try_get("name")?,
        url: row.try_get("url")?,
        kind: row.try_get("kind")?,
        events: list(&what, row, "events")?,
        scope: schema::scope(optional_list(&what, row, "projects")?),
        allow_insecure: row.try_get("allow_insecure")?,
        active: row.try_get("active")?,
        secret_masked: row.try_get("secret_masked")?,
        created_at: Timestamp::from_micros(row.try_get("created_at")?),
        updated_at: Timestamp::from_micros(row.try_get("updated_at")?),
    })
}

fn changed_webhook(row: &SqliteRow) -> Result<ChangedWebhook, StoreError> {
    let id: i64 = row.try_get("id")?;
    let what = format!("webhook {id}");
    let deleted: bool = row.try_get("deleted")?;
    Ok(ChangedWebhook {
        id,
        version: row.try_get("version")?,
        instance: schema::instance(&what, row.try_get("instance")?)?,
        target: if deleted { None } else { Some(target(&what, row)?) },
    })
}

fn target(what: &str, row: &SqliteRow) -> Result<Target, StoreError> {
    Ok(Target {
        active: row.try_get("active")?,
        kind: row.try_get("kind")?,
        url: row.try_get("url")?,
        events: list(what, row, "events")?,
        scope: schema::scope(optional_list(what, row, "projects")?),
        allow_insecure: row.try_get("allow_insecure")?,
        secret: row.try_get("secret")?,
    })
}
