//! From what a publisher sent to what is queued: complete and valid, or a named mistake.

use bytes::Bytes;
use domain::{Clock, IdSource, Identity, Role, TraceContext};
use prost::Message as _;
use proto::{
    convert,
    error::{ApiError, ErrorCode},
    internal::v1::AcceptedEvent,
    v1::{self, event::Data},
};
use runtime::Span;
use uuid::Uuid;

use crate::{
    MAX_EVENT_BYTES,
    entities::{self, Fault, fault},
};

/// An event that may be queued.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// Its id, the caller's or a new one.
    pub(crate) id: Uuid,
    /// The instance that it belongs to.
    pub(crate) instance: String,
    /// The publish, fresh for each call.
    pub(crate) publish_id: Uuid,
    /// What follows goes on from here.
    pub(crate) trace: TraceContext,
    /// The encoded message.
    pub(crate) body: Bytes,
}

/// Completes and checks an event, which `span` is the publish of.
///
/// # Errors
/// FORBIDDEN for a caller who may not publish (there), otherwise the first mistake, with its field.
pub(crate) fn accept(
    event: Option<v1::Event>,
    caller: &Identity,
    span: &mut Span,
    clock: &dyn Clock,
    ids: &dyn IdSource,
) -> Result<Accepted, ApiError> {
    may_publish(caller)?;
    let mut event = event.ok_or_else(|| invalid(fault("event", "is required")))?;
    let length = event.encoded_len();
    if length > MAX_EVENT_BYTES {
        let text = format!("the event has {length} bytes; at most {MAX_EVENT_BYTES} are possible");
        return Err(ApiError::new(ErrorCode::TooLarge, text));
    }
    let claim = !event.id.is_empty();
    let id = if claim { parse_id(&event.id)? } else { ids.uuid() };
    event.id = id.to_string();
    let instance = instance(caller, &event.instance)?;
    event.instance.clone_from(&instance);
    let now = clock.now();
    entities::time("created_at", event.created_at.as_ref()).map_err(invalid)?;
    event.created_at.get_or_insert_with(|| convert::timestamp(now));
    check(&mut event).map_err(invalid)?;
    let publish_id = ids.uuid();
    describe(span, &event);
    let trace = span.context();
    let accepted = AcceptedEvent {
        publish_id: convert::uuid_bytes(publish_id),
        claim,
        accepted_at: now.as_micros(),
        event: Some(event),
        trace: convert::trace_bytes(&trace),
    };
    Ok(Accepted { id, instance, publish_id, trace, body: accepted.encode_to_vec().into() })
}

fn describe(span: &mut Span, event: &v1::Event) {
    span.set("testmo.event.id", || event.id.clone());
    span.set("testmo.event.type", || event.data.as_ref().map_or("", |data| data.event_type().name()));
    span.set("testmo.instance", || event.instance.clone());
}

/// Whether a caller may publish at all.
///
/// # Errors
/// FORBIDDEN.
pub(crate) fn may_publish(caller: &Identity) -> Result<(), ApiError> {
    if caller.role == Role::Publisher {
        return Ok(());
    }
    let text = format!("role {} may not publish events; use a token of role publisher", caller.role.name());
    Err(ApiError::new(ErrorCode::Forbidden, text))
}

fn invalid((field, message): Fault) -> ApiError {
    ApiError::fields(vec![(field, message)])
}

fn parse_id(text: &str) -> Result<Uuid, ApiError> {
    let id = Uuid::try_parse(text).ok().filter(|id| !id.is_nil());
    id.ok_or_else(|| invalid(fault("id", "must be a UUID, or empty to get one")))
}

fn instance(caller: &Identity, named: &str) -> Result<String, ApiError> {
    if !named.is_empty()
        && let Err(error) = named.parse::<domain::InstanceId>()
    {
        return Err(invalid(fault("instance", error.to_string())));
    }
    if let Some(instance) = caller.instance_for(named) {
        return Ok(instance.as_str().to_owned());
    }
    if named.is_empty() {
        return Err(invalid(fault("instance", "is required: this token is for all instances")));
    }
    Err(ApiError::new(ErrorCode::Forbidden, "instance: this token is for another instance"))
}

fn check(event: &mut v1::Event) -> Result<(), Fault> {
    let data = event.data.as_ref().ok_or_else(|| fault("data", "is required: set the message of what happened"))?;
    if let Data::UserMentioned(mention) = data {
        let entity = mention.entity.as_ref().ok_or_else(|| fault("user_mentioned.entity", "is required"))?;
        let owner = entity.project.as_ref();
        let owner = owner.ok_or_else(|| fault("user_mentioned.entity.project", "is required"))?;
        if event.project.as_ref().is_some_and(|project| project.id != owner.id) {
            return Err(fault("project.id", format!("differs from the entity's project {}", owner.id)));
        }
        event.project = Some(owner.clone());
    }
    let project = event.project.as_ref().ok_or_else(|| fault("project", "is required"))?;
    entities::positive("project.id", project.id)?;
    entities::address("project.url", &project.url)?;
    if let Some(user) = &event.user {
        entities::positive("user.id", user.id)?;
    }
    check_changes(&event.changes)?;
    entities::check_extra(data, &event.extra_json)?;
    let kind = data.event_type();
    entities::check(data, project.id)
        .map_err(|(path, text)| (format!("{}.{path}", kind.name().replace('.', "_")), text))
}

fn check_changes(changes: &[v1::Change]) -> Result<(), Fault> {
    let mut known = std::collections::HashSet::new();
    for (index, change) in changes.iter().enumerate() {
        let path = |name: &str| format!("changes[{index}].{name}");
        if change.field.is_empty() {
            return Err(fault(path("field"), "is required"));
        }
        if !known.insert(change.field.as_str()) {
            return Err(fault(path("field"), format!("`{}` comes twice", change.field)));
        }
        for (name, text) in [("from_json", &change.from_json), ("to_json", &change.to_json)] {
            if !text.is_empty()
                && let Err(error) = serde_json::from_str::<serde_json::Value>(text)
            {
                let hint = "must be JSON, such as \"text\" in quotes, 3 or null";
                return Err(fault(path(name), format!("{hint}: {error}")));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use domain::{EventType, ManualClock, SystemIds, Timestamp};
    use runtime::SpanKind;

    use super::*;

    fn caller(instance: Option<&str>) -> Identity {
        let instance = instance.map(|name| name.parse().unwrap());
        Identity { role: Role::Publisher, instance, name: "core".into() }
    }

    fn try_accept(event: v1::Event, caller: &Identity) -> Result<AcceptedEvent, ApiError> {
        let clock = ManualClock::new(Timestamp::from_micros(1_000_000));
        let mut span = Span::begin("ingest", "publish", SpanKind::Server, None);
        let accepted = accept(Some(event), caller, &mut span, &clock, &SystemIds)?;
        Ok(AcceptedEvent::decode(accepted.body).unwrap())
    }

    #[test]
    fn every_sample_is_accepted() {
        for kind in EventType::ALL {
            let mut event = payload::sample(*kind);
            event.instance.clear();
            let accepted = try_accept(event, &caller(Some("acme"))).unwrap();
            assert_eq!(accepted.event.unwrap().instance, "acme", "{kind}");
            assert!(accepted.claim);
        }
    }

    #[test]
    fn what_is_left_out_is_filled_in() {
        let mut event = payload::sample(EventType::UserMentioned);
        event.id.clear();
        event.created_at = None;
        event.project = None;
        event.instance = "other".into();
        let accepted = try_accept(event, &caller(None)).unwrap();
        assert!(!accepted.claim);
        let event = accepted.event.unwrap();
        assert_eq!(event.created_at.unwrap().seconds, 1);
        assert!(event.project.unwrap().id > 0);
        assert!(Uuid::try_parse(&event.id).is_ok());
    }

    #[test]
    fn mistakes_name_their_field() {
        type Change = fn(&mut v1::Event);
        type AnyChange = Box<dyn Fn(&mut v1::Event)>;
        let run = |change: fn(&mut v1::Run)| {
            move |event: &mut v1::Event| match &mut event.data {
                Some(Data::RunCompleted(data)) => change(data.run.as_mut().unwrap()),
                _ => unreachable!(),
            }
        };
        let result = |value: i32| {
            move |event: &mut v1::Event| match &mut event.data {
                Some(Data::RunCompleted(data)) => data.result = value,
                _ => unreachable!(),
            }
        };
        let plain: [(Change, &str); 13] = [
            (|event| event.extra_json = r#"{"a":"\ud800"}"#.into(), "extra_json"),
            (|event| event.id = "7".into(), "id"),
            (|event| event.project = None, "project"),
            (|event| event.project.as_mut().unwrap().id = 0, "project.id"),
            (|event| event.data = None, "data"),
            (|event| event.instance = "No Such".into(), "instance"),
            (|event| event.user = Some(v1::User::default()), "user.id"),
            (|event| event.extra_json = "[]".into(), "extra_json"),
            (|event| event.extra_json = r#"{"run":1}"#.into(), "extra_json"),
            (|event| event.extra_json = r#"{"a":1,"a":2}"#.into(), "extra_json"),
            (|event| event.created_at = Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }), "created_at"),
            (|event| event.changes = vec![v1::Change::default()], "changes[0].field"),
            (
                |event| {
                    event.changes = vec![v1::Change { field: "a".into(), from_json: "{".into(), ..Default::default() }]
                },
                "changes[0].from_json",
            ),
        ];
        let mut cases: Vec<(AnyChange, &str)> = Vec::new();
        cases.extend(plain.into_iter().map(|(change, field)| (Box::new(change) as AnyChange, field)));
        cases.push((Box::new(run(|run| run.id = -1)), "run_completed.run.id"));
        cases.push((Box::new(run(|run| run.name = " ".into())), "run_completed.run.name"));
        cases.push((Box::new(run(|run| run.url = "javascript:1".into())), "run_completed.run.url"));
        cases.push((Box::new(run(|run| run.project_id = Some(999))), "run_completed.run.project_id"));
        cases.push((Box::new(run(|run| run.url = "https://x.example/\r\nfoo".into())), "run_completed.run.url"));
        cases.push((Box::new(run(|run| run.milestone_id = Some(-3))), "run_completed.run.milestone_id"));
        cases.push((Box::new(run(|run| run.status7_count = Some(-1))), "run_completed.run.status7_count"));
        cases.push((Box::new(result(99)), "run_completed.result"));
        cases.push((Box::new(result(0)), "run_completed.result"));
        for (change, field) in cases {
            let mut event = payload::sample(EventType::RunCompleted);
            event.instance = "acme".into();
            change(&mut event);
            let error = try_accept(event, &caller(Some("acme"))).unwrap_err();
            assert_eq!(error.fields.first().map(|(field, _)| field.as_str()), Some(field), "{error:?}");
        }
    }

    #[test]
    fn others_may_not_publish_and_not_elsewhere() {
        let event = || v1::Event { instance: "acme".into(), ..payload::sample(EventType::RunCreated) };
        let admin = Identity { role: Role::SystemAdmin, ..caller(Some("acme")) };
        assert_eq!(try_accept(event(), &admin).unwrap_err().code, ErrorCode::Forbidden);
        assert_eq!(try_accept(event(), &caller(Some("globex"))).unwrap_err().code, ErrorCode::Forbidden);
        let unnamed = v1::Event { instance: String::new(), ..event() };
        assert_eq!(try_accept(unnamed, &caller(None)).unwrap_err().fields[0].0, "instance");
        let huge = v1::Event { extra_json: format!("{{\"x\":\"{}\"}}", "y".repeat(MAX_EVENT_BYTES)), ..event() };
        assert_eq!(try_accept(huge, &caller(Some("acme"))).unwrap_err().code, ErrorCode::TooLarge);
    }
}
