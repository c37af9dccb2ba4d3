//! Tests of filters.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn payload() -> Value {
    json!({
        "id": "0b7e", "event": "run.completed", "created_at": "2026-03-04T05:06:07Z", "is_test": false,
        "instance": "acme", "project": {"id": 3, "name": "Web", "url": "https://acme.testmo.net/3"}, "user": null,
        "data": {
            "result": "failed",
            "run": {
                "id": 9_007_199_254_740_993_u64, "name": "Nightly Smoke test 7", "milestone_id": null,
                "tags": ["a", "3", 4, true], "build": "10", "rate": 2.5, "total_count": 12, "note": "",
                "is_closed": true, "quote": "say \"hi\"", "config-1": {"größe": 1}
            }
        },
        "changes": {
            "links": [{"url": "https://x.example/1"}, {"url": "https://x.example/2"}],
            "due_date": {"from": "2026-01-01", "to": null}
        }
    })
}

fn filter(texts: &[&str]) -> Result<Filter, Vec<FieldError>> {
    Filter::parse(&texts.iter().map(ToString::to_string).collect::<Vec<_>>())
}

fn holds(text: &str) -> bool {
    filter(&[text]).unwrap_or_else(|errors| panic!("{text}: {errors:?}")).accepts(&payload())
}

#[test]
fn conditions_that_hold() {
    for text in [
        "data.result == failed",
        "data.result==failed",
        "  data.result  ==  \"failed\"  ",
        "data.result != passed",
        "project.id == 3",
        "project.id == 3.0",
        "project.id < 4",
        "project.id <= 3",
        "project.id >= 3",
        "project.id > -1",
        "project.id in [1, 2, 3]",
        "project.id not in [1,2]",
        "data.run.id == 9007199254740993",
        "data.run.id > 9007199254740992",
        "data.run.rate > 2",
        "data.run.rate < 2.6",
        "data.run.build == 10",
        "data.run.build == \"10\"",
        "data.run.name contains \"Smoke test\"",
        "data.run.name contains Smoke test",
        "data.run.name contains 7",
        "data.run.name starts_with Nightly",
        "data.run.name not starts_with Smoke",
        "data.run.name == Nightly Smoke test 7",
        "data.run.quote == \"say \\\"hi\\\"\"",
        "data.run.quote == say \"hi\"",
        "data.run.note == \"\"",
        "data.run.tags contains a",
        "data.run.tags contains 3",
        "data.run.tags contains 4",
        "data.run.tags contains true",
        "data.run.tags not contains 5",
        "data.run.tags.2 == 4",
        "data.run.is_closed == true",
        "is_test == false",
        "user == null",
        "user exists",
        "user.id not exists",
        "data.run.milestone_id == null",
        "data.run.config-1.größe == 1",
        "changes.due_date exists",
        "changes.due_date.to == null",
        "changes.due_date.from != null",
        "changes.name not   exists",
        "changes.links.1.url == https://x.example/2",
        "data.result in [passed, \"failed\"]",
        "data.run.name in [ \"a, ]\\\"\" , Nightly Smoke test 7 ]",
        "event starts_with run.",
        "created_at >= 2026-03-04",
        "created_at < \"2026-03-05T00:00:00Z\"",
        "instance == acme",
        "id exists",
        "nothing.such not exists",
    ] {
        assert!(holds(text), "{text}");
    }
}

#[test]
fn conditions_that_do_not_hold() {
    for text in [
        "data.result == Failed",
        "data.result != failed",
        "project.id == \"3\"",
        "project.id == three",
        "project.id in [\"3\", 4]",
        "project.id < 3",
        "project.id > 3",
        "project.id contains 3",
        "project.id starts_with 3",
        "project == 3",
        "project.id < \"9\"",
        "data.run.id == 9007199254740992",
        "data.run.build > 9",
        "data.run.build > \"9\"",
        "data.run.name contains smoke",
        "data.run.tags contains \"4\"",
        "data.run.tags contains \"true\"",
        "data.run.tags.4 exists",
        "data.run.tags.a exists",
        "data.run.is_closed == \"true\"",
        "is_test == null",
        "user != null",
        "user not exists",
        // Missing is not null, and compares with nothing.
        "changes.name.to == null",
        "changes.name < 3",
        "changes.name contains \"\"",
        "changes.name in [null]",
        // Nor does it differ from anything: of what is missing nothing is known.
        "changes.name != null",
        "changes.name.to != 3",
        "changes.name not in [a]",
        "changes.name not contains a",
        "changes.name not starts_with a",
        "user.id != 3",
        "nothing.such == 3",
        "nothing.such != 3",
        "event.type exists",
        "data.run.milestone_id == 0",
        "data.run.milestone_id < 1",
        "created_at > 2026",
    ] {
        assert!(!holds(text), "{text}");
    }
}

#[test]
fn all_conditions_must_hold() {
    assert!(filter(&[]).unwrap().is_empty() && filter(&[]).unwrap().accepts(&json!(null)));
    let both = filter(&["data.result == failed", "project.id == 3"]).unwrap();
    assert!(!both.is_empty() && both.accepts(&payload()));
    assert!(!filter(&["data.result == failed", "project.id == 4"]).unwrap().accepts(&payload()));
}

#[test]
fn an_explanation_tells_what_was_found() {
    let texts = [" data.result == passed", "project.id in [3] ", "changes.name exists"];
    let outcome = |condition: &str, holds, found| ConditionOutcome { condition: condition.to_owned(), holds, found };
    assert_eq!(
        filter(&texts).unwrap().explain(&payload()),
        [
            outcome("data.result == passed", false, Some(json!("failed"))),
            outcome("project.id in [3]", true, Some(json!(3))),
            outcome("changes.name exists", false, None),
        ]
    );
}

#[test]
fn mistakes_say_which_condition_and_what_to_write() {
    let long = format!("data.result == {}", "x".repeat(486));
    for (text, expected) in [
        (" ", "condition 2 is empty; leave it out, or write one such as `data.result == failed`"),
        (long.as_str(), "condition 2 must have at most 500 characters"),
        ("data.result == a\nb", "must not hold control characters"),
        ("== failed", "must start with a path such as `data.result`"),
        ("data..result == failed", "must start with a path"),
        (".data == failed", "must start with a path"),
        ("data. == failed", "must start with a path"),
        ("\"data\" == failed", "must start with a path"),
        ("data.result", "has no operator; write one of ==, !=, <, <=, >, >=, in, not in, contains, "),
        ("data.result = failed", "has `=`, which is no operator; use one of ==, !="),
        ("data.result === failed", "has `===`, which is no operator"),
        ("data.result => 3", "has `=>`, which is no operator"),
        ("data.result is failed", "has `is`, which is no operator"),
        ("data.result Contains failed", "has `Contains`, which is no operator"),
        ("data.result not == failed", "has `not`, which is no operator"),
        ("data.result not is failed", "has `not is`, which is no operator"),
        ("data.runs[0].id == 3", "has `[0].id`, which is no operator"),
        ("data.result && x", "has `&&`, which is no operator"),
        ("data.result ==", "has no value after `==`"),
        ("data.result not contains", "has no value after `not contains`"),
        ("data.result exists 3", "has a value after `exists`, which takes none"),
        ("data.result == \"failed", "has a value that starts with a quote and is no JSON string"),
        ("data.result == \"failed\" x", "has a value that starts with a quote and is no JSON string"),
        ("data.result in [\"a]", "has a value that starts with a quote and is no JSON string"),
        ("data.result in failed", "must have a list after `in`"),
        ("data.result in []", "must have a list after `in`"),
        ("data.result in [a,]", "must have a list after `in`"),
        ("data.result in [a,,b]", "must have a list after `in`"),
        ("data.result in [a b", "must have a list after `in`"),
        ("data.result in [\"a\" b]", "must have a list after `in`"),
        ("data.result in [[a]]", "must have a list after `in`"),
        ("data.result == [a]", "has a list or an object after `==`; only `in` takes a list"),
        ("data.result != {}", "has a list or an object after `!=`"),
        ("data.result < true", "compares the order of `true`, which has none"),
    ] {
        let errors = filter(&["data.result == failed", text]).unwrap_err();
        assert_eq!(errors.len(), 1, "{text}");
        assert_eq!(errors[0].field, "filter");
        assert!(errors[0].message.contains(expected), "{text}: {}", errors[0].message);
        assert!(errors[0].message.starts_with("condition 2 ") && !errors[0].message.contains('\n'));
    }
}

#[test]
fn conditions_on_what_no_event_has_are_saved_with_a_warning() {
    let all = filter(&[
        "data.result == failed",
        "date.result == failed",
        "event.type not exists",
        "project.no.such exists",
        "changes.0 exists",
    ]);
    assert_eq!(
        all.unwrap().warnings(),
        [
            "filter: condition 2 never holds: it starts with `date`, which no event has; a path starts with id, event, \
             created_at, is_test, instance, project, user, data, changes",
            "filter: condition 3 always holds: it asks for something within `event`, which is a plain value",
        ]
    );
}

#[test]
fn what_a_mistake_suggests_is_right() {
    for text in [
        "data.result == failed",
        "changes.due_date exists",
        "data.result in [failed, \"not run\", 3]",
        "data.run.name == \"Say \\\"hi\\\"\"",
    ] {
        assert!(filter(&[text]).is_ok(), "{text}");
    }
}

#[test]
fn sizes_are_bounded() {
    assert!(filter(&["id exists"; 20]).is_ok());
    let errors = filter(&["id exists"; 21]).unwrap_err();
    assert_eq!(errors[0].message, "must have at most 20 conditions");
    assert!(filter(&[&format!("data.result == {}", "ü".repeat(485))]).is_ok());
    assert_eq!(filter(&["", "x"]).unwrap_err().len(), 2, "all mistakes at once");
}

/// JSON values with members that conditions ask for.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3..4_i64).prop_map(Value::from),
        (-3.0..3.0_f64).prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "[ab3]{0,3}|true|null|-1".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[ab1]", inner, 0..3).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec("[ab012]", 0..3).prop_map(|names| [vec!["data".to_owned()], names].concat().join("."))
}

fn literal() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ab3]{1,3}|true|false|null|-?[0-3]|[0-3]\\.5",
        "[^\\p{C}]{0,6}".prop_map(|text| serde_json::to_string(&text).unwrap())
    ]
}

/// A condition's positive and negative spelling.
fn contraries() -> impl Strategy<Value = (String, String)> {
    let list = prop::collection::vec(literal(), 1..4).prop_map(|elements| format!("[{}]", elements.join(", ")));
    let tail = prop_oneof![
        literal().prop_map(|value| (format!("== {value}"), format!("!= {value}"))),
        literal().prop_map(|value| (format!("contains {value}"), format!("not contains {value}"))),
        literal().prop_map(|value| (format!("starts_with {value}"), format!("not starts_with {value}"))),
        list.prop_map(|values| (format!("in {values}"), format!("not in {values}"))),
        Just(("exists".to_owned(), "not exists".to_owned())),
    ];
    (path(), tail).prop_map(|(path, (one, other))| (format!("{path} {one}"), format!("{path} {other}")))
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(
        texts in prop::collection::vec(any::<String>(), 0..4),
        tail in "\\PC{0,20}|[\\[\\]\", a1\\\\]{0,12}",
    ) {
        let written: Vec<String> = ["data.a == ", "data.a in ", "data.a not ", "data.a ", "data.", "user <"]
            .iter()
            .map(|head| format!("{head}{tail}"))
            .collect();
        for text in texts.iter().chain(&written) {
            if let Ok(filter) = Filter::parse(std::slice::from_ref(text)) {
                let outcomes = filter.explain(&payload());
                prop_assert_eq!(outcomes[0].holds, filter.accepts(&payload()));
                prop_assert_eq!(filter.texts().collect::<Vec<_>>(), [text.trim()]);
            }
        }
    }

    /// What is stored is read back as the same filter.
    #[test]
    fn texts_are_read_back((one, other) in contraries(), space in "[ ]{0,2}") {
        let filter = Filter::parse(&[format!("{space}{one}{space}"), other]).unwrap();
        let texts: Vec<String> = filter.texts().map(ToOwned::to_owned).collect();
        prop_assert_eq!(Filter::parse(&texts), Ok(filter));
    }

    /// Exactly one of two contraries holds for what is there, and none for what is missing, but `not exists`.
    #[test]
    fn contraries_differ_on_what_is_there((one, other) in contraries(), data in value()) {
        let payload = json!({ "data": data });
        let filter = filter(&[&one, &other]).unwrap();
        let outcomes = filter.explain(&payload);
        match &outcomes[0].found {
            Some(_) => prop_assert_ne!(outcomes[0].holds, outcomes[1].holds, "{} / {} for {}", one, other, payload),
            None => {
                prop_assert!(!outcomes[0].holds, "{} for {}", one, payload);
                prop_assert_eq!(outcomes[1].holds, other.ends_with(" not exists"), "{} for {}", other, payload);
            }
        }
    }

    /// Orders are consistent with each other, and with equality where there is one.
    #[test]
    fn orders_agree(bound in -3..4_i64, data in value()) {
        let payload = json!({ "data": data });
        let accepts = |operator: &str| filter(&[&format!("data {operator} {bound}")]).unwrap().accepts(&payload);
        let ordered = [accepts("<"), accepts(">"), data.is_number() && accepts("==")];
        prop_assert_eq!(ordered.iter().filter(|holds| **holds).count(), usize::from(data.is_number()));
        prop_assert_eq!(accepts("<="), ordered[0] || ordered[2]);
        prop_assert_eq!(accepts(">="), ordered[1] || ordered[2]);
    }

    #[test]
    fn explanation_and_verdict_agree((one, other) in contraries(), data in value()) {
        let payload = json!({ "data": data });
        let filter = filter(&[&one, &other, "data exists"]).unwrap();
        let outcomes = filter.explain(&payload);
        prop_assert_eq!(outcomes.len(), 3);
        prop_assert_eq!(outcomes.iter().all(|outcome| outcome.holds), filter.accepts(&payload));
    }
}
