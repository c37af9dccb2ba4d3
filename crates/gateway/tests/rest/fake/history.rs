//! The service `History` in memory.

use std::pin::Pin;

use futures::{Stream, StreamExt as _, stream};
use proto::{
    error::{ApiError, ErrorCode},
    v1::{self, history_server::History},
};
use tonic::{Request, Response, Status};

use super::{
    Answer, BROKEN_EVENT, BUSY, DELIVERY, EVENT, Fake, REPLAY, TOTAL,
    answers::{cancelled, exported, failed, pending, replay, stats, whole},
    at, ids, known,
};

/// With an end.
fn in_force(selection: Option<v1::ReplaySelection>) -> v1::ReplaySelection {
    let selection = selection.unwrap_or_default();
    v1::ReplaySelection { to: selection.to.or_else(|| at(1_800_003_600, 0)), ..selection }
}

fn is_replay(id: &str) -> Result<(), Status> {
    if id == REPLAY { Ok(()) } else { Err(ApiError::not_found("replay", id).into()) }
}

#[tonic::async_trait]
impl History for Fake {
    async fn list_entries(&self, request: Request<v1::ListEntriesRequest>) -> Answer<v1::ListEntriesResponse> {
        let asked = self.enter(request)?;
        let next_cursor = if asked.cursor.is_empty() { "older" } else { "" }.into();
        let entries = vec![pending("b"), failed("a"), cancelled("c")];
        Ok(Response::new(v1::ListEntriesResponse { entries, next_cursor, prev_cursor: asked.cursor }))
    }

    type ExportEntriesStream = Pin<Box<dyn Stream<Item = Result<v1::ExportEntriesResponse, Status>> + Send>>;

    async fn export_entries(&self, request: Request<v1::ExportEntriesRequest>) -> Answer<Self::ExportEntriesStream> {
        let asked = self.enter(request)?;
        if asked.webhook_id == BUSY {
            return Err(ApiError::new(ErrorCode::RateLimited, "too many exports").into());
        }
        Ok(Response::new(stream::iter(exported(&asked.cursor)).boxed()))
    }

    async fn get_event(&self, request: Request<v1::GetEventRequest>) -> Answer<v1::GetEventResponse> {
        let event_id = self.enter(request)?.event_id;
        let payload = match event_id.as_str() {
            EVENT => r#"{"a":1.10}"#.into(),
            BROKEN_EVENT => vec![0xff].into(),
            _ => return Err(ApiError::not_found("event", event_id).into()),
        };
        Ok(Response::new(v1::GetEventResponse { event_id, event_type: "run.completed".into(), project_id: 3, payload }))
    }

    async fn get_stats(&self, request: Request<v1::GetStatsRequest>) -> Answer<v1::GetStatsResponse> {
        let asked = self.enter(request)?;
        known("webhook", asked.webhook_id)?;
        Ok(Response::new(stats(&asked)))
    }

    async fn batch_get_stats(&self, request: Request<v1::BatchGetStatsRequest>) -> Answer<v1::BatchGetStatsResponse> {
        let v1::BatchGetStatsRequest { webhook_ids, from, to, interval } = self.enter(request)?;
        let of = |webhook_id| stats(&v1::GetStatsRequest { webhook_id, from, to, interval });
        let stats = webhook_ids.into_iter().map(|webhook_id| (webhook_id, of(webhook_id))).collect();
        Ok(Response::new(v1::BatchGetStatsResponse { stats }))
    }

    async fn retry_delivery(&self, request: Request<v1::RetryDeliveryRequest>) -> Answer<v1::RetryDeliveryResponse> {
        let delivery_id = self.enter(request)?.delivery_id;
        if delivery_id != DELIVERY {
            return Err(ApiError::not_found("delivery", delivery_id).into());
        }
        Ok(Response::new(v1::RetryDeliveryResponse { delivery_id, attempt: 2 }))
    }

    async fn count_replay(&self, request: Request<v1::CountReplayRequest>) -> Answer<v1::CountReplayResponse> {
        let selection = in_force(self.enter(request)?.selection);
        known("webhook", selection.webhook_id)?;
        let some = selection.events.is_empty();
        let (oldest, newest) = (at(1_800_000_000, 0).filter(|_| some), at(1_800_000_001, 0).filter(|_| some));
        let count = if some { 5 } else { 0 };
        Ok(Response::new(v1::CountReplayResponse { count, oldest, newest, selection: Some(selection) }))
    }

    async fn start_replay(&self, request: Request<v1::StartReplayRequest>) -> Answer<v1::StartReplayResponse> {
        let selection = in_force(self.enter(request)?.selection);
        known("webhook", selection.webhook_id)?;
        let running = replay(selection.webhook_id, v1::ReplayState::Running);
        let replay = v1::Replay { selection: Some(selection), ..running };
        Ok(Response::new(v1::StartReplayResponse { replay: Some(replay) }))
    }

    async fn list_replays(&self, request: Request<v1::ListReplaysRequest>) -> Answer<v1::ListReplaysResponse> {
        let v1::ListReplaysRequest { webhook_id, page, per_page } = self.enter(request)?;
        known("webhook", webhook_id)?;
        let replays = ids(page, per_page).map(|_| replay(webhook_id, v1::ReplayState::Done)).collect();
        Ok(Response::new(v1::ListReplaysResponse { replays, total: TOTAL }))
    }

    async fn get_replay(&self, request: Request<v1::GetReplayRequest>) -> Answer<v1::GetReplayResponse> {
        let v1::GetReplayRequest { webhook_id, replay_id } = self.enter(request)?;
        known("webhook", webhook_id)?;
        is_replay(&replay_id)?;
        // An answer that breaks its schema.
        let replay = (webhook_id != 13).then(|| replay(webhook_id, v1::ReplayState::Running));
        Ok(Response::new(v1::GetReplayResponse { replay }))
    }

    async fn cancel_replay(&self, request: Request<v1::CancelReplayRequest>) -> Answer<v1::CancelReplayResponse> {
        let v1::CancelReplayRequest { webhook_id, replay_id } = self.enter(request)?;
        known("webhook", webhook_id)?;
        is_replay(&replay_id)?;
        let replay = Some(replay(webhook_id, v1::ReplayState::Cancelled));
        Ok(Response::new(v1::CancelReplayResponse { replay }))
    }

    async fn get_settings(&self, request: Request<v1::GetSettingsRequest>) -> Answer<v1::GetSettingsResponse> {
        self.enter(request)?;
        Ok(Response::new(v1::GetSettingsResponse { retention_days: 90 }))
    }

    async fn update_settings(&self, request: Request<v1::UpdateSettingsRequest>) -> Answer<v1::UpdateSettingsResponse> {
        let retention_days = self.enter(request)?.retention_days;
        Ok(Response::new(v1::UpdateSettingsResponse { retention_days }))
    }

    async fn clear_entries(&self, request: Request<v1::ClearEntriesRequest>) -> Answer<v1::ClearEntriesResponse> {
        if self.enter(request)?.confirm != "clear-all-delivery-history" {
            return Err(ApiError::fields(vec![("confirm".into(), "must be given".into())]).into());
        }
        Ok(Response::new(v1::ClearEntriesResponse {}))
    }

    async fn get_delivery(&self, request: Request<v1::GetDeliveryRequest>) -> Answer<v1::GetDeliveryResponse> {
        let id = self.enter(request)?.delivery_id;
        let of_event = domain::delivery_id(EVENT.parse().unwrap(), 7);
        if id != DELIVERY && id != of_event.to_string() {
            return Err(ApiError::not_found("delivery", id).into());
        }
        let delivery = v1::Delivery {
            id,
            event_id: "e".into(),
            event_type: "run.completed".into(),
            webhook_id: 1,
            project_id: 3,
            status: v1::DeliveryStatus::Pending.into(),
            is_test: false,
            created_at: at(1_800_000_000, 0),
            entries: vec![whole(failed("a")), pending("b")],
            orphaned: true,
        };
        Ok(Response::new(v1::GetDeliveryResponse { delivery: Some(delivery) }))
    }
}
