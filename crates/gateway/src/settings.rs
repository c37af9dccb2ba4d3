//! `/webhooks/settings`: how long history is kept, and the plan of the instance.

use axum::{Json, extract::State};
use proto::v1;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    Services,
    body::Fields,
    caller::{Caller, SystemAdmin, answer},
    error::Failure,
    openapi::{Operation, Route, Tag, schema},
    page::Single,
    query::NoQuery,
    read,
};

/// How many days history may be kept.
const RETENTIONS: [i32; 3] = [7, 30, 90];

/// The settings of an instance.
#[derive(Serialize)]
pub(crate) struct SettingsJson {
    retention_days: i32,
    /// Read only: Testmo core tells it.
    plan: String,
}

/// `GET /webhooks/settings`
async fn read(
    State(services): State<Services>,
    SystemAdmin(caller): SystemAdmin,
    _: NoQuery,
) -> Result<Json<Single<SettingsJson>>, Failure> {
    let kept = answer(services.history().get_settings(caller.request(v1::GetSettingsRequest {}))).await?;
    shown(&services, &caller, kept.retention_days).await
}

/// `PUT /webhooks/settings`
async fn write(
    State(services): State<Services>,
    SystemAdmin(caller): SystemAdmin,
    _: NoQuery,
    mut fields: Fields,
) -> Result<Json<Single<SettingsJson>>, Failure> {
    let retention_days = fields.required("retention_days", read::retention_days);
    fields.read_only(&["plan"]);
    fields.finish()?;
    let request = v1::UpdateSettingsRequest { retention_days };
    let kept = answer(services.history().update_settings(caller.request(request))).await?;
    shown(&services, &caller, kept.retention_days).await
}

async fn shown(
    services: &Services,
    caller: &Caller,
    retention_days: i32,
) -> Result<Json<Single<SettingsJson>>, Failure> {
    let plan = answer(services.webhooks().get_plan(caller.request(v1::GetPlanRequest {}))).await?.plan;
    Ok(Json(Single { result: SettingsJson { retention_days, plan } }))
}

pub(crate) fn routes() -> Vec<Route> {
    let example = || json!({"result": {"retention_days": 90, "plan": "enterprise"}});
    let answer = || schema::single(schema::named("Settings"));
    let read_docs = Operation::new(Tag::Settings, "getSettings", "Read the settings")
        .describe("How long history is kept, and the plan of the instance.")
        .answers(200, "The settings.", answer(), example());
    let write_docs = Operation::new(Tag::Settings, "putSettings", "Change the settings")
        .describe(
            "History that is older than `retention_days` is out of sight at once and off the disk within the hour; a longer \
             retention does not bring it back. What is pending goes on. The plan is told by Testmo core, and read only.",
        )
        .takes("SettingsToPut", true, &[("month", json!({"retention_days": 30}))])
        .answers(200, "The settings as they are now.", answer(), example());
    vec![Route::get("/webhooks/settings", read, read_docs), Route::put("/webhooks/settings", write, write_docs)]
}

pub(crate) fn schemas() -> Vec<(&'static str, Value)> {
    let days = || {
        json!({"type": "integer", "format": "int32", "enum": RETENTIONS,
            "description": "How many days history is kept."})
    };
    let plan = schema::text("The plan of the instance; `business` and `enterprise` allow webhooks.");
    let settings = schema::object([("retention_days", days()), ("plan", plan)]);
    let to_put = schema::request(&["retention_days"], [("retention_days", days())]);
    vec![
        ("Settings", schema::described(settings, "How long history is kept, and the plan of the instance.")),
        ("SettingsToPut", schema::described(to_put, "How long history is to be kept.")),
    ]
}
