//! What concerns the history of all webhooks together: how long it is kept, clearing it, downloading it.

use askama::Template;
use axum::{
    Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::Response,
    routing::get,
};
use proto::{
    error::ErrorCode,
    v1::{self, ExportEntriesRequest},
};
use serde::Deserialize;

use super::{
    choice::Choice,
    form::Submitted,
    page::{Frame, Section, html, safe, see_other},
    text::Text,
    trouble::{Trouble, sentence},
    visitor::Visitor,
};
use crate::{
    Services,
    caller::answer,
    deliveries::{FORMATS, Format, send_export},
};

/// How long history can be kept, as the article's drop-down says it.
const RETENTIONS: [(&str, &str); 3] =
    [("7", "After 7 days"), ("30", "After 30 days"), ("90", "After 90 days (default)")];
/// What somebody types who means it; the service asks for it as well.
const CONFIRMATION: &str = "clear-all-delivery-history";

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    frame: Frame,
    retentions: Vec<Choice>,
    plan: Text,
    proof: String,
}

#[derive(Template)]
#[template(path = "clear.html")]
struct ClearPage {
    frame: Frame,
    confirmation: &'static str,
    error: Option<Text>,
    proof: String,
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    done: String,
}

#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    format: String,
}

pub(super) fn routes() -> Router<Services> {
    Router::new()
        .route("/settings", get(show).post(save))
        .route("/settings/clear", get(ask_clear).post(clear))
        .route("/settings/export", get(download))
}

/// `GET /settings`
async fn show(
    State(services): State<Services>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    visitor.must_be_system_admin()?;
    let (mut history, mut webhooks) = (services.history(), services.webhooks());
    let (settings, plan) = futures::try_join!(
        answer(history.get_settings(visitor.caller.request(v1::GetSettingsRequest {}))),
        answer(webhooks.get_plan(visitor.caller.request(v1::GetPlanRequest {}))),
    )?;
    let days = settings.retention_days.to_string();
    let page = SettingsPage {
        frame: Frame::new("Settings", Section::Settings, &visitor).after(&asked.done),
        retentions: RETENTIONS.map(|(value, title)| Choice::new(value, title, &days)).into(),
        plan: Text::line(plan.plan),
        proof: visitor.proof,
    };
    Ok(html(StatusCode::OK, &page))
}

/// `POST /settings`
async fn save(State(services): State<Services>, Submitted { visitor, fields }: Submitted) -> Result<Response, Trouble> {
    visitor.must_be_system_admin()?;
    // What is no number is refused by the service, like every number that it does not take.
    let retention_days = fields.number("retention_days").and_then(|days| i32::try_from(days).ok()).unwrap_or_default();
    let request = v1::UpdateSettingsRequest { retention_days };
    answer(services.history().update_settings(visitor.caller.request(request))).await?;
    Ok(see_other("/settings?done=settings"))
}

fn clear_page(visitor: &Visitor, error: Option<Text>, status: StatusCode) -> Response {
    let frame = Frame::new("Clear webhook delivery history", Section::Settings, visitor);
    html(status, &ClearPage { frame, confirmation: CONFIRMATION, error, proof: visitor.proof.clone() })
}

/// `GET /settings/clear`
async fn ask_clear(visitor: Visitor) -> Result<Response, Trouble> {
    visitor.must_be_system_admin()?;
    Ok(clear_page(&visitor, None, StatusCode::OK))
}

/// `POST /settings/clear`
async fn clear(
    State(services): State<Services>,
    Submitted { visitor, fields }: Submitted,
) -> Result<Response, Trouble> {
    visitor.must_be_system_admin()?;
    let request = v1::ClearEntriesRequest { confirm: fields.text("confirm").trim().to_owned() };
    match answer(services.history().clear_entries(visitor.caller.request(request))).await {
        Ok(_) => Ok(see_other("/settings?done=cleared")),
        Err(failure) if matches!(failure.code(), ErrorCode::Validation | ErrorCode::Malformed) => {
            let error = Some(Text::line(sentence(failure.message())));
            Ok(clear_page(&visitor, error, StatusCode::UNPROCESSABLE_ENTITY))
        }
        Err(failure) => Err(failure.into()),
    }
}

/// `GET /settings/export`
async fn download(
    State(services): State<Services>,
    visitor: Visitor,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    visitor.must_be_system_admin()?;
    let format = FORMATS.into_iter().find(|row| row.0 == wanted.format).map_or(Format::Json, |row| row.1);
    let request = ExportEntriesRequest::default();
    Ok(safe(send_export(&services, &visitor.caller, format, request, &headers).await?))
}
