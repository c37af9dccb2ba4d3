//! The REST calls that choose a scope: how they are made, and what they do when they are permitted.

use blackbox::rest::{Answer, Rest};
use serde_json::{Value, json};

use super::{
    callers::{Caller, Instance},
    cells::{Pair, check_status},
    world::{NEVER, Seen, WEBHOOKS, Whose, World, ensure},
};

/// A call that chooses a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Create,
    /// Only validated.
    CreatePreview,
    /// Gives a webhook another scope.
    Move(Whose),
    /// Only validated.
    MovePreview(Whose),
}

/// A value for each scope that is chosen.
#[derive(Clone, Copy)]
pub(super) struct Scopes<T> {
    /// Project 1.
    pub(super) own: T,
    /// Projects 1 and 2.
    pub(super) both: T,
    /// Projects 1 and 3.
    pub(super) mixed: T,
    /// Project 3.
    pub(super) foreign: T,
    /// `null`, all projects.
    pub(super) everyone: T,
    /// No `projects` at all: all projects of a new webhook, no change of an old one.
    pub(super) left_out: T,
    /// An empty list, which is a mistake.
    pub(super) nothing: T,
}

impl<T> Scopes<T> {
    pub(super) fn each(self) -> [(Option<Value>, T); 7] {
        [
            (Some(json!([1])), self.own),
            (Some(json!([1, 2])), self.both),
            (Some(json!([1, 3])), self.mixed),
            (Some(json!([3])), self.foreign),
            (Some(Value::Null), self.everyone),
            (None, self.left_out),
            (Some(json!([])), self.nothing),
        ]
    }
}

impl Call {
    /// Method and path, as the OpenAPI document has them.
    pub(super) fn route(self) -> (&'static str, &'static str) {
        match self {
            Self::Create | Self::CreatePreview => ("post", "/webhooks"),
            Self::Move(_) | Self::MovePreview(_) => ("patch", "/webhooks/{id}"),
        }
    }

    pub(super) async fn check(
        self,
        world: &World,
        scope: Option<Value>,
        caller: Caller,
        expected: u16,
    ) -> Result<(), String> {
        match self {
            Self::Create => check_create(world, scope, caller, expected, WEBHOOKS).await,
            Self::CreatePreview => {
                check_create(world, scope, caller, expected, &format!("{WEBHOOKS}?validate_only=true")).await
            }
            Self::Move(whose) => check_move(world, whose, scope, caller, expected, "").await,
            Self::MovePreview(whose) => check_move(world, whose, scope, caller, expected, "?validate_only=true").await,
        }
    }
}

async fn check_create(
    world: &World,
    scope: Option<Value>,
    caller: Caller,
    expected: u16,
    path: &str,
) -> Result<(), String> {
    let mut body = world.draft(&Value::Null);
    match &scope {
        Some(projects) => body["projects"] = projects.clone(),
        None => drop(body.as_object_mut().expect("an object").remove("projects")),
    }
    let answer = world.rest(caller).post(path, body.clone()).await;
    check_status(&answer, expected)?;
    for instance in Instance::ALL {
        let made = expected == 201 && instance == caller.instance();
        let found = named(&world.admin(instance), &body["name"]).await;
        let right = || format!("made of {body} in {instance:?}: {found:?}");
        ensure(found.len() == usize::from(made), right)?;
        if made {
            let projects = scope.clone().unwrap_or(Value::Null);
            ensure(found[0]["projects"] == projects && found[0]["id"] == answer.json["result"]["id"], right)?;
        }
    }
    Ok(())
}

/// The webhooks of this name that a caller sees.
async fn named(rest: &Rest, name: &Value) -> Vec<Value> {
    let name = name.as_str().expect("a name");
    let answer = rest.get(&format!("{WEBHOOKS}?q={name}")).await;
    assert_eq!(answer.status, 200, "{}", answer.json);
    answer.json["result"].as_array().expect("a list").clone()
}

async fn check_move(
    world: &World,
    whose: Whose,
    scope: Option<Value>,
    caller: Caller,
    expected: u16,
    query: &str,
) -> Result<(), String> {
    let id = world.make(whose, true).await;
    let before = world.seen(whose.instance(), &id).await;
    let rest = world.rest(caller);
    let body = scope.as_ref().map_or_else(|| json!({}), |projects| json!({"projects": projects}));
    let send = async |id: &str| -> Answer { rest.patch(&format!("{WEBHOOKS}/{id}{query}"), body.clone()).await };
    let answer = send(&id).await;
    let after = world.seen(whose.instance(), &id).await;
    check_status(&answer, expected)?;
    if expected == 404 {
        Pair { hidden: &id, never: NEVER }.check(&answer, &send(NEVER).await)?;
    }
    let mut then = before.webhook.clone();
    if expected == 200
        && query.is_empty()
        && let Some(projects) = scope
    {
        then["projects"] = projects;
    }
    let same = |seen: &Seen| seen.webhook["projects"] == then["projects"];
    let changed = before.webhook["projects"] != then["projects"];
    let right = same(&after) && changed == (after != before);
    ensure(right, || format!("{body} has made {after:?} of {before:?}"))
}
