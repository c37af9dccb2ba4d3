//! Sending a test payload: the sample of the first event type that a webhook selects, once and at once.

use std::time::Duration;

use domain::{EventSelector, EventType, InstanceId, Scope, WebhookKind};
use payload::{render, sample};
use proto::{
    convert::{timestamp, trace_bytes, uuid_bytes},
    error::{ApiError, ErrorCode},
    internal::v1::{DeliveryRef, QueueTestRequest, recording_client::RecordingClient},
    v1::{Event, Project, TestWebhookResponse},
};
use runtime::{Span, SpanKind};

use super::{Service, explain::place, unit::Unit};
use crate::{
    failure,
    store::{Reach, Webhook},
};

/// Longer than history takes while its broker does not answer.
const PATIENCE: Duration = Duration::from_secs(15);

impl Service {
    pub(super) async fn test(&self, reach: &Reach, id: i64) -> Result<TestWebhookResponse, ApiError> {
        let mut span = Span::begin("subscription", "test", SpanKind::Server, None);
        let mut unit = self.begin(&reach.instance).await?;
        let sealed = unit.webhook(reach, id, None).await?;
        unit.check_plan()?;
        // Nothing is sent unsigned.
        self.unseal(&reach.instance, &sealed)?;
        let project = unit.first_project(&sealed.webhook.scope).await?;
        drop(unit);

        let (kind, event_type) = read(&sealed.webhook)?;
        let event_id = self.ids.uuid();
        let now = self.clock.now();
        let event = Event {
            id: event_id.to_string(),
            created_at: Some(timestamp(now)),
            ..sample_for(event_type, &reach.instance, project)
        };
        let body = render(&event, kind, true).map_err(|error| failure::of_sample(&error))?;
        let delivery_id = domain::delivery_id(event_id, id);
        let project_id = event.project.map_or(0, |project| project.id);
        let delivery = DeliveryRef {
            delivery_id: uuid_bytes(delivery_id),
            instance: reach.instance.to_string(),
            webhook_id: id,
            event_id: uuid_bytes(event_id),
            event_type: event_type.name().to_owned(),
            project_id,
            matched_at: now.as_micros(),
            format: kind.name().to_owned(),
            is_test: true,
            trace: trace_bytes(&span.context()),
        };
        self.queue(QueueTestRequest { delivery: Some(delivery), body: body.into() }).await?;
        span.set("testmo.event.id", || event.id.clone());
        span.set("testmo.webhook.id", || id);
        span.set("testmo.delivery.id", || delivery_id.to_string());
        span.set("testmo.instance", || reach.instance.to_string());
        span.end();
        Ok(TestWebhookResponse {
            delivery_id: delivery_id.to_string(),
            event_id: event.id,
            event_type: event_type.name().to_owned(),
            project_id,
        })
    }

    async fn queue(&self, request: QueueTestRequest) -> Result<(), ApiError> {
        let mut history = RecordingClient::new(self.history.clone());
        let reason = match tokio::time::timeout(PATIENCE, history.queue_test(request)).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(status)) => status.to_string(),
            Err(_) => format!("no answer within {} s", PATIENCE.as_secs()),
        };
        tracing::warn!(reason, "a test payload cannot be sent: history does not take it");
        Err(ApiError::new(
            ErrorCode::Unavailable,
            "the test payload cannot be sent: history does not take it; try again",
        ))
    }
}

impl Unit {
    /// The first project of a scope, so that its administrators see the test in history; `None`: the scope names none.
    async fn first_project(&mut self, scope: &Scope) -> Result<Option<Project>, ApiError> {
        let Scope::Projects(ids) = scope else { return Ok(None) };
        let Some(id) = ids.first().copied() else { return Ok(None) };
        let told = self.change.project(id).await.map_err(failure::of_store)?;
        let told = told.filter(|told| !told.name.is_empty());
        let (name, url) = told.map_or_else(|| (format!("Project {id}"), String::new()), |told| (told.name, told.url));
        Ok(Some(Project { id, name, url }))
    }
}

/// The sample of an event type as if it came from this instance and project; `None`: the project that samples have.
fn sample_for(event_type: EventType, instance: &InstanceId, project: Option<Project>) -> Event {
    let mut event = sample(event_type);
    event.instance = instance.to_string();
    if let Some(project) = project {
        place(&mut event, |known| known.clone_from(&project));
    }
    event
}

/// Its type, and the first event type that it selects.
fn read(webhook: &Webhook) -> Result<(WebhookKind, EventType), ApiError> {
    let id = webhook.id;
    let kind = webhook.kind.parse::<WebhookKind>().map_err(|error| failure::of_webhook(id, &error))?;
    let first = webhook.events.first().map(|text| text.parse::<EventSelector>());
    let first = first.transpose().map_err(|error| failure::of_webhook(id, &error))?;
    let event_type = first.and_then(|first| EventSelector::expand(&[first]).first().copied());
    event_type.map(|event_type| (kind, event_type)).ok_or_else(|| failure::of_webhook(id, &"it selects no event"))
}
