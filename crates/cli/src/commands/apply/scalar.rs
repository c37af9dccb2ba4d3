//! What single values are: the core schema of YAML 1.2, and the one escape of JSON that YAML lacks.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::yaml::Value;

/// The text, where it is JSON, with the characters that JSON escapes as a pair (`\ud83d\ude80`): YAML has no pairs, all
/// else that JSON writes is YAML.
pub(super) fn joined_surrogates(text: &str) -> Cow<'_, str> {
    let pairs = text.contains(r"\ud") || text.contains(r"\uD");
    if !pairs || serde_json::from_str::<&RawValue>(text).is_err() {
        return Cow::Borrowed(text);
    }
    let mut joined = String::with_capacity(text.len());
    let mut rest = text;
    // In JSON a backslash begins an escape, whatever stands before it.
    while let Some((before, escape)) = rest.split_once('\\') {
        joined.push_str(before);
        let whole = escape.get(..11).map(|pair| format!("\"\\{pair}\""));
        match whole.and_then(|pair| serde_json::from_str::<char>(&pair).ok()) {
            Some(letter) => {
                joined.push(letter);
                rest = &escape[11..];
            }
            None => {
                let next = escape.chars().next().map_or(0, char::len_utf8);
                joined.push('\\');
                joined.push_str(&escape[..next]);
                rest = &escape[next..];
            }
        }
    }
    joined.push_str(rest);
    Cow::Owned(joined)
}

/// What a text without quotes is, by the core schema of YAML 1.2.
pub(super) fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Flag(true),
        "false" | "False" | "FALSE" => return Value::Flag(false),
        ".nan" | ".NaN" | ".NAN" => return Value::Number,
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let number = match (text.strip_prefix("0x"), text.strip_prefix("0o")) {
        (Some(hex), _) if all(hex, char::is_ascii_hexdigit) => i64::from_str_radix(hex, 16).ok(),
        (_, Some(octal)) if all(octal, |digit| ('0'..='7').contains(digit)) => i64::from_str_radix(octal, 8).ok(),
        _ if all(digits, char::is_ascii_digit) => text.parse().ok(),
        _ if is_float(digits) => None,
        _ => return Value::Text(text.to_owned()),
    };
    number.map_or(Value::Number, Value::Integer)
}

fn all(text: &str, permitted: impl Fn(&char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(|letter| permitted(&letter))
}

/// Whether it is a number in decimal with a point or an exponent, its sign taken off.
fn is_float(text: &str) -> bool {
    if matches!(text, ".inf" | ".Inf" | ".INF") {
        return true;
    }
    let looks_like = text.starts_with(|letter: char| letter.is_ascii_digit() || letter == '.')
        && text.chars().all(|letter| letter.is_ascii_digit() || ".eE+-".contains(letter));
    looks_like && text.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value as Json;

    use super::{super::yaml::parse, *};

    fn json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<String>().prop_map(Json::from)
        ];
        leaf.prop_recursive(4, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                prop::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|members| Json::Object(members.into_iter().collect())),
            ]
        })
    }

    /// The tree of a file as JSON, without its lines.
    fn as_json(value: &Value) -> Json {
        match value {
            Value::Null | Value::Number => Json::Null,
            Value::Flag(flag) => (*flag).into(),
            Value::Integer(number) => (*number).into(),
            Value::Text(text) => text.as_str().into(),
            Value::List(items) => items.iter().map(|item| as_json(&item.value)).collect(),
            Value::Map(members) => {
                Json::Object(members.iter().map(|member| (member.name.clone(), as_json(&member.value.value))).collect())
            }
        }
    }

    /// As programs write JSON that keep to ASCII.
    fn in_ascii(json: &str) -> String {
        let escaped =
            |letter: char| letter.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect();
        json.chars().map(|letter| if letter.is_ascii() { letter.to_string() } else { escaped(letter) }).collect()
    }

    proptest! {
        #[test]
        fn every_json_is_read_as_json(value in json()) {
            let compact = value.to_string();
            for text in [&compact, &in_ascii(&compact), &serde_json::to_string_pretty(&value).unwrap()] {
                let read = parse(text).map(|node| as_json(&node.value));
                prop_assert_eq!(read.as_ref(), Ok(&value), "{}", text);
            }
        }
    }

    #[test]
    fn plain_texts_are_what_the_core_schema_says() {
        for text in ["", "~", "null"] {
            assert_eq!(plain(text), Value::Null, "{text}");
        }
        assert_eq!((plain("True"), plain("FALSE")), (Value::Flag(true), Value::Flag(false)));
        for (text, number) in [("-12", -12), ("+7", 7), ("0x1F", 31), ("0o17", 15), ("010", 10), ("0", 0)] {
            assert_eq!(plain(text), Value::Integer(number), "{text}");
        }
        for text in ["99999999999999999999", "0xffffffffffffffff", "1.5", "1.", "-.5e3", "-.inf", ".NaN"] {
            assert_eq!(plain(text), Value::Number, "{text}");
        }
        for text in ["yes", "nULL", "1.2.3", "0x", "0x-1", "0o8", ".", "-", "e5", "1e", "+-1", "inf", "1_000"] {
            assert_eq!(plain(text), Value::Text(text.to_owned()), "{text}");
        }
    }

    #[test]
    fn pairs_are_joined_in_json_alone() {
        let json = r#"{"a": "\ud83d\uDE80 \\ud83d\\ude80 \u00e9 \ud83d"}"#;
        // Half a pair stays for the parser to refuse.
        assert_eq!(joined_surrogates(json), r#"{"a": "🚀 \\ud83d\\ude80 \u00e9 \ud83d"}"#);
        let yaml = r"['\ud83d\ude80']";
        assert_eq!(joined_surrogates(yaml), yaml);
    }
}
