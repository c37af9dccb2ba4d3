//! Conditions over the generic payload, all of which must hold before a webhook gets an event.
//!
//! A condition is a text, `path operator value`: `data.result == failed`, `project.id in [1, 2]`,
//! `data.run.name contains "Smoke test"`, `changes.due_date exists`.
//!
//! **Path**: names of members joined by dots, from the top of the payload; a number takes an element of an array, from
//! 0. The first name is one of the envelope's members; a condition with another is saved with a [warning](Filter::warnings).
//!
//! | operator | holds if what stands at the path |
//! |---|---|
//! | `==` | equals the value |
//! | `in` | equals one of a list, `[a, "b, c", 3]` |
//! | `<` `<=` `>` `>=` | is a number less or greater than this one, or a text that comes before or after this one |
//! | `contains` | is a text with this text in it, or an array with an element that equals the value |
//! | `starts_with` | is a text that starts with this one |
//! | `exists` | is there, be it `null`; takes no value |
//!
//! `!=`, `not in`, `not contains`, `not starts_with` and `not exists` are the contraries of these for what is there. On
//! what is missing no condition holds but `not exists`: a filter is never an error when an event lacks what it asks for,
//! and lets nothing through that it knows nothing of.
//!
//! **Value**: in quotes (a JSON string) it is a text. Without, it is the rest of the line; what reads as a number,
//! `true`, `false` or `null` then equals that, and a text of these characters as well. In an order comparison an
//! unquoted number is a number only, or the text `9` would come after `10`. Texts are compared exactly and ordered by
//! code points, as days and times sort (to the second); numbers are compared by their amount, so that 3 equals 3.0.
//!
//! `null` equals JSON's null. A member that is missing is not null, so that `changes.due_date.to == null` ("the due
//! date was cleared") does not hold for every event that changes no due date; `not exists` asks for what is missing.

mod condition;
mod parse;
#[cfg(test)]
mod tests;

use serde_json::Value;

use self::condition::Condition;
use crate::FieldError;

const MOST_CONDITIONS: usize = 20;
const LONGEST_CONDITION: usize = 500;

/// A webhook's conditions. Without any, it accepts everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    conditions: Vec<Condition>,
}

/// What came of one condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionOutcome {
    /// The condition as written.
    pub condition: String,
    /// Whether it holds.
    pub holds: bool,
    /// What stands at its path; `None`: nothing.
    pub found: Option<Value>,
}

impl Filter {
    /// Reads conditions.
    ///
    /// # Errors
    /// All mistakes, each with the number of its condition, from 1.
    pub fn parse(texts: &[String]) -> Result<Self, Vec<FieldError>> {
        if texts.len() > MOST_CONDITIONS {
            let message = format!("must have at most {MOST_CONDITIONS} conditions");
            return Err(vec![FieldError::new("filter", message)]);
        }
        let mut errors = Vec::new();
        let mut conditions = Vec::with_capacity(texts.len());
        for (number, text) in (1..).zip(texts) {
            match Condition::parse(text) {
                Ok(condition) => conditions.push(condition),
                Err(mistake) => errors.push(FieldError::new("filter", format!("condition {number} {mistake}"))),
            }
        }
        if errors.is_empty() { Ok(Self { conditions }) } else { Err(errors) }
    }

    /// Whether it has no condition.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// Its conditions as they were written, without the space around them.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.conditions.iter().map(|condition| condition.text.as_str())
    }

    /// What is likely to be a slip: conditions on what no event has, each with its number. They are no mistakes, because
    /// a later version may add members.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let warning = |(number, condition): (usize, &Condition)| {
            condition.stray().map(|stray| format!("filter: condition {number} {stray}"))
        };
        (1..).zip(&self.conditions).filter_map(warning).collect()
    }

    /// Whether all conditions hold for a generic payload.
    #[must_use]
    pub fn accepts(&self, payload: &Value) -> bool {
        self.conditions.iter().all(|condition| condition.holds(condition.find(payload)))
    }

    /// What comes of each condition.
    #[must_use]
    pub fn explain(&self, payload: &Value) -> Vec<ConditionOutcome> {
        let outcome = |condition: &Condition| {
            let found = condition.find(payload);
            let holds = condition.holds(found);
            ConditionOutcome { condition: condition.text.clone(), holds, found: found.cloned() }
        };
        self.conditions.iter().map(outcome).collect()
    }
}
