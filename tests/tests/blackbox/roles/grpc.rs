//! The gRPC services against their tables: every cell, and that no method is without a row.

use std::{collections::BTreeSet, time::Duration};

use blackbox::{product::Mode, webhooks};
use prost::Message as _;
use proto::internal::v1::{
    AuthenticateRequest, ChangesRequest, CheckPlanRequest, CheckRequest, DeactivateFailingRequest, OpenRequest,
    QueueTestRequest, RecordRequest, configuration_client::ConfigurationClient, recording_client::RecordingClient,
};
use serde_json::json;
use tonic::{Code, Response, Status};

use super::{
    callers::{CALLERS, Caller, Instance},
    cells::{Outcome, Pair, check_code},
    grpc_other_table, grpc_scopes, grpc_told,
    grpc_webhook_calls::Call,
    grpc_webhook_table,
    standing::Standing,
    world::{NEVER, Whose, World, ensure},
};

const SOON: Duration = Duration::from_secs(30);
/// Rows of the four tables.
const ROWS: usize = 11 * grpc_webhook_table::TABLE.len()
    + 7 * grpc_scopes::TABLE.len()
    + 4 * grpc_told::TABLE.len()
    + grpc_other_table::TABLE.len();

pub(super) async fn grpc_answers_as_the_tables_say(mode: Mode) {
    let world = World::start(mode).await;
    let standing = Standing::make(&world).await;
    let mut outcome = Outcome::default();
    for (call, rows) in grpc_webhook_table::TABLE {
        for (whose, row) in rows.each() {
            let cell = |(caller, expected)| {
                (format!("{call:?} {whose:?} {caller:?}"), check(&world, call, whose, caller, expected))
            };
            outcome.run(Caller::ALL.into_iter().zip(row).map(cell).collect()).await;
        }
    }
    for (call, rows) in grpc_scopes::TABLE {
        for (scope, row) in rows.each() {
            let cell = |(caller, expected)| {
                let name = format!("{call:?} to {scope:?} {caller:?}");
                (name, call.check(&world, scope.clone(), caller, expected))
            };
            outcome.run(Caller::ALL.into_iter().zip(row).map(cell).collect()).await;
        }
    }
    for (call, row) in grpc_other_table::TABLE {
        let cell =
            |(caller, expected)| (format!("{call:?} {caller:?}"), call.check(&world, &standing, caller, expected));
        outcome.run(Caller::ALL.into_iter().zip(row).map(cell).collect()).await;
    }
    testmo_core(&world, &mut outcome).await;
    outcome.settle(ROWS * CALLERS);
}

/// The methods of Testmo core. They are for whole instances, so that one cell at a time is looked at; and what was
/// published arrives in the instance that it is for and in no other.
async fn testmo_core(world: &World, outcome: &mut Outcome) {
    for instance in Instance::ALL {
        let mut body = webhooks::generic(&world.receiver.url(&format!("/{}", instance.name())));
        body["name"] = json!("all of the instance");
        webhooks::create(&world.admin(instance), body).await;
    }
    // Plans last: they deactivate the webhooks that show what was published.
    let mut tables = grpc_told::TABLE;
    tables.reverse();
    for (call, rows) in tables {
        if call == grpc_told::Call::DeleteProject {
            what_was_published_arrives(world).await;
        }
        for (named, row) in rows.each() {
            let cell = |(caller, expected)| {
                (format!("{call:?} {named:?} {caller:?}"), call.check(world, named, caller, expected))
            };
            outcome.run_in_turn(Caller::ALL.into_iter().zip(row).map(cell).collect()).await;
        }
    }
}

async fn what_was_published_arrives(world: &World) {
    let published = world.published.lock().expect("no cell has panicked").clone();
    for instance in Instance::ALL {
        let path = format!("/{}", instance.name());
        let of_instance = published.iter().filter(|(of, _)| *of == instance);
        let wanted: BTreeSet<_> = of_instance.map(|(_, id)| id.clone()).collect();
        assert!(!wanted.is_empty(), "nothing was published for {instance:?}");
        world.receiver.wait_for(&path, wanted.len(), SOON).await;
        world.receiver.stays_at(&path, wanted.len(), Duration::from_millis(500)).await;
        let got: BTreeSet<_> = world
            .receiver
            .requests(&path)
            .iter()
            .map(|request| {
                assert_eq!(request.json()["instance"], instance.name());
                request.json()["id"].as_str().expect("the event's id").to_owned()
            })
            .collect();
        assert_eq!(got, wanted, "events that arrived in {instance:?}");
    }
}

async fn check(world: &World, call: Call, whose: Whose, caller: Caller, expected: Code) -> Result<(), String> {
    let id = world.make(whose, call.wants_active()).await;
    let before = world.seen(whose.instance(), &id).await;
    let grpc = world.grpc(caller);
    let answer = call.send(&grpc, id.parse().unwrap_or(0)).await;
    let after = world.seen(whose.instance(), &id).await;
    check_code(&answer, expected)?;
    let status = match answer {
        Ok(webhook) => return call.check_done(&before, &after, webhook.as_ref()),
        Err(status) => status,
    };
    ensure(before == after, || format!("the refused call has changed {before:?} to {after:?}"))?;
    if expected == Code::NotFound && whose != Whose::NoNumber {
        let never = call.send(&grpc, NEVER.parse().expect("a number")).await;
        let never = never.err().ok_or("there is what should never be")?;
        Pair { hidden: &id, never: NEVER }.check_status(&status, &never)?;
    }
    Ok(())
}

/// Services and methods of a package of the schema.
fn methods(package: &str) -> BTreeSet<(String, String)> {
    let schema = prost_types::FileDescriptorSet::decode(proto::DESCRIPTORS).expect("the compiled schema");
    let files = schema.file.iter().filter(|file| file.package() == package);
    let services = files.flat_map(|file| &file.service);
    let of_service = |service: &prost_types::ServiceDescriptorProto| {
        let name = service.name().to_owned();
        let methods: Vec<_> = service.method.iter().map(|method| (name.clone(), method.name().to_owned())).collect();
        methods
    };
    services.flat_map(of_service).collect()
}

#[test]
fn every_method_is_in_the_tables() {
    let of_webhooks = grpc_webhook_table::TABLE.iter().map(|(call, _)| call.method());
    let of_scopes = grpc_scopes::TABLE.iter().map(|(call, _)| call.method());
    let of_core = grpc_told::TABLE.iter().map(|(call, _)| call.method());
    let of_others = grpc_other_table::TABLE.iter().map(|(call, _)| call.method());
    let tables: BTreeSet<_> = of_webhooks
        .chain(of_scopes)
        .chain(of_core)
        .chain(of_others)
        .map(|(service, method)| (service.to_owned(), method.to_owned()))
        .collect();
    assert_eq!(tables, methods("testmo.webhooks.v1"), "methods with a row, and methods of the schema");
}

/// What the services say to each other is for no token, whoever's: it carries signing secrets.
pub(super) async fn no_token_opens_the_services_between(mode: Mode) {
    let world = World::start(mode).await;
    let mut outcome = Outcome::default();
    for caller in Caller::ALL {
        for connection in world.grpc(caller).connections() {
            let mut configuration = ConfigurationClient::new(connection.clone());
            let mut recording = RecordingClient::new(connection);
            let authenticate = AuthenticateRequest { token: world.product.admin_token().to_owned() };
            let answers = [
                ("Changes", code(configuration.changes(ChangesRequest::default()).await)),
                ("Authenticate", code(configuration.authenticate(authenticate).await)),
                ("Open", code(recording.open(OpenRequest::default()).await)),
                ("Record", code(recording.record(RecordRequest::default()).await)),
                ("Check", code(recording.check(CheckRequest::default()).await)),
                ("QueueTest", code(recording.queue_test(QueueTestRequest::default()).await)),
                ("CheckPlan", code(configuration.check_plan(CheckPlanRequest::default()).await)),
                (
                    "DeactivateFailing",
                    code(configuration.deactivate_failing(DeactivateFailingRequest::default()).await),
                ),
            ];
            let cell = |(method, code): (&str, Code)| {
                // A program that does not have the service does not know the method.
                let refused = matches!(code, Code::PermissionDenied | Code::Unimplemented);
                (format!("{method} {caller:?}"), async move { ensure(refused, || format!("answered {code:?}")) })
            };
            outcome.run(answers.into_iter().map(cell).collect()).await;
        }
    }
    let internal = methods("testmo.webhooks.internal.v1").len();
    outcome.settle(CALLERS * 3 * internal);
}

fn code<T>(answer: Result<Response<T>, Status>) -> Code {
    answer.err().map_or(Code::Ok, |status| status.code())
}
