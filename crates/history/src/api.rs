//! The service `History`: what operators may read, and try again.

use std::sync::Arc;

use domain::{Clock, Identity, Role, WebhookKind};
use proto::{
    error::{ApiError, ErrorCode},
    v1::{
        self, BatchGetStatsRequest, BatchGetStatsResponse, CancelReplayRequest, CancelReplayResponse,
        ClearEntriesRequest, ClearEntriesResponse, CountReplayRequest, CountReplayResponse, ExportEntriesRequest,
        GetDeliveryRequest, GetDeliveryResponse, GetEventRequest, GetEventResponse, GetReplayRequest,
        GetReplayResponse, GetSettingsRequest, GetSettingsResponse, GetStatsRequest, GetStatsResponse,
        ListEntriesRequest, ListEntriesResponse, ListReplaysRequest, ListReplaysResponse, RetryDeliveryRequest,
        RetryDeliveryResponse, StartReplayRequest, StartReplayResponse, UpdateSettingsRequest, UpdateSettingsResponse,
        history_server::History,
    },
};
use runtime::Authenticator;
use tonic::{Request, Response, Status as GrpcStatus, metadata::MetadataMap};
use uuid::Uuid;

use crate::{
    cursor::Cursors,
    entries,
    exporting::{self, Exporting},
    model::{Delivery, EventKey, Retry},
    queueing::{LEASE, Queueing},
    recording::store_status,
    registry::Registry,
    requests::{no_retry, query},
    store::{Entry, ListQuery, Page, Position, Store, WholeDelivery},
};

const NO_SUCH_EVENT: &str = "there is no such event in history; it has the events whose type was selected by a webhook \
                             when they came";

/// The service; for callers with a token.
pub(crate) struct HistoryService {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) queueing: Queueing,
    pub(crate) exporting: Exporting,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What a caller may read.
pub(crate) struct Reader {
    pub(crate) identity: Identity,
    pub(crate) instance: String,
    /// Only entries of these; `None`: all.
    pub(crate) projects: Option<Vec<i64>>,
}

#[tonic::async_trait]
impl History for HistoryService {
    async fn list_entries(
        &self,
        request: Request<ListEntriesRequest>,
    ) -> Result<Response<ListEntriesResponse>, GrpcStatus> {
        let reader = self.reader(request.metadata()).await?;
        let request = request.into_inner();
        let (query, cursors) = self.query(&reader, &request).await?;
        let (found, next, prev) = self.page(query).await?;
        Ok(Response::new(ListEntriesResponse {
            entries: found.into_iter().map(|entry| self.shown(entry)).collect(),
            next_cursor: next.map(|position| cursors.older_than(position)).unwrap_or_default(),
            prev_cursor: prev.map(|position| cursors.newer_than(position)).unwrap_or_default(),
        }))
    }

    type ExportEntriesStream = exporting::Stream;

    async fn export_entries(
        &self,
        request: Request<ExportEntriesRequest>,
    ) -> Result<Response<exporting::Stream>, GrpcStatus> {
        let reader = self.reader(request.metadata()).await?;
        if reader.projects.is_some() {
            let message = "exporting history needs a token of role system_admin";
            return Err(ApiError::new(ErrorCode::Forbidden, message).into());
        }
        let ExportEntriesRequest { webhook_id, status, cursor, event_type, from, to, is_test } = request.into_inner();
        let list = ListEntriesRequest { webhook_id, status, per_page: 0, cursor, event_type, from, to, is_test };
        let (query, cursors) = self.query(&reader, &list).await?;
        let registry = Arc::clone(&self.registry);
        self.exporting.start(Arc::clone(&self.store), registry, query, cursors).await.map(Response::new)
    }

    async fn get_delivery(
        &self,
        request: Request<GetDeliveryRequest>,
    ) -> Result<Response<GetDeliveryResponse>, GrpcStatus> {
        let reader = self.reader(request.metadata()).await?;
        let refreshed = self.registry.refresh_soon().await;
        let found = self.find(&reader, &request.into_inner().delivery_id, refreshed).await?;
        let orphaned = self.registry.is_deleted_project(&found.delivery.instance, found.delivery.project_id);
        Ok(Response::new(GetDeliveryResponse { delivery: Some(entries::delivery(found, orphaned)) }))
    }

    async fn retry_delivery(
        &self,
        request: Request<RetryDeliveryRequest>,
    ) -> Result<Response<RetryDeliveryResponse>, GrpcStatus> {
        // Before anything is waited for: what ends from now on was not known to whoever asks.
        let called_at = self.clock.now();
        let reader = self.reader(request.metadata()).await?;
        let refreshed = self.registry.refresh_surely().await;
        let found = self.find(&reader, &request.into_inner().delivery_id, refreshed.clone()).await?;
        self.registry.check_plan(&reader.instance).await?;
        self.check_retry(&found.delivery, refreshed)?;
        let retry = Retry {
            instance: reader.instance,
            delivery_id: found.delivery.id,
            matched_at: found.delivery.matched_at,
            called_at: called_at.as_micros(),
            leased_until: self.clock.now().plus(LEASE).as_micros(),
        };
        let retried = self.store.retry(retry).await.map_err(store_status)?;
        let taken = retried.map_err(|why| ApiError::new(ErrorCode::Conflict, no_retry(why)))?;
        let (delivery_id, attempt) = (taken.delivery.id.to_string(), taken.number);
        self.queueing.queue_now(taken).await;
        Ok(Response::new(RetryDeliveryResponse { delivery_id, attempt }))
    }

    async fn get_stats(&self, request: Request<GetStatsRequest>) -> Result<Response<GetStatsResponse>, GrpcStatus> {
        let reader = self.reader(request.metadata()).await?;
        let GetStatsRequest { webhook_id, from, to, interval } = request.into_inner();
        let asked = BatchGetStatsRequest { webhook_ids: vec![webhook_id], from, to, interval };
        let stats = self.stats(&reader, &asked).await?.remove(&webhook_id);
        stats.map(Response::new).ok_or_else(|| ApiError::not_found("webhook", webhook_id).into())
    }

    async fn batch_get_stats(
        &self,
        request: Request<BatchGetStatsRequest>,
    ) -> Result<Response<BatchGetStatsResponse>, GrpcStatus> {
        let reader = self.reader(request.metadata()).await?;
        let stats = self.stats(&reader, request.get_ref()).await?;
        Ok(Response::new(BatchGetStatsResponse { stats }))
    }

    async fn get_event(&self, request: Request<GetEventRequest>) -> Result<Response<GetEventResponse>, GrpcStatus> {
        let reader = self.reader(request.metadata()).await?;
        // One answer for all that a caller may not read: ids cannot be probed.
        let missing = || ApiError::new(ErrorCode::NotFound, NO_SUCH_EVENT);
        let event_id: Uuid = request.into_inner().event_id.parse().map_err(|_| missing())?;
        let sight = self.sight(&reader.instance).await?;
        let key = EventKey { instance: reader.instance, event_id };
        let payload = self.store.body(&key, WebhookKind::Generic.name(), sight).await.map_err(store_status)?;
        let event = entries::event(event_id, payload.ok_or_else(missing)?).map_err(|error| {
            tracing::error!(%error, %event_id, "the generic payload of an event cannot be read");
            ApiError::new(ErrorCode::Internal, "the event cannot be read; the log of the history service says why")
        })?;
        if reader.projects.is_some_and(|projects| !projects.contains(&event.project_id)) {
            return Err(missing().into());
        }
        Ok(Response::new(event))
    }

    async fn count_replay(
        &self,
        request: Request<CountReplayRequest>,
    ) -> Result<Response<CountReplayResponse>, GrpcStatus> {
        let reader = self.reader(request.metadata()).await?;
        self.count(reader, request.into_inner()).await.map(Response::new)
    }

    async fn start_replay(
        &self,
        request: Request<StartReplayRequest>,
    ) -> Result<Response<StartReplayResponse>, GrpcStatus> {
        let reader = self.reader(request.metadata()).await?;
        self.start(reader, request.into_inner()).await.map(Response::new)
    }

    async fn list_replays(
        &self,
        request: Request<ListReplaysRequest>,
    ) -> Result<Response<ListReplaysResponse>, GrpcStatus> {
        let reader = self.reader(request.metadata()).await?;
        self.replays(reader, request.into_inner()).await.map(Response::new)
    }

    async fn get_replay(&self, request: Request<GetReplayRequest>) -> Result<Response<GetReplayResponse>, GrpcStatus> {
        let reader = self.reader(request.metadata()).await?;
        self.replay(reader, request.into_inner()).await.map(Response::new)
    }

    async fn cancel_replay(
        &self,
        request: Request<CancelReplayRequest>,
    ) -> Result<Response<CancelReplayResponse>, GrpcStatus> {
        let reader = self.reader(request.metadata()).await?;
        self.cancel(reader, request.into_inner()).await.map(Response::new)
    }

    async fn get_settings(
        &self,
        request: Request<GetSettingsRequest>,
    ) -> Result<Response<GetSettingsResponse>, GrpcStatus> {
        let reader = self.reader(request.metadata()).await?;
        let retention_days = self.retention(&reader).await?;
        Ok(Response::new(GetSettingsResponse { retention_days }))
    }

    async fn update_settings(
        &self,
        request: Request<UpdateSettingsRequest>,
    ) -> Result<Response<UpdateSettingsResponse>, GrpcStatus> {
        let reader = self.reader(request.metadata()).await?;
        let retention_days = self.set_retention(&reader, request.into_inner()).await?;
        Ok(Response::new(UpdateSettingsResponse { retention_days }))
    }

    async fn clear_entries(
        &self,
        request: Request<ClearEntriesRequest>,
    ) -> Result<Response<ClearEntriesResponse>, GrpcStatus> {
        let reader = self.reader(request.metadata()).await?;
        self.clear(&reader, request.get_ref()).await?;
        Ok(Response::new(ClearEntriesResponse {}))
    }
}

impl HistoryService {
    /// What is asked for, if it is there for the reader, and the cursors of that list.
    async fn query(&self, reader: &Reader, request: &ListEntriesRequest) -> Result<(ListQuery, Cursors), GrpcStatus> {
        let mut query = query(reader, request, self.sight(&reader.instance).await?)?;
        if request.webhook_id == 0 {
            // For the marks of orphans alone: what is known serves.
            drop(self.registry.refresh_soon().await);
        } else {
            let refreshed = self.registry.refresh_for(&[request.webhook_id]).await;
            self.must_see(reader, request.webhook_id, refreshed)?;
        }
        let cursors = Cursors::new(&self.store.cursor_key().await.map_err(store_status)?, &query);
        query.page = cursors.page(&request.cursor)?;
        Ok((query, cursors))
    }

    async fn reader(&self, metadata: &MetadataMap) -> Result<Reader, GrpcStatus> {
        let identity = runtime::caller(self.authenticator.as_ref(), metadata).await?;
        let projects = match &identity.role {
            Role::SystemAdmin => None,
            Role::ProjectAdmin(projects) => Some(projects.clone()),
            Role::Member | Role::Publisher => {
                let message = "reading history needs a token of role system_admin or project_admin";
                return Err(ApiError::new(ErrorCode::Forbidden, message).into());
            }
        };
        let instance = identity.instance.as_ref().map_or_else(String::new, ToString::to_string);
        Ok(Reader { identity, instance, projects })
    }

    /// A delivery that exists for the reader.
    async fn find(
        &self,
        reader: &Reader,
        id: &str,
        refreshed: Result<(), GrpcStatus>,
    ) -> Result<WholeDelivery, GrpcStatus> {
        let missing = || ApiError::new(ErrorCode::NotFound, "there is no such delivery");
        let id: Uuid = id.parse().map_err(|_| missing())?;
        let sight = self.sight(&reader.instance).await?;
        let found =
            self.store.delivery(&reader.instance, id, sight).await.map_err(store_status)?.ok_or_else(missing)?;
        let delivery = &found.delivery;
        if let Some(projects) = &reader.projects
            && !(projects.contains(&delivery.project_id) && self.sees(reader, delivery.webhook_id, refreshed)?)
        {
            return Err(missing().into());
        }
        Ok(found)
    }

    /// Whether a delivery could be sent now, by what was known when it was `refreshed`.
    fn check_retry(&self, delivery: &Delivery, refreshed: Result<(), GrpcStatus>) -> Result<(), GrpcStatus> {
        let id = delivery.webhook_id;
        if delivery.is_test {
            let message = format!("a test payload cannot be retried; send webhook {id} another one");
            return Err(ApiError::new(ErrorCode::Conflict, message).into());
        }
        self.check_sending(id, refreshed)
    }

    /// Whether a webhook's deliveries could be sent now, by what was known when it was `refreshed`.
    pub(crate) fn check_sending(&self, id: i64, refreshed: Result<(), GrpcStatus>) -> Result<(), GrpcStatus> {
        let refuse = |message: String| Err(ApiError::new(ErrorCode::Conflict, message).into());
        // What is known may be old.
        if let Err(error) = refreshed {
            tracing::warn!(%error, webhook_id = id, "cannot find out whether a webhook is active");
            let message = "whether the webhook is active cannot be found out now; try again";
            return Err(ApiError::new(ErrorCode::Unavailable, message).into());
        }
        match self.registry.known(id) {
            Some(webhook) if webhook.deleted => refuse(format!("webhook {id} is deleted")),
            Some(webhook) if !webhook.active => refuse(format!("webhook {id} is inactive; activate it first")),
            Some(_) => Ok(()),
            None => refuse(format!("there is no webhook {id} any more")),
        }
    }

    /// A page, and where the next and the previous one begin, if there are such.
    async fn page(&self, mut query: ListQuery) -> Result<(Vec<Entry>, Option<Position>, Option<Position>), GrpcStatus> {
        let (mut found, mut more) = self.store.list(&query).await.map_err(store_status)?;
        if matches!(query.page, Page::NewerThan(_)) && !more {
            // It reaches the newest entry: then it is the first page, and a full one.
            query.page = Page::Newest;
            (found, more) = self.store.list(&query).await.map_err(store_status)?;
        }
        let first = found.first().map(Entry::position);
        let last = found.last().map(Entry::position);
        Ok(match query.page {
            Page::Newest => (found, last.filter(|_| more), None),
            // Without entries: back to the entry that this page was to follow.
            Page::OlderThan(Position { time, delivery_id, number }) => {
                let before = Position { time, delivery_id, number: number.saturating_sub(1) };
                (found, last.filter(|_| more), first.or(Some(before)))
            }
            Page::NewerThan(_) => (found, last, first),
        })
    }

    fn shown(&self, entry: Entry) -> v1::Entry {
        let orphaned = self.registry.is_deleted_project(&entry.delivery.instance, entry.delivery.project_id);
        entries::entry(entry, orphaned)
    }

    /// That a webhook exists for the caller; see [`HistoryService::sees`].
    pub(crate) fn must_see(
        &self,
        reader: &Reader,
        webhook_id: i64,
        refreshed: Result<(), GrpcStatus>,
    ) -> Result<(), GrpcStatus> {
        let missing = || ApiError::not_found("webhook", webhook_id).into();
        if self.sees(reader, webhook_id, refreshed)? { Ok(()) } else { Err(missing()) }
    }

    /// Whether a webhook exists for the caller, by what was known when it was `refreshed`; if that failed, what was known
    /// before counts. System administrators see deleted ones as well: their history stays.
    pub(crate) fn sees(
        &self,
        reader: &Reader,
        webhook_id: i64,
        refreshed: Result<(), GrpcStatus>,
    ) -> Result<bool, GrpcStatus> {
        let Some(webhook) = self.registry.known(webhook_id) else {
            return refreshed.map(|()| false).map_err(|error| {
                tracing::warn!(%error, webhook_id, "cannot find out whether a webhook exists");
                let message = "whether the webhook exists cannot be found out now; try again";
                ApiError::new(ErrorCode::Unavailable, message).into()
            });
        };
        let within_reach = reader.projects.is_none() || !webhook.deleted && reader.identity.manages(&webhook.scope);
        Ok(webhook.instance == reader.instance && within_reach)
    }
}
