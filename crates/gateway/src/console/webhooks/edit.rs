//! The form of a webhook with its panels WEBHOOK and PROJECTS, for new ones and for those that there are.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use proto::{error::ErrorCode, v1};
use serde::Deserialize;

use super::{
    draft::{self, Draft, Group, Mistake},
    head::{Head, Tab},
    read, secret,
};
use crate::{
    Services,
    caller::answer,
    console::{
        form::Submitted,
        names::{KINDS, Projects},
        page::{Frame, Section, html, see_other},
        text::Text,
        trouble::{Shown, Trouble, sentence},
        visitor::Visitor,
    },
    error::Failure,
    path::WebhookId,
};

#[derive(Template)]
#[template(path = "webhook_form.html")]
struct FormPage {
    frame: Frame,
    /// `None`: a new one.
    head: Option<Head>,
    action: String,
    draft: Draft,
    kinds: [(&'static str, &'static str, bool); 4],
    groups: Vec<Group>,
    every: bool,
    projects: Vec<(i64, Text, bool)>,
    may_choose_all: bool,
    faults: Faults,
    proof: String,
}

/// What is wrong, as the services say it.
#[derive(Default)]
struct Faults {
    /// What is not about a field.
    message: Option<Text>,
    fields: Vec<(String, Text)>,
}

impl Faults {
    fn of(failure: &Failure) -> Self {
        let fields: Vec<_> =
            failure.fields().iter().map(|(field, text)| (field.clone(), Text::line(sentence(text)))).collect();
        let message = fields.is_empty().then(|| Text::line(sentence(failure.message())));
        Self { message, fields }
    }

    fn at((field, text): Mistake) -> Self {
        Self { message: None, fields: vec![(field, Text::line(sentence(&text)))] }
    }

    /// What is wrong with a field; services name places in lists as well, such as `events[2]`.
    fn of_field(&self, field: &str) -> Vec<&Text> {
        let about =
            |name: &str| name == field || name.strip_prefix(field).is_some_and(|rest| rest.starts_with(['[', '.']));
        self.fields.iter().filter(|(name, _)| about(name)).map(|(_, text)| text).collect()
    }

    fn any(&self) -> bool {
        self.message.is_some() || !self.fields.is_empty()
    }
}

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    done: String,
}

/// `GET /webhooks/new`
pub(super) async fn blank(State(services): State<Services>, visitor: Visitor) -> Result<Response, Trouble> {
    let draft = Draft::new(&visitor);
    form(&services, &visitor, None, draft, Faults::default(), StatusCode::OK, "").await
}

/// `GET /webhooks/{id}`
pub(super) async fn show(
    State(services): State<Services>,
    visitor: Visitor,
    Shown(WebhookId(id)): Shown<WebhookId>,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    let webhook = read(&services, &visitor.caller, id).await?;
    let draft = Draft::of(&webhook);
    form(&services, &visitor, Some(webhook), draft, Faults::default(), StatusCode::OK, &asked.done).await
}

/// `POST /webhooks/new`
pub(super) async fn create(
    State(services): State<Services>,
    Submitted { visitor, fields }: Submitted,
) -> Result<Response, Trouble> {
    let draft = Draft::read(&fields, &visitor);
    let request = match draft.to_create() {
        Ok(request) => request,
        Err(mistake) => return refused(&services, &visitor, None, draft, Faults::at(mistake)).await,
    };
    match answer(services.webhooks().create_webhook(visitor.caller.request(request))).await {
        Ok(made) => secret::shown(&visitor, made.webhook, true),
        Err(failure) if is_told(failure.code()) => {
            refused(&services, &visitor, None, draft, Faults::of(&failure)).await
        }
        Err(failure) => Err(failure.into()),
    }
}

/// `POST /webhooks/{id}`
pub(super) async fn save(
    State(services): State<Services>,
    Shown(WebhookId(id)): Shown<WebhookId>,
    Submitted { visitor, fields }: Submitted,
) -> Result<Response, Trouble> {
    let webhook = read(&services, &visitor.caller, id).await?;
    let draft = Draft::read(&fields, &visitor);
    let request = match draft.to_update(id) {
        Ok(request) => request,
        Err(mistake) => return refused(&services, &visitor, Some(webhook), draft, Faults::at(mistake)).await,
    };
    match answer(services.webhooks().update_webhook(visitor.caller.request(request))).await {
        Ok(v1::UpdateWebhookResponse { changes, .. }) => {
            let done = if changes.is_empty() { "unchanged" } else { "saved" };
            Ok(see_other(&format!("/webhooks/{id}?done={done}")))
        }
        Err(failure) if failure.code() == ErrorCode::PreconditionFailed => {
            // Saving again then means it.
            let draft = Draft { version: webhook.version, ..draft };
            let text = "The webhook was changed since you opened this page. Look at its change log, then save again to \
                        replace what was changed.";
            let faults = Faults { message: Some(Text::line(text)), fields: Vec::new() };
            refused(&services, &visitor, Some(webhook), draft, faults).await
        }
        Err(failure) if is_told(failure.code()) => {
            refused(&services, &visitor, Some(webhook), draft, Faults::of(&failure)).await
        }
        Err(failure) => Err(failure.into()),
    }
}

/// Whether a failure is shown in the form, where what was written is not lost.
fn is_told(code: ErrorCode) -> bool {
    use ErrorCode as E;
    matches!(code, E::Validation | E::Malformed | E::Forbidden | E::PlanRequired | E::Conflict | E::Unavailable)
}

async fn refused(
    services: &Services,
    visitor: &Visitor,
    webhook: Option<v1::Webhook>,
    draft: Draft,
    faults: Faults,
) -> Result<Response, Trouble> {
    form(services, visitor, webhook, draft, faults, StatusCode::UNPROCESSABLE_ENTITY, "").await
}

async fn form(
    services: &Services,
    visitor: &Visitor,
    webhook: Option<v1::Webhook>,
    draft: Draft,
    faults: Faults,
    status: StatusCode,
    done: &str,
) -> Result<Response, Trouble> {
    let known = Projects::load(services, &visitor.caller).await?;
    // A project administrator chooses among its own, named or not.
    let known = match visitor.projects() {
        Some(own) => known.only(own),
        None => known.with(&draft.projects),
    };
    let project = |id: i64| (id, known.name(id), draft.projects.contains(&id));
    let (title, action) = match &webhook {
        Some(webhook) => (Text::line(webhook.name.clone()).to_string(), format!("/webhooks/{}", webhook.id)),
        None => ("Add webhook".to_owned(), "/webhooks/new".to_owned()),
    };
    let page = FormPage {
        frame: Frame::new(title, Section::Webhooks, visitor).after(done),
        head: webhook.map(|webhook| Head::new(&webhook, Tab::Edit, visitor)),
        action,
        kinds: KINDS.map(|(value, title)| (value, title, draft.kind == value)),
        groups: draft::groups(&draft),
        every: draft.selects("*"),
        projects: known.ids().into_iter().map(project).collect(),
        may_choose_all: visitor.is_system_admin(),
        draft,
        faults,
        proof: visitor.proof.clone(),
    };
    Ok(html(status, &page))
}
