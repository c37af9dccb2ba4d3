//! The gRPC services in memory. What they answer depends on the token, so that a test can ask for any error: the token
//! `down` has every call fail, `later-down` has every call fail but the first question, who it stands for.

mod answers;
mod history;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use proto::{
    error::{ApiError, ErrorCode},
    v1::{self, webhooks_server::Webhooks},
};
use tonic::{Request, Response, Status};

use self::answers::explanation;
use crate::shown;

/// A delivery that exists.
pub(crate) const DELIVERY: &str = "0190a8f2-5b7e-7c1d-9a3e-1f2d3c4b5a69";
/// An event that history has; its delivery to webhook 7 exists as well.
pub(crate) const EVENT: &str = "5f0c1c5e-8a4b-4d5e-9c3a-6b1f2e7d9a03";
/// The same, with a payload that is no text.
pub(crate) const BROKEN_EVENT: &str = "5f0c1c5e-8a4b-4d5e-9c3a-6b1f2e7d9aff";
/// A webhook whose deliveries cannot be exported now.
pub(crate) const BUSY: i64 = 99;
/// A replay of every webhook.
pub(crate) const REPLAY: &str = "0190a8f2-5b7e-7c1d-9a3e-1f2d3c4b5a70";
/// Number of webhooks and of tokens in lists.
pub(crate) const TOTAL: i64 = 40;

/// The version of every webhook.
pub(crate) const VERSION: i64 = 12;

/// Both services; clones share what they have seen.
#[derive(Clone, Default)]
pub(crate) struct Fake {
    calls: Arc<Mutex<Vec<String>>>,
    revoked: Arc<AtomicBool>,
}

type Answer<T> = Result<Response<T>, Status>;

impl Fake {
    /// The messages that came, since this was last called; without the questions who a token stands for.
    pub(crate) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    /// From now on no token is valid.
    pub(crate) fn revoke_all(&self) {
        self.revoked.store(true, Ordering::SeqCst);
    }

    fn enter<T: std::fmt::Debug>(&self, request: Request<T>) -> Result<T, Status> {
        self.enter_as(request, |message| format!("{message:?}"))
    }

    fn enter_as<T>(&self, request: Request<T>, shown: impl Fn(&T) -> String) -> Result<T, Status> {
        let token = token_of(&request);
        outcome(token.strip_prefix("later-").unwrap_or(token))?;
        let message = request.into_inner();
        self.calls.lock().unwrap().push(shown(&message));
        Ok(message)
    }
}

fn token_of<T>(request: &Request<T>) -> &str {
    let header = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
    header.and_then(|header| header.strip_prefix("Bearer ")).unwrap_or_default()
}

fn outcome(token: &str) -> Result<(), Status> {
    let error = |code| Err(ApiError::new(code, "because the test says so").into());
    match token {
        "admin" | "project_admin" => Ok(()),
        "forbidden" => error(ErrorCode::Forbidden),
        "plan" => error(ErrorCode::PlanRequired),
        "conflict" => error(ErrorCode::Conflict),
        "limited" => error(ErrorCode::RateLimited),
        "down" => Err(Status::unavailable("tcp connect error: 10.1.2.3:5432")),
        "broken" => Err(Status::internal("no column `hash` in 10.1.2.3")),
        "old" => Err(Status::unimplemented("")),
        "panic" => panic!("hash of 10.1.2.3"),
        _ => error(ErrorCode::Unauthenticated),
    }
}

fn unchanged(if_version: Option<i64>) -> Result<(), Status> {
    if if_version.is_none_or(|version| version == VERSION) {
        return Ok(());
    }
    Err(ApiError::new(ErrorCode::PreconditionFailed, "the webhook has changed since").into())
}

fn known(what: &str, id: i64) -> Result<(), Status> {
    if (1..=TOTAL).contains(&id) { Ok(()) } else { Err(ApiError::not_found(what, id).into()) }
}

pub(crate) fn at(seconds: i64, nanos: i32) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos })
}

fn webhook(id: i64) -> v1::Webhook {
    v1::Webhook {
        id,
        name: "CI".into(),
        url: "https://ci.example.com/hook".into(),
        r#type: "generic".into(),
        events: vec!["run.completed".into()],
        projects: None,
        allow_insecure: false,
        send_traceparent: false,
        active: true,
        inactive_reason: String::new(),
        secret: "whsec_…abcd".into(),
        created_at: at(1_800_000_000, 0),
        updated_at: at(1_800_000_001, 500_000_000),
        warnings: Vec::new(),
        headers: ["x-team", "x-api-key"].map(|name| v1::CustomHeader { name: name.into(), value: "…".into() }).into(),
        filter: Vec::new(),
        version: VERSION,
        previous_secret_expires_at: None,
        secret_id: 2,
    }
}

fn field_change(field: &str, from_json: &str, to_json: &str) -> v1::FieldChange {
    v1::FieldChange { field: field.into(), from_json: from_json.into(), to_json: to_json.into() }
}

fn project(id: i64) -> v1::Project {
    let url = if id % 2 == 1 { "https://acme.testmo.net/projects/view/1".to_owned() } else { String::new() };
    v1::Project { id, name: format!("Project {id}"), url }
}

fn change(version: i64) -> v1::WebhookChange {
    v1::WebhookChange {
        version,
        at: at(1_800_000_000, 0),
        action: "updated".into(),
        actor: "deploy".into(),
        actor_role: "system_admin".into(),
        fields: vec![
            field_change("projects", "", r#"[3, 1]"#),
            field_change("filter", r#"{"b":1.10,"a":null}"#, "null"),
        ],
    }
}

fn token(id: i64) -> v1::Token {
    v1::Token {
        id,
        name: "deploy".into(),
        role: "project_admin".into(),
        projects: vec![3, 7],
        instance: "acme".into(),
        prefix: "tmw_ab".into(),
        created_at: at(1_800_000_000, 0),
        expires_at: None,
    }
}

/// The ids on a page.
fn ids(page: i32, per_page: i32) -> impl Iterator<Item = i64> {
    let start = i64::from(page - 1) * i64::from(per_page);
    (1..=TOTAL).filter(move |id| *id > start && *id <= start + i64::from(per_page))
}

#[tonic::async_trait]
impl Webhooks for Fake {
    async fn get_caller(&self, request: Request<v1::GetCallerRequest>) -> Answer<v1::GetCallerResponse> {
        let role = match token_of(&request) {
            _ if self.revoked.load(Ordering::SeqCst) => outcome("").map(|()| "")?,
            role @ ("project_admin" | "member" | "publisher" | "king") => role,
            later if later.starts_with("later-") => "system_admin",
            token => outcome(token).map(|()| "system_admin")?,
        };
        let projects = if role == "project_admin" { vec![3, 7] } else { Vec::new() };
        let (instance, name) = ("acme".into(), "deploy".into());
        let caller = v1::GetCallerResponse { role: role.into(), instance, projects, name };
        Ok(Response::new(caller))
    }

    async fn create_webhook(&self, request: Request<v1::CreateWebhookRequest>) -> Answer<v1::CreateWebhookResponse> {
        let draft = self.enter_as(request, shown::created)?;
        if draft.url.starts_with("ftp:") {
            let faults = [("url", "must be https"), ("url", "has no host"), ("events", "too few")];
            return Err(ApiError::fields(faults.map(|(field, text)| (field.into(), text.into())).into()).into());
        }
        let v1::CreateWebhookRequest { name, url, projects, filter, .. } = draft;
        let saved = v1::Webhook { active: !draft.inactive, name, url, projects, filter, ..webhook(41) };
        let made = if draft.validate_only {
            let unsaved = v1::Webhook { id: 0, version: 0, secret: String::new(), secret_id: 0, ..saved };
            v1::Webhook { created_at: None, updated_at: None, ..unsaved }
        } else {
            v1::Webhook { secret: "whsec_whole".into(), ..saved }
        };
        Ok(Response::new(v1::CreateWebhookResponse { webhook: Some(made) }))
    }

    async fn get_webhook(&self, request: Request<v1::GetWebhookRequest>) -> Answer<v1::GetWebhookResponse> {
        let id = self.enter(request)?.id;
        known("webhook", id)?;
        // An answer that breaks its schema.
        Ok(Response::new(v1::GetWebhookResponse { webhook: (id != 13).then(|| webhook(id)) }))
    }

    async fn list_webhooks(&self, request: Request<v1::ListWebhooksRequest>) -> Answer<v1::ListWebhooksResponse> {
        let v1::ListWebhooksRequest { page, per_page, .. } = self.enter(request)?;
        let webhooks = ids(page, per_page).map(webhook).collect();
        Ok(Response::new(v1::ListWebhooksResponse { webhooks, total: TOTAL }))
    }

    async fn delete_webhook(&self, request: Request<v1::DeleteWebhookRequest>) -> Answer<v1::DeleteWebhookResponse> {
        let asked = self.enter(request)?;
        known("webhook", asked.id)?;
        unchanged(asked.if_version)?;
        Ok(Response::new(v1::DeleteWebhookResponse {}))
    }

    async fn activate_webhook(
        &self,
        request: Request<v1::ActivateWebhookRequest>,
    ) -> Answer<v1::ActivateWebhookResponse> {
        let v1::ActivateWebhookRequest { id, if_version } = self.enter(request)?;
        known("webhook", id)?;
        unchanged(if_version)?;
        Ok(Response::new(v1::ActivateWebhookResponse { webhook: Some(webhook(id)) }))
    }

    async fn deactivate_webhook(
        &self,
        request: Request<v1::DeactivateWebhookRequest>,
    ) -> Answer<v1::DeactivateWebhookResponse> {
        let v1::DeactivateWebhookRequest { id, if_version } = self.enter(request)?;
        known("webhook", id)?;
        unchanged(if_version)?;
        let inactive = v1::Webhook { active: false, inactive_reason: "endpoint kept failing".into(), ..webhook(id) };
        Ok(Response::new(v1::DeactivateWebhookResponse { webhook: Some(inactive) }))
    }

    async fn update_webhook(&self, request: Request<v1::UpdateWebhookRequest>) -> Answer<v1::UpdateWebhookResponse> {
        let asked = self.enter_as(request, shown::updated)?;
        known("webhook", asked.id)?;
        unchanged(asked.if_version)?;
        let Some(name) = asked.name else {
            let webhook = Some(webhook(asked.id));
            return Ok(Response::new(v1::UpdateWebhookResponse { webhook, changes: Vec::new() }));
        };
        let changes = vec![field_change("name", r#""CI""#, &format!("{name:?}"))];
        let version = if asked.validate_only { VERSION } else { VERSION + 1 };
        let webhook = Some(v1::Webhook { name, version, ..webhook(asked.id) });
        Ok(Response::new(v1::UpdateWebhookResponse { webhook, changes }))
    }

    async fn regenerate_secret(
        &self,
        request: Request<v1::RegenerateSecretRequest>,
    ) -> Answer<v1::RegenerateSecretResponse> {
        let asked = self.enter(request)?;
        known("webhook", asked.id)?;
        unchanged(asked.if_version)?;
        let previous_secret_expires_at = (asked.overlap_hours > 0).then(|| at(1_800_000_000, 0)).flatten();
        let secret = "whsec_new".into();
        let webhook = v1::Webhook { secret, previous_secret_expires_at, version: VERSION + 1, ..webhook(asked.id) };
        Ok(Response::new(v1::RegenerateSecretResponse { webhook: Some(webhook) }))
    }

    async fn list_webhook_changes(
        &self,
        request: Request<v1::ListWebhookChangesRequest>,
    ) -> Answer<v1::ListWebhookChangesResponse> {
        let v1::ListWebhookChangesRequest { id, page, per_page } = self.enter(request)?;
        known("webhook", id)?;
        if id == 13 {
            // An answer that breaks its schema.
            let fields = vec![field_change("name", "{", "")];
            let changes = vec![v1::WebhookChange { fields, ..change(1) }];
            return Ok(Response::new(v1::ListWebhookChangesResponse { changes, total: 1 }));
        }
        let changes = ids(page, per_page).map(change).collect();
        Ok(Response::new(v1::ListWebhookChangesResponse { changes, total: TOTAL }))
    }

    async fn explain_webhook(&self, request: Request<v1::ExplainWebhookRequest>) -> Answer<v1::ExplainWebhookResponse> {
        let asked = self.enter(request)?;
        known("webhook", asked.id)?;
        Ok(Response::new(explanation(asked.id)))
    }

    async fn test_webhook(&self, request: Request<v1::TestWebhookRequest>) -> Answer<v1::TestWebhookResponse> {
        let id = self.enter(request)?.id;
        known("webhook", id)?;
        let (delivery_id, event_id) = (DELIVERY.into(), EVENT.into());
        let sent = v1::TestWebhookResponse { delivery_id, event_id, event_type: "run.created".into(), project_id: 3 };
        Ok(Response::new(sent))
    }

    async fn list_projects(&self, request: Request<v1::ListProjectsRequest>) -> Answer<v1::ListProjectsResponse> {
        let v1::ListProjectsRequest { page, per_page } = self.enter(request)?;
        let projects = ids(page, per_page).map(project).collect();
        Ok(Response::new(v1::ListProjectsResponse { projects, total: TOTAL }))
    }

    async fn create_token(&self, request: Request<v1::CreateTokenRequest>) -> Answer<v1::CreateTokenResponse> {
        let wanted = self.enter(request)?;
        let made = v1::Token { name: wanted.name, expires_at: wanted.expires_at, ..token(41) };
        Ok(Response::new(v1::CreateTokenResponse { token: Some(made), text: "tmw_abcdef".into() }))
    }

    async fn list_tokens(&self, request: Request<v1::ListTokensRequest>) -> Answer<v1::ListTokensResponse> {
        let v1::ListTokensRequest { page, per_page } = self.enter(request)?;
        let tokens = ids(page, per_page).map(token).collect();
        Ok(Response::new(v1::ListTokensResponse { tokens, total: TOTAL }))
    }

    async fn revoke_token(&self, request: Request<v1::RevokeTokenRequest>) -> Answer<v1::RevokeTokenResponse> {
        known("token", self.enter(request)?.id)?;
        Ok(Response::new(v1::RevokeTokenResponse {}))
    }

    async fn get_plan(&self, request: Request<v1::GetPlanRequest>) -> Answer<v1::GetPlanResponse> {
        self.enter(request)?;
        Ok(Response::new(v1::GetPlanResponse { plan: "business".into() }))
    }
}
