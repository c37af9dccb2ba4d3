//! Snapshots of all samples, and properties of any event.

use std::collections::HashSet;

use domain::EventType;
use proptest::prelude::*;
use proto::{
    event::{Members, from_json},
    v1::{Change, Event, MentionEntity, Project, RunCreated, User, UserMentioned, event::Data},
};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::{RenderError, render_generic, sample};

fn text(event: &Event) -> String {
    String::from_utf8(render_generic(event, false).unwrap()).unwrap()
}

/// One member a line, order and values as they are; through `Value` they would be sorted.
fn spread(json: &str) -> String {
    let (mut out, mut depth, mut quoted, mut escaped) = (String::new(), 0_usize, false, false);
    let line = |depth: usize| format!("\n{}", "  ".repeat(depth));
    let mut characters = json.chars().peekable();
    while let Some(character) = characters.next() {
        let structural = !quoted;
        if quoted {
            quoted = escaped || character != '"';
            escaped = !escaped && character == '\\';
        } else {
            quoted = character == '"';
        }
        match character {
            '{' | '[' if structural && characters.next_if(|next| matches!(next, '}' | ']')).is_some() => {
                out.push_str(if character == '{' { "{}" } else { "[]" });
            }
            '{' | '[' if structural => {
                depth += 1;
                out.push(character);
                out.push_str(&line(depth));
            }
            '}' | ']' if structural => {
                depth -= 1;
                out.push_str(&line(depth));
                out.push(character);
            }
            ',' if structural => out.push_str(&format!(",{}", line(depth))),
            ':' if structural => out.push_str(": "),
            _ => out.push(character),
        }
    }
    out
}

#[test]
fn payloads_of_the_samples() {
    for kind in EventType::ALL {
        insta::assert_snapshot!(kind.name(), spread(&text(&sample(*kind))));
    }
}

#[test]
fn samples_are_read_back_as_they_were() {
    for kind in EventType::ALL {
        let event = sample(*kind);
        assert_eq!(event.data.as_ref().unwrap().event_type(), *kind);
        assert_eq!(from_json(&text(&event)).unwrap(), event, "{kind}");
    }
    let ids: HashSet<_> = EventType::ALL.iter().map(|kind| sample(*kind).id).collect();
    assert_eq!(ids.len(), 23);
}

#[test]
fn counts_of_the_samples_add_up() {
    for kind in EventType::ALL {
        let payload: Value = serde_json::from_str(&text(&sample(*kind))).unwrap();
        for entity in payload["data"].as_object().unwrap().values() {
            let count = |name: &str| entity[name].as_i64().unwrap_or_default();
            let statuses: i64 = (1..=24).map(|id| count(&format!("status{id}_count"))).sum();
            assert_eq!(count("total_count"), count("untested_count") + count("completed_count"), "{kind}");
            assert_eq!(count("completed_count"), statuses, "{kind}");
            assert!(count("success_count") + count("failure_count") <= statuses, "{kind}");
        }
        for (field, change) in payload["changes"].as_object().unwrap() {
            let mut entities = payload["data"].as_object().unwrap().values();
            let known = entities.find_map(|entity| entity.get(field));
            assert!(known.is_none_or(|value| *value == change["to"]), "{kind}: {field}");
        }
    }
}

#[test]
fn a_test_payload_says_so() {
    let body = render_generic(&sample(EventType::RunCreated), true).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["is_test"], true);
}

#[test]
fn what_is_absent_is_null_or_empty() {
    let event = Event { user: None, instance: String::new(), ..sample(EventType::RunStarted) };
    let payload: Value = serde_json::from_str(&text(&event)).unwrap();
    assert_eq!((&payload["user"], &payload["instance"]), (&Value::Null, &Value::from("default")));
    assert_eq!(payload["changes"], Value::Object(Map::new()));
}

#[test]
fn values_are_embedded_as_written() {
    let mut event = sample(EventType::MilestoneDueDateChanged);
    event.changes[0].to_json = String::new();
    event.changes[0].from_json = " 1.10 ".to_owned();
    event.extra_json = "\n{ \"cf\" : [1.10 , 1e400,12345678901234567890123] }\t".to_owned();
    let body = text(&event);
    assert!(body.contains(r#"},"cf" : [1.10 , 1e400,12345678901234567890123]},"changes""#), "{body}");
    assert!(body.ends_with(r#""changes":{"due_date":{"from": 1.10 ,"to":null}}}"#), "{body}");
}

#[test]
fn extra_members_may_stand_alone() {
    let data = Data::RunCreated(RunCreated { run: None });
    for (extra, expected) in [(r#"{"a":1}"#, r#""data":{"a":1},"#), ("{ }", r#""data":{},"#), ("", r#""data":{},"#)] {
        let event = Event { data: Some(data.clone()), extra_json: extra.to_owned(), ..sample(EventType::RunCreated) };
        assert!(text(&event).contains(expected), "{extra}");
    }
}

#[test]
fn the_project_of_a_mention_is_the_entitys() {
    let shop = Project { id: 77, name: "Shop".to_owned(), url: String::new() };
    let entity = MentionEntity { id: 1, project: Some(shop), ..MentionEntity::default() };
    let data = Data::UserMentioned(UserMentioned { entity: Some(entity), ..UserMentioned::default() });
    let mut event = Event { project: None, data: Some(data), ..sample(EventType::UserMentioned) };
    assert!(text(&event).contains(r#""project":{"id":77,"name":"Shop"}"#));
    event.data = Some(Data::UserMentioned(UserMentioned::default()));
    assert!(matches!(render_generic(&event, false), Err(RenderError::Missing("data.entity.project"))));
}

#[test]
fn what_would_break_the_body_is_refused() {
    let good = || sample(EventType::RunCompleted);
    let change = |field: &str, to: &str| Change { field: field.into(), to_json: to.into(), ..Change::default() };
    let cases: [(&str, Event); 14] = [
        ("no `id`", Event { id: String::new(), ..good() }),
        ("no `created_at`", Event { created_at: None, ..good() }),
        ("no `project`", Event { project: None, ..good() }),
        ("no `data`", Event { data: None, ..good() }),
        ("years", Event { created_at: Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }), ..good() }),
        ("`data` has no JSON form", Event { data: Some(Data::RunCompleted(Default::default())), ..good() }),
        ("not a JSON object", Event { extra_json: "[]".into(), ..good() }),
        ("not a JSON object", Event { extra_json: r#"{"a":1},"b":{}"#.into(), ..good() }),
        ("not a JSON object", Event { extra_json: r#"{"a":1"#.into(), ..good() }),
        ("`result`", Event { extra_json: r#"{"result":1}"#.into(), ..good() }),
        ("`run`", Event { extra_json: r#"{"\u0072un":1}"#.into(), ..good() }),
        ("`a`", Event { extra_json: r#"{"a":1,"b":2,"\u0061":3}"#.into(), ..good() }),
        ("`changes.f`", Event { changes: vec![change("f", "1,2")], ..good() }),
        ("`f` twice", Event { changes: vec![change("f", "1"), change("g", ""), change("f", "1")], ..good() }),
    ];
    for (expected, event) in cases {
        let message = render_generic(&event, false).unwrap_err().to_string();
        assert!(message.contains(expected), "{expected}: {message}");
    }
}

/// Any JSON in which no name comes twice.
struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Unique;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("JSON")
            }
            fn visit_unit<E>(self) -> Result<Unique, E> {
                Ok(Unique)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Unique, E> {
                Ok(Unique)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Unique, E> {
                Ok(Unique)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Unique, E> {
                Ok(Unique)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Unique, E> {
                Ok(Unique)
            }
            fn visit_str<E>(self, _: &str) -> Result<Unique, E> {
                Ok(Unique)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Unique, A::Error> {
                while list.next_element::<Unique>()?.is_some() {}
                Ok(Unique)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
                let mut names = HashSet::new();
                while let Some((name, Unique)) = map.next_entry::<String, Unique>()? {
                    if !names.insert(name) {
                        return Err(A::Error::custom("a name comes twice"));
                    }
                }
                Ok(Unique)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn object() -> impl Strategy<Value = Value> {
    prop::collection::btree_map(any::<String>(), json(), 0..8).prop_map(|members| {
        let own = |name: &String| !["run", "result"].contains(&name.as_str());
        Value::Object(members.into_iter().filter(|(name, _)| own(name)).collect())
    })
}

proptest! {
    /// Whatever a publisher writes comes through as it is, and the body is sound.
    #[test]
    fn texts_and_extra_members_survive(
        strings in prop::array::uniform5(any::<String>()),
        extra in object(),
        pretty in any::<bool>(),
        changed in prop::collection::btree_map(any::<String>(), (json(), json()), 0..4),
    ) {
        let [instance, project, user, run, tag] = strings;
        let mut event = sample(EventType::RunCompleted);
        event.instance = instance;
        event.project = Some(Project { id: 1, name: project, url: user.clone() });
        event.user = Some(User { id: 2, name: user });
        if let Some(Data::RunCompleted(data)) = &mut event.data {
            let entity = data.run.as_mut().unwrap();
            entity.name = run;
            entity.tags = vec![tag];
        }
        event.extra_json = if pretty { serde_json::to_string_pretty(&extra).unwrap() } else { extra.to_string() };
        event.changes = changed
            .into_iter()
            .map(|(field, (from, to))| Change { field, from_json: from.to_string(), to_json: to.to_string() })
            .collect();

        let body = text(&event);
        prop_assert!(serde_json::from_str::<Unique>(&body).is_ok(), "{}", body);
        prop_assert_eq!(&body, &text(&event));

        let back = from_json(&body).unwrap();
        let written: Members<'_> = serde_json::from_str(&event.extra_json).unwrap();
        let read_text = if back.extra_json.is_empty() { "{}" } else { &back.extra_json };
        let read: Members<'_> = serde_json::from_str(read_text).unwrap();
        prop_assert_eq!(written.0.len(), read.0.len());
        for ((name, value), (read_name, read_value)) in written.0.iter().zip(&read.0) {
            prop_assert_eq!((name, value.get()), (read_name, read_value.get()));
        }

        // `null` before or after is read back as none, and no instance as the default one.
        for change in &mut event.changes {
            for value in [&mut change.from_json, &mut change.to_json] {
                if value == "null" {
                    value.clear();
                }
            }
        }
        if event.instance.is_empty() {
            event.instance = "default".to_owned();
        }
        event.extra_json = back.extra_json.clone();
        prop_assert_eq!(back, event);
    }
}
