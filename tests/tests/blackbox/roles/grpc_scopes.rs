//! The gRPC methods that choose a scope: the table, and how they are called.

use blackbox::grpc::Grpc;
use proto::v1::{CreateWebhookRequest, ProjectList, UpdateWebhookRequest, update_webhook_request::Scope};
use serde_json::Value;
use tonic::{
    Code::{InvalidArgument as IA, NotFound as NF, Ok as OK},
    Status,
};

use super::{
    callers::{Caller, Instance},
    cells::check_code,
    grpc_webhook_table::{PD, Row, UN},
    scope_calls::Scopes,
    world::{WEBHOOKS, Whose, World, ensure},
};

/// A call that chooses a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Create,
    /// Gives a webhook another scope.
    Move(Whose),
}

#[rustfmt::skip]
pub(super) const TABLE: [(Call, Scopes<Row>); 3] = [
    //              no  unk exp frg  mem pub all  a12 jwt a3   sys jwt  oth o12
    (Call::Create, Scopes {
        own:       [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, PD,  OK, OK,  OK, OK],
        both:      [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, PD,  OK, OK,  OK, OK],
        mixed:     [UN, UN, UN, UN,  PD, PD, PD,  PD, PD, PD,  OK, OK,  OK, PD],
        foreign:   [UN, UN, UN, UN,  PD, PD, PD,  PD, PD, OK,  OK, OK,  OK, PD],
        everyone:  [UN, UN, UN, UN,  PD, PD, PD,  PD, PD, PD,  OK, OK,  OK, PD],
        left_out:  [UN, UN, UN, UN,  PD, PD, PD,  PD, PD, PD,  OK, OK,  OK, PD],
        nothing:   [UN, UN, UN, UN,  PD, PD, PD,  IA, IA, IA,  IA, IA,  IA, IA],
    }),
    (Call::Move(Whose::Own), Scopes {
        own:       [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF],
        both:      [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF],
        mixed:     [UN, UN, UN, UN,  PD, PD, PD,  PD, PD, NF,  OK, OK,  NF, NF],
        foreign:   [UN, UN, UN, UN,  PD, PD, PD,  PD, PD, NF,  OK, OK,  NF, NF],
        everyone:  [UN, UN, UN, UN,  PD, PD, PD,  PD, PD, NF,  OK, OK,  NF, NF],
        left_out:  [UN, UN, UN, UN,  PD, PD, PD,  OK, OK, NF,  OK, OK,  NF, NF],
        nothing:   [UN, UN, UN, UN,  PD, PD, PD,  IA, IA, NF,  IA, IA,  NF, NF],
    }),
    (Call::Move(Whose::Foreign), Scopes {
        own:       [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, PD,  OK, OK,  NF, NF],
        both:      [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, PD,  OK, OK,  NF, NF],
        mixed:     [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, PD,  OK, OK,  NF, NF],
        foreign:   [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, OK,  OK, OK,  NF, NF],
        everyone:  [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, PD,  OK, OK,  NF, NF],
        left_out:  [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, OK,  OK, OK,  NF, NF],
        nothing:   [UN, UN, UN, UN,  PD, PD, PD,  NF, NF, IA,  IA, IA,  NF, NF],
    }),
];

/// The ids of a scope; `None`: all projects.
fn ids(scope: &Value) -> Option<Vec<i64>> {
    scope.as_array().map(|ids| ids.iter().map(|id| id.as_i64().expect("a project")).collect())
}

impl Call {
    /// Service and method, as the schema has them.
    pub(super) fn method(self) -> (&'static str, &'static str) {
        match self {
            Self::Create => ("Webhooks", "CreateWebhook"),
            Self::Move(_) => ("Webhooks", "UpdateWebhook"),
        }
    }

    pub(super) async fn check(
        self,
        world: &World,
        scope: Option<Value>,
        caller: Caller,
        expected: tonic::Code,
    ) -> Result<(), String> {
        match self {
            Self::Create => check_create(world, scope, caller, expected).await,
            Self::Move(whose) => check_move(world, whose, scope, caller, expected).await,
        }
    }
}

async fn check_create(
    world: &World,
    scope: Option<Value>,
    caller: Caller,
    expected: tonic::Code,
) -> Result<(), String> {
    let name = world.name();
    let request = CreateWebhookRequest {
        name: name.clone(),
        url: world.receiver.url("/table"),
        r#type: "generic".to_owned(),
        events: vec!["run.completed".to_owned()],
        projects: scope.as_ref().and_then(ids).map(|ids| ProjectList { ids }),
        allow_insecure: true,
        ..CreateWebhookRequest::default()
    };
    check_code(&world.grpc(caller).webhooks().create_webhook(request).await, expected)?;
    for instance in Instance::ALL {
        let made = expected == OK && instance == caller.instance();
        let found = world.admin(instance).get(&format!("{WEBHOOKS}?q={name}")).await;
        ensure(found.json["total"] == usize::from(made), || format!("made in {instance:?}: {}", found.json))?;
        if made {
            let projects = scope.clone().unwrap_or(Value::Null);
            ensure(found.json["result"][0]["projects"] == projects, || format!("made {}", found.json))?;
        }
    }
    Ok(())
}

async fn check_move(
    world: &World,
    whose: Whose,
    scope: Option<Value>,
    caller: Caller,
    expected: tonic::Code,
) -> Result<(), String> {
    let id = world.make(whose, true).await;
    let before = world.seen(whose.instance(), &id).await;
    let answer = send_move(&world.grpc(caller), &id, scope.as_ref()).await;
    let after = world.seen(whose.instance(), &id).await;
    check_code(&answer, expected)?;
    let mut then = before.webhook["projects"].clone();
    if expected == OK
        && let Some(projects) = scope
    {
        then = projects;
    }
    let changed = before.webhook["projects"] != then;
    let right = after.webhook["projects"] == then && changed == (after != before);
    ensure(right, || format!("it has made {after:?} of {before:?}"))
}

async fn send_move(grpc: &Grpc, id: &str, scope: Option<&Value>) -> Result<(), Status> {
    let scope = scope.map(|scope| match ids(scope) {
        Some(ids) => Scope::Projects(ProjectList { ids }),
        None => Scope::AllProjects(true),
    });
    let id = id.parse().expect("an id");
    grpc.webhooks().update_webhook(UpdateWebhookRequest { id, scope, ..UpdateWebhookRequest::default() }).await?;
    Ok(())
}
