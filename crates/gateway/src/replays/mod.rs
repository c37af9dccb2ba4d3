//! `/webhooks/{id}/replay` and `/webhooks/{id}/replays`: trying again what has failed for good in a range of time.

mod docs;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use prost_types::Timestamp;
use proto::v1::{self, ReplaySelection, ReplayState};
use serde::Serialize;

use crate::{
    Services,
    body::{Fields, NoBody},
    caller::{Caller, answer},
    error::Failure,
    page::{Page, Single, some_text, time},
    path::{ReplayId, WebhookId},
    query::{NoQuery, Query},
    read,
};

pub(crate) use docs::{routes, schemas};

/// Where a replay can stand, with its name.
const STATES: [(ReplayState, &str); 3] =
    [(ReplayState::Running, "running"), (ReplayState::Done, "done"), (ReplayState::Cancelled, "cancelled")];

/// A replay.
#[derive(Serialize)]
struct ReplayJson {
    id: String,
    webhook_id: i64,
    from: Option<String>,
    to: Option<String>,
    /// Empty: all.
    events: Vec<String>,
    state: &'static str,
    /// Null: it was not cancelled.
    reason: Option<String>,
    total: i64,
    queued: i64,
    delivered: i64,
    failed: i64,
    pending: i64,
    created_at: Option<String>,
    created_by: String,
    ended_at: Option<String>,
}

/// How many deliveries a replay would try again.
#[derive(Serialize)]
struct CountJson {
    webhook_id: i64,
    from: Option<String>,
    to: Option<String>,
    events: Vec<String>,
    count: i64,
    oldest: Option<String>,
    newest: Option<String>,
}

impl From<v1::Replay> for ReplayJson {
    fn from(replay: v1::Replay) -> Self {
        let ReplaySelection { webhook_id, from, to, events } = replay.selection.unwrap_or_default();
        // A service that is newer than this one may know more.
        let state = STATES.into_iter().find(|row| i32::from(row.0) == replay.state).map_or("unknown", |row| row.1);
        Self {
            id: replay.id,
            webhook_id,
            from: time(from),
            to: time(to),
            events,
            state,
            reason: some_text(replay.reason),
            total: replay.total,
            queued: replay.queued,
            delivered: replay.delivered,
            failed: replay.failed,
            pending: replay.pending,
            created_at: time(replay.created_at),
            created_by: replay.created_by,
            ended_at: time(replay.ended_at),
        }
    }
}

fn shown(replay: Option<v1::Replay>) -> Result<Json<Single<ReplayJson>>, Failure> {
    let replay = replay.ok_or_else(|| Failure::incomplete("replay"))?;
    Ok(Json(Single { result: replay.into() }))
}

/// What is meant, and whether it is only to be counted.
pub(crate) fn asked(webhook_id: i64, mut fields: Fields) -> Result<(ReplaySelection, bool), Failure> {
    let from: Option<Timestamp> = fields.required("from", read::time);
    let to = fields.given("to", read::time_or_null).flatten();
    let events = fields.given("events", read::texts);
    if events.as_ref().is_some_and(Vec::is_empty) {
        fields.fault("events", "must have at least one event type; leave it out for all");
    }
    let count_only = fields.given("count_only", read::flag).unwrap_or_default();
    fields.finish()?;
    Ok((ReplaySelection { webhook_id, from, to, events: events.unwrap_or_default() }, count_only))
}

/// `POST /webhooks/{id}/replay`
async fn start(
    State(services): State<Services>,
    caller: Caller,
    WebhookId(id): WebhookId,
    _: NoQuery,
    fields: Fields,
) -> Result<Response, Failure> {
    let (selection, count_only) = asked(id, fields)?;
    let selection = Some(selection);
    if !count_only {
        let request = caller.request(v1::StartReplayRequest { selection });
        let started = answer(services.history().start_replay(request)).await?;
        return Ok((StatusCode::ACCEPTED, shown(started.replay)?).into_response());
    }
    let counted = answer(services.history().count_replay(caller.request(v1::CountReplayRequest { selection }))).await?;
    let ReplaySelection { webhook_id, from, to, events } = counted.selection.unwrap_or_default();
    let result = CountJson {
        webhook_id,
        from: time(from),
        to: time(to),
        events,
        count: counted.count,
        oldest: time(counted.oldest),
        newest: time(counted.newest),
    };
    Ok(Json(Single { result }).into_response())
}

/// `GET /webhooks/{id}/replays`
async fn list(
    State(services): State<Services>,
    caller: Caller,
    WebhookId(id): WebhookId,
    query: Query,
) -> Result<Json<Page<ReplayJson>>, Failure> {
    let query = query.page()?;
    let request = v1::ListReplaysRequest { webhook_id: id, page: query.page, per_page: query.per_page };
    let found = answer(services.history().list_replays(caller.request(request))).await?;
    Ok(Json(Page::new(query, found.total, found.replays.into_iter().map(ReplayJson::from).collect())))
}

/// `GET /webhooks/{id}/replays/{replay_id}`
async fn read_one(
    State(services): State<Services>,
    caller: Caller,
    ReplayId(webhook_id, id): ReplayId,
    _: NoQuery,
) -> Result<Json<Single<ReplayJson>>, Failure> {
    let request = v1::GetReplayRequest { webhook_id, replay_id: id.to_string() };
    shown(answer(services.history().get_replay(caller.request(request))).await?.replay)
}

/// `DELETE /webhooks/{id}/replays/{replay_id}`
async fn cancel(
    State(services): State<Services>,
    caller: Caller,
    ReplayId(webhook_id, id): ReplayId,
    _: NoQuery,
    _: NoBody,
) -> Result<Json<Single<ReplayJson>>, Failure> {
    let request = v1::CancelReplayRequest { webhook_id, replay_id: id.to_string() };
    shown(answer(services.history().cancel_replay(caller.request(request))).await?.replay)
}
