//! Lists of entries: keyset pages over attempts and waits together.
//!
//! Each source (waits, attempts of either status, tests) has an index in list order, so a page reads at most a page of
//! each, wherever it starts; here they are put together.

use std::collections::HashSet;

use sqlx::{Database, Encode, QueryBuilder, Type};
use uuid::Uuid;

use super::Sight;
use crate::{
    merge::{DELIVERED, FAILED},
    model::{Delivery, HoldReason, Status, WaitState},
};

/// Where an entry stands in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// When it started, or has waited since.
    pub time: i64,
    /// Its delivery.
    pub delivery_id: Uuid,
    /// Its attempt.
    pub number: i32,
}

/// Which page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// The newest entries.
    Newest,
    /// The newest of those older than this.
    OlderThan(Position),
    /// The oldest of those newer than this.
    NewerThan(Position),
}

/// What to list.
#[derive(Clone, Debug)]
pub struct ListQuery {
    /// Of this instance.
    pub instance: String,
    /// Of this webhook.
    pub webhook_id: Option<i64>,
    /// Of these projects.
    pub projects: Option<Vec<i64>>,
    /// Of this status.
    pub status: Option<Status>,
    /// Of events of this type.
    pub event_type: Option<String>,
    /// Of this time or later.
    pub from: Option<i64>,
    /// Before this time.
    pub to: Option<i64>,
    /// Only test payloads, or only others.
    pub is_test: Option<bool>,
    /// What the reader sees.
    pub sight: Sight,
    /// Which page.
    pub page: Page,
    /// How many at most.
    pub limit: usize,
}

/// Where entries are read from; each has an index in the order of lists.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    /// What waits.
    Waits,
    /// Attempts of one status; of any, where there are so few that an index has them together.
    Attempts(Option<i16>),
}

impl Source {
    const fn table(self) -> &'static str {
        match self {
            Self::Waits => "pending",
            Self::Attempts(_) => "attempts",
        }
    }

    /// The column of an entry's time.
    const fn time(self) -> &'static str {
        match self {
            Self::Waits => "since",
            Self::Attempts(_) => "started_at",
        }
    }
}

/// One attempt, made or waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its delivery.
    pub delivery: Delivery,
    /// The attempt.
    pub number: i32,
    /// Where it stands.
    pub status: Status,
    /// When the attempt started, or has been waited for since.
    pub time: i64,
    /// When it is due, if it waits for that.
    pub due_at: Option<i64>,
    /// Why it is held; `None`: it is not.
    pub held: Option<HoldReason>,
    /// How long the attempt took, in microseconds.
    pub duration_us: i64,
    /// The HTTP status; 0: none.
    pub response_code: i32,
    /// One word; empty: no error.
    pub error_class: String,
    /// For people.
    pub error: String,
    /// Where it was posted to, secret parts masked.
    pub url: String,
    /// The address connected to; empty: none.
    pub remote_address: String,
    /// Whether more was received than is stored.
    pub response_truncated: bool,
}

impl Entry {
    /// Where it stands in a list.
    #[must_use]
    pub const fn position(&self) -> Position {
        Position { time: self.time, delivery_id: self.delivery.id, number: self.number }
    }
}

/// An attempt as lists read it.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct AttemptRow {
    #[sqlx(flatten)]
    delivery: Delivery,
    pub(super) number: i32,
    status: i16,
    started_at: i64,
    duration_us: i64,
    response_code: i32,
    error_class: String,
    error: String,
    url: String,
    remote_address: String,
    response_truncated: bool,
}

/// A wait as lists read it.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct WaitRow {
    #[sqlx(flatten)]
    delivery: Delivery,
    pub(super) number: i32,
    state: i16,
    hold_reason: i16,
    due_at: i64,
    since: i64,
}

/// The columns of [`Delivery`].
macro_rules! delivery_columns {
    () => {
        "delivery_id, instance, webhook_id, event_id, event_type, project_id, matched_at, format, is_test"
    };
}
pub(super) use delivery_columns;

/// The columns of [`AttemptRow`].
macro_rules! attempt_columns {
    () => {
        concat!(
            crate::store::list::delivery_columns!(),
            ", number, status, started_at, duration_us, response_code, error_class, error, url, remote_address, \
             response_truncated"
        )
    };
}
pub(super) use attempt_columns;

/// The columns of [`WaitRow`].
macro_rules! wait_columns {
    () => {
        concat!(crate::store::list::delivery_columns!(), ", number, state, hold_reason, due_at, since")
    };
}
pub(super) use wait_columns;

impl From<AttemptRow> for Entry {
    fn from(row: AttemptRow) -> Self {
        Self {
            delivery: row.delivery,
            number: row.number,
            status: if row.status == DELIVERED { Status::Delivered } else { Status::Failed },
            time: row.started_at,
            due_at: None,
            held: None,
            duration_us: row.duration_us,
            response_code: row.response_code,
            error_class: row.error_class,
            error: row.error,
            url: row.url,
            remote_address: row.remote_address,
            response_truncated: row.response_truncated,
        }
    }
}

impl From<WaitRow> for Entry {
    fn from(row: WaitRow) -> Self {
        let held = WaitState::from_code(row.state) == WaitState::Held;
        let held = held.then(|| HoldReason::from_code(row.hold_reason));
        Self {
            delivery: row.delivery,
            number: row.number,
            status: Status::Pending,
            time: row.since,
            due_at: held.is_none_or(HoldReason::is_timed).then_some(row.due_at),
            held,
            duration_us: 0,
            response_code: 0,
            error_class: String::new(),
            error: String::new(),
            url: String::new(),
            remote_address: String::new(),
            response_truncated: false,
        }
    }
}

impl ListQuery {
    /// Whether waits are listed.
    const fn waits(&self) -> bool {
        matches!(self.status, None | Some(Status::Pending))
    }

    /// The attempts that are listed, by their status.
    const fn attempts(&self) -> &'static [Option<i16>] {
        match (self.status, self.is_test) {
            (None, Some(true)) => &[None],
            (None, _) => &[Some(FAILED), Some(DELIVERED)],
            (Some(Status::Failed), _) => &[Some(FAILED)],
            (Some(Status::Delivered), _) => &[Some(DELIVERED)],
            (Some(Status::Pending), _) => &[],
        }
    }

    /// Where these entries are read from.
    pub(super) fn sources(&self) -> impl Iterator<Item = Source> {
        let waits = self.waits().then_some(Source::Waits);
        waits.into_iter().chain(self.attempts().iter().copied().map(Source::Attempts))
    }

    /// The statement that reads a page of these columns.
    pub(super) fn select<DB: Bindable>(&self, source: Source, columns: &str) -> QueryBuilder<DB>
    where
        DB::Arguments: Default,
    {
        let mut query = self.filter(source, columns);
        let time = source.time();
        let order = if matches!(self.page, Page::NewerThan(_)) { "ASC" } else { "DESC" };
        query.push(format_args!(" ORDER BY {time} {order}, delivery_id {order}, number {order} LIMIT "));
        DB::integer(&mut query, i64::try_from(self.limit).unwrap_or(i64::MAX).saturating_add(1));
        query
    }

    /// The statement that counts what is on this page and all that follow.
    pub(super) fn count<DB: Bindable>(&self, source: Source) -> QueryBuilder<DB>
    where
        DB::Arguments: Default,
    {
        self.filter(source, "count(*)")
    }

    fn filter<DB: Bindable>(&self, source: Source, columns: &str) -> QueryBuilder<DB>
    where
        DB::Arguments: Default,
    {
        let (table, time) = (source.table(), source.time());
        let mut query = QueryBuilder::new("SELECT ");
        query.push(columns).push(format_args!(" FROM {table} WHERE instance = "));
        DB::text(&mut query, &self.instance);
        if let Source::Attempts(Some(status)) = source {
            DB::status(query.push(" AND status = "), status);
        }
        if let Some(webhook_id) = self.webhook_id {
            DB::integer(query.push(" AND webhook_id = "), webhook_id);
        }
        if let Some(projects) = &self.projects {
            // An empty list is no SQL; no project has the number 0.
            query.push(" AND project_id IN (0");
            projects.iter().for_each(|project| DB::integer(query.push(", "), *project));
            query.push(")");
        }
        if let Some(event_type) = &self.event_type {
            DB::text(query.push(" AND event_type = "), event_type);
        }
        match self.is_test {
            // In the words of the indexes that have tests alone.
            Some(true) => _ = query.push(" AND is_test"),
            Some(false) => _ = query.push(" AND NOT is_test"),
            None => {}
        }
        let from = match source {
            Source::Waits => self.from,
            Source::Attempts(_) => Some(self.first()),
        };
        for (operator, bound) in [(">=", from), ("<", self.to)] {
            if let Some(bound) = bound {
                DB::integer(query.push(format_args!(" AND {time} {operator} ")), bound);
            }
        }
        if let Some(last_days) = self.before_last_days() {
            query.push(format_args!(" AND {time} < {last_days}"));
        }
        let bound = match self.page {
            Page::Newest => None,
            Page::OlderThan(position) => Some(("<", position)),
            Page::NewerThan(position) => Some((">", position)),
        };
        if let Some((operator, position)) = bound {
            query.push(format_args!(" AND ({time}, delivery_id, number) {operator} ("));
            DB::integer(&mut query, position.time);
            DB::id(query.push(", "), position.delivery_id);
            DB::integer(query.push(", "), position.number.into());
            query.push(")");
        }
        query
    }

    /// Puts together what the sources gave: the page, newest first, and whether there is more in its direction.
    pub(super) fn page(&self, mut entries: Vec<Entry>) -> (Vec<Entry>, bool) {
        // What was recorded between reading one source and the next is in both.
        let attempted: HashSet<(Uuid, i32)> = entries
            .iter()
            .filter(|entry| entry.status != Status::Pending)
            .map(|entry| (entry.delivery.id, entry.number))
            .collect();
        entries
            .retain(|entry| entry.status != Status::Pending || !attempted.contains(&(entry.delivery.id, entry.number)));
        let newer = matches!(self.page, Page::NewerThan(_));
        entries.sort_unstable_by_key(Entry::position);
        if !newer {
            entries.reverse();
        }
        let more = entries.len() > self.limit;
        entries.truncate(self.limit);
        if newer {
            entries.reverse();
        }
        (entries, more)
    }
}

/// A database that takes the parameters of lists.
pub(super) trait Bindable: Database {
    fn text(query: &mut QueryBuilder<Self>, value: &str);
    fn integer(query: &mut QueryBuilder<Self>, value: i64);
    fn status(query: &mut QueryBuilder<Self>, value: i16);
    fn id(query: &mut QueryBuilder<Self>, value: Uuid);
}

impl<DB> Bindable for DB
where
    DB: Database,
    for<'q> String: Encode<'q, DB> + Type<DB>,
    for<'q> i64: Encode<'q, DB> + Type<DB>,
    for<'q> i16: Encode<'q, DB> + Type<DB>,
    for<'q> Uuid: Encode<'q, DB> + Type<DB>,
{
    fn text(query: &mut QueryBuilder<Self>, value: &str) {
        query.push_bind(value.to_owned());
    }

    fn integer(query: &mut QueryBuilder<Self>, value: i64) {
        query.push_bind(value);
    }

    fn status(query: &mut QueryBuilder<Self>, value: i16) {
        query.push_bind(value);
    }

    fn id(query: &mut QueryBuilder<Self>, value: Uuid) {
        query.push_bind(value);
    }
}
