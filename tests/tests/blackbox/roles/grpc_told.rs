//! The gRPC methods of Testmo core, `Instances` and `Events`: the table, and how they are called.
//!
//! A publisher is for one instance, and its requests name that or none; or it is for all, and each request names one.

use blackbox::{events, grpc::Grpc};
use futures::stream;
use proto::v1::{
    DeleteProjectRequest, Event, PublishBatchRequest, PublishRequest, PublishResult, PublishStreamRequest,
    PutProjectRequest, SetPlanRequest,
};
use serde_json::json;
use tonic::{
    Code::{self, InvalidArgument as IA, Ok as OK},
    Status,
};

use super::{
    callers::{Caller, Instance},
    cells::check_code,
    grpc_webhook_table::{PD, Row, UN},
    world::{WEBHOOKS, World, ensure},
};

/// A method of Testmo core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    SetPlan,
    PutProject,
    DeleteProject,
    Publish,
    PublishBatch,
    PublishStream,
}

/// The instance that a request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Nothing,
    Default,
    Other,
    /// What cannot be an instance.
    Mistaken,
}

impl Named {
    fn text(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Default => "default",
            Self::Other => "other",
            Self::Mistaken => "Not An Instance!",
        }
    }

    /// The instance that a permitted request is about.
    fn instance(self) -> Instance {
        if self == Self::Other { Instance::Other } else { Instance::Default }
    }
}

/// A value for each [`Named`].
#[derive(Clone, Copy)]
pub(super) struct Names<T> {
    nothing: T,
    default: T,
    other: T,
    mistaken: T,
}

impl<T> Names<T> {
    pub(super) fn each(self) -> [(Named, T); 4] {
        [
            (Named::Nothing, self.nothing),
            (Named::Default, self.default),
            (Named::Other, self.other),
            (Named::Mistaken, self.mistaken),
        ]
    }
}

#[rustfmt::skip]
pub(super) const TABLE: [(Call, Names<Row>); 6] = [
    //              no  unk exp frg  mem pub all  a12 jwt a3   sys jwt  oth o12
    (Call::SetPlan, Names {
        nothing:   [UN, UN, UN, UN,  PD, OK, IA,  PD, PD, PD,  PD, PD,  PD, PD],
        default:   [UN, UN, UN, UN,  PD, OK, OK,  PD, PD, PD,  PD, PD,  PD, PD],
        other:     [UN, UN, UN, UN,  PD, PD, OK,  PD, PD, PD,  PD, PD,  PD, PD],
        mistaken:  [UN, UN, UN, UN,  PD, IA, IA,  PD, PD, PD,  PD, PD,  PD, PD],
    }),
    (Call::PutProject, Names {
        nothing:   [UN, UN, UN, UN,  PD, OK, IA,  PD, PD, PD,  PD, PD,  PD, PD],
        default:   [UN, UN, UN, UN,  PD, OK, OK,  PD, PD, PD,  PD, PD,  PD, PD],
        other:     [UN, UN, UN, UN,  PD, PD, OK,  PD, PD, PD,  PD, PD,  PD, PD],
        mistaken:  [UN, UN, UN, UN,  PD, IA, IA,  PD, PD, PD,  PD, PD,  PD, PD],
    }),
    (Call::DeleteProject, Names {
        nothing:   [UN, UN, UN, UN,  PD, OK, IA,  PD, PD, PD,  PD, PD,  PD, PD],
        default:   [UN, UN, UN, UN,  PD, OK, OK,  PD, PD, PD,  PD, PD,  PD, PD],
        other:     [UN, UN, UN, UN,  PD, PD, OK,  PD, PD, PD,  PD, PD,  PD, PD],
        mistaken:  [UN, UN, UN, UN,  PD, IA, IA,  PD, PD, PD,  PD, PD,  PD, PD],
    }),
    (Call::Publish, Names {
        nothing:   [UN, UN, UN, UN,  PD, OK, IA,  PD, PD, PD,  PD, PD,  PD, PD],
        default:   [UN, UN, UN, UN,  PD, OK, OK,  PD, PD, PD,  PD, PD,  PD, PD],
        other:     [UN, UN, UN, UN,  PD, PD, OK,  PD, PD, PD,  PD, PD,  PD, PD],
        mistaken:  [UN, UN, UN, UN,  PD, IA, IA,  PD, PD, PD,  PD, PD,  PD, PD],
    }),
    // The code of the one event in it, where the call as a whole was not refused.
    (Call::PublishBatch, Names {
        nothing:   [UN, UN, UN, UN,  PD, OK, IA,  PD, PD, PD,  PD, PD,  PD, PD],
        default:   [UN, UN, UN, UN,  PD, OK, OK,  PD, PD, PD,  PD, PD,  PD, PD],
        other:     [UN, UN, UN, UN,  PD, PD, OK,  PD, PD, PD,  PD, PD,  PD, PD],
        mistaken:  [UN, UN, UN, UN,  PD, IA, IA,  PD, PD, PD,  PD, PD,  PD, PD],
    }),
    (Call::PublishStream, Names {
        nothing:   [UN, UN, UN, UN,  PD, OK, IA,  PD, PD, PD,  PD, PD,  PD, PD],
        default:   [UN, UN, UN, UN,  PD, OK, OK,  PD, PD, PD,  PD, PD,  PD, PD],
        other:     [UN, UN, UN, UN,  PD, PD, OK,  PD, PD, PD,  PD, PD,  PD, PD],
        mistaken:  [UN, UN, UN, UN,  PD, IA, IA,  PD, PD, PD,  PD, PD,  PD, PD],
    }),
];

impl Call {
    /// Service and method, as the schema has them.
    pub(super) fn method(self) -> (&'static str, &'static str) {
        match self {
            Self::SetPlan => ("Instances", "SetPlan"),
            Self::PutProject => ("Instances", "PutProject"),
            Self::DeleteProject => ("Instances", "DeleteProject"),
            Self::Publish => ("Events", "Publish"),
            Self::PublishBatch => ("Events", "PublishBatch"),
            Self::PublishStream => ("Events", "PublishStream"),
        }
    }

    pub(super) async fn check(self, world: &World, named: Named, caller: Caller, expected: Code) -> Result<(), String> {
        let grpc = world.grpc(caller);
        let answer = match self {
            Self::SetPlan => set_plan(world, &grpc, named).await?,
            Self::PutProject => put_project(world, &grpc, named).await?,
            Self::DeleteProject => delete_project(world, &grpc, named).await?,
            Self::Publish | Self::PublishBatch | Self::PublishStream => self.publish(world, &grpc, named).await?,
        };
        check_code(&answer, expected)?;
        match answer {
            Err(status) if expected == IA => {
                ensure(status.message().contains("instance"), || format!("`{}` names no instance", status.message()))
            }
            _ => Ok(()),
        }
    }

    /// Publishes an event of a project of its own, and finds out who gets it: nobody but the instance it is for.
    async fn publish(self, world: &World, grpc: &Grpc, named: Named) -> Result<Result<(), Status>, String> {
        let event = Event { instance: named.text().to_owned(), ..events::run_completed(world.number(), 1) };
        let id = event.id.clone();
        let answer = match self {
            Self::PublishBatch => batch(grpc, event).await,
            Self::PublishStream => streamed(grpc, event).await,
            _ => grpc.events().publish(PublishRequest { event: Some(event) }).await.map(drop),
        };
        if answer.is_ok() {
            world.published.lock().expect("no cell panics while it holds it").push((named.instance(), id));
        }
        Ok(answer)
    }
}

/// Tells that an instance has no webhooks any more; that holds for it and no other, and is taken back.
async fn set_plan(world: &World, grpc: &Grpc, named: Named) -> Result<Result<(), Status>, String> {
    let plan = |instance: &str, plan: &str| SetPlanRequest {
        instance: instance.to_owned(),
        plan: plan.to_owned(),
        version: world.number(),
    };
    let answer = grpc.instances().set_plan(plan(named.text(), "free")).await.map(drop);
    let mut allowed = Vec::new();
    for instance in Instance::ALL {
        let path = format!("{WEBHOOKS}?validate_only=true");
        let draft = world.draft(&json!([1]));
        allowed.push(world.admin(instance).post(&path, draft).await.json["code"] != "plan_required");
        let restored = plan(instance.name(), "enterprise");
        let restored = world.grpc(Caller::PublisherOfAll).instances().set_plan(restored).await;
        ensure(restored.is_ok(), || format!("the plan cannot be set again: {restored:?}"))?;
    }
    let expected: Vec<_> =
        Instance::ALL.into_iter().map(|instance| answer.is_err() || instance != named.instance()).collect();
    ensure(allowed == expected, || format!("webhooks are allowed by instance: {allowed:?}"))?;
    Ok(answer)
}

async fn put_project(world: &World, grpc: &Grpc, named: Named) -> Result<Result<(), Status>, String> {
    let project_id = world.number();
    let request = PutProjectRequest {
        instance: named.text().to_owned(),
        project_id,
        name: "Told".to_owned(),
        url: String::new(),
        version: world.number(),
    };
    let answer = grpc.instances().put_project(request).await.map(drop);
    for instance in Instance::ALL {
        let list = world.admin(instance).get("/api/v1/projects").await;
        let known = list.json["result"].as_array().expect("a list").iter().any(|project| project["id"] == project_id);
        let told = answer.is_ok() && instance == named.instance();
        ensure(known == told, || format!("{instance:?} knows the project: {known}"))?;
    }
    Ok(answer)
}

async fn delete_project(world: &World, grpc: &Grpc, named: Named) -> Result<Result<(), Status>, String> {
    let project_id = world.number();
    let mut hooks = Vec::new();
    for instance in Instance::ALL {
        let draft = world.draft(&json!([project_id]));
        let made = world.admin(instance).post(WEBHOOKS, draft).await.expect(201);
        hooks.push((instance, made["id"].to_string()));
    }
    let request = DeleteProjectRequest { instance: named.text().to_owned(), project_id, version: world.number() };
    let answer = grpc.instances().delete_project(request).await.map(drop);
    for (instance, id) in hooks {
        let seen = world.seen(instance, &id).await;
        let left = answer.is_ok() && instance == named.instance();
        let projects = if left { json!([]) } else { json!([project_id]) };
        let right = seen.webhook["projects"] == projects && seen.webhook["active"] == !left;
        ensure(right, || format!("{instance:?} has {seen:?}"))?;
    }
    Ok(answer)
}

/// The error of an event as the status that it would be.
fn result(result: Option<PublishResult>) -> Result<(), Status> {
    let result = result.ok_or_else(|| Status::unknown("there is no result for the event"))?;
    result.error.map_or(Ok(()), |error| Err(Status::new(Code::from_i32(error.code), error.message)))
}

async fn batch(grpc: &Grpc, event: Event) -> Result<(), Status> {
    let answer = grpc.events().publish_batch(PublishBatchRequest { events: vec![event] }).await?;
    result(answer.into_inner().results.pop())
}

async fn streamed(grpc: &Grpc, event: Event) -> Result<(), Status> {
    let requests = stream::iter([PublishStreamRequest { event: Some(event), sequence: 1 }]);
    let mut answers = grpc.events().publish_stream(requests).await?.into_inner();
    result(answers.message().await?.and_then(|answer| answer.result))
}
