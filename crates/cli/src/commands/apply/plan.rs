//! What is to be done: the file's webhooks beside those on the server.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::{file::Wanted, yaml::Mistake};

/// A webhook on the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Existing {
    pub(super) id: i64,
    pub(super) version: i64,
    pub(super) name: String,
}

/// A field of a webhook that is to change, as the server tells it: without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) field: String,
    pub(super) from: Json,
    pub(super) to: Json,
}

/// Which webhook of the file is which on the server.
#[derive(Debug)]
pub(super) struct Matching<'a> {
    /// In the order of the file.
    pub(super) wanted: Vec<(&'a Wanted, Option<Existing>)>,
    /// Those that the file does not name, in the order of the server.
    pub(super) others: Vec<Existing>,
}

/// What is done about a webhook. Warnings are the server's.
#[derive(Debug)]
pub(super) enum Step<'a> {
    Create {
        wanted: &'a Wanted,
        warnings: Vec<String>,
    },
    Update {
        wanted: &'a Wanted,
        existing: Existing,
        changes: Vec<Change>,
        warnings: Vec<String>,
    },
    Unchanged(Existing),
    Delete(Existing),
    /// It is not in the file, and stays.
    Keep(Existing),
}

/// How many steps of each kind there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) create: usize,
    pub(super) update: usize,
    pub(super) delete: usize,
    pub(super) unchanged: usize,
    pub(super) keep: usize,
}

impl Existing {
    /// From an item of the list; `None` if it lacks what every server of this version tells.
    pub(super) fn read(item: &Json) -> Option<Self> {
        let name = item["name"].as_str()?.to_owned();
        Some(Self { id: item["id"].as_i64()?, version: item["version"].as_i64()?, name })
    }
}

impl Change {
    /// The changes in an answer to `PATCH`; `None` if it does not tell them.
    pub(super) fn read(answer: &Json) -> Option<Vec<Self>> {
        let change = |item: &Json| {
            let field = item["field"].as_str()?.to_owned();
            Some(Self { field, from: item["from"].clone(), to: item["to"].clone() })
        };
        answer["changes"].as_array()?.iter().map(change).collect()
    }
}

impl<'a> Matching<'a> {
    /// Finds each webhook by its name, exactly.
    ///
    /// A name that several on the server have says of none which is meant: that is a mistake.
    pub(super) fn new(wanted: &'a [Wanted], existing: Vec<Existing>) -> Result<Self, Vec<Mistake>> {
        let mut by_name: HashMap<String, Vec<Existing>> = HashMap::new();
        let order: Vec<i64> = existing.iter().map(|webhook| webhook.id).collect();
        for webhook in existing {
            by_name.entry(webhook.name.clone()).or_default().push(webhook);
        }
        let mut mistakes = Vec::new();
        let mut matched = Vec::with_capacity(wanted.len());
        for webhook in wanted {
            let mut found = by_name.remove(&webhook.name).unwrap_or_default();
            if found.len() > 1 {
                let ids: Vec<String> = found.iter().map(|webhook| webhook.id.to_string()).collect();
                let ids = ids.join(" and ");
                let text = format!("the webhooks {ids} on the server all have this name; rename or delete all but one");
                mistakes.push(webhook.mistake("name", &text));
            }
            matched.push((webhook, found.pop()));
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let mut others: HashMap<i64, Existing> =
            by_name.into_values().flatten().map(|webhook| (webhook.id, webhook)).collect();
        let others = order.iter().filter_map(|id| others.remove(id)).collect();
        Ok(Self { wanted: matched, others })
    }
}

impl Step<'_> {
    /// Whether it changes something.
    pub(super) const fn acts(&self) -> bool {
        matches!(self, Self::Create { .. } | Self::Update { .. } | Self::Delete(_))
    }

    /// When it comes: updates, which somebody else's change may stop, before creates; deletes last, so that a webhook
    /// with a new name is there before the old one goes.
    pub(super) const fn turn(&self) -> u8 {
        match self {
            Self::Update { .. } => 0,
            Self::Create { .. } => 1,
            _ => 2,
        }
    }
}

impl Counts {
    pub(super) fn of(steps: &[Step<'_>]) -> Self {
        let mut counts = Self::default();
        for step in steps {
            let count = match step {
                Step::Create { .. } => &mut counts.create,
                Step::Update { .. } => &mut counts.update,
                Step::Delete(_) => &mut counts.delete,
                Step::Unchanged(_) => &mut counts.unchanged,
                Step::Keep(_) => &mut counts.keep,
            };
            *count += 1;
        }
        counts
    }

    /// How many change something.
    pub(super) const fn to_do(self) -> usize {
        self.create + self.update + self.delete
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::commands::apply::file;

    fn wanted() -> Vec<Wanted> {
        let text = "webhooks:\n- {name: b, url: u, events: []}\n- {name: a, url: u, events: []}\n";
        file::read(text.as_bytes(), &|_| Err(std::env::VarError::NotPresent)).unwrap()
    }

    fn existing(id: i64, name: &str) -> Existing {
        Existing { id, version: id * 10, name: name.to_owned() }
    }

    #[test]
    fn webhooks_are_found_by_their_exact_name() {
        let wanted = wanted();
        let on_server = vec![existing(1, "A"), existing(2, "a"), existing(3, "c"), existing(4, "c"), existing(5, "a ")];
        let matching = Matching::new(&wanted, on_server).unwrap();
        let found: Vec<_> = matching.wanted.iter().map(|(wanted, found)| (&*wanted.name, found.clone())).collect();
        assert_eq!(found, [("b", None), ("a", Some(existing(2, "a")))]);
        assert_eq!(matching.others.iter().map(|webhook| webhook.id).collect::<Vec<_>>(), [1, 3, 4, 5]);
    }

    #[test]
    fn a_name_that_several_have_is_a_mistake() {
        let wanted = wanted();
        let mistakes = Matching::new(&wanted, vec![existing(1, "a"), existing(7, "a"), existing(3, "b")]).unwrap_err();
        assert_eq!(mistakes.len(), 1);
        assert_eq!(mistakes[0].line, 3);
        assert!(mistakes[0].text.starts_with("name: the webhooks 1 and 7 on the server"), "{}", mistakes[0].text);
    }

    #[test]
    fn deletes_come_last() {
        let wanted = wanted();
        let mut steps = vec![
            Step::Delete(existing(1, "x")),
            Step::Create { wanted: &wanted[0], warnings: Vec::new() },
            Step::Unchanged(existing(2, "y")),
            Step::Keep(existing(3, "z")),
            Step::Update { wanted: &wanted[1], existing: existing(4, "a"), changes: Vec::new(), warnings: Vec::new() },
        ];
        let counts = Counts::of(&steps);
        assert_eq!(counts, Counts { create: 1, update: 1, delete: 1, unchanged: 1, keep: 1 });
        assert_eq!(counts.to_do(), 3);
        steps.retain(Step::acts);
        steps.sort_by_key(Step::turn);
        assert!(matches!(steps[..], [Step::Update { .. }, Step::Create { .. }, Step::Delete(_)]), "{steps:?}");
    }

    #[test]
    fn answers_that_lack_something_are_not_read() {
        let item = json!({"id": 1, "version": 2, "name": "a"});
        assert_eq!(Existing::read(&item), Some(Existing { id: 1, version: 2, name: "a".to_owned() }));
        assert_eq!(Existing::read(&json!({"id": 1, "name": "a"})), None);
        let change = json!({"changes": [{"field": "url", "from": null, "to": "x"}]});
        let expected = Change { field: "url".to_owned(), from: Json::Null, to: json!("x") };
        assert_eq!(Change::read(&change), Some(vec![expected]));
        assert_eq!(Change::read(&json!({"changes": []})), Some(Vec::new()));
        assert_eq!(Change::read(&json!({"result": {}})), None);
    }
}
