//! Why a webhook gets an event or does not: every rule with what it compared. It asks the same questions as the index
//! that matches; the tests hold the two together.

use std::fmt::Display;

use serde_json::Value;

use crate::{ConditionOutcome, EventSelector, EventType, Filter, InstanceId, Plan, Scope, inactive};

/// So many names of a list are told to people.
const TOLD: usize = 20;

/// A rule of matching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Event and webhook are of the same instance.
    Instance,
    /// The plan of the instance has webhooks.
    Plan,
    /// The webhook is active.
    Active,
    /// It selects the event's type.
    Event,
    /// Its scope has the event's project.
    Project,
    /// Its filter accepts the event.
    Filter,
}

impl Rule {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Plan => "plan",
            Self::Active => "active",
            Self::Event => "event",
            Self::Project => "project",
            Self::Filter => "filter",
        }
    }
}

/// What the rules look at of an event.
#[derive(Clone, Copy, Debug)]
pub struct Happening<'a> {
    /// Its instance.
    pub instance: &'a InstanceId,
    /// Its type.
    pub event: EventType,
    /// Its project.
    pub project: i64,
    /// Its generic payload; `None`: it is nested too deep, or has a number out of range, so that nobody can read it.
    pub payload: Option<&'a Value>,
}

/// What the rules look at of a webhook and its instance.
#[derive(Clone, Copy, Debug)]
pub struct Explained<'a> {
    /// Its instance.
    pub instance: &'a InstanceId,
    /// The plan of its instance.
    pub plan: &'a Plan,
    /// Whether it gets any events at all.
    pub active: bool,
    /// Why it is inactive, where that was not an operator's doing; empty otherwise.
    pub inactive_reason: &'a str,
    /// What it selects.
    pub events: &'a [EventSelector],
    /// The projects whose events it gets.
    pub scope: &'a Scope,
    /// What must hold for an event besides.
    pub filter: &'a Filter,
}

/// What came of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleOutcome {
    /// The rule.
    pub rule: Rule,
    /// Whether it lets the event through.
    pub passed: bool,
    /// What was compared, as a sentence for people.
    pub reason: String,
    /// What came of each condition; of [`Rule::Filter`] only.
    pub conditions: Vec<ConditionOutcome>,
}

/// What came of every rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// In the order of [`Rule`].
    pub rules: [RuleOutcome; 6],
}

impl Explanation {
    /// Whether all rules let the event through.
    #[must_use]
    pub fn delivers(&self) -> bool {
        self.rules.iter().all(|outcome| outcome.passed)
    }
}

impl Explained<'_> {
    /// What comes of every rule for an event.
    #[must_use]
    pub fn explain(&self, event: &Happening<'_>) -> Explanation {
        Explanation {
            rules: [
                self.same_instance(event.instance),
                self.plan(),
                self.active(),
                self.selects(event.event),
                self.has_project(event.project),
                self.accepts(event.payload),
            ],
        }
    }

    fn same_instance(&self, of_event: &InstanceId) -> RuleOutcome {
        let own = self.instance;
        if own == of_event {
            return outcome(Rule::Instance, true, format!("the event and the webhook are of the instance {own}"));
        }
        outcome(Rule::Instance, false, format!("the event is of the instance {of_event}; the webhook is of {own}"))
    }

    fn plan(&self) -> RuleOutcome {
        let plan = self.plan;
        if plan.allows_webhooks() {
            return outcome(Rule::Plan, true, format!("the plan of the instance is {plan}, which has webhooks"));
        }
        let needed = Plan::WITH_WEBHOOKS.join(" or ");
        outcome(Rule::Plan, false, format!("the plan of the instance is {plan}; webhooks need {needed}"))
    }

    fn active(&self) -> RuleOutcome {
        let why = self.inactive_reason;
        let reason = match (self.active, inactive::code(why)) {
            (true, _) => "the webhook is active".to_owned(),
            (false, "") => "the webhook is inactive; events that occur meanwhile are skipped".to_owned(),
            (false, inactive::PLAN_DOWNGRADED) => {
                format!("the webhook is inactive since the plan of the instance has lost webhooks ({why})")
            }
            (false, inactive::PROJECTS_DELETED) => {
                format!("the webhook is inactive since its last project was deleted ({why})")
            }
            (false, inactive::ENDPOINT_FAILING) => {
                format!("the webhook is inactive since its endpoint has failed for too long ({why})")
            }
            (false, _) => format!("the webhook is inactive: {why}"),
        };
        outcome(Rule::Active, self.active, reason)
    }

    fn selects(&self, event: EventType) -> RuleOutcome {
        let covering: Vec<_> = self.events.iter().filter(|selector| selector.covers(event)).collect();
        if covering.is_empty() {
            let selected = listed(self.events);
            return outcome(Rule::Event, false, format!("the event is {event}; the webhook selects {selected}"));
        }
        let reason = format!("the event is {event}, which the webhook selects by {}", listed(covering));
        outcome(Rule::Event, true, reason)
    }

    fn has_project(&self, project: i64) -> RuleOutcome {
        let passed = self.scope.contains(project);
        let wanted = match self.scope {
            Scope::All => "all projects".to_owned(),
            Scope::Projects(projects) => match projects.as_slice() {
                [] => "no project any more, because its last one was deleted".to_owned(),
                [only] => format!("project {only}"),
                // The list that is told may end before it.
                many if passed && many.len() > TOLD => format!("{} projects, this one among them", many.len()),
                several => format!("projects {}", listed(several)),
            },
        };
        outcome(Rule::Project, passed, format!("the event is of project {project}; the webhook is for {wanted}"))
    }

    fn accepts(&self, payload: Option<&Value>) -> RuleOutcome {
        if self.filter.is_empty() {
            return outcome(Rule::Filter, true, "the webhook has no filter".to_owned());
        }
        let Some(payload) = payload else {
            let unknown = |text: &str| ConditionOutcome { condition: text.to_owned(), holds: false, found: None };
            let conditions = self.filter.texts().map(unknown).collect();
            let reason = "the payload cannot be read (it is nested too deep, or has a number out of range), so that no \
                          condition is known to hold";
            return RuleOutcome { conditions, ..outcome(Rule::Filter, false, reason.to_owned()) };
        };
        let conditions = self.filter.explain(payload);
        let failing = conditions.iter().filter(|condition| !condition.holds);
        let failing: Vec<_> = failing.map(|condition| format!("`{}`", condition.condition)).collect();
        let reason = match (failing.as_slice(), conditions.len()) {
            ([], 1) => "the condition of the filter holds".to_owned(),
            ([], all) => format!("all {all} conditions of the filter hold"),
            ([one], _) => format!("a condition of the filter does not hold: {one}"),
            (several, all) => format!("{} of {all} conditions do not hold: {}", several.len(), listed(several)),
        };
        RuleOutcome { conditions, ..outcome(Rule::Filter, failing.is_empty(), reason) }
    }
}

fn outcome(rule: Rule, passed: bool, reason: String) -> RuleOutcome {
    RuleOutcome { rule, passed, reason, conditions: Vec::new() }
}

/// With commas between; of a long list the first ones and how many there are besides.
fn listed<T: Display>(items: impl AsRef<[T]>) -> String {
    let items: &[T] = items.as_ref();
    let names: Vec<String> = items.iter().take(TOLD).map(ToString::to_string).collect();
    let names = names.join(", ");
    match items.len().saturating_sub(TOLD) {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}

#[cfg(test)]
mod tests;
