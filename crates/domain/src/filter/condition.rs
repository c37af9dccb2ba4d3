//! One condition, and whether it holds.

use std::cmp::Ordering;

use serde_json::{Number, Value};

/// Members of the envelope, and whether they have members of their own.
const MEMBERS: [(&str, bool); 9] = [
    ("id", false),
    ("event", false),
    ("created_at", false),
    ("is_test", false),
    ("instance", false),
    ("project", true),
    ("user", true),
    ("data", true),
    ("changes", true),
];

/// A condition that has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    /// As written, without the space around it.
    pub(super) text: String,
    /// Names of members, from the top.
    pub(super) path: Vec<String>,
    /// Whether the contrary of `test` is asked for.
    pub(super) negated: bool,
    pub(super) test: Test,
}

/// What is asked of what stands at the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Test {
    Exists,
    Equals(Literal),
    OneOf(Vec<Literal>),
    Contains(Literal),
    StartsWith(Literal),
    Compares(Relation, Bound),
}

/// A side of a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// What something is compared with by order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    Number(Number),
    Text(String),
}

/// A value as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Literal {
    /// Its characters.
    pub(super) text: String,
    /// The number, boolean or null that it reads as besides; never for one in quotes.
    pub(super) meaning: Option<Value>,
}

impl Condition {
    /// What stands at the path.
    pub(super) fn find<'a>(&self, payload: &'a Value) -> Option<&'a Value> {
        self.path.iter().try_fold(payload, |value, name| match value {
            Value::Object(members) => members.get(name),
            Value::Array(elements) => elements.get(name.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// Whether it holds for what was found.
    pub(super) fn holds(&self, found: Option<&Value>) -> bool {
        match found {
            Some(value) => self.test.passes(value) != self.negated,
            None => self.holds_for_nothing(),
        }
    }

    /// Whether it holds where its path leads nowhere.
    fn holds_for_nothing(&self) -> bool {
        self.negated && self.test == Test::Exists
    }

    /// Why its path leads nowhere whatever the event; the end of a sentence that starts with which condition it is.
    /// `None`: some events may have it.
    pub(super) fn stray(&self) -> Option<String> {
        let always = if self.holds_for_nothing() { "always" } else { "never" };
        let (first, deeper) = self.path.split_first()?;
        match MEMBERS.iter().find(|(name, _)| name == first) {
            None => {
                let members = MEMBERS.map(|(name, _)| name).join(", ");
                Some(format!(
                    "{always} holds: it starts with `{first}`, which no event has; a path starts with {members}"
                ))
            }
            Some((name, false)) if !deeper.is_empty() => {
                Some(format!("{always} holds: it asks for something within `{name}`, which is a plain value"))
            }
            Some(_) => None,
        }
    }
}

impl Test {
    fn passes(&self, value: &Value) -> bool {
        match self {
            Self::Exists => true,
            Self::Equals(literal) => literal.equals(value),
            Self::OneOf(literals) => literals.iter().any(|literal| literal.equals(value)),
            Self::Contains(literal) => match value {
                Value::String(text) => text.contains(&literal.text),
                Value::Array(elements) => elements.iter().any(|element| literal.equals(element)),
                _ => false,
            },
            Self::StartsWith(literal) => value.as_str().is_some_and(|text| text.starts_with(&literal.text)),
            Self::Compares(relation, bound) => bound.compare(value).is_some_and(|order| relation.holds(order)),
        }
    }
}

impl Literal {
    fn equals(&self, value: &Value) -> bool {
        match (value, &self.meaning) {
            (Value::String(text), _) => *text == self.text,
            (Value::Number(found), Some(Value::Number(meant))) => compare(found, meant) == Some(Ordering::Equal),
            (found, Some(meant)) => found == meant,
            (_, None) => false,
        }
    }
}

impl Bound {
    /// On which side of it a value lies; `None` where the two have no order.
    fn compare(&self, value: &Value) -> Option<Ordering> {
        match (value, self) {
            (Value::Number(found), Self::Number(bound)) => compare(found, bound),
            (Value::String(found), Self::Text(bound)) => Some(found.as_str().cmp(bound)),
            _ => None,
        }
    }
}

impl Relation {
    const fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        }
    }
}

/// Integers exactly: ids may exceed what a float tells apart.
fn compare(one: &Number, other: &Number) -> Option<Ordering> {
    let integer = |number: &Number| number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    match (integer(one), integer(other)) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}
