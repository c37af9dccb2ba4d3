//! Messages of Testmo core that come again and in any order leave what they leave in their order.

use proptest::{collection, prelude::*, sample::Index};
use proto::v1::{ListProjectsRequest, ListWebhooksRequest, Project};

use crate::fixture::{ADMIN, Fixture, with};

#[derive(Clone, Debug)]
enum Message {
    Plan { plan: &'static str, version: i64 },
    Put { project: i64, version: i64 },
    Delete { project: i64, version: i64 },
}

/// The messages of a history, in the order of their versions.
#[derive(Clone, Debug)]
struct History {
    plans: Vec<&'static str>,
    /// Of each project, whether a message is its deletion.
    projects: Vec<Vec<bool>>,
}

impl History {
    fn messages(&self) -> Vec<Message> {
        let plans = (1..).zip(&self.plans).map(|(version, plan)| Message::Plan { plan, version });
        let told = (1..).zip(&self.projects).flat_map(|(project, told)| {
            (1..).zip(told).map(move |(version, deleted)| match deleted {
                true => Message::Delete { project, version },
                false => Message::Put { project, version },
            })
        });
        plans.chain(told).collect()
    }

    /// Whether what becomes of scopes depends on nothing but the last message of each project: none comes back.
    fn settles_scopes(&self) -> bool {
        self.projects.iter().all(|told| told.iter().rev().skip(1).all(|deleted| !deleted))
    }

    /// Whether it ends without webhooks as soon as it ever was without: an upgrade reactivates none.
    fn settles_activity(&self) -> bool {
        self.settles_scopes() && self.plans.iter().rev().skip(1).all(|plan| allows(plan))
    }

    fn ends_allowed(&self) -> bool {
        self.plans.last().is_none_or(|plan| allows(plan))
    }
}

fn allows(plan: &str) -> bool {
    plan != "starter"
}

/// What is there in the end: the directory, the scope and the activity of each webhook.
#[derive(Debug, PartialEq)]
struct State {
    directory: Vec<Project>,
    scopes: Vec<Option<Vec<i64>>>,
    active: Vec<bool>,
}

async fn play(messages: &[Message]) -> State {
    let fixture = Fixture::start().await;
    for projects in [None, Some([1].as_slice()), Some(&[1, 2]), Some(&[3])] {
        fixture.create(projects).await;
    }
    for message in messages {
        match *message {
            Message::Plan { plan, version } => drop(fixture.set_plan(plan, version).await),
            Message::Put { project, version } => fixture.put_project(project, &format!("v{version}"), version).await,
            Message::Delete { project, version } => drop(fixture.delete_project(project, version).await),
        }
    }
    let mut client = fixture.webhooks();
    let directory = client.list_projects(with(ADMIN, ListProjectsRequest::default())).await.unwrap().into_inner();
    let listed = client.list_webhooks(with(ADMIN, ListWebhooksRequest::default())).await.unwrap().into_inner();
    let scope = |webhook: &proto::v1::Webhook| webhook.projects.as_ref().map(|list| list.ids.clone());
    State {
        directory: directory.projects,
        scopes: listed.webhooks.iter().map(scope).collect(),
        active: listed.webhooks.iter().map(|webhook| webhook.active).collect(),
    }
}

fn history() -> impl Strategy<Value = History> {
    let plans = collection::vec(prop_oneof![Just("business"), Just("enterprise"), Just("starter")], 0..4);
    let projects = collection::vec(collection::vec(any::<bool>(), 0..4), 3);
    (plans, projects).prop_map(|(plans, projects)| History { plans, projects })
}

/// A history, and its messages in another order, some of them several times.
fn disordered() -> impl Strategy<Value = (History, Vec<Message>)> {
    (history(), collection::vec(any::<Index>(), 0..6)).prop_flat_map(|(history, again)| {
        let mut messages = history.messages();
        if !messages.is_empty() {
            let repeats: Vec<_> = again.iter().map(|index| index.get(&messages).clone()).collect();
            messages.extend(repeats);
        }
        (Just(history), Just(messages).prop_shuffle())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_ends_the_same((history, disordered) in disordered()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (expected, found) =
            runtime.block_on(async { (play(&history.messages()).await, play(&disordered).await) });
        prop_assert_eq!(&found.directory, &expected.directory);
        if history.settles_scopes() {
            prop_assert_eq!(&found.scopes, &expected.scopes);
        }
        if history.settles_activity() {
            prop_assert_eq!(&found.active, &expected.active);
        }
        for state in [&expected, &found] {
            prop_assert!(history.ends_allowed() || state.active.iter().all(|active| !active));
            prop_assert!(state.scopes.iter().zip(&state.active).all(|(scope, active)| !active || *scope != Some(vec![])));
        }
    }
}
