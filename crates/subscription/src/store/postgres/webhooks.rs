//! Webhooks in PostgreSQL.

use async_trait::async_trait;
use domain::Timestamp;
use sqlx::{PgConnection, Row as _, postgres::PgRow};

use super::{
    super::{
        ChangedWebhook, Changes, Listed, NewWebhook, Page, Reach, StoreError, Target, Webhook, WebhookStore, schema,
    },
    Postgres,
};

macro_rules! webhook_columns {
    () => {
        "id, version, name, url, kind, events, projects, allow_insecure, active, secret_masked, created_at, updated_at"
    };
}

/// Of a [`Reach`] as parameters 1 and 2. All projects are `NULL`, which is part of nothing.
macro_rules! within_reach {
    () => {
        "NOT deleted AND instance = $1 AND ($2::bigint[] IS NULL OR (projects <@ $2 AND projects <> '{}'))"
    };
}

/// Takes the next version, and with it the lock that makes the order of versions the order of commits. Rows of
/// webhooks are locked before it, so that nobody waits for a row while others wait for this lock.
macro_rules! with_next_version {
    () => {
        "WITH next AS (UPDATE configuration SET version = version + 1 RETURNING version AS next_version) "
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

    async fn next_webhook_id(&self) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar("SELECT nextval('webhook_ids')").fetch_one(&self.pool).await?)
    }

    async fn create_webhook(&self, new: &NewWebhook) -> Result<Webhook, StoreError> {
        let row = sqlx::query(concat!(
            with_next_version!(),
            "INSERT INTO webhooks (id, version, instance, name, url, kind, events, projects, allow_insecure, active, \
             secret, secret_masked, created_at, updated_at) \
             SELECT $1, next_version, $2, $3, $4, $5, $6, $7, $8, true, $9, $10, $11, $11 FROM next RETURNING ",
            webhook_columns!()
        ))
        .bind(new.id)
        .bind(new.instance.as_str())
        .bind(&new.spec.name)
        .bind(new.spec.url.as_str())
        .bind(new.spec.kind.name())
        .bind(new.spec.events.iter().map(|event| event.name()).collect::<Vec<_>>())
        .bind(schema::projects_of(&new.spec.scope))
        .bind(new.spec.allow_insecure)
        .bind(&new.secret)
        .bind(&new.secret_masked)
        .bind(new.at.as_micros())
        .fetch_one(&self.pool)
        .await?;
        webhook(&row)
    }

    async fn webhook(&self, reach: &Reach, id: i64) -> Result<Option<Webhook>, StoreError> {
        let row =
            sqlx::query(concat!("SELECT ", webhook_columns!(), " FROM webhooks WHERE id = $3 AND ", within_reach!()))
                .bind(reach.instance.as_str())
                .bind(&reach.projects)
                .bind(id)
                .fetch_optional(&self.pool)
                .await?;
        row.as_ref().map(webhook).transpose()
    }

    async fn webhooks(&self, reach: &Reach, page: Page) -> Result<Listed<Webhook>, StoreError> {
        let total = sqlx::query_scalar(concat!("SELECT count(*) FROM webhooks WHERE ", within_reach!()))
            .bind(reach.instance.as_str())
            .bind(&reach.projects)
            .fetch_one(&self.pool)
            .await?;
        let rows = sqlx::query(concat!(
            "SELECT ",
            webhook_columns!(),
            " FROM webhooks WHERE ",
            within_reach!(),
            " ORDER BY id OFFSET $3 LIMIT $4"
        ))
        .bind(reach.instance.as_str())
        .bind(&reach.projects)
        .bind(page.offset)
        .bind(page.limit)
        .fetch_all(&self.pool)
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
        let mut transaction = self.pool.begin().await?;
        let Some(found) = lock(&mut transaction, reach, id).await? else {
            transaction.rollback().await?;
            return Ok(None);
        };
        if found.active == active {
            transaction.rollback().await?;
            return Ok(Some(found));
        }
        let row = sqlx::query(concat!(
            with_next_version!(),
            "UPDATE webhooks SET version = next_version, active = $2, updated_at = $3 FROM next WHERE id = $1 \
             RETURNING ",
            webhook_columns!()
        ))
        .bind(found.id)
        .bind(active)
        .bind(at.as_micros())
        .fetch_one(&mut *transaction)
        .await?;
        transaction.commit().await?;
        webhook(&row).map(Some)
    }

    async fn delete_webhook(&self, reach: &Reach, id: i64, at: Timestamp) -> Result<bool, StoreError> {
        let mut transaction = self.pool.begin().await?;
        if lock(&mut transaction, reach, id).await?.is_none() {
            transaction.rollback().await?;
            return Ok(false);
        }
        sqlx::query(concat!(
            with_next_version!(),
            "UPDATE webhooks SET version = next_version, deleted = true, name = '', url = '', kind = '', \
             events = '{}', projects = '{}', allow_insecure = false, active = false, secret = '', \
             secret_masked = '', updated_at = $2 FROM next WHERE id = $1"
        ))
        .bind(id)
        .bind(at.as_micros())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn changes(&self, since: i64, limit: u32) -> Result<Changes, StoreError> {
        // The counter first: whatever has a version up to it was committed before the rows are read. Read after them,
        // it could name a version whose row was not seen.
        let version: i64 = sqlx::query_scalar("SELECT version FROM configuration").fetch_one(&self.pool).await?;
        if version == since {
            return Ok(Changes { version, webhooks: Vec::new(), more: false });
        }
        let since = if since > version { 0 } else { since };
        let rows = sqlx::query(
            "SELECT id, version, instance, deleted, active, kind, url, events, projects, allow_insecure, secret \
             FROM webhooks WHERE version > $1 ORDER BY version LIMIT $2",
        )
        .bind(since)
        .bind(i64::from(limit) + 1)
        .fetch_all(&self.pool)
        .await?;
        Changes::from_rows(version, limit, rows.iter().map(changed_webhook))
    }
}

/// A webhook that nobody else changes before the transaction ends.
async fn lock(transaction: &mut PgConnection, reach: &Reach, id: i64) -> Result<Option<Webhook>, StoreError> {
    let row = sqlx::query(concat!(
        "SELECT ",
        webhook_columns!(),
        " FROM webhooks WHERE id = $3 AND ",
        within_reach!(),
        " FOR UPDATE"
    ))
    .bind(reach.instance.as_str())
    .bind(&reach.projects)
    .bind(id)
    .fetch_optional(transaction)
    .await?;
    row.as_ref().map(webhook).transpose()
}

fn webhook(row: &PgRow) -> Result<Webhook, StoreError> {
    Ok(Webhook {
        id: row.try_get("id")?,
        version: row.try_get("version")?,
        name: row.try_get("name")?,
        url: row.try_get("url")?,
        kind: row.try_get("kind")?,
        events: row.try_get("events")?,
        scope: schema::scope(row.try_get("projects")?),
        allow_insecure: row.try_get("allow_insecure")?,
        active: row.try_get("active")?,
        secret_masked: row.try_get("secret_masked")?,
        created_at: Timestamp::from_micros(row.try_get("created_at")?),
        updated_at: Timestamp::from_micros(row.try_get("updated_at")?),
    })
}

fn changed_webhook(row: &PgRow) -> Result<ChangedWebhook, StoreError> {
    let id: i64 = row.try_get("id")?;
    let deleted: bool = row.try_get("deleted")?;
    Ok(ChangedWebhook {
        id,
        version: row.try_get("version")?,
        instance: schema::instance(&format!("webhook {id}"), row.try_get("instance")?)?,
        target: if deleted { None } else { Some(target(row)?) },
    })
}

fn target(row: &PgRow) -> Result<Target, StoreError> {
    Ok(Target {
        active: row.try_get("active")?,
        kind: row.try_get("kind")?,
        url: row.try_get("url")?,
        events: row.try_get("events")?,
        scope: schema::scope(row.try_get("projects")?),
        allow_insecure: row.try_get("allow_insecure")?,
        secret: row.try_get("secret")?,
    })
}
