//! Reading a condition.

use serde_json::Value;

use super::{
    LONGEST_CONDITION,
    condition::{Bound, Condition, Literal, Relation, Test},
};

/// Why a text is no condition; the end of a sentence that starts with which one it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Mistake {
    #[error("is empty; leave it out, or write one such as {EXAMPLE}")]
    Empty,
    #[error("must have at most {LONGEST_CONDITION} characters")]
    TooLong,
    #[error("must not hold control characters such as line breaks; write them as \\n in quotes")]
    Control,
    #[error("must start with a path such as `data.result`: names joined by single dots, as in {EXAMPLE}")]
    Path,
    #[error("has no operator; write one of {operators} after the path, as in {EXAMPLE}", operators = operators())]
    NoOperator,
    #[error("has `{0}`, which is no operator; use one of {operators}, as in {EXAMPLE}", operators = operators())]
    Operator(String),
    #[error("has no value after `{0}`; write one, or \"\" for the empty text, as in {EXAMPLE}")]
    NoValue(&'static str),
    #[error("has a value after `{0}`, which takes none, as in `changes.due_date exists`")]
    Value(&'static str),
    #[error(
        "has a value that starts with a quote and is no JSON string; write quotes in it as \\\", as in \
             `data.run.name == \"Say \\\"hi\\\"\"`"
    )]
    Quotes,
    #[error("must have a list after `in`, as in `data.result in [failed, \"not run\", 3]`")]
    List,
    #[error("has a list or an object after `{0}`; only `in` takes a list, and a text like that belongs in quotes")]
    Composite(&'static str),
    #[error("compares the order of `{0}`, which has none; use == or !=, or put a text in quotes")]
    Order(String),
}

const EXAMPLE: &str = "`data.result == failed`";

#[derive(Clone, Copy)]
enum Operator {
    Equals,
    Compares(Relation),
    In,
    Contains,
    StartsWith,
    Exists,
}

/// How operators are written, and whether the contrary is meant.
const OPERATORS: [(&str, Operator, bool); 14] = [
    ("==", Operator::Equals, false),
    ("!=", Operator::Equals, true),
    ("<", Operator::Compares(Relation::Less), false),
    ("<=", Operator::Compares(Relation::AtMost), false),
    (">", Operator::Compares(Relation::Greater), false),
    (">=", Operator::Compares(Relation::AtLeast), false),
    ("in", Operator::In, false),
    ("not in", Operator::In, true),
    ("contains", Operator::Contains, false),
    ("not contains", Operator::Contains, true),
    ("starts_with", Operator::StartsWith, false),
    ("not starts_with", Operator::StartsWith, true),
    ("exists", Operator::Exists, false),
    ("not exists", Operator::Exists, true),
];

fn operators() -> String {
    OPERATORS.map(|(written, ..)| written).join(", ")
}

impl Condition {
    /// Reads a condition.
    pub(super) fn parse(text: &str) -> Result<Self, Mistake> {
        let text = text.trim();
        if text.is_empty() {
            return Err(Mistake::Empty);
        }
        if text.chars().count() > LONGEST_CONDITION {
            return Err(Mistake::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(Mistake::Control);
        }
        let in_path = |character: char| character.is_alphanumeric() || ['_', '-', '.'].contains(&character);
        let (path, rest) = split(text, in_path);
        let path = parse_path(path)?;
        let (written, operator, negated, rest) = parse_operator(rest.trim_start())?;
        let test = parse_test(written, operator, rest.trim_start())?;
        Ok(Self { text: text.to_owned(), path, negated, test })
    }
}

/// The longest start of the text with such characters, and the rest.
fn split(text: &str, wanted: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|character| !wanted(character)).unwrap_or(text.len()))
}

fn parse_path(text: &str) -> Result<Vec<String>, Mistake> {
    let path: Vec<String> = text.split('.').map(ToOwned::to_owned).collect();
    if path.iter().any(String::is_empty) { Err(Mistake::Path) } else { Ok(path) }
}

fn parse_operator(text: &str) -> Result<(&'static str, Operator, bool, &str), Mistake> {
    let is_sign = |character: char| ['=', '!', '<', '>'].contains(&character);
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    let (first, rest) = if text.starts_with(is_sign) { split(text, is_sign) } else { split(text, is_word) };
    if first.is_empty() {
        let (other, _) = split(text, |character| !character.is_whitespace());
        return Err(if other.is_empty() { Mistake::NoOperator } else { Mistake::Operator(other.to_owned()) });
    }
    let (second, after) = split(rest.trim_start(), is_word);
    let (written, rest) = match first {
        "not" if !second.is_empty() => (format!("not {second}"), after),
        _ => (first.to_owned(), rest),
    };
    match OPERATORS.into_iter().find(|(known, ..)| *known == written) {
        Some((known, operator, negated)) => Ok((known, operator, negated, rest)),
        None => Err(Mistake::Operator(written)),
    }
}

fn parse_test(written: &'static str, operator: Operator, text: &str) -> Result<Test, Mistake> {
    if let Operator::Exists = operator {
        return if text.is_empty() { Ok(Test::Exists) } else { Err(Mistake::Value(written)) };
    }
    if text.is_empty() {
        return Err(Mistake::NoValue(written));
    }
    if let Operator::In = operator {
        return parse_list(text).map(Test::OneOf);
    }
    if text.starts_with(['[', '{']) {
        return Err(Mistake::Composite(written));
    }
    let literal = parse_literal(text)?;
    match operator {
        Operator::Compares(relation) => Ok(Test::Compares(relation, bound(literal)?)),
        Operator::Contains => Ok(Test::Contains(literal)),
        Operator::StartsWith => Ok(Test::StartsWith(literal)),
        Operator::Equals | Operator::In | Operator::Exists => Ok(Test::Equals(literal)),
    }
}

fn bound(literal: Literal) -> Result<Bound, Mistake> {
    match literal.meaning {
        None => Ok(Bound::Text(literal.text)),
        Some(Value::Number(number)) => Ok(Bound::Number(number)),
        Some(_) => Err(Mistake::Order(literal.text)),
    }
}

fn parse_literal(text: &str) -> Result<Literal, Mistake> {
    if text.starts_with('"') {
        let text = serde_json::from_str(text).map_err(|_| Mistake::Quotes)?;
        return Ok(Literal { text, meaning: None });
    }
    // The rest of JSON starts with a quote or a bracket, so this is a number, boolean or null, or a bare text.
    let meaning = serde_json::from_str(text).ok().filter(|value: &Value| !value.is_array() && !value.is_object());
    Ok(Literal { text: text.to_owned(), meaning })
}

/// `[a, "b, c", 3]`, with one element at least.
fn parse_list(text: &str) -> Result<Vec<Literal>, Mistake> {
    let mut rest = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).ok_or(Mistake::List)?;
    let mut literals = Vec::new();
    loop {
        let (element, after) = parse_element(rest.trim_start())?;
        literals.push(element);
        match after.trim_start().strip_prefix(',') {
            Some(more) => rest = more,
            None if after.trim_start().is_empty() => return Ok(literals),
            None => return Err(Mistake::List),
        }
    }
}

fn parse_element(text: &str) -> Result<(Literal, &str), Mistake> {
    if !text.starts_with('"') {
        let (element, after) = split(text, |character| ![',', '"', '[', ']'].contains(&character));
        let element = element.trim_end();
        return if element.is_empty() { Err(Mistake::List) } else { Ok((parse_literal(element)?, after)) };
    }
    let mut strings = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let text_of_it = strings.next().and_then(Result::ok).ok_or(Mistake::Quotes)?;
    let after = &text[strings.byte_offset()..];
    Ok((Literal { text: text_of_it, meaning: None }, after))
}
