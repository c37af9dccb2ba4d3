//! Everything at one moment, in one transaction of a reading connection.

use async_trait::async_trait;
use sqlx::{Sqlite, Transaction};
use uuid::Uuid;

use super::{
    packing::{PackedRow, packed_columns, unpack},
    rows,
};
use crate::{
    model::EventKey,
    store::{
        ListQuery, WholeEntry,
        export::{Bodies, Snapshot, Wanted},
        list::{Source, WaitRow, wait_columns},
    },
};

#[async_trait]
impl Snapshot for Transaction<'_, Sqlite> {
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
                let mut select = query.select(source, packed_columns!());
                let rows: Vec<PackedRow> = select.build_query_as().fetch_all(&mut **self).await?;
                rows.into_iter().map(|row| row.unpack().map(WholeEntry::from)).collect()
            }
        }
    }

    async fn bodies(&mut self, wanted: &[Wanted]) -> Result<Bodies, sqlx::Error> {
        let statement = (
            "SELECT b.instance, b.event_id, b.format, b.packing, b.content FROM (",
            ") AS u CROSS JOIN bodies b \
             ON b.instance = u.column1 AND b.event_id = u.column2 AND b.format = u.column3",
        );
        let rows = rows::read(self, statement, wanted, |row, ((event, format), _)| {
            row.push_bind(event.instance.clone()).push_bind(event.event_id).push_bind(format.clone());
        });
        let rows: Vec<(String, Uuid, String, i64, Vec<u8>)> = rows.await?;
        let body = |(instance, event_id, format, packing, content)| {
            Ok(((EventKey { instance, event_id }, format), unpack(packing, content)?))
        };
        rows.into_iter().map(body).collect()
    }
}
