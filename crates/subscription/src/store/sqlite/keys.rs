//! Keys in the file: what is sealed with which, and which process has which.

use async_trait::async_trait;
use domain::Timestamp;
use sqlx::{Row as _, sqlite::SqliteRow};
use uuid::Uuid;

use super::{
    super::{
        StoreError, common,
        keys::{self, KeyReader, KeyStore, ResealedSecret, SealedSecret},
    },
    Sqlite, json, list,
};
use crate::key_ring::KeyId;

#[async_trait]
impl KeyStore for Sqlite {
    async fn sealed_check(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let value = sqlx::query_scalar("SELECT value FROM meta WHERE name = 'key_check'");
        Ok(value.fetch_optional(&self.readers).await?)
    }

    async fn replace_check(&self, old: &[u8], new: &[u8]) -> Result<bool, StoreError> {
        let replaced = sqlx::query("UPDATE meta SET value = ?2 WHERE name = 'key_check' AND value = ?1")
            .bind(old)
            .bind(new)
            .execute(&self.writer)
            .await?;
        Ok(replaced.rows_affected() > 0)
    }

    async fn sealed_otherwise(&self, prefix: &[u8], after: i64, limit: u32) -> Result<Vec<SealedSecret>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, instance, secret FROM webhooks \
             WHERE NOT deleted AND substr(secret, 1, length(?1)) <> ?1 AND id > ?2 ORDER BY id LIMIT ?3",
        )
        .bind(prefix)
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(sealed).collect()
    }

    async fn secrets_by_prefix(&self, length: i32) -> Result<Vec<(Vec<u8>, u64)>, StoreError> {
        let rows = sqlx::query(
            "SELECT substr(secret, 1, ?1) AS prefix, count(*) AS secrets FROM webhooks WHERE NOT deleted GROUP BY prefix",
        )
        .bind(length)
        .fetch_all(&self.readers)
        .await?;
        let read = |row: &SqliteRow| {
            let count: i64 = row.try_get("secrets")?;
            Ok((row.try_get("prefix")?, u64::try_from(count).unwrap_or_default()))
        };
        rows.iter().map(read).collect()
    }

    async fn replace_secrets(&self, secrets: &[ResealedSecret]) -> Result<u64, StoreError> {
        let mut transaction = self.begin().await?;
        let mut replaced = 0;
        for secret in secrets {
            let done = sqlx::query("UPDATE webhooks SET secret = ?3 WHERE id = ?1 AND secret = ?2")
                .bind(secret.webhook)
                .bind(&secret.old)
                .bind(&secret.new)
                .execute(&mut *transaction)
                .await?;
            replaced += done.rows_affected();
        }
        transaction.commit().await?;
        Ok(replaced)
    }

    async fn announce(&self, reader: &KeyReader, forget_before: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "INSERT INTO key_readers (process, host, keys, sealing, seen_at) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (process) DO UPDATE SET host = excluded.host, keys = excluded.keys, \
             sealing = excluded.sealing, seen_at = excluded.seen_at",
        )
        .bind(reader.process)
        .bind(&reader.host)
        .bind(json(&keys::texts(&reader.keys))?)
        .bind(json(&keys::texts(&reader.sealing))?)
        .bind(reader.seen_at.as_micros())
        .execute(&mut *transaction)
        .await?;
        sqlx::query("DELETE FROM key_readers WHERE seen_at < ?1")
            .bind(forget_before.as_micros())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn withdraw(&self, process: Uuid) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM key_readers WHERE process = ?1").bind(process).execute(&self.writer).await?;
        Ok(())
    }

    async fn readers(&self, since: Timestamp) -> Result<Vec<KeyReader>, StoreError> {
        let rows = sqlx::query(
            "SELECT process, host, keys, sealing, seen_at FROM key_readers WHERE seen_at >= ?1 ORDER BY host, process",
        )
        .bind(since.as_micros())
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(reader).collect()
    }

    async fn rotation(&self) -> Result<Option<KeyId>, StoreError> {
        let value = sqlx::query_scalar::<_, Vec<u8>>("SELECT value FROM meta WHERE name = 'rotation'");
        value.fetch_optional(&self.readers).await?.map(|bytes| keys::target(&bytes)).transpose()
    }

    async fn set_rotation(&self, target: Option<KeyId>) -> Result<(), StoreError> {
        let query = match &target {
            Some(key) => sqlx::query(
                "INSERT INTO meta (name, value) VALUES ('rotation', ?1) \
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            )
            .bind(key.as_bytes().as_slice()),
            None => sqlx::query("DELETE FROM meta WHERE name = 'rotation'"),
        };
        query.execute(&self.writer).await?;
        Ok(())
    }
}

fn sealed(row: &SqliteRow) -> Result<SealedSecret, StoreError> {
    let webhook: i64 = row.try_get("id")?;
    let instance = common::instance(&format!("webhook {webhook}"), row.try_get("instance")?)?;
    Ok(SealedSecret { webhook, instance, sealed: row.try_get("secret")? })
}

fn reader(row: &SqliteRow) -> Result<KeyReader, StoreError> {
    let host: String = row.try_get("host")?;
    let what = format!("the keys of {host}");
    Ok(KeyReader {
        process: row.try_get("process")?,
        keys: keys::ids(&host, &list(&what, row, "keys")?)?,
        sealing: keys::ids(&host, &list(&what, row, "sealing")?)?,
        seen_at: Timestamp::from_micros(row.try_get("seen_at")?),
        host,
    })
}
