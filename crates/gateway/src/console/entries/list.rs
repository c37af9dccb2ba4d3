//! Lists of entries: the tab *Delivery history* of a webhook, and the history of all webhooks.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use futures::{FutureExt as _, StreamExt as _, stream};
use proto::{
    error::ErrorCode,
    v1::{GetStatsRequest, ListEntriesRequest},
};

use super::{
    filters::Filters,
    row::{Row, rows},
};
use crate::{
    Services,
    caller::{Caller, answer},
    console::{
        chart::Chart,
        choice::Choice,
        live::{self, Part},
        page::{Frame, Section, html},
        text::Text,
        trouble::{Shown, Trouble},
        visitor::Visitor,
        webhooks::{self, Head, Tab},
    },
    path::WebhookId,
};

/// Webhooks whose names are asked for at a time.
const AT_A_TIME: usize = 8;

#[derive(Template)]
#[template(path = "entries.html")]
struct EntriesPage {
    frame: Frame,
    /// `None`: the page is about all webhooks, or about one that was deleted.
    head: Option<Head>,
    /// What the page is about where it has no head.
    about: String,
    chart: Option<Chart>,
    table: Table,
    filtered: bool,
    statuses: Vec<Choice>,
    events: Vec<Choice>,
    tests: Vec<Choice>,
    from: String,
    to: String,
    /// The page without filters.
    path: String,
    /// Where the newest entries are followed; `None`: this page has others.
    live: Option<String>,
    older: Option<String>,
    newer: Option<String>,
}

/// The rows, which are followed live.
#[derive(Template)]
#[template(path = "entry_rows.html")]
struct Table {
    rows: Vec<Row>,
    of_all: bool,
    filtered: bool,
    proof: String,
}

/// A page of entries as services answer it.
struct Found {
    table: Table,
    older: String,
    newer: String,
}

async fn find(
    services: &Services,
    caller: &Caller,
    proof: &str,
    filtered: bool,
    request: ListEntriesRequest,
) -> Result<Found, Trouble> {
    let of_all = request.webhook_id == 0;
    let found = answer(services.history().list_entries(caller.request(request))).await?;
    let mut rows = rows(&found.entries);
    if of_all {
        name_webhooks(services, caller, &mut rows).await;
    }
    let table = Table { rows, of_all, filtered, proof: proof.to_owned() };
    Ok(Found { table, older: found.next_cursor, newer: found.prev_cursor })
}

/// Those that were deleted have no name any more.
async fn name_webhooks(services: &Services, caller: &Caller, rows: &mut [Row]) {
    let mut ids: Vec<i64> = rows.iter().map(|row| row.webhook_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let name = |id| async move {
        let found = webhooks::read(services, caller, id).await.ok();
        (id, found.map(|webhook| Text::line(webhook.name)))
    };
    let names: BTreeMap<i64, Option<Text>> = stream::iter(ids).map(name).buffered(AT_A_TIME).collect().await;
    for row in rows {
        row.webhook = names.get(&row.webhook_id).cloned().flatten();
    }
}

/// `GET /webhooks/{id}/deliveries`
pub(super) async fn of_webhook(
    State(services): State<Services>,
    visitor: Visitor,
    Shown(WebhookId(id)): Shown<WebhookId>,
    Query(filters): Query<Filters>,
) -> Result<Response, Trouble> {
    let webhook = match webhooks::read(&services, &visitor.caller, id).await {
        Ok(webhook) => Some(webhook),
        // System administrators read the history of deleted ones; for others the list itself is not there.
        Err(failure) if failure.code() == ErrorCode::NotFound => None,
        Err(failure) => return Err(failure.into()),
    };
    let title = webhook.as_ref().map_or_else(|| format!("Webhook {id} (deleted)"), |webhook| webhook.name.clone());
    let head = webhook.map(|webhook| Head::new(&webhook, Tab::Deliveries, &visitor));
    let stats = GetStatsRequest { webhook_id: id, ..Default::default() };
    let frame = Frame::new(format!("Delivery history: {}", Text::line(title.clone())), Section::Webhooks, &visitor);
    let path = format!("/webhooks/{id}/deliveries");
    let mut history = services.history();
    let (stats, found) = futures::join!(
        answer(history.get_stats(visitor.caller.request(stats))),
        find(&services, &visitor.caller, &visitor.proof, filters.any(), filters.request(id)?),
    );
    let (stats, found) = (stats.ok(), found?);
    let page = EntriesPage { head, chart: stats.map(Chart::of), about: title, ..page(frame, &path, &filters, found) };
    Ok(html(StatusCode::OK, &page))
}

/// `GET /deliveries`
pub(super) async fn of_all(
    State(services): State<Services>,
    visitor: Visitor,
    Query(filters): Query<Filters>,
) -> Result<Response, Trouble> {
    visitor.must_be_system_admin()?;
    let frame = Frame::new("Delivery history of all webhooks", Section::Deliveries, &visitor);
    let found = find(&services, &visitor.caller, &visitor.proof, filters.any(), filters.request(0)?).await?;
    Ok(html(StatusCode::OK, &page(frame, "/deliveries", &filters, found)))
}

fn page(frame: Frame, path: &str, filters: &Filters, found: Found) -> EntriesPage {
    let address = filters.address(path);
    let page = |cursor: &str| (!cursor.is_empty()).then(|| format!("{address}cursor={cursor}"));
    let live = filters.cursor.is_empty().then(|| filters.address(&format!("{path}/live")));
    EntriesPage {
        frame: frame.after(&filters.done),
        head: None,
        about: "All webhooks".to_owned(),
        chart: None,
        table: found.table,
        filtered: filters.any(),
        statuses: filters.statuses(),
        events: filters.events(),
        tests: filters.tests(),
        from: filters.from.clone(),
        to: filters.to.clone(),
        path: path.to_owned(),
        live,
        older: page(&found.older),
        newer: page(&found.newer),
    }
}

/// `GET /webhooks/{id}/deliveries/live`
pub(super) async fn of_webhook_live(
    State(services): State<Services>,
    visitor: Visitor,
    Shown(WebhookId(id)): Shown<WebhookId>,
    Query(filters): Query<Filters>,
) -> Result<Response, Trouble> {
    follow(services, visitor, id, &filters)
}

/// `GET /deliveries/live`
pub(super) async fn of_all_live(
    State(services): State<Services>,
    visitor: Visitor,
    Query(filters): Query<Filters>,
) -> Result<Response, Trouble> {
    visitor.must_be_system_admin()?;
    follow(services, visitor, 0, &filters)
}

fn follow(services: Services, visitor: Visitor, webhook: i64, filters: &Filters) -> Result<Response, Trouble> {
    let request = ListEntriesRequest { cursor: String::new(), ..filters.request(webhook)? };
    let filtered = filters.any();
    let closing = services.sessions.closing.clone();
    let Visitor { caller, proof, .. } = visitor;
    live::follow(closing, move || {
        let (services, caller, proof, request) = (services.clone(), caller.clone(), proof.clone(), request.clone());
        let look = async move {
            let found = find(&services, &caller, &proof, filtered, request).await?;
            Part::new(&found.table, false)
        };
        look.boxed()
    })
}
