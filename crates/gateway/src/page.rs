//! The shapes of answers: one object, a page of a list, a page by cursor; and times in them.

use prost_types::Timestamp;
use serde::Serialize;

use crate::query::PageQuery;

/// One object.
#[derive(Serialize)]
pub(crate) struct Single<T> {
    pub(crate) result: T,
}

/// A page of a list, found by its number.
#[derive(Serialize)]
pub(crate) struct Page<T> {
    page: i64,
    prev_page: Option<i64>,
    next_page: Option<i64>,
    last_page: i64,
    per_page: i32,
    total: i64,
    result: Vec<T>,
}

impl<T> Page<T> {
    /// The page that was asked for, of `total` objects. An empty list has one page.
    pub(crate) fn new(query: PageQuery, total: i64, result: Vec<T>) -> Self {
        let page = i64::from(query.page);
        let last_page = (total.max(1) - 1) / i64::from(query.per_page) + 1;
        Self {
            page,
            // From beyond the end, back to where there is something.
            prev_page: (page > 1).then(|| (page - 1).min(last_page)),
            next_page: (page < last_page).then_some(page + 1),
            last_page,
            per_page: query.per_page,
            total,
            result,
        }
    }
}

/// A page of a list that grows while it is read, found by cursor.
#[derive(Serialize)]
pub(crate) struct CursorPage<T> {
    pub(crate) result: Vec<T>,
    pub(crate) per_page: i32,
    pub(crate) next_cursor: Option<String>,
    pub(crate) prev_cursor: Option<String>,
}

/// A time as RFC 3339; `None` where there is none.
pub(crate) fn time(time: Option<Timestamp>) -> Option<String> {
    time.as_ref().and_then(proto::json::timestamp::format)
}

/// A text, where the schema's empty one means none.
pub(crate) fn some_text(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}
