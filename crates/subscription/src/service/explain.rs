//! Explaining: what every rule of matching says of an event and a webhook as it is now.

use domain::{
    ConditionOutcome, EventSelector, EventType, Explained, FieldError, Filter, Happening, InstanceId, RuleOutcome,
    UnknownSelector,
};
use payload::{render_generic, sample};
use proto::{
    error::ApiError,
    v1::{self, Event, ExplainWebhookRequest, ExplainWebhookResponse, SampleEvent, event, explain_webhook_request},
};
use serde::Deserialize;
use serde_json::Value;

use super::{Service, not_found, rules::faults};
use crate::{failure, store::Reach};

/// A longer value is not shown: twenty conditions may find the whole payload each.
const SHOWN_BYTES: usize = 4 * 1024;

impl Service {
    pub(super) async fn explain(
        &self,
        reach: &Reach,
        request: &ExplainWebhookRequest,
    ) -> Result<ExplainWebhookResponse, ApiError> {
        let id = request.id;
        let webhook = self.store.webhook(reach, id).await.map_err(failure::of_store)?.ok_or_else(|| not_found(id))?;
        let subject = Subject::read(request, &reach.instance)?;
        let told = self.store.plan(&reach.instance).await.map_err(failure::of_store)?;
        let events = webhook.events.iter().map(|text| text.parse());
        let events = events.collect::<Result<Vec<EventSelector>, UnknownSelector>>();
        let events = events.map_err(|error| failure::of_webhook(id, &error))?;
        let unreadable = |mistakes: Vec<FieldError>| failure::of_webhook(id, &faults(mistakes));
        let explained = Explained {
            instance: &reach.instance,
            plan: &told.map(|told| told.plan).unwrap_or_default(),
            active: webhook.active,
            inactive_reason: &webhook.inactive_reason,
            events: &events,
            scope: &webhook.scope,
            filter: &Filter::parse(&webhook.filter).map_err(unreadable)?,
        };
        let explanation = explained.explain(&subject.happening());
        Ok(ExplainWebhookResponse {
            delivers: explanation.delivers(),
            rules: explanation.rules.map(|outcome| rule(outcome, subject.payload.is_some())).into(),
            event_id: subject.id,
            event_type: subject.event.name().to_owned(),
            project_id: subject.project,
        })
    }
}

/// The event that is asked about.
struct Subject {
    /// Empty: it has none.
    id: String,
    instance: InstanceId,
    event: EventType,
    project: i64,
    /// `None`: it cannot be read; see [`Happening`].
    payload: Option<Value>,
}

/// What the rules need of a payload, of whatever type it is. The rest is not looked at: it may be nested too deep.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Envelope {
    id: Value,
    event: Value,
    instance: Value,
    project: Value,
}

impl Subject {
    fn read(request: &ExplainWebhookRequest, own: &InstanceId) -> Result<Self, ApiError> {
        match &request.event {
            Some(explain_webhook_request::Event::PayloadJson(text)) => Self::of_payload(text, own).map_err(faults),
            Some(explain_webhook_request::Event::Sample(sample)) => Self::of_sample(sample, own),
            None => Err(faults(vec![FieldError::new("event", "is required; give payload_json or sample")])),
        }
    }

    fn of_payload(text: &str, own: &InstanceId) -> Result<Self, Vec<FieldError>> {
        let envelope = envelope(text).map_err(|mistake| vec![mistake])?;
        let mut mistakes = Vec::new();
        let event = event_type(&envelope.event).map_err(|text| mistakes.push(FieldError::new("payload.event", text)));
        let project = project(&envelope.project).map_err(|mistake| mistakes.push(mistake));
        let instance =
            instance(&envelope.instance, own).map_err(|text| mistakes.push(FieldError::new("payload.instance", text)));
        match (event, project, instance) {
            (Ok(event), Ok(project), Ok(instance)) => {
                let id = envelope.id.as_str().unwrap_or_default().to_owned();
                Ok(Self { id, instance, event, project, payload: serde_json::from_str(text).ok() })
            }
            _ => Err(mistakes),
        }
    }

    fn of_sample(wanted: &SampleEvent, own: &InstanceId) -> Result<Self, ApiError> {
        let mut mistakes = Vec::new();
        if wanted.project_id < 0 {
            mistakes.push(FieldError::new("sample.project_id", "must be a project id from 1"));
        }
        let kind = event_type(&Value::from(wanted.r#type.as_str()));
        let kind = kind.map_err(|text| mistakes.push(FieldError::new("sample.type", text)));
        let (Ok(event), true) = (kind, mistakes.is_empty()) else { return Err(faults(mistakes)) };
        let mut sample = sample(event);
        sample.instance = own.to_string();
        if wanted.project_id > 0 {
            place(&mut sample, |project| project.id = wanted.project_id);
        }
        let project = sample.project.as_ref().map_or(0, |project| project.id);
        let rendered = render_generic(&sample, false).map_err(|error| failure::of_sample(&error))?;
        let payload = serde_json::from_slice(&rendered).map_err(|error| failure::of_sample(&error))?;
        Ok(Self { id: sample.id, instance: own.clone(), event, project, payload: Some(payload) })
    }

    const fn happening(&self) -> Happening<'_> {
        let Self { instance, event, project, payload, .. } = self;
        Happening { instance, event: *event, project: *project, payload: payload.as_ref() }
    }
}

fn envelope(text: &str) -> Result<Envelope, FieldError> {
    let mistake = |why| FieldError::new("payload_json", format!("must be a generic payload, a JSON object: {why}"));
    // An array would do for a struct.
    if !text.trim_start().starts_with('{') {
        return Err(mistake("it starts with no brace".to_owned()));
    }
    serde_json::from_str(text).map_err(|error| mistake(error.to_string()))
}

fn event_type(value: &Value) -> Result<EventType, String> {
    let name = value.as_str().filter(|name| !name.is_empty());
    let name = name.ok_or("is required: an event type, such as `run.completed`")?;
    name.parse::<EventType>().map_err(|error| error.to_string())
}

fn project(value: &Value) -> Result<i64, FieldError> {
    let id = value.get("id").and_then(Value::as_i64).filter(|id| *id > 0);
    id.ok_or_else(|| FieldError::new("payload.project.id", "is required: the id of the event's project, from 1"))
}

/// Without a name, the caller's own.
fn instance(value: &Value, own: &InstanceId) -> Result<InstanceId, String> {
    match value {
        Value::Null => Ok(own.clone()),
        Value::String(name) => name.parse().map_err(|error: domain::InvalidInstance| error.to_string()),
        _ => Err(domain::InvalidInstance.to_string()),
    }
}

/// Changes the project of an event. Of a mention the entity with the comment says the project.
pub(super) fn place(sample: &mut Event, change: impl Fn(&mut v1::Project)) {
    let of_entity = match &mut sample.data {
        Some(event::Data::UserMentioned(mention)) => mention.entity.as_mut().and_then(|entity| entity.project.as_mut()),
        _ => None,
    };
    [sample.project.as_mut(), of_entity].into_iter().flatten().for_each(change);
}

fn rule(outcome: RuleOutcome, is_readable: bool) -> v1::RuleOutcome {
    let RuleOutcome { rule, passed, reason, conditions } = outcome;
    let conditions = conditions.into_iter().map(|outcome| condition(outcome, is_readable));
    v1::RuleOutcome { rule: rule.name().to_owned(), passed, reason, conditions: conditions.collect() }
}

fn condition(outcome: ConditionOutcome, is_readable: bool) -> v1::ConditionOutcome {
    let ConditionOutcome { condition, holds, found } = outcome;
    let missing = is_readable && found.is_none();
    let (found_json, reason) = match found.map(|value| value.to_string()) {
        Some(json) if json.len() <= SHOWN_BYTES => (Some(json), String::new()),
        Some(json) => (None, format!("what stands there has {} bytes, more than is shown", json.len())),
        None if missing => (None, "nothing stands there".to_owned()),
        None => (None, "the payload cannot be read".to_owned()),
    };
    v1::ConditionOutcome { condition, passed: holds, found_json, missing, reason }
}
