//! Everything at one moment, in one transaction.

use async_trait::async_trait;
use sqlx::{PgPool, PgTransaction};
use tokio::sync::mpsc;

use super::{begin::begin, bodies, reading};
use crate::store::{
    Completion, Exported, ListQuery, WholeEntry,
    export::{self, Bodies, Snapshot, Wanted},
    list::{Source, WaitRow, wait_columns},
    read::WholeRow,
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
                let rows: Vec<WholeRow> = reading::whole_attempts(self, query, source).await?;
                Ok(rows.into_iter().map(WholeEntry::from).collect())
            }
        }
    }

    async fn bodies(&mut self, wanted: &[Wanted]) -> Result<Bodies, sqlx::Error> {
        bodies::find(self, wanted).await
    }
}
