//! What stands in a product before the callers come: webhooks of every ownership, each with deliveries, and projects.

use std::{collections::HashMap, time::Duration};

use blackbox::{events, history, wait::eventually, webhooks};
use proto::v1::{Event, PublishRequest, PutProjectRequest};
use serde_json::{Value, json};

use super::{
    callers::{Caller, Instance},
    webhook_calls::LONG_AGO,
    world::{WEBHOOKS, World},
};

const SOON: Duration = Duration::from_secs(30);
/// The project that is deleted.
const GONE: i64 = 9;

/// A webhook that stands, and the projects that it has deliveries of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Hook {
    /// Project 1.
    Own,
    /// Projects 1 and 2.
    Both,
    /// Projects 1 and 3.
    Mixed,
    /// Project 3.
    Foreign,
    /// All projects.
    Everyone,
    /// None any more: project 9 was deleted.
    Empty,
    /// Project 1, and deleted.
    Deleted,
    /// Of project 1 first, and of 3 now.
    Left,
    /// Of project 3 first, and of 1 now.
    Arrived,
    /// Project 1 of the instance `other`.
    OtherOwn,
    /// All projects of the instance `other`.
    OtherAll,
}

impl Hook {
    pub(super) const ALL: [Self; 11] = [
        Self::Own,
        Self::Both,
        Self::Mixed,
        Self::Foreign,
        Self::Everyone,
        Self::Empty,
        Self::Deleted,
        Self::Left,
        Self::Arrived,
        Self::OtherOwn,
        Self::OtherAll,
    ];

    pub(super) fn instance(self) -> Instance {
        match self {
            Self::OtherOwn | Self::OtherAll => Instance::Other,
            _ => Instance::Default,
        }
    }

    /// The scope that it is made with, and the projects that it gets deliveries of.
    fn first(self) -> (Value, &'static [i64]) {
        match self {
            Self::Own | Self::Deleted | Self::Left | Self::OtherOwn => (json!([1]), &[1]),
            Self::Both => (json!([1, 2]), &[1, 2]),
            Self::Mixed => (json!([1, 3]), &[1, 3]),
            Self::Foreign | Self::Arrived => (json!([3]), &[3]),
            Self::Empty => (json!([GONE]), &[GONE]),
            Self::Everyone => (Value::Null, &[1, 2, 3, GONE]),
            Self::OtherAll => (Value::Null, &[1, 3]),
        }
    }
}

/// A delivery to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Past {
    /// Of this webhook, of an event of this project.
    Of(Hook, i64),
    /// A UUID that no delivery has.
    Never,
    /// What is no UUID.
    NoUuid,
}

/// An event to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PastEvent {
    /// Of this instance and project.
    In(Instance, i64),
    /// A UUID that no event has.
    Unheard,
    /// What is no UUID.
    NoEvent,
}

/// A replay to ask for. All are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum PastReplay {
    /// Of this webhook, and of all projects.
    Whole(Hook),
    /// Of this webhook, started by an administrator of its projects.
    Part(Hook),
    /// A UUID that no replay of this webhook has.
    NoReplay(Hook),
    /// What is no UUID.
    NoReplayUuid(Hook),
}

impl PastReplay {
    pub(super) const fn hook(self) -> Hook {
        match self {
            Self::Whole(hook) | Self::Part(hook) | Self::NoReplay(hook) | Self::NoReplayUuid(hook) => hook,
        }
    }
}

/// Webhooks with a replay of the one kind and of the other.
const WHOLE: [Hook; 8] =
    [Hook::Own, Hook::Mixed, Hook::Foreign, Hook::Everyone, Hook::Empty, Hook::Deleted, Hook::OtherOwn, Hook::OtherAll];
const PART: [(Hook, Caller); 6] = [
    (Hook::Own, Caller::Admin12),
    (Hook::Both, Caller::Admin12),
    (Hook::Foreign, Caller::Admin3),
    (Hook::Left, Caller::Admin12),
    (Hook::Arrived, Caller::Admin3),
    (Hook::OtherOwn, Caller::Other12),
];

/// What stands.
pub(super) struct Standing {
    hooks: HashMap<Hook, i64>,
    replays: HashMap<PastReplay, String>,
    events: Vec<((Instance, i64), String)>,
    deliveries: HashMap<(Hook, i64), String>,
}

impl Standing {
    pub(super) async fn make(world: &World) -> Self {
        let mut standing =
            Self { hooks: HashMap::new(), replays: HashMap::new(), events: Vec::new(), deliveries: HashMap::new() };
        for hook in Hook::ALL {
            let admin = world.admin(hook.instance());
            let mut body = world.draft(&hook.first().0);
            body["url"] = json!(world.receiver.url("/standing"));
            standing.hooks.insert(hook, webhooks::create(&admin, body).await.id);
        }
        tell_projects(world).await;
        for (instance, project) in [
            (Instance::Default, 1),
            (Instance::Default, 2),
            (Instance::Default, 3),
            (Instance::Default, GONE),
            (Instance::Other, 1),
            (Instance::Other, 3),
        ] {
            standing.events.push(((instance, project), publish(world, instance, project).await));
        }
        for hook in Hook::ALL {
            standing.take_deliveries(world, hook).await;
        }
        for hook in WHOLE {
            standing.replay_all(world, PastReplay::Whole(hook), hook.instance().admin()).await;
        }
        for (hook, caller) in PART {
            standing.replay_all(world, PastReplay::Part(hook), caller).await;
        }
        let admin = world.admin(Instance::Default);
        world.delete_project(Instance::Default, GONE).await;
        webhooks::delete(&admin, standing.id(Hook::Deleted)).await;
        for (hook, project) in [(Hook::Left, 3), (Hook::Arrived, 1)] {
            let path = format!("{WEBHOOKS}/{}", standing.id(hook));
            let answer = admin.patch(&path, json!({"projects": [project]})).await;
            assert_eq!(answer.status, 200, "{}", answer.json);
        }
        standing
    }

    pub(super) fn id(&self, hook: Hook) -> i64 {
        self.hooks[&hook]
    }

    /// Which webhook an id is.
    pub(super) fn hook(&self, id: i64) -> Option<Hook> {
        self.hooks.iter().find(|(_, known)| **known == id).map(|(hook, _)| *hook)
    }

    /// The id of a delivery, as it stands in paths.
    pub(super) fn delivery(&self, past: Past) -> &str {
        match past {
            Past::Of(hook, project) => &self.deliveries[&(hook, project)],
            Past::Never => "0b4a2c55-1c1c-5a3e-9a3e-5f6d0a7c9b11",
            Past::NoUuid => "none",
        }
    }

    /// The ids of the webhook and of the replay, as they stand in paths.
    pub(super) fn replay(&self, past: PastReplay) -> (i64, &str) {
        let id = match past {
            PastReplay::Whole(_) | PastReplay::Part(_) => self.replays[&past].as_str(),
            PastReplay::NoReplay(_) => "0b4a2c55-1c1c-4a3e-9a3e-5f6d0a7c9b13",
            PastReplay::NoReplayUuid(_) => "none",
        };
        (self.id(past.hook()), id)
    }

    /// The id of an event, as requests have it.
    pub(super) fn event(&self, past: PastEvent) -> &str {
        match past {
            PastEvent::In(instance, project) => {
                let found = self.events.iter().find(|(of, _)| *of == (instance, project));
                found.map_or_else(|| panic!("no event of {project} in {instance:?}"), |(_, id)| id)
            }
            PastEvent::Unheard => "0b4a2c55-1c1c-4a3e-9a3e-5f6d0a7c9b12",
            PastEvent::NoEvent => "none",
        }
    }

    /// Starts a replay, of nothing, and waits until it is over.
    async fn replay_all(&mut self, world: &World, past: PastReplay, caller: Caller) {
        let (rest, path) = (world.rest(caller), format!("{WEBHOOKS}/{}", self.id(past.hook())));
        let started = rest.post(&format!("{path}/replay"), json!({"from": LONG_AGO})).await.expect(202);
        let id = started["id"].as_str().expect("an id").to_owned();
        eventually(SOON, format!("{past:?} is done"), async || {
            let found = rest.get(&format!("{path}/replays/{id}")).await.expect(200);
            (found["state"] == "done").then_some(())
        })
        .await;
        self.replays.insert(past, id);
    }

    /// Waits until a webhook has been delivered all that it should get.
    async fn take_deliveries(&mut self, world: &World, hook: Hook) {
        let projects = hook.first().1;
        let rest = world.admin(hook.instance());
        let entries = eventually(SOON, format!("{hook:?} has deliveries of {projects:?}"), async || {
            let entries = history::page(&rest, self.id(hook), "status=delivered").await;
            (entries.len() == projects.len()).then_some(entries)
        })
        .await;
        for entry in entries {
            let project = entry.0["project_id"].as_i64().unwrap_or_else(|| panic!("no project in {}", entry.0));
            assert!(projects.contains(&project), "{hook:?} got an event of project {project}");
            self.deliveries.insert((hook, project), entry.delivery().to_owned());
        }
        assert!(
            projects.iter().all(|project| self.deliveries.contains_key(&(hook, *project))),
            "{:?}",
            self.deliveries
        );
    }
}

/// Answers the event's id.
async fn publish(world: &World, instance: Instance, project: i64) -> String {
    let event = Event { instance: instance.name().to_owned(), ..events::run_completed(project, project) };
    let answer = world.grpc(Caller::PublisherOfAll).events().publish(PublishRequest { event: Some(event) }).await;
    answer.expect("a publisher for all instances publishes for each").into_inner().id
}

/// The projects of each instance whose names Testmo core tells.
pub(super) const PROJECTS: [(Instance, &[i64]); 2] = [(Instance::Default, &[1, 2, 3]), (Instance::Other, &[1, 4])];

async fn tell_projects(world: &World) {
    for (instance, projects) in PROJECTS {
        for project in projects {
            let request = PutProjectRequest {
                instance: instance.name().to_owned(),
                project_id: *project,
                name: format!("Project {project} of {}", instance.name()),
                url: format!("https://acme.testmo.example/projects/{project}"),
                version: world.number(),
            };
            let answer = world.grpc(Caller::PublisherOfAll).instances().put_project(request).await;
            answer.expect("a publisher for all instances tells of projects of each");
        }
    }
}
