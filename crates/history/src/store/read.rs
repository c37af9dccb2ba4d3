//! A whole delivery, from what both stores read of it.

use bytes::Bytes;

use super::{
    WholeDelivery, WholeEntry,
    list::{AttemptRow, WaitRow},
};
use crate::model::Delivery;

/// An attempt with everything.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct WholeRow {
    #[sqlx(flatten)]
    attempt: AttemptRow,
    made: bool,
    request_headers: Vec<u8>,
    response_headers: Vec<u8>,
    /// As it is stored.
    pub(super) response_body: Vec<u8>,
}

/// The columns of [`WholeRow`].
macro_rules! whole_columns {
    () => {
        concat!(crate::store::list::attempt_columns!(), ", made, request_headers, response_headers, response_body")
    };
}
pub(super) use whole_columns;

impl From<WholeRow> for WholeEntry {
    fn from(row: WholeRow) -> Self {
        Self {
            entry: row.attempt.into(),
            made: row.made,
            request_headers: row.request_headers,
            response_headers: row.response_headers,
            response_body: row.response_body,
        }
    }
}

impl From<WaitRow> for WholeEntry {
    fn from(row: WaitRow) -> Self {
        Self {
            entry: row.into(),
            made: false,
            request_headers: Vec::new(),
            response_headers: Vec::new(),
            response_body: Vec::new(),
        }
    }
}

/// Entries, oldest first; what is waited for comes last. `None`: there are none.
pub(super) fn entries(attempts: Vec<WholeRow>, wait: Option<WaitRow>) -> Option<(Delivery, Vec<WholeEntry>)> {
    // What was recorded between reading one table and the other is in both.
    let wait = wait.filter(|wait| attempts.iter().all(|row| row.attempt.number != wait.number));
    let mut entries: Vec<WholeEntry> =
        attempts.into_iter().map(WholeEntry::from).chain(wait.map(WholeEntry::from)).collect();
    entries.sort_by_key(|entry| (entry.entry.number, entry.entry.time));
    let delivery = entries.first()?.entry.delivery.clone();
    Some((delivery, entries))
}

/// With its body, which both stores read after they know its event.
pub(super) fn whole((delivery, entries): (Delivery, Vec<WholeEntry>), body: Option<Bytes>) -> WholeDelivery {
    WholeDelivery { delivery, entries, body }
}
