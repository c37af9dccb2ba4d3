//! The calls of the service `History` that are about replays.

use domain::{EventSelector, Timestamp};
use proto::{
    convert::{from_timestamp, timestamp},
    error::{ApiError, ErrorCode},
    v1::{
        self, CancelReplayRequest, CancelReplayResponse, CountReplayRequest, CountReplayResponse, GetReplayRequest,
        GetReplayResponse, ListReplaysRequest, ListReplaysResponse, ReplaySelection, StartReplayRequest,
        StartReplayResponse,
    },
};
use tonic::Status;
use uuid::Uuid;

use crate::{
    api::{HistoryService, Reader},
    recording::store_status,
    replay::{Counted, NewReplay, Replay, ReplayState, Selection},
    replaying::step,
    requests::{PAGE_SIZES, field},
};

/// Event types and wildcards in a selection; there are fewer to choose from.
const MOST_EVENTS: usize = 100;

impl HistoryService {
    pub(crate) async fn count(
        &self,
        reader: Reader,
        request: CountReplayRequest,
    ) -> Result<CountReplayResponse, Status> {
        let wanted = request.selection.unwrap_or_default();
        self.must_see(&reader, wanted.webhook_id, self.registry.refresh_for(&[wanted.webhook_id]).await)?;
        let selection = selection(&reader, wanted, self.clock.now())?;
        let counted = self.count_all(&selection).await?;
        let time = |at: Option<i64>| at.map(|at| timestamp(Timestamp::from_micros(at)));
        let (oldest, newest) = (time(counted.oldest), time(counted.newest));
        Ok(CountReplayResponse { count: counted.count, oldest, newest, selection: Some(shown_selection(selection)) })
    }

    pub(crate) async fn start(
        &self,
        reader: Reader,
        request: StartReplayRequest,
    ) -> Result<StartReplayResponse, Status> {
        let wanted = request.selection.unwrap_or_default();
        let webhook_id = wanted.webhook_id;
        let refreshed = self.registry.refresh_surely().await;
        self.must_see(&reader, webhook_id, refreshed.clone())?;
        let now = self.clock.now();
        let selection = selection(&reader, wanted, now)?;
        self.registry.check_plan(&reader.instance).await?;
        self.check_sending(webhook_id, refreshed)?;
        let new = NewReplay {
            id: self.queueing.ids.uuid(),
            total: self.count_all(&selection).await?.count,
            selection,
            created_at: now.as_micros(),
            created_by: reader.identity.name.clone(),
        };
        let id = new.id;
        if let Some(running) = self.store.start_replay(new).await.map_err(store_status)? {
            let which = if is_visible(&reader, &running) { format!(" {}", running.id) } else { String::new() };
            let message =
                format!("a replay of webhook {webhook_id} runs already{which}; wait for its end or cancel it");
            return Err(ApiError::new(ErrorCode::Conflict, message).into());
        }
        let replay = self.find_replay(&reader, webhook_id, id).await?;
        Ok(StartReplayResponse { replay: Some(shown(replay)) })
    }

    pub(crate) async fn replays(
        &self,
        reader: Reader,
        request: ListReplaysRequest,
    ) -> Result<ListReplaysResponse, Status> {
        let ListReplaysRequest { webhook_id, page, per_page } = request;
        let size = match usize::try_from(per_page) {
            Ok(0) => 100,
            Ok(size) if PAGE_SIZES.contains(&size) => size,
            _ => return Err(field("per_page", "must be 15, 25, 50 or 100")),
        };
        let page = usize::try_from(page).map_err(|_| field("page", "must be 1 or more"))?;
        self.must_see(&reader, webhook_id, self.registry.refresh_for(&[webhook_id]).await)?;
        let mut found = self.store.replays(&reader.instance, webhook_id).await.map_err(store_status)?;
        found.retain(|replay| is_visible(&reader, replay));
        let total = i64::try_from(found.len()).unwrap_or(i64::MAX);
        let before = page.saturating_sub(1).saturating_mul(size);
        let replays = found.into_iter().skip(before).take(size).map(shown).collect();
        Ok(ListReplaysResponse { replays, total })
    }

    pub(crate) async fn replay(&self, reader: Reader, request: GetReplayRequest) -> Result<GetReplayResponse, Status> {
        self.must_see(&reader, request.webhook_id, self.registry.refresh_for(&[request.webhook_id]).await)?;
        let replay = self.find_replay(&reader, request.webhook_id, id(&request.replay_id)?).await?;
        Ok(GetReplayResponse { replay: Some(shown(replay)) })
    }

    pub(crate) async fn cancel(
        &self,
        reader: Reader,
        request: CancelReplayRequest,
    ) -> Result<CancelReplayResponse, Status> {
        let webhook_id = request.webhook_id;
        self.must_see(&reader, webhook_id, self.registry.refresh_for(&[webhook_id]).await)?;
        let replay = self.find_replay(&reader, webhook_id, id(&request.replay_id)?).await?;
        let reason = format!("cancelled by {}", reader.identity.name);
        if self.store.cancel_replay(replay.id, &reason).await.map_err(store_status)? {
            // What waits here is taken back at once, if nobody else is at it.
            let step = step(&self.registry, self.clock.as_ref(), replay.id, webhook_id);
            self.store.advance_replay(step).await.map_err(store_status)?;
        }
        let replay = self.find_replay(&reader, webhook_id, replay.id).await?;
        if replay.state == ReplayState::Done {
            let message = format!("replay {} is done: everything has had its attempt", replay.id);
            return Err(ApiError::new(ErrorCode::Conflict, message).into());
        }
        Ok(CancelReplayResponse { replay: Some(shown(replay)) })
    }

    async fn find_replay(&self, reader: &Reader, webhook_id: i64, id: Uuid) -> Result<Replay, Status> {
        let found = self.store.replay(&reader.instance, id).await.map_err(store_status)?;
        let found = found.filter(|replay| replay.selection.webhook_id == webhook_id && is_visible(reader, replay));
        found.ok_or_else(no_replay)
    }

    /// In parts, so that no statement takes long, however much history there is.
    async fn count_all(&self, selection: &Selection) -> Result<Counted, Status> {
        let sight = self.sight(&selection.instance).await?;
        let selection = &Selection { from: selection.from.max(sight.from), ..selection.clone() };
        let mut sum = Counted::default();
        let mut next = Some(selection.start());
        while let Some(after) = next {
            let part = self.store.count_failed(selection, after).await.map_err(store_status)?;
            sum = Counted {
                count: sum.count + part.count,
                oldest: sum.oldest.or(part.oldest),
                newest: part.newest.or(sum.newest),
                next: None,
            };
            next = part.next;
        }
        Ok(sum)
    }
}

/// One answer for all that a caller may not see: ids cannot be probed.
fn no_replay() -> Status {
    ApiError::new(ErrorCode::NotFound, "there is no such replay").into()
}

fn id(text: &str) -> Result<Uuid, Status> {
    text.parse().map_err(|_| no_replay())
}

/// Whether a replay is about nothing that is hidden from the caller.
fn is_visible(reader: &Reader, replay: &Replay) -> bool {
    let Some(own) = &reader.projects else { return true };
    replay.selection.projects.as_ref().is_some_and(|projects| projects.iter().all(|project| own.contains(project)))
}

/// What is meant, of what the caller may see.
fn selection(reader: &Reader, wanted: ReplaySelection, now: Timestamp) -> Result<Selection, Status> {
    let mut faults = Vec::new();
    let mut fault = |name: &str, text: &str| faults.push((name.to_owned(), text.to_owned()));
    let from = wanted.from.as_ref().map(from_timestamp);
    // What has happened by now, and nothing that comes.
    let to = wanted.to.as_ref().map_or(now, |to| from_timestamp(to).min(now));
    match from {
        None => fault("from", "is required"),
        Some(from) if from < Timestamp::default() => fault("from", "must not be before 1970-01-01T00:00:00Z"),
        Some(from) if from > now => fault("from", "must not be in the future"),
        Some(from) if from >= to => fault("to", "must be after from"),
        Some(_) => {}
    }
    if wanted.events.len() > MOST_EVENTS {
        fault("events", "must be at most 100");
    } else if let Some(error) = wanted.events.iter().find_map(|event| event.parse::<EventSelector>().err()) {
        fault("events", &error.to_string());
    }
    if !faults.is_empty() {
        return Err(ApiError::fields(faults).into());
    }
    Ok(Selection {
        instance: reader.instance.clone(),
        webhook_id: wanted.webhook_id,
        projects: reader.projects.clone(),
        events: wanted.events,
        from: from.unwrap_or_default().as_micros(),
        to: to.as_micros(),
    })
}

fn shown_selection(selection: Selection) -> ReplaySelection {
    let time = |at| Some(timestamp(Timestamp::from_micros(at)));
    let (from, to) = (time(selection.from), time(selection.to));
    ReplaySelection { webhook_id: selection.webhook_id, from, to, events: selection.events }
}

fn shown(replay: Replay) -> v1::Replay {
    let state = match replay.state {
        ReplayState::Running => v1::ReplayState::Running,
        ReplayState::Done => v1::ReplayState::Done,
        ReplayState::Cancelled => v1::ReplayState::Cancelled,
    };
    let time = |at| timestamp(Timestamp::from_micros(at));
    v1::Replay {
        id: replay.id.to_string(),
        state: state.into(),
        total: replay.total,
        queued: replay.queued,
        delivered: replay.delivered,
        failed: replay.failed,
        pending: replay.pending(),
        created_at: Some(time(replay.created_at)),
        ended_at: replay.ended_at.map(time),
        reason: replay.reason,
        created_by: replay.created_by,
        selection: Some(shown_selection(replay.selection)),
    }
}
