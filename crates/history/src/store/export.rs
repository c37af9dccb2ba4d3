//! Everything that a list has, whole, as it is at one moment: the sources are read side by side, a page of each at a time,
//! and put together in the order of lists. So it takes the same memory however much there is.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;

use super::{
    ListQuery, Page, WholeEntry,
    list::{Entry, Source},
};
use crate::model::EventKey;

/// Entries that are read from a source, and handed on, at once.
const PAGE: usize = 50;
/// How long an export waits for whoever reads it: it keeps the database from cleaning up.
const PATIENCE: Duration = Duration::from_secs(120);

/// A part of an export.
#[derive(Debug)]
pub enum Exported {
    /// How many entries will come. Comes first.
    Total(i64),
    /// Some entries, each with the body that was sent; `None`: none was, or it is not stored.
    Entries(Vec<(WholeEntry, Option<Bytes>)>),
}

/// The body of an event in a format, and when the event was matched.
pub(super) type Wanted = ((EventKey, String), i64);
/// Bodies by event and format.
pub(super) type Bodies = HashMap<(EventKey, String), Bytes>;

/// A database as it is at one moment.
#[async_trait]
pub(super) trait Snapshot: Send {
    /// How many entries a source has.
    async fn count(&mut self, query: &ListQuery, source: Source) -> Result<i64, sqlx::Error>;

    /// A page of a source.
    async fn entries(&mut self, query: &ListQuery, source: Source) -> Result<Vec<WholeEntry>, sqlx::Error>;

    /// The bodies of events of one instance in a format.
    async fn bodies(&mut self, wanted: &[Wanted]) -> Result<Bodies, sqlx::Error>;
}

/// How an export ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion {
    /// Everything was handed on.
    Whole,
    /// Nobody read it any more, or not for long.
    Unread,
}

/// A source with what was read of it and not handed on yet.
struct Reading {
    source: Source,
    query: ListQuery,
    read: VecDeque<WholeEntry>,
    more: bool,
}

impl Reading {
    async fn fill(&mut self, snapshot: &mut dyn Snapshot) -> Result<(), sqlx::Error> {
        if !self.read.is_empty() || !self.more {
            return Ok(());
        }
        self.read = snapshot.entries(&self.query, self.source).await?.into();
        self.more = self.read.len() > self.query.limit;
        if let Some(last) = self.read.back() {
            self.query.page = Page::OlderThan(last.entry.position());
        }
        Ok(())
    }
}

/// Hands on all entries of a list from its page on.
pub(super) async fn export(
    mut snapshot: impl Snapshot,
    query: &ListQuery,
    parts: &mpsc::Sender<Exported>,
) -> Result<Completion, sqlx::Error> {
    let mut total = 0;
    let mut sources = Vec::new();
    for source in query.sources() {
        total += snapshot.count(query, source).await?;
        let query = ListQuery { limit: PAGE, ..query.clone() };
        sources.push(Reading { source, query, read: VecDeque::new(), more: true });
    }
    if !taken(parts, Exported::Total(total)).await {
        return Ok(Completion::Unread);
    }
    loop {
        let mut page = Vec::with_capacity(PAGE);
        while page.len() < PAGE {
            for reading in &mut sources {
                reading.fill(&mut snapshot).await?;
            }
            let position = |reading: &Reading| reading.read.front().map(|entry| entry.entry.position());
            let newest = sources.iter_mut().max_by_key(|reading| position(reading));
            let Some(entry) = newest.and_then(|reading| reading.read.pop_front()) else { break };
            page.push(entry);
        }
        if page.is_empty() {
            return Ok(Completion::Whole);
        }
        let bodies = snapshot.bodies(&wanted(&page)).await?;
        let with_body = |whole: WholeEntry| {
            let body = bodies.get(&key(&whole.entry)).filter(|_| whole.made).cloned();
            (whole, body)
        };
        if !taken(parts, Exported::Entries(page.into_iter().map(with_body).collect())).await {
            return Ok(Completion::Unread);
        }
    }
}

async fn taken(parts: &mpsc::Sender<Exported>, part: Exported) -> bool {
    matches!(tokio::time::timeout(PATIENCE, parts.send(part)).await, Ok(Ok(())))
}

fn key(entry: &Entry) -> (EventKey, String) {
    (entry.delivery.event(), entry.delivery.format.clone())
}

/// The bodies that were sent, each once.
fn wanted(page: &[WholeEntry]) -> Vec<Wanted> {
    let wanted = |whole: &WholeEntry| (key(&whole.entry), whole.entry.delivery.matched_at);
    let mut wanted: Vec<_> = page.iter().filter(|whole| whole.made).map(wanted).collect();
    wanted.sort_unstable();
    wanted.dedup_by(|one, other| one.0 == other.0);
    wanted
}
