//! Everything at one moment, in one transaction.

use async_trait::async_trait;
use sqlx::{PgPool, PgTransaction};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::begin::begin;
use crate::{
    model::EventKey,
    store::{
        Completion, Exported, ListQuery, WholeEntry,
        export::{self, Bodies, Snapshot},
        list::{Source, WaitRow, wait_columns},
        read::{WholeRow, whole_columns},
    },
};

pub(super) async fn export(
    pool: &PgPool,
    query: &ListQuery,
    parts: &mpsc::Sender<Exported>,
) -> Result<Completion, sqlx::Error> {
    let mut transaction = begin(pool, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await?;
    // It waits for a reader, who may be slow, and for as long as that the server is not to take it for dead.
    sqlx::query("SET LOCAL idle_in_transaction_session_timeout = '240s'").execute(&mut *transaction).await?;
    export::export(transaction, query, parts).await
}

#[async_trait]
impl Snapshot for PgTransaction<'_> {
    async fn count(&mut self, query: &ListQuery, source: Source) -> Result<i64, sqlx::Error> {
        query.count(source).build_query_scalar().fetch_one(&mut **self).await
    }

    async fn entries(&mut self, query: &ListQuery, source: Source) -> Result<Vec<WholeEntry>, sqlx::Error> {
        match source {
            Source::Waits => {
                let mut select = query.select(source, wait_columns!());
                let rows: Vec<WaitRow> = select.build_query_as().fetch_all(&mut **self).await?;
                Ok(rows.into_iter().map(WholeEntry::from).collect())
            }
            Source::Attempts(_) => {
                let mut select = query.select(source, whole_columns!());
                let rows: Vec<WholeRow> = select.build_query_as().fetch_all(&mut **self).await?;
                Ok(rows.into_iter().map(WholeEntry::from).collect())
            }
        }
    }

    async fn bodies(&mut self, wanted: &[(EventKey, String)]) -> Result<Bodies, sqlx::Error> {
        let rows: Vec<(String, Uuid, String, Vec<u8>)> = sqlx::query_as(
            "SELECT b.instance, b.event_id, b.format, b.content FROM bodies b \
             JOIN UNNEST($1::text[], $2::uuid[], $3::text[]) AS u (instance, event_id, format) \
             USING (instance, event_id, format)",
        )
        .bind(wanted.iter().map(|(event, _)| event.instance.as_str()).collect::<Vec<_>>())
        .bind(wanted.iter().map(|(event, _)| event.event_id).collect::<Vec<_>>())
        .bind(wanted.iter().map(|(_, format)| format.as_str()).collect::<Vec<_>>())
        .fetch_all(&mut **self)
        .await?;
        Ok(rows.into_iter().map(export::body).collect())
    }
}
