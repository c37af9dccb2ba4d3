//! What lists show: to each caller exactly what is its own.

use std::collections::BTreeSet;

use blackbox::{history, product::Mode};
use serde_json::Value;

use super::{
    callers::{Caller, Instance},
    cells::Outcome,
    other_calls::TOKENS,
    standing::{
        Hook::{self, Arrived, Both, Deleted, Empty, Everyone, Foreign, Left, Mixed, OtherAll, OtherOwn, Own},
        PROJECTS, Standing,
    },
    world::{WEBHOOKS, World, ensure},
};

/// The callers that REST is for.
const READERS: [Caller; 7] = [
    Caller::Admin12,
    Caller::Jwt12,
    Caller::Admin3,
    Caller::System,
    Caller::SystemJwt,
    Caller::OtherSystem,
    Caller::Other12,
];

type Hooks = &'static [Hook];

/// Lists of webhooks, by query, and who finds what in them.
const WEBHOOK_LISTS: [(&str, [Hooks; 7]); 4] = {
    const ALL: Hooks = &[Own, Both, Mixed, Foreign, Everyone, Empty, Left, Arrived];
    const OF_12: Hooks = &[Own, Both, Arrived];
    const FIRE_FOR_1: Hooks = &[Own, Both, Mixed, Everyone, Arrived];
    const FIRE_FOR_3: Hooks = &[Mixed, Foreign, Everyone, Left];
    [
        // admin 1,2, the same by JWT, admin 3, system, the same by JWT, other's system, other's admin 1,2
        ("", [OF_12, OF_12, &[Foreign, Left], ALL, ALL, &[OtherOwn, OtherAll], &[OtherOwn]]),
        ("?project=1", [OF_12, OF_12, &[], FIRE_FOR_1, FIRE_FOR_1, &[OtherOwn, OtherAll], &[OtherOwn]]),
        ("?project=3", [&[], &[], &[Foreign, Left], FIRE_FOR_3, FIRE_FOR_3, &[OtherAll], &[]]),
        ("?active=false", [&[], &[], &[], &[Empty], &[Empty], &[], &[]]),
    ]
};

type Projects = Option<&'static [i64]>;
const NONE: Projects = None;
const OF_1: Projects = Some(&[1]);
const OF_3: Projects = Some(&[3]);
const OF_13: Projects = Some(&[1, 3]);
/// The webhook is seen, and no entry of it.
const NOTHING: Projects = Some(&[]);

/// The projects of the entries that each caller finds in the history of a webhook; `None`: 404.
#[rustfmt::skip]
const ENTRIES: [(Hook, [Projects; 7]); 11] = {
    const OF_12: Projects = Some(&[1, 2]);
    const OF_9: Projects = Some(&[9]);
    const ALL: Projects = Some(&[1, 2, 3, 9]);
    [
        //          a1,2     jwt      a3       sys    jwt    other  o1,2
        (Own,      [OF_1,    OF_1,    NONE,    OF_1,  OF_1,  NONE,  NONE]),
        (Both,     [OF_12,   OF_12,   NONE,    OF_12, OF_12, NONE,  NONE]),
        (Mixed,    [NONE,    NONE,    NONE,    OF_13, OF_13, NONE,  NONE]),
        (Foreign,  [NONE,    NONE,    OF_3,    OF_3,  OF_3,  NONE,  NONE]),
        (Everyone, [NONE,    NONE,    NONE,    ALL,   ALL,   NONE,  NONE]),
        (Empty,    [NONE,    NONE,    NONE,    OF_9,  OF_9,  NONE,  NONE]),
        (Deleted,  [NONE,    NONE,    NONE,    OF_1,  OF_1,  NONE,  NONE]),
        (Left,     [NONE,    NONE,    NOTHING, OF_1,  OF_1,  NONE,  NONE]),
        (Arrived,  [NOTHING, NOTHING, NONE,    OF_3,  OF_3,  NONE,  NONE]),
        (OtherOwn, [NONE,    NONE,    NONE,    NONE,  NONE,  OF_1,  OF_1]),
        (OtherAll, [NONE,    NONE,    NONE,    NONE,  NONE,  OF_13, NONE]),
    ]
};

pub(super) async fn lists_show_what_is_ones_own(mode: Mode) {
    let world = World::start(mode).await;
    let standing = Standing::make(&world).await;
    let mut outcome = Outcome::default();
    for (query, columns) in WEBHOOK_LISTS {
        let cell =
            |(caller, hooks)| (format!("list{query} {caller:?}"), webhooks(&world, &standing, query, caller, hooks));
        outcome.run(READERS.into_iter().zip(columns).map(cell).collect()).await;
    }
    for (hook, columns) in ENTRIES {
        let cell = |(caller, projects)| {
            (format!("entries of {hook:?} {caller:?}"), entries(&world, &standing, hook, caller, projects))
        };
        outcome.run(READERS.into_iter().zip(columns).map(cell).collect()).await;
    }
    outcome.settle((WEBHOOK_LISTS.len() + ENTRIES.len()) * READERS.len());
    for instance in Instance::ALL {
        all_entries(&world, &standing, instance).await;
        projects(&world, instance).await;
        tokens(&world, instance).await;
    }
}

async fn webhooks(
    world: &World,
    standing: &Standing,
    query: &str,
    caller: Caller,
    expected: Hooks,
) -> Result<(), String> {
    let answer = world.rest(caller).get(&format!("{WEBHOOKS}{query}")).await;
    let ids = answer.json["result"].as_array().ok_or_else(|| format!("answered {}", answer.json))?.iter();
    let found: Vec<_> = ids.map(|webhook| standing.hook(webhook["id"].as_i64().expect("an id"))).collect();
    let wanted: Vec<_> = expected.iter().copied().map(Some).collect();
    let same = found.len() == wanted.len() && wanted.iter().all(|hook| found.contains(hook));
    ensure(same, || format!("{found:?} instead of {wanted:?}"))?;
    ensure(answer.json["total"] == wanted.len(), || format!("a total of {}", answer.json["total"]))
}

async fn entries(
    world: &World,
    standing: &Standing,
    hook: Hook,
    caller: Caller,
    expected: Projects,
) -> Result<(), String> {
    let answer = world.rest(caller).get(&format!("{WEBHOOKS}/{}/deliveries", standing.id(hook))).await;
    let status = if expected.is_some() { 200 } else { 404 };
    ensure(answer.status == status, || format!("answered {} instead of {status}: {}", answer.status, answer.json))?;
    let Some(wanted) = expected else { return Ok(()) };
    let found = answer.json["result"].as_array().expect("a list").iter();
    let mut found: Vec<_> = found.map(|entry| entry["project_id"].as_i64().expect("a project")).collect();
    found.sort_unstable();
    ensure(found == wanted, || format!("entries of the projects {found:?} instead of {wanted:?}"))
}

/// The history of all webhooks is that of one instance.
async fn all_entries(world: &World, standing: &Standing, instance: Instance) {
    let entries = history::all_of_instance(&world.admin(instance)).await;
    let hooks: BTreeSet<_> = entries.iter().map(|entry| entry.0["webhook_id"].as_i64().expect("an id")).collect();
    let own = Hook::ALL.into_iter().filter(|hook| hook.instance() == instance);
    assert_eq!(hooks, own.map(|hook| standing.id(hook)).collect(), "webhooks in the history of {instance:?}");
}

/// Names of projects are told to who administers them.
async fn projects(world: &World, instance: Instance) {
    let told = PROJECTS.into_iter().find(|(of, _)| *of == instance).expect("both instances have some").1;
    for caller in READERS.into_iter().filter(|caller| caller.instance() == instance) {
        let administered: &[i64] = match caller {
            Caller::Admin12 | Caller::Jwt12 | Caller::Other12 => &[1, 2],
            Caller::Admin3 => &[3],
            _ => told,
        };
        let answer = world.rest(caller).get("/api/v1/projects").await;
        let listed = answer.json["result"].as_array().unwrap_or_else(|| panic!("{caller:?}: {}", answer.json)).iter();
        let listed: Vec<_> = listed.map(|project| (project["id"].as_i64(), project["name"].clone())).collect();
        let wanted = told.iter().filter(|project| administered.contains(project));
        let wanted: Vec<_> = wanted
            .map(|project| (Some(*project), Value::String(format!("Project {project} of {}", instance.name()))))
            .collect();
        assert_eq!(listed, wanted, "projects that {caller:?} sees");
        assert_eq!(answer.json["total"], wanted.len(), "{caller:?}");
    }
}

/// The tokens of an instance are listed there alone; those for all instances where the operator of the service is.
async fn tokens(world: &World, instance: Instance) {
    let answer = world.admin(instance).get(TOKENS).await;
    let instances: BTreeSet<_> =
        answer.json["result"].as_array().expect("a list").iter().map(|token| token["instance"].to_string()).collect();
    let expected = match instance {
        Instance::Default => BTreeSet::from(["\"default\"".to_owned(), "null".to_owned()]),
        Instance::Other => BTreeSet::new(),
    };
    assert_eq!(instances, expected, "tokens that {instance:?} sees: {}", answer.json);
}
