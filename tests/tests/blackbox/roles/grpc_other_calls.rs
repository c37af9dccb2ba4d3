//! The remaining gRPC methods: how they are called, and what they do when they are permitted.

use blackbox::grpc::Grpc;
use proto::v1::{
    CancelReplayRequest, ClearEntriesRequest, CreateTokenRequest, DropParkedRequest, ExportEntriesRequest,
    GetCallerRequest, GetDeliveryRequest, GetEventRequest, GetPlanRequest, GetReplayRequest, GetSettingsRequest,
    ListParkedRequest, ListProjectsRequest, ListTokensRequest, ListWebhooksRequest, RequeueParkedRequest,
    RetryDeliveryRequest, RevokeTokenRequest, UpdateSettingsRequest,
};
use tonic::{Code, Status};

use super::{
    callers,
    cells::{Pair, check_code},
    other_calls::{WhoseToken, listed, token_to_revoke, works},
    standing::{Past, PastEvent, PastReplay, Standing},
    world::{NEVER, World, ensure},
};

/// A method that is about no webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Caller,
    ListWebhooks,
    ListProjects,
    ListTokens,
    CreateToken,
    /// A token for all instances.
    CreateTokenForAll,
    /// A token of a role that there is not.
    CreateTokenMistaken,
    Revoke(WhoseToken),
    Export,
    Delivery(Past),
    Retry(Past),
    Event(PastEvent),
    GetReplay(PastReplay),
    CancelReplay(PastReplay),
    ListParked,
    RequeueParked,
    DropParked,
    Plan,
    Settings,
    UpdateSettings,
    /// To what there is not.
    UpdateSettingsMistaken,
    /// Without saying so.
    ClearUnconfirmed,
    Clear,
}

impl Call {
    /// Service and method, as the schema has them.
    pub(super) fn method(self) -> (&'static str, &'static str) {
        match self {
            Self::Caller => ("Webhooks", "GetCaller"),
            Self::ListWebhooks => ("Webhooks", "ListWebhooks"),
            Self::ListProjects => ("Webhooks", "ListProjects"),
            Self::ListTokens => ("Webhooks", "ListTokens"),
            Self::CreateToken | Self::CreateTokenForAll | Self::CreateTokenMistaken => ("Webhooks", "CreateToken"),
            Self::Revoke(_) => ("Webhooks", "RevokeToken"),
            Self::Export => ("History", "ExportEntries"),
            Self::Delivery(_) => ("History", "GetDelivery"),
            Self::Retry(_) => ("History", "RetryDelivery"),
            Self::Event(_) => ("History", "GetEvent"),
            Self::GetReplay(_) => ("History", "GetReplay"),
            Self::CancelReplay(_) => ("History", "CancelReplay"),
            Self::ListParked => ("Operations", "ListParked"),
            Self::RequeueParked => ("Operations", "RequeueParked"),
            Self::DropParked => ("Operations", "DropParked"),
            Self::Plan => ("Webhooks", "GetPlan"),
            Self::Settings => ("History", "GetSettings"),
            Self::UpdateSettings | Self::UpdateSettingsMistaken => ("History", "UpdateSettings"),
            Self::Clear | Self::ClearUnconfirmed => ("History", "ClearEntries"),
        }
    }

    pub(super) async fn check(
        self,
        world: &World,
        standing: &Standing,
        caller: callers::Caller,
        expected: Code,
    ) -> Result<(), String> {
        let grpc = world.grpc(caller);
        let mut webhooks = grpc.webhooks();
        match self {
            Self::Caller => check_caller(&grpc, caller, expected).await,
            Self::ListWebhooks => check_code(&webhooks.list_webhooks(ListWebhooksRequest::default()).await, expected),
            Self::ListProjects => check_code(&webhooks.list_projects(ListProjectsRequest::default()).await, expected),
            Self::ListTokens => check_code(&webhooks.list_tokens(ListTokensRequest::default()).await, expected),
            Self::CreateToken => check_token(world, caller, "member", false, expected).await,
            Self::CreateTokenForAll => check_token(world, caller, "publisher", true, expected).await,
            Self::CreateTokenMistaken => check_token(world, caller, "king", false, expected).await,
            Self::Revoke(whose) => check_revoke(world, &grpc, whose, expected).await,
            Self::Export => check_export(&grpc, expected).await,
            Self::Delivery(past) => check_delivery(&grpc, standing, past, expected).await,
            Self::Retry(past) => check_retry(&grpc, standing, past, expected).await,
            Self::Event(past) => check_event(&grpc, standing, past, expected).await,
            Self::GetReplay(past) => check_replay(&grpc, standing, (false, past), expected).await,
            Self::CancelReplay(past) => check_replay(&grpc, standing, (true, past), expected).await,
            Self::ListParked => {
                check_code(&grpc.operations().list_parked(ListParkedRequest::default()).await, expected)
            }
            Self::RequeueParked => {
                let request = RequeueParkedRequest { all: true, ..RequeueParkedRequest::default() };
                check_code(&grpc.operations().requeue_parked(request).await, expected)
            }
            Self::DropParked => {
                let request = DropParkedRequest { all: true, ..DropParkedRequest::default() };
                check_code(&grpc.operations().drop_parked(request).await, expected)
            }
            Self::Plan => check_code(&webhooks.get_plan(GetPlanRequest {}).await, expected),
            Self::Settings => check_code(&grpc.history().get_settings(GetSettingsRequest {}).await, expected),
            Self::UpdateSettings | Self::UpdateSettingsMistaken => {
                let retention_days = if self == Self::UpdateSettings { 90 } else { 8 };
                check_code(&grpc.history().update_settings(UpdateSettingsRequest { retention_days }).await, expected)
            }
            Self::Clear | Self::ClearUnconfirmed => {
                let confirm = if self == Self::Clear { "clear-all-delivery-history" } else { "yes" }.to_owned();
                check_code(&grpc.history().clear_entries(ClearEntriesRequest { confirm }).await, expected)
            }
        }
    }
}

/// That whoever may export gets it to its end.
async fn check_export(grpc: &Grpc, expected: Code) -> Result<(), String> {
    let answer = grpc.history().export_entries(ExportEntriesRequest::default()).await;
    check_code(&answer, expected)?;
    let Ok(answer) = answer else { return Ok(()) };
    let (mut parts, mut complete) = (answer.into_inner(), false);
    while let Some(part) = parts.message().await.map_err(|status| status.to_string())? {
        complete = part.complete;
    }
    ensure(complete, || "the export was cut short".to_owned())
}

/// That a caller is told who it is.
async fn check_caller(grpc: &Grpc, caller: callers::Caller, expected: Code) -> Result<(), String> {
    let answer = grpc.webhooks().get_caller(GetCallerRequest {}).await;
    check_code(&answer, expected)?;
    let Ok(answer) = answer else { return Ok(()) };
    let answer = answer.into_inner();
    let found = (answer.role.as_str(), answer.instance.as_str(), answer.projects.as_slice());
    let wanted = caller.identity();
    ensure(Some(found) == wanted, || format!("{found:?} instead of {wanted:?}"))
}

async fn check_token(
    world: &World,
    caller: callers::Caller,
    role: &str,
    all_instances: bool,
    expected: Code,
) -> Result<(), String> {
    let name = world.name();
    let request = CreateTokenRequest {
        name: name.clone(),
        role: role.to_owned(),
        all_instances,
        ..CreateTokenRequest::default()
    };
    let answer = world.grpc(caller).webhooks().create_token(request).await;
    check_code(&answer, expected)?;
    for instance in callers::Instance::ALL {
        let made = expected == Code::Ok && instance == caller.instance();
        let found = listed(world, instance, &name).await;
        ensure(found.is_some() == made, || format!("made in {instance:?}: {found:?}"))?;
    }
    let Ok(answer) = answer else { return Ok(()) };
    let made = answer.into_inner();
    let owner = if all_instances { "" } else { caller.instance().name() };
    ensure(made.token.as_ref().is_some_and(|token| token.instance == owner), || format!("made {:?}", made.token))?;
    ensure(works(world, Some(&made.text)).await, || "the new token cannot be used".to_owned())
}

async fn check_revoke(world: &World, grpc: &Grpc, whose: WhoseToken, expected: Code) -> Result<(), String> {
    let (id, text) = token_to_revoke(world, whose).await;
    let send = async |id: &str| -> Result<(), Status> {
        let request = RevokeTokenRequest { id: id.parse().unwrap_or(0) };
        grpc.webhooks().revoke_token(request).await.map(drop)
    };
    let answer = send(&id).await;
    check_code(&answer, expected)?;
    if let Some(text) = &text {
        let works = works(world, Some(text)).await;
        ensure(works == (expected != Code::Ok), || format!("afterwards the token works: {works}"))?;
    }
    if expected == Code::NotFound && text.is_some() {
        return check_alike(Pair { hidden: &id, never: NEVER }, answer, send(NEVER).await);
    }
    Ok(())
}

/// That neither call found anything, and that they cannot be told apart.
fn check_alike(pair: Pair<'_>, hidden: Result<(), Status>, never: Result<(), Status>) -> Result<(), String> {
    match (hidden, never) {
        (Err(hidden), Err(never)) => pair.check_status(&hidden, &never),
        found => Err(format!("found {found:?}")),
    }
}

async fn check_delivery(grpc: &Grpc, standing: &Standing, past: Past, expected: Code) -> Result<(), String> {
    let send = async |id: &str| {
        let request = GetDeliveryRequest { delivery_id: id.to_owned() };
        grpc.history().get_delivery(request).await.map(|answer| answer.into_inner().delivery.map(|found| found.id))
    };
    let id = standing.delivery(past);
    let answer = send(id).await;
    check_code(&answer, expected)?;
    let never = standing.delivery(Past::Never);
    match answer {
        Ok(found) => ensure(found.as_deref() == Some(id), || format!("answered {found:?}")),
        Err(status) if expected == Code::NotFound => {
            check_alike(Pair { hidden: id, never }, Err(status), send(never).await.map(drop))
        }
        Err(_) => Ok(()),
    }
}

async fn check_retry(grpc: &Grpc, standing: &Standing, past: Past, expected: Code) -> Result<(), String> {
    let send = async |id: &str| {
        let request = RetryDeliveryRequest { delivery_id: id.to_owned() };
        grpc.history().retry_delivery(request).await.map(drop)
    };
    let id = standing.delivery(past);
    let answer = send(id).await;
    check_code(&answer, expected)?;
    if expected == Code::NotFound {
        let never = standing.delivery(Past::Never);
        return check_alike(Pair { hidden: id, never }, answer, send(never).await);
    }
    Ok(())
}

async fn check_replay(
    grpc: &Grpc,
    standing: &Standing,
    (cancels, past): (bool, PastReplay),
    expected: Code,
) -> Result<(), String> {
    let (webhook_id, id) = standing.replay(past);
    let send = async |id: &str| {
        let (mut history, replay_id) = (grpc.history(), id.to_owned());
        if cancels {
            let request = CancelReplayRequest { webhook_id, replay_id };
            return history.cancel_replay(request).await.map(|answer| answer.into_inner().replay);
        }
        let request = GetReplayRequest { webhook_id, replay_id };
        history.get_replay(request).await.map(|answer| answer.into_inner().replay)
    };
    let answer = send(id).await;
    check_code(&answer, expected)?;
    match answer {
        Ok(found) => ensure(found.as_ref().is_some_and(|found| found.id == id), || format!("answered {found:?}")),
        Err(status) if expected == Code::NotFound => {
            let never = standing.replay(PastReplay::NoReplay(past.hook())).1;
            check_alike(Pair { hidden: id, never }, Err(status), send(never).await.map(drop))
        }
        Err(_) => Ok(()),
    }
}

async fn check_event(grpc: &Grpc, standing: &Standing, past: PastEvent, expected: Code) -> Result<(), String> {
    let send = async |id: &str| {
        let request = GetEventRequest { event_id: id.to_owned() };
        grpc.history().get_event(request).await.map(tonic::Response::into_inner)
    };
    let id = standing.event(past);
    let answer = send(id).await;
    check_code(&answer, expected)?;
    let never = standing.event(PastEvent::Unheard);
    match (answer, past) {
        (Ok(found), PastEvent::In(_, project)) => {
            let right = found.event_id == id && found.project_id == project && !found.payload.is_empty();
            ensure(right, || format!("answered {found:?}"))
        }
        (Err(status), _) if expected == Code::NotFound => {
            check_alike(Pair { hidden: id, never }, Err(status), send(never).await.map(drop))
        }
        _ => Ok(()),
    }
}
