//! A JSON value as it was sent: members in their order, repeated names included. `serde_json::Value` keeps neither.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// 2^53: up to here a floating-point number stands for one integer only.
const MOST_EXACT: f64 = 9_007_199_254_740_992.0;

/// A JSON value.
#[derive(Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Flag(bool),
    /// `None`: a number, but not an integer of 64 bits.
    Number(Option<i64>),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Json;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Json, E> {
        Ok(Json::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Number(Some(number)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Number(i64::try_from(number).ok()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
        // Some clients write integers so, and to JSON Schema 2.0 is one. Beyond this more than one integer is meant.
        let is_exact = number.fract() == 0.0 && number.abs() <= MOST_EXACT;
        Ok(Json::Number(is_exact.then_some(number as i64)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Json, E> {
        Ok(Json::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_repetitions_are_kept() {
        let text = r#"{"b":[1,null,true,-2.5,-2.0,1e300,18446744073709551615],"a":"é","b":{}}"#;
        let list = vec![
            Json::Number(Some(1)),
            Json::Null,
            Json::Flag(true),
            Json::Number(None),
            Json::Number(Some(-2)),
            Json::Number(None),
            Json::Number(None),
        ];
        let expected = Json::Object(vec![
            ("b".into(), Json::List(list)),
            ("a".into(), Json::Text("é".into())),
            ("b".into(), Json::Object(Vec::new())),
        ]);
        assert_eq!(serde_json::from_str::<Json>(text).unwrap(), expected);
    }
}
