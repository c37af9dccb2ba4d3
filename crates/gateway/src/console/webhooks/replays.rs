//! Replay: everything that has failed for good in a range of time gets one more attempt, with a count first and progress
//! after.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use futures::FutureExt as _;
use proto::{
    error::ErrorCode,
    v1::{self, ReplaySelection, ReplayState},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    head::{Head, Tab},
    read,
};
use crate::{
    Services,
    caller::{Caller, answer},
    console::{
        choice::{self, Choice},
        form::{Fields, Submitted},
        live::{self, Part},
        page::{Frame, Section, html, see_other},
        text::Text,
        trouble::{Shown, Trouble, sentence},
        visitor::Visitor,
        when::{When, from_field, to_field, when},
    },
    error::Failure,
    path::{ReplayId, WebhookId},
};

const PER_PAGE: i32 = 15;

#[derive(Template)]
#[template(path = "replays.html")]
struct ReplaysPage {
    frame: Frame,
    head: Head,
    from: String,
    to: String,
    events: Vec<Choice>,
    error: Option<Text>,
    counted: Option<Counted>,
    replays: Vec<Replay>,
}

/// What a replay would do.
struct Counted {
    count: i64,
    oldest: Option<When>,
    newest: Option<When>,
    from: String,
    to: String,
    event: String,
}

#[derive(Template)]
#[template(path = "replay.html")]
struct ReplayPage {
    frame: Frame,
    head: Head,
    replay: Replay,
    live: Option<String>,
}

/// A replay, which is followed live.
#[derive(Template)]
#[template(path = "replay_part.html")]
struct Replay {
    id: String,
    webhook_id: i64,
    from: Option<When>,
    to: Option<When>,
    events: Text,
    state: &'static str,
    class: &'static str,
    running: bool,
    reason: Text,
    total: i64,
    queued: i64,
    done: i64,
    delivered: i64,
    failed: i64,
    pending: i64,
    created: Option<When>,
    by: Text,
    ended: Option<When>,
    proof: String,
}

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    done: String,
}

impl Replay {
    fn of(replay: v1::Replay, proof: &str) -> Self {
        let selection = replay.selection.unwrap_or_default();
        let (state, class) = match ReplayState::try_from(replay.state) {
            Ok(ReplayState::Running) => ("Running", "wait"),
            Ok(ReplayState::Done) => ("Done", "good"),
            Ok(ReplayState::Cancelled) => ("Cancelled", "off"),
            _ => ("Unknown", "off"),
        };
        let events = if selection.events.is_empty() { "All events".to_owned() } else { selection.events.join(", ") };
        Self {
            id: replay.id,
            webhook_id: selection.webhook_id,
            from: when(selection.from),
            to: when(selection.to),
            events: Text::line(events),
            state,
            class,
            running: class == "wait",
            reason: Text::line(replay.reason),
            total: replay.total,
            queued: replay.queued,
            done: replay.delivered + replay.failed,
            delivered: replay.delivered,
            failed: replay.failed,
            pending: replay.pending,
            created: when(replay.created_at),
            by: Text::line(replay.created_by),
            ended: when(replay.ended_at),
            proof: proof.to_owned(),
        }
    }
}

/// The page of a webhook's replays, as it is without a question.
async fn page(services: &Services, visitor: &Visitor, id: i64, fields: &Fields) -> Result<ReplaysPage, Trouble> {
    let webhook = read(services, &visitor.caller, id).await?;
    let request = v1::ListReplaysRequest { webhook_id: id, page: 1, per_page: PER_PAGE };
    let found = answer(services.history().list_replays(visitor.caller.request(request))).await?;
    let title = format!("Replay: {}", Text::line(webhook.name.clone()));
    Ok(ReplaysPage {
        frame: Frame::new(title, Section::Webhooks, visitor),
        head: Head::new(&webhook, Tab::Replays, visitor),
        from: fields.text("from").to_owned(),
        to: fields.text("to").to_owned(),
        events: choice::events(fields.text("event")),
        error: None,
        counted: None,
        replays: found.replays.into_iter().map(|replay| Replay::of(replay, &visitor.proof)).collect(),
    })
}

/// `GET /webhooks/{id}/replays`
pub(super) async fn list(
    State(services): State<Services>,
    visitor: Visitor,
    Shown(WebhookId(id)): Shown<WebhookId>,
) -> Result<Response, Trouble> {
    Ok(html(StatusCode::OK, &page(&services, &visitor, id, &Fields::default()).await?))
}

/// Which deliveries are meant.
fn selection(webhook_id: i64, fields: &Fields) -> Result<ReplaySelection, Failure> {
    let time = |name: &str, label: &str| {
        let message = format!("{label} must be a day and a time");
        from_field(fields.text(name)).map_err(|()| Failure::new(ErrorCode::Validation, message))
    };
    let from = time("from", "From")?;
    if from.is_none() {
        return Err(Failure::new(ErrorCode::Validation, "say from when on"));
    }
    let events = Some(fields.text("event")).filter(|event| !event.is_empty()).map(str::to_owned);
    Ok(ReplaySelection { webhook_id, from, to: time("to", "To")?, events: events.into_iter().collect() })
}

fn is_told(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::Validation | ErrorCode::Malformed | ErrorCode::Conflict | ErrorCode::PlanRequired)
}

async fn refused(
    services: &Services,
    visitor: &Visitor,
    id: i64,
    fields: &Fields,
    failure: Failure,
) -> Result<Response, Trouble> {
    if !is_told(failure.code()) {
        return Err(failure.into());
    }
    let error = Some(Text::line(sentence(failure.message())));
    let page = ReplaysPage { error, ..page(services, visitor, id, fields).await? };
    Ok(html(StatusCode::UNPROCESSABLE_ENTITY, &page))
}

/// `POST /webhooks/{id}/replays/count`
pub(super) async fn count(
    State(services): State<Services>,
    Shown(WebhookId(id)): Shown<WebhookId>,
    Submitted { visitor, fields }: Submitted,
) -> Result<Response, Trouble> {
    let asked = match selection(id, &fields) {
        Ok(selection) => v1::CountReplayRequest { selection: Some(selection) },
        Err(failure) => return refused(&services, &visitor, id, &fields, failure).await,
    };
    let found = match answer(services.history().count_replay(visitor.caller.request(asked))).await {
        Ok(found) => found,
        Err(failure) => return refused(&services, &visitor, id, &fields, failure).await,
    };
    let selection = found.selection.unwrap_or_default();
    let counted = Counted {
        count: found.count,
        oldest: when(found.oldest),
        newest: when(found.newest),
        from: to_field(selection.from),
        to: fields.text("to").to_owned(),
        event: selection.events.first().cloned().unwrap_or_default(),
    };
    let page = ReplaysPage { counted: Some(counted), ..page(&services, &visitor, id, &fields).await? };
    Ok(html(StatusCode::OK, &page))
}

/// `POST /webhooks/{id}/replays`
pub(super) async fn start(
    State(services): State<Services>,
    Shown(WebhookId(id)): Shown<WebhookId>,
    Submitted { visitor, fields }: Submitted,
) -> Result<Response, Trouble> {
    let started = match selection(id, &fields) {
        Ok(selection) => {
            let request = v1::StartReplayRequest { selection: Some(selection) };
            answer(services.history().start_replay(visitor.caller.request(request))).await
        }
        Err(failure) => Err(failure),
    };
    match started {
        Ok(started) => {
            let replay = started.replay.ok_or_else(|| Failure::incomplete("replay"))?;
            Ok(see_other(&format!("/webhooks/{id}/replays/{}", replay.id)))
        }
        Err(failure) => refused(&services, &visitor, id, &fields, failure).await,
    }
}

async fn one(services: &Services, caller: &Caller, webhook_id: i64, id: Uuid, proof: &str) -> Result<Replay, Trouble> {
    let request = v1::GetReplayRequest { webhook_id, replay_id: id.to_string() };
    let found = answer(services.history().get_replay(caller.request(request))).await?;
    Ok(Replay::of(found.replay.ok_or_else(|| Failure::incomplete("replay"))?, proof))
}

/// `GET /webhooks/{id}/replays/{replay_id}`
pub(super) async fn show(
    State(services): State<Services>,
    visitor: Visitor,
    Shown(ReplayId(webhook_id, id)): Shown<ReplayId>,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    let webhook = read(&services, &visitor.caller, webhook_id).await?;
    let replay = one(&services, &visitor.caller, webhook_id, id, &visitor.proof).await?;
    let live = (replay.running || replay.pending > 0).then(|| format!("/webhooks/{webhook_id}/replays/{id}/live"));
    let title = format!("Replay: {}", Text::line(webhook.name.clone()));
    let frame = Frame::new(title, Section::Webhooks, &visitor).after(&asked.done);
    let head = Head::new(&webhook, Tab::Replays, &visitor);
    Ok(html(StatusCode::OK, &ReplayPage { frame, head, replay, live }))
}

/// `GET /webhooks/{id}/replays/{replay_id}/live`
pub(super) async fn live(
    State(services): State<Services>,
    visitor: Visitor,
    Shown(ReplayId(webhook_id, id)): Shown<ReplayId>,
) -> Result<Response, Trouble> {
    let closing = services.sessions.closing.clone();
    let Visitor { caller, proof, .. } = visitor;
    live::follow(closing, move || {
        let (services, caller, proof) = (services.clone(), caller.clone(), proof.clone());
        let look = async move {
            let replay = one(&services, &caller, webhook_id, id, &proof).await?;
            Part::new(&replay, !replay.running && replay.pending == 0)
        };
        look.boxed()
    })
}

/// `POST /webhooks/{id}/replays/{replay_id}/cancel`
pub(super) async fn cancel(
    State(services): State<Services>,
    Shown(ReplayId(webhook_id, id)): Shown<ReplayId>,
    Submitted { visitor, .. }: Submitted,
) -> Result<Response, Trouble> {
    let request = v1::CancelReplayRequest { webhook_id, replay_id: id.to_string() };
    answer(services.history().cancel_replay(visitor.caller.request(request))).await?;
    Ok(see_other(&format!("/webhooks/{webhook_id}/replays/{id}?done=cancelled")))
}
