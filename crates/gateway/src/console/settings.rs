//! What concerns the history of all webhooks together: downloading it.

use askama::Template;
use axum::{
    Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::Response,
    routing::get,
};
use proto::v1::ExportEntriesRequest;
use serde::Deserialize;

use super::{
    page::{Frame, Section, html, safe},
    trouble::Trouble,
    visitor::Visitor,
};
use crate::{
    Services,
    deliveries::{FORMATS, Format, send_export},
};

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    frame: Frame,
}

#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    format: String,
}

pub(super) fn routes() -> Router<Services> {
    Router::new().route("/settings", get(show)).route("/settings/export", get(download))
}

/// `GET /settings`
async fn show(visitor: Visitor) -> Result<Response, Trouble> {
    visitor.must_be_system_admin()?;
    Ok(html(StatusCode::OK, &SettingsPage { frame: Frame::new("Settings", Section::Settings, &visitor) }))
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
