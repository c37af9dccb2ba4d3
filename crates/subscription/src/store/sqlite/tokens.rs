//! Tokens in the file.

use async_trait::async_trait;
use domain::{InstanceId, Timestamp};
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{
    super::{Listed, NewToken, Page, StoreError, Token, TokenReach, TokenStore, common},
    Sqlite, json, list,
};

macro_rules! token_columns {
    () => {
        "id, instance, name, role, projects, prefix, created_at, expires_at, revoked_at"
    };
}

/// What is within reach, of parameter 1 (instance) and 2 (whether those for all instances are).
macro_rules! within_reach {
    () => {
        "(instance = ?1 OR ?2 AND instance IS NULL) AND revoked_at IS NULL"
    };
}

#[async_trait]
impl TokenStore for Sqlite {
    async fn add_token(&self, new: &NewToken) -> Result<Option<Token>, StoreError> {
        let mut transaction = self.begin().await?;
        let row = sqlx::query(concat!(
            "INSERT INTO tokens (instance, name, role, projects, hash, prefix, created_at, expires_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (hash) DO NOTHING RETURNING ",
            token_columns!()
        ))
        .bind(new.instance.as_ref().map(InstanceId::as_str))
        .bind(&new.name)
        .bind(new.role.name())
        .bind(json(common::projects_of_role(&new.role))?)
        .bind(new.hash.as_slice())
        .bind(&new.prefix)
        .bind(new.at.as_micros())
        .bind(new.expires_at.map(Timestamp::as_micros))
        .fetch_optional(&mut *transaction)
        .await?;
        transaction.commit().await?;
        row.as_ref().map(token).transpose()
    }

    async fn tokens(&self, reach: &TokenReach, page: Page) -> Result<Listed<Token>, StoreError> {
        let total = sqlx::query_scalar(concat!("SELECT count(*) FROM tokens WHERE ", within_reach!()))
            .bind(reach.instance.as_str())
            .bind(reach.for_all)
            .fetch_one(&self.readers)
            .await?;
        let rows = sqlx::query(concat!(
            "SELECT ",
            token_columns!(),
            " FROM tokens WHERE ",
            within_reach!(),
            " ORDER BY id LIMIT ?4 OFFSET ?3"
        ))
        .bind(reach.instance.as_str())
        .bind(reach.for_all)
        .bind(page.offset)
        .bind(page.limit)
        .fetch_all(&self.readers)
        .await?;
        Ok(Listed { items: rows.iter().map(token).collect::<Result<_, _>>()?, total })
    }

    async fn revoke_token(&self, reach: &TokenReach, id: i64, at: Timestamp) -> Result<bool, StoreError> {
        let revoked = sqlx::query(concat!("UPDATE tokens SET revoked_at = ?4 WHERE id = ?3 AND ", within_reach!()))
            .bind(reach.instance.as_str())
            .bind(reach.for_all)
            .bind(id)
            .bind(at.as_micros())
            .execute(&self.writer)
            .await?;
        Ok(revoked.rows_affected() > 0)
    }

    async fn token_by_hash(&self, hash: &[u8; 32]) -> Result<Option<Token>, StoreError> {
        let row = sqlx::query(concat!("SELECT ", token_columns!(), " FROM tokens WHERE hash = ?1"))
            .bind(hash.as_slice())
            .fetch_optional(&self.readers)
            .await?;
        row.as_ref().map(token).transpose()
    }
}

fn token(row: &SqliteRow) -> Result<Token, StoreError> {
    let id: i64 = row.try_get("id")?;
    let what = format!("token {id}");
    let instance: Option<&str> = row.try_get("instance")?;
    Ok(Token {
        id,
        instance: instance.map(|text| common::instance(&what, text)).transpose()?,
        name: row.try_get("name")?,
        role: common::role(&what, row.try_get("role")?, list(&what, row, "projects")?)?,
        prefix: row.try_get("prefix")?,
        created_at: Timestamp::from_micros(row.try_get("created_at")?),
        expires_at: row.try_get::<Option<i64>, _>("expires_at")?.map(Timestamp::from_micros),
        revoked: row.try_get::<Option<i64>, _>("revoked_at")?.is_some(),
    })
}
