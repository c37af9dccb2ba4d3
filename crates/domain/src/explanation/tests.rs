//! Tests of explanations, that they agree with matching among them.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{MatchIndex, Subscription};

/// A webhook, as the index and the explanation look at it.
#[derive(Clone, Debug)]
struct Hook {
    instance: InstanceId,
    plan: Plan,
    active: bool,
    inactive_reason: &'static str,
    selectors: Vec<EventSelector>,
    events: Vec<EventType>,
    scope: Scope,
    filter: Filter,
}

impl Subscription for Hook {
    fn id(&self) -> i64 {
        7
    }
    fn instance(&self) -> &InstanceId {
        &self.instance
    }
    fn events(&self) -> &[EventType] {
        &self.events
    }
    fn scope(&self) -> &Scope {
        &self.scope
    }
    fn active(&self) -> bool {
        self.active
    }
}

impl Hook {
    /// An active one of the instance `a` for `run.*` of the projects 1 and 2.
    fn new() -> Self {
        let hook = Self {
            instance: "a".parse().unwrap(),
            plan: Plan::default(),
            active: true,
            inactive_reason: "",
            selectors: Vec::new(),
            events: Vec::new(),
            scope: Scope::Projects(vec![1, 2]),
            filter: Filter::default(),
        };
        hook.selecting(&["run.*"])
    }

    fn selecting(self, selectors: &[&str]) -> Self {
        let selectors: Vec<EventSelector> = selectors.iter().map(|text| text.parse().unwrap()).collect();
        Self { events: EventSelector::expand(&selectors), selectors, ..self }
    }

    fn filtering(self, conditions: &[&str]) -> Self {
        let texts: Vec<String> = conditions.iter().map(ToString::to_string).collect();
        Self { filter: Filter::parse(&texts).unwrap(), ..self }
    }

    fn explain(&self, event: &Happening<'_>) -> Explanation {
        let explained = Explained {
            instance: &self.instance,
            plan: &self.plan,
            active: self.active,
            inactive_reason: self.inactive_reason,
            events: &self.selectors,
            scope: &self.scope,
            filter: &self.filter,
        };
        explained.explain(event)
    }

    /// What comes of a completed run of project 1 of the instance `a`: the rules that stop it, and why.
    fn stops(&self) -> Vec<(&'static str, String)> {
        let payload = json!({"event": "run.completed", "data": {"result": "failed", "run": {"milestone_id": null}}});
        let happening = Happening {
            instance: &"a".parse().unwrap(),
            event: EventType::RunCompleted,
            project: 1,
            payload: Some(&payload),
        };
        let explanation = self.explain(&happening);
        let stopping = explanation.rules.into_iter().filter(|outcome| !outcome.passed);
        stopping.map(|outcome| (outcome.rule.name(), outcome.reason)).collect()
    }
}

#[test]
fn every_rule_is_told_in_order_whether_it_passes_or_not() {
    let hook = Hook::new().filtering(&["data.result == failed"]);
    let payload = json!({"data": {"result": "failed"}});
    let happening = Happening {
        instance: &"a".parse().unwrap(),
        event: EventType::RunCompleted,
        project: 2,
        payload: Some(&payload),
    };
    let explanation = hook.explain(&happening);
    assert!(explanation.delivers());
    let told: Vec<_> = explanation.rules.iter().map(|rule| (rule.rule.name(), rule.reason.as_str())).collect();
    let expected = [
        ("instance", "the event and the webhook are of the instance a"),
        ("plan", "the plan of the instance is enterprise, which has webhooks"),
        ("active", "the webhook is active"),
        ("event", "the event is run.completed, which the webhook selects by run.*"),
        ("project", "the event is of project 2; the webhook is for projects 1, 2"),
        ("filter", "the condition of the filter holds"),
    ];
    assert_eq!(told, expected);
    let condition = &explanation.rules[5].conditions[0];
    assert_eq!((condition.holds, condition.found.clone()), (true, Some(json!("failed"))));
    assert!(explanation.rules[..5].iter().all(|rule| rule.conditions.is_empty()));

    let other = Hook {
        instance: "b".parse().unwrap(),
        plan: "starter".parse().unwrap(),
        active: false,
        ..Hook::new().selecting(&["case.created", "job.*"]).filtering(&["data.result == passed"])
    };
    let other = Hook { scope: Scope::Projects(vec![3]), ..other };
    let expected = [
        ("instance", "the event is of the instance a; the webhook is of b"),
        ("plan", "the plan of the instance is starter; webhooks need business or enterprise"),
        ("active", "the webhook is inactive; events that occur meanwhile are skipped"),
        ("event", "the event is run.completed; the webhook selects case.created, job.*"),
        ("project", "the event is of project 1; the webhook is for project 3"),
        ("filter", "a condition of the filter does not hold: `data.result == passed`"),
    ];
    assert_eq!(other.stops(), expected.map(|(rule, reason)| (rule, reason.to_owned())));
}

#[test]
fn an_inactive_webhook_says_why() {
    for (why, told) in [
        ("", "the webhook is inactive; events that occur meanwhile are skipped"),
        (
            "plan_downgraded",
            "the webhook is inactive since the plan of the instance has lost webhooks (plan_downgraded)",
        ),
        ("projects_deleted", "the webhook is inactive since its last project was deleted (projects_deleted)"),
        (
            "endpoint_failing: no attempt has succeeded",
            "the webhook is inactive since its endpoint has failed for too long (endpoint_failing: no attempt has succeeded)",
        ),
        ("of another kind", "the webhook is inactive: of another kind"),
    ] {
        let hook = Hook { active: false, inactive_reason: why, ..Hook::new() };
        assert_eq!(hook.stops(), [("active", told.to_owned())]);
    }
}

#[test]
fn scopes_say_what_they_have() {
    let project = |scope| Hook { scope, ..Hook::new() }.stops();
    assert!(project(Scope::All).is_empty());
    let told = |projects| {
        let hook = Hook { scope: Scope::Projects(projects), ..Hook::new() };
        let happening =
            Happening { instance: &hook.instance, event: EventType::RunCompleted, project: 1, payload: None };
        hook.explain(&happening).rules[4].reason.clone()
    };
    let of = "the event is of project 1; the webhook is for";
    assert_eq!(told(vec![1]), format!("{of} project 1"));
    assert_eq!(told((-19..=1).collect()), format!("{of} 21 projects, this one among them"));
    for (projects, told) in [
        (vec![], "no project any more, because its last one was deleted"),
        (vec![2, 3], "projects 2, 3"),
        (
            (2..=31).collect(),
            "projects 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21 and 10 more",
        ),
    ] {
        assert_eq!(project(Scope::Projects(projects)), [("project", format!("{of} {told}"))]);
    }
}

#[test]
fn filters_name_the_conditions_that_do_not_hold() {
    let stops = |conditions: &[&str]| Hook::new().filtering(conditions).stops();
    assert!(stops(&[]).is_empty() && stops(&["data.result == failed", "event == run.completed"]).is_empty());
    assert_eq!(
        stops(&["data.result == passed", "event == run.completed", "data.run.name exists"]),
        [("filter", "2 of 3 conditions do not hold: `data.result == passed`, `data.run.name exists`".to_owned())]
    );
}

#[test]
fn of_what_cannot_be_read_no_condition_is_known_to_hold() {
    let instance = "a".parse().unwrap();
    let happening = Happening { instance: &instance, event: EventType::RunCreated, project: 1, payload: None };
    assert!(Hook::new().explain(&happening).delivers(), "nothing is asked of it");
    let explanation = Hook::new().filtering(&["event exists"]).explain(&happening);
    let filter = &explanation.rules[5];
    assert!(
        !explanation.delivers() && filter.reason.starts_with("the payload cannot be read (it is nested too deep"),
        "{filter:?}"
    );
    let expected = ConditionOutcome { condition: "event exists".into(), holds: false, found: None };
    assert_eq!(filter.conditions, [expected]);
}

fn instance() -> impl Strategy<Value = InstanceId> {
    prop_oneof![3 => Just("a"), 1 => Just("b")].prop_map(|name| name.parse().unwrap())
}

fn hook() -> impl Strategy<Value = Hook> {
    let selectors = prop::collection::btree_set(
        prop::sample::select(vec!["*", "run.*", "run.created", "run.completed", "case.*", "case.created"]),
        1..4,
    );
    let scope = prop_oneof![
        Just(Scope::All),
        prop::collection::btree_set(1..4_i64, 0..3).prop_map(|set| Scope::Projects(set.into_iter().collect()))
    ];
    let conditions = vec!["data.result == failed", "data.result exists", "project.id in [1, 2]", "is_test != true"];
    let filter = prop::collection::btree_set(prop::sample::select(conditions), 0..3);
    let plan = prop::sample::select(vec!["starter", "business", "enterprise"]);
    (instance(), plan, prop::bool::weighted(0.8), selectors, scope, filter).prop_map(
        |(instance, plan, active, selectors, scope, filter): (_, &str, _, BTreeSet<&str>, _, BTreeSet<&str>)| {
            let (selectors, filter): (Vec<_>, Vec<_>) = (selectors.into_iter().collect(), filter.into_iter().collect());
            Hook { instance, plan: plan.parse().unwrap(), active, scope, ..Hook::new() }
                .selecting(&selectors)
                .filtering(&filter)
        },
    )
}

fn payload() -> impl Strategy<Value = Value> {
    let result = prop::sample::select(vec![json!({"result": "failed"}), json!({"result": null}), json!({})]);
    (result, 1..4_i64, any::<bool>())
        .prop_map(|(data, project, is_test)| json!({"data": data, "project": {"id": project}, "is_test": is_test}))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// A webhook gets an event if and only if all rules let it through.
    #[test]
    fn agrees_with_matching(
        hook in hook(),
        instance in instance(),
        event in prop::sample::select(vec![EventType::RunCreated, EventType::RunCompleted, EventType::CaseCreated]),
        project in 1..4_i64,
        payload in payload(),
    ) {
        let mut index = MatchIndex::default();
        index.insert(hook.clone());
        let matches = index.matches(&instance, event, project).count() == 1;
        let gets = matches && hook.plan.allows_webhooks() && hook.filter.accepts(&payload);
        let happening = Happening { instance: &instance, event, project, payload: Some(&payload) };
        let explanation = hook.explain(&happening);
        prop_assert_eq!(explanation.delivers(), gets, "{:?}", explanation);
        let passed = |rule| explanation.rules.iter().any(|outcome| outcome.rule == rule && outcome.passed);
        prop_assert_eq!(passed(Rule::Filter), hook.filter.accepts(&payload));
        prop_assert_eq!(passed(Rule::Plan), hook.plan.allows_webhooks());
        let by_index = [Rule::Instance, Rule::Active, Rule::Event, Rule::Project];
        prop_assert_eq!(by_index.into_iter().all(passed), matches);
    }
}
