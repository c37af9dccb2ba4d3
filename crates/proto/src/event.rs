//! What is in an event message: its type, its JSON form in both directions.

use domain::EventType;
use serde_json::{Value, value::RawValue};

use crate::v1::{self, event::Data};

/// The members of a JSON object in their order, values as they were written. A name that comes twice is an error.
#[derive(Debug, Default)]
pub struct Members<'a>(pub Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Members<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<'a>(std::marker::PhantomData<&'a ()>);
        impl<'de: 'a, 'a> serde::de::Visitor<'de> for Visitor<'a> {
            type Value = Members<'a>;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Members<'a>, A::Error> {
                let mut members: Vec<(String, &'a RawValue)> = Vec::new();
                let mut known = std::collections::HashSet::new();
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    if !known.insert(name.clone()) {
                        return Err(serde::de::Error::custom(format!("`{name}` comes twice")));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Visitor(std::marker::PhantomData))
    }
}

/// Calls a macro with every event type, the variant of its data and the names of the data's own members.
macro_rules! for_each_data {
    ($do:ident) => {
        $do! {
            RunCreated ["run"], RunStarted ["run"], RunCompleted ["run", "result"], RunDeleted ["run"],
            CaseCreated ["case"], CaseUpdated ["case"], CaseAutomationLinksChanged ["case", "links"],
            CaseStateChanged ["case", "state"], CaseDeleted ["case"],
            AutomationRunCreated ["automation_run"], AutomationRunCompleted ["automation_run", "result"],
            AutomationRunDeleted ["automation_run"], JobQueued ["job"], JobCompleted ["job", "result"],
            MilestoneCreated ["milestone"], MilestoneUpdated ["milestone"], MilestoneDueDateChanged ["milestone"],
            MilestoneCompleted ["milestone"], SessionCreated ["session"], SessionClosed ["session"],
            ResultChanged ["result", "run", "case"], ResultIssueLinked ["result", "run", "case", "issue"],
            UserMentioned ["mentioned_user", "comment", "entity"]
        }
    };
}

macro_rules! data_functions {
    ($($variant:ident [$($member:literal),+]),+) => {
        impl Data {
            /// The type of event that this is the data of.
            #[must_use]
            pub const fn event_type(&self) -> EventType {
                match self { $(Self::$variant(_) => EventType::$variant,)+ }
            }

            /// The JSON object `data`, without `extra_json`.
            ///
            /// # Errors
            /// A time or enum value that has no JSON form.
            pub fn to_json(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
                match self { $(Self::$variant(data) => serde_json::to_writer(out, data),)+ }
            }
        }

        /// The names of the members that the schema gives to the data of this type of event; others are extra.
        #[must_use]
        pub const fn data_members(kind: EventType) -> &'static [&'static str] {
            match kind { $(EventType::$variant => &[$($member),+],)+ }
        }

        fn data_from_json(kind: EventType, text: &str) -> Result<Data, serde_json::Error> {
            Ok(match kind { $(EventType::$variant => Data::$variant(serde_json::from_str(text)?),)+ })
        }
    };
}

for_each_data!(data_functions);

/// A mistake in an event's JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", if .field.is_empty() { String::new() } else { format!("{field}: ") })]
pub struct EventJsonError {
    /// The field at fault, as a path; empty: the whole text.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

fn fault(field: &str, message: impl std::fmt::Display) -> EventJsonError {
    EventJsonError { field: field.to_owned(), message: message.to_string() }
}

/// The members that the envelope has.
const ENVELOPE: [&str; 9] = ["id", "event", "created_at", "is_test", "instance", "project", "user", "data", "changes"];

/// Reads an event from the shape of the generic payload.
///
/// # Errors
/// Text that is not JSON, a member that the envelope or an entity does not have, or a value of the wrong type.
pub fn from_json(text: &str) -> Result<v1::Event, EventJsonError> {
    let envelope: Members<'_> = serde_json::from_str(text).map_err(|error| fault("", plain(&error)))?;
    let mut event = v1::Event::default();
    let (mut kind, mut data) = (None, None);
    for (name, value) in envelope.0 {
        let optional = value.get() == "null";
        match name.as_str() {
            "event" => kind = Some(typed::<String>("event", value)?),
            "data" => data = Some(members("data", value)?),
            _ if optional && ENVELOPE.contains(&name.as_str()) => {}
            "id" => event.id = typed("id", value)?,
            "instance" => event.instance = typed("instance", value)?,
            "created_at" => event.created_at = Some(time("created_at", &typed::<String>("created_at", value)?)?),
            "is_test" if !typed::<bool>("is_test", value)? => {}
            "is_test" => return Err(fault("is_test", "only the service itself makes test events; leave it out")),
            "project" => event.project = Some(entity("project", value)?),
            "user" => event.user = Some(entity("user", value)?),
            "changes" => event.changes = read_changes(members("changes", value)?)?,
            _ => return Err(fault(&name, format!("is not known; the members are {}", ENVELOPE.join(", ")))),
        }
    }
    let name = kind.ok_or_else(|| fault("event", "is required"))?;
    let kind: EventType = name.parse().map_err(|error| fault("event", error))?;
    let (data, extra_json) = read_data(kind, data.ok_or_else(|| fault("data", "is required"))?)?;
    event.data = Some(data);
    event.extra_json = extra_json;
    Ok(event)
}

/// What is wrong, without the place in a text that the caller did not write as it was parsed.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

fn typed<'a, T: serde::Deserialize<'a>>(path: &str, value: &'a RawValue) -> Result<T, EventJsonError> {
    serde_json::from_str(value.get()).map_err(|error| fault(path, plain(&error)))
}

fn members<'a>(path: &str, value: &'a RawValue) -> Result<Members<'a>, EventJsonError> {
    typed(path, value)
}

fn time(path: &str, text: &str) -> Result<prost_types::Timestamp, EventJsonError> {
    crate::json::timestamp::parse(text)
        .ok_or_else(|| fault(path, format!("`{text}` is not a time in RFC 3339, such as 2026-11-23T08:15:00Z")))
}

/// An entity, which must be written as an object wherever the schema has one: serde would take an array as well.
fn entity<'a, T>(path: &str, value: &'a RawValue) -> Result<T, EventJsonError>
where
    T: serde::Deserialize<'a> + serde::Serialize,
{
    let entity: T = typed(path, value)?;
    let shape = serde_json::to_value(&entity).map_err(|error| fault(path, plain(&error)))?;
    same_shape(path, &shape, &typed(path, value)?)?;
    Ok(entity)
}

/// Whether `given` has an object wherever `shape` has one.
fn same_shape(path: &str, shape: &Value, given: &Value) -> Result<(), EventJsonError> {
    match (shape, given) {
        (Value::Object(shape), Value::Object(given)) => shape.iter().try_for_each(|(name, shape)| {
            given.get(name).map_or(Ok(()), |given| same_shape(&format!("{path}.{name}"), shape, given))
        }),
        (Value::Object(_), _) => Err(fault(path, "must be a JSON object")),
        (Value::Array(shape), Value::Array(given)) => {
            let pairs = shape.iter().zip(given).enumerate();
            pairs
                .into_iter()
                .try_for_each(|(index, (shape, given))| same_shape(&format!("{path}[{index}]"), shape, given))
        }
        _ => Ok(()),
    }
}

fn read_data(kind: EventType, given: Members<'_>) -> Result<(Data, String), EventJsonError> {
    let (known, extra): (Vec<_>, Vec<_>) =
        given.0.into_iter().partition(|(name, _)| data_members(kind).contains(&name.as_str()));
    // Each member by itself, so that a mistake names it.
    for member in &known {
        let alone = data_from_json(kind, &object(std::slice::from_ref(member)));
        alone.map_err(|error| fault(&format!("data.{}", member.0), plain(&error)))?;
    }
    let given = object(&known);
    let data = data_from_json(kind, &given).map_err(|error| fault("data", plain(&error)))?;
    let mut written = Vec::new();
    // An enum value that is missing has no JSON form; whether it is required is not for here to say.
    if data.to_json(&mut written).is_ok()
        && let (Ok(shape), Ok(given)) = (serde_json::from_slice(&written), serde_json::from_str(&given))
    {
        same_shape("data", &shape, &given)?;
    }
    Ok((data, if extra.is_empty() { String::new() } else { object(&extra) }))
}

fn object(members: &[(String, &RawValue)]) -> String {
    let mut text = String::from("{");
    for (index, (name, value)) in members.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&serde_json::Value::from(name.as_str()).to_string());
        text.push(':');
        text.push_str(value.get());
    }
    text.push('}');
    text
}

fn read_changes(given: Members<'_>) -> Result<Vec<v1::Change>, EventJsonError> {
    let change = |(field, value): (String, &RawValue)| {
        let path = format!("changes.{field}");
        let (mut from_json, mut to_json) = (String::new(), String::new());
        for (name, value) in members(&path, value)?.0 {
            match name.as_str() {
                // The schema's way to say it.
                "from" | "to" if value.get() == "null" => {}
                "from" => value.get().clone_into(&mut from_json),
                "to" => value.get().clone_into(&mut to_json),
                _ => return Err(fault(&path, format!("`{name}` is not known; a change has `from` and `to`"))),
            }
        }
        Ok(v1::Change { field, from_json, to_json })
    };
    given.0.into_iter().map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPLETED: &str = r#"{"event":"run.completed","created_at":"2026-11-23T08:15:00.5Z","project":{"id":1,"name":"Shop"},
        "data":{"run":{"id":7,"name":"Smoke","success_count":3,"closed_at":"2026-11-23T09:15:00+01:00"},"result":"failed","cf":1.10},
        "changes":{"due_date":{"from":"2026-01-01","to":null}}}"#;

    #[test]
    fn an_envelope_becomes_an_event() {
        let event = from_json(COMPLETED).unwrap();
        assert_eq!(event.extra_json, r#"{"cf":1.10}"#);
        assert_eq!(event.changes[0].from_json, "\"2026-01-01\"");
        let Some(Data::RunCompleted(data)) = event.data else { panic!("{event:?}") };
        assert_eq!(data.result, v1::RunResult::Failed as i32);
        let run = data.run.unwrap();
        assert_eq!((run.id, run.success_count), (7, Some(3)));
        assert_eq!(run.closed_at.unwrap().seconds, event.created_at.unwrap().seconds);
    }

    #[test]
    fn mistakes_name_their_field() {
        for (text, field) in [
            (r"{", ""),
            (r#"{"event":"run.exploded"}"#, "event"),
            ("[]", ""),
            (r#"{"event":"run.created","colour":1}"#, "colour"),
            (r#"{"event":"run.created","project":{"id":1,"colour":1},"data":{}}"#, "project"),
            (r#"{"event":"run.created","project":[1,"Shop"],"data":{}}"#, "project"),
            (r#"{"event":"run.created","data":{"run":[7,"Smoke"]}}"#, "data.run"),
            (r#"{"event":"run.created","changes":{"a":[1,2]},"data":{}}"#, "changes.a"),
            (
                r#"{"event":"automation_run.created","data":{"automation_run":{"id":1,"source":[3]}}}"#,
                "data.automation_run.source",
            ),
            (r#"{"event":"run.created"}"#, "data"),
            (r#"{"event":"run.created","data":{"run":{"id":1,"nmae":"x"}}}"#, "data.run"),
            (r#"{"event":"run.completed","data":{"run":{"id":1},"result":"exploded"}}"#, "data.result"),
            (r#"{"event":"run.created","data":{"run":{"id":1}},"changes":{"a":{"from":1,"too":2}}}"#, "changes.a"),
            (r#"{"event":"run.created","data":{"x":1,"x":2}}"#, "data"),
            (r#"{"event":"run.completed","data":{"run":[7,"Smoke"],"result":"passed"}}"#, "data.run"),
        ] {
            assert_eq!(from_json(text).unwrap_err().field, field, "{text}");
        }
    }

    #[test]
    fn every_member_of_the_schema_is_known() {
        for kind in EventType::ALL {
            for name in data_members(*kind) {
                let text = format!(r#"{{"{name}":null}}"#);
                let wrong = data_from_json(*kind, &text).err().map(|error| error.to_string()).unwrap_or_default();
                assert!(!wrong.contains("unknown field"), "{kind}.{name}: {wrong}");
            }
        }
    }
}
