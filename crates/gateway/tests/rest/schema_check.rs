//! A check of JSON values against schemas of the document: as much of JSON Schema as the document uses, and a panic for
//! what it does not know, so that nothing goes unchecked in silence.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// What only tells people something, or is checked by whoever reads requests.
const SILENT: [&str; 6] = ["description", "example", "examples", "default", "format", "pattern"];

/// How to look at members that a schema does not name.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Unknown {
    /// As the document has it: answers may have more.
    Permitted,
    /// As the tests want it: what an answer has is documented.
    Refused,
}

/// What is wrong with a value; empty: nothing.
pub(crate) fn mistakes(document: &Value, schema: &Value, value: &Value, unknown: Unknown) -> Vec<String> {
    let mut check = Check { document, unknown, mistakes: Vec::new() };
    check.value(schema, value, "");
    check.mistakes
}

struct Check<'a> {
    document: &'a Value,
    unknown: Unknown,
    mistakes: Vec<String>,
}

impl<'a> Check<'a> {
    fn value(&mut self, schema: &'a Value, value: &Value, place: &str) {
        let schema = schema.as_object().unwrap_or_else(|| panic!("{schema} is no schema"));
        for (keyword, wanted) in schema {
            let fits = self.keyword(schema, keyword, wanted, value, place);
            if !fits {
                self.mistakes.push(format!("{place}: {value} breaks {keyword} {wanted}"));
            }
        }
    }

    /// False: the value breaks it; mistakes inside are kept by themselves.
    fn keyword(
        &mut self,
        schema: &'a Map<String, Value>,
        keyword: &str,
        wanted: &'a Value,
        value: &Value,
        place: &str,
    ) -> bool {
        let length = value.as_str().map(|text| text.chars().count() as u64);
        let members = value.as_object();
        let items = value.as_array();
        let within = |bound: Option<u64>| bound.is_none_or(|length| length <= wanted.as_u64().unwrap());
        let reaches = |bound: Option<u64>| bound.is_none_or(|length| length >= wanted.as_u64().unwrap());
        match keyword {
            "$ref" => {
                let target = self.document.pointer(wanted.as_str().unwrap().strip_prefix('#').unwrap());
                self.value(target.unwrap_or_else(|| panic!("{wanted} leads nowhere")), value, place);
                true
            }
            "anyOf" => {
                let unknown = self.unknown;
                wanted.as_array().unwrap().iter().any(|one| mistakes(self.document, one, value, unknown).is_empty())
            }
            "type" => is_one_of(value, wanted),
            "enum" => wanted.as_array().unwrap().contains(value),
            "const" => wanted == value,
            "minimum" => value.as_f64().is_none_or(|number| number >= wanted.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|number| number <= wanted.as_f64().unwrap()),
            "minLength" => reaches(length),
            "maxLength" => within(length),
            "minItems" => reaches(items.map(|items| items.len() as u64)),
            "maxItems" => within(items.map(|items| items.len() as u64)),
            "maxProperties" => within(members.map(|members| members.len() as u64)),
            "items" => {
                for (index, item) in items.into_iter().flatten().enumerate() {
                    self.value(wanted, item, &format!("{place}[{index}]"));
                }
                true
            }
            "required" => {
                let names: BTreeSet<&str> =
                    wanted.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
                members.is_none_or(|members| names.iter().all(|name| members.contains_key(*name)))
            }
            "properties" => {
                self.members(schema, wanted, members, place);
                true
            }
            "additionalProperties" => {
                let named = |name: &String| schema.get("properties").is_some_and(|named| named.get(name).is_some());
                let more: Vec<_> = members.into_iter().flatten().filter(|(name, _)| !named(name)).collect();
                if wanted.is_object() {
                    more.iter().for_each(|(name, member)| self.value(wanted, member, &format!("{place}.{name}")));
                }
                wanted.is_object() || more.is_empty()
            }
            "propertyNames" => {
                members.into_iter().flatten().for_each(|(name, _)| self.value(wanted, &name.clone().into(), place));
                true
            }
            silent => {
                assert!(SILENT.contains(&silent), "the check does not know {silent}");
                true
            }
        }
    }

    fn members(
        &mut self,
        schema: &Map<String, Value>,
        wanted: &'a Value,
        members: Option<&Map<String, Value>>,
        place: &str,
    ) {
        for (name, member) in members.into_iter().flatten() {
            match wanted.get(name) {
                Some(schema) => self.value(schema, member, &format!("{place}.{name}")),
                None if self.unknown == Unknown::Refused && !schema.contains_key("additionalProperties") => {
                    self.mistakes.push(format!("{place}.{name} is not documented"));
                }
                None => {}
            }
        }
    }
}

fn is_one_of(value: &Value, kinds: &Value) -> bool {
    let is = |kind: &Value| match kind.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is no type"),
    };
    kinds.as_array().map_or_else(|| is(kinds), |kinds| kinds.iter().any(is))
}

#[test]
fn the_check_finds_what_is_wrong() {
    let document = serde_json::json!({"named": {"type": "integer", "minimum": 1, "maximum": 9}});
    let schema = serde_json::json!({
        "type": "object",
        "required": ["a"],
        "properties": {
            "a": {"$ref": "#/named"},
            "b": {"type": ["string", "null"], "minLength": 1, "maxLength": 2, "enum": ["é", "no", null]},
            "c": {"type": "array", "items": {"anyOf": [{"type": "null"}, {"const": 1}]}, "minItems": 1, "maxItems": 2},
            "d": {"type": "object", "additionalProperties": {"type": "boolean"}, "propertyNames": {"maxLength": 1}},
        },
    });
    let found = |value: Value, unknown| mistakes(&document, &schema, &value, unknown).len();
    let right = serde_json::json!({"a": 9, "b": null, "c": [1, null], "d": {"x": true}});
    assert_eq!(found(right.clone(), Unknown::Refused), 0);
    for (name, wrong) in [
        ("a", serde_json::json!(0)),
        ("a", serde_json::json!(10)),
        ("a", serde_json::json!(1.5)),
        ("b", serde_json::json!("yes")),
        ("b", serde_json::json!("")),
        ("c", serde_json::json!([])),
        ("c", serde_json::json!([1, 1, 1])),
        ("c", serde_json::json!([2])),
        ("d", serde_json::json!({"x": 1})),
        ("d", serde_json::json!({"xy": true})),
    ] {
        let mut value = right.clone();
        value[name] = wrong;
        assert!(found(value, Unknown::Permitted) > 0, "{name}");
    }
    assert_eq!(found(serde_json::json!({}), Unknown::Permitted), 1);
    let mut more = right;
    more["e"] = Value::Null;
    assert_eq!((found(more.clone(), Unknown::Permitted), found(more, Unknown::Refused)), (0, 1));
}
