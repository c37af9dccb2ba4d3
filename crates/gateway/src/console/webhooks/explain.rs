//! Explain: why a webhook gets an event or does not.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use domain::delivery_id;
use proto::{
    error::ErrorCode,
    v1::{self, SampleEvent, explain_webhook_request::Event},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    head::{Head, Tab},
    read,
};
use crate::{
    Services,
    caller::answer,
    console::{
        choice::{self, Choice},
        form::{Fields, Submitted},
        names::event_title,
        page::{Frame, Section, html},
        text::Text,
        trouble::{Shown, Trouble, sentence},
        visitor::Visitor,
    },
    error::Failure,
    path::WebhookId,
};

#[derive(Template)]
#[template(path = "explain.html")]
struct ExplainPage {
    frame: Frame,
    head: Head,
    events: Vec<Choice>,
    event_id: String,
    project: String,
    payload: Text,
    error: Option<Text>,
    explanation: Option<Explanation>,
}

/// What comes of every rule.
struct Explanation {
    title: Text,
    delivers: bool,
    rules: Vec<Rule>,
    /// The delivery that was made of the event; `None`: none, or the event is not one in history.
    delivery: Option<String>,
}

struct Rule {
    name: Text,
    passed: bool,
    reason: Text,
    conditions: Vec<Condition>,
}

struct Condition {
    text: Text,
    passed: bool,
    /// What stands at its path, or why nothing is shown.
    found: Text,
}

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    event_id: String,
}

fn page(visitor: &Visitor, webhook: &v1::Webhook) -> ExplainPage {
    let title = format!("Explain: {}", Text::line(webhook.name.clone()));
    ExplainPage {
        frame: Frame::new(title, Section::Webhooks, visitor),
        head: Head::new(webhook, Tab::Explain, visitor),
        events: choice::events(""),
        event_id: String::new(),
        project: String::new(),
        payload: Text::default(),
        error: None,
        explanation: None,
    }
}

/// `GET /webhooks/{id}/explain`
pub(super) async fn ask(
    State(services): State<Services>,
    visitor: Visitor,
    Shown(WebhookId(id)): Shown<WebhookId>,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    let webhook = read(&services, &visitor.caller, id).await?;
    let event_id = Text::line(asked.event_id).to_string();
    Ok(html(StatusCode::OK, &ExplainPage { event_id, ..page(&visitor, &webhook) }))
}

/// `POST /webhooks/{id}/explain`
pub(super) async fn explain(
    State(services): State<Services>,
    Shown(WebhookId(id)): Shown<WebhookId>,
    Submitted { visitor, fields }: Submitted,
) -> Result<Response, Trouble> {
    let webhook = read(&services, &visitor.caller, id).await?;
    let page = ExplainPage {
        event_id: fields.text("event_id").trim().to_owned(),
        events: choice::events(fields.text("event")),
        project: fields.text("project").to_owned(),
        payload: Text::block(fields.text("payload")),
        ..page(&visitor, &webhook)
    };
    match explanation(&services, &visitor, id, &fields).await {
        Ok(explanation) => Ok(html(StatusCode::OK, &ExplainPage { explanation: Some(explanation), ..page })),
        Err(failure)
            if matches!(failure.code(), ErrorCode::Validation | ErrorCode::Malformed | ErrorCode::NotFound) =>
        {
            let error = Some(Text::line(sentence(failure.message())));
            Ok(html(StatusCode::UNPROCESSABLE_ENTITY, &ExplainPage { error, ..page }))
        }
        Err(failure) => Err(failure.into()),
    }
}

async fn explanation(services: &Services, visitor: &Visitor, id: i64, fields: &Fields) -> Result<Explanation, Failure> {
    let wrong = |text: &str| Failure::new(ErrorCode::Validation, text);
    let mut past = None;
    let event = match fields.text("way") {
        "past" => {
            let text = fields.text("event_id").trim();
            let event_id = Uuid::parse_str(text).map_err(|_| wrong("an event id is a UUID"))?;
            past = Some(event_id);
            let request = v1::GetEventRequest { event_id: event_id.to_string() };
            let event = answer(services.history().get_event(visitor.caller.request(request))).await?;
            let text = String::from_utf8(event.payload.into());
            Event::PayloadJson(text.map_err(|_| Failure::incomplete("JSON where it should have some"))?)
        }
        "sample" => {
            let project_id = match fields.text("project").trim() {
                "" => 0,
                text => crate::path::number(text).ok_or_else(|| wrong("a project id is an integer from 1"))?,
            };
            Event::Sample(SampleEvent { r#type: fields.text("event").to_owned(), project_id })
        }
        _ => Event::PayloadJson(fields.text("payload").to_owned()),
    };
    let request = v1::ExplainWebhookRequest { id, event: Some(event) };
    let explained = answer(services.webhooks().explain_webhook(visitor.caller.request(request))).await?;
    let delivery = match past {
        Some(event_id) => standing(services, visitor, delivery_id(event_id, id)).await?,
        None => None,
    };
    Ok(Explanation {
        title: Text::line(event_title(&explained.event_type)),
        delivers: explained.delivers,
        rules: explained.rules.into_iter().map(rule).collect(),
        delivery,
    })
}

/// The id of the delivery, if it was made.
async fn standing(services: &Services, visitor: &Visitor, id: Uuid) -> Result<Option<String>, Failure> {
    let request = v1::GetDeliveryRequest { delivery_id: id.to_string() };
    match answer(services.history().get_delivery(visitor.caller.request(request))).await {
        Ok(_) => Ok(Some(id.to_string())),
        Err(failure) if failure.code() == ErrorCode::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn rule(outcome: v1::RuleOutcome) -> Rule {
    let condition = |outcome: v1::ConditionOutcome| Condition {
        text: Text::line(outcome.condition),
        passed: outcome.passed,
        found: Text::line(outcome.found_json.unwrap_or(outcome.reason)),
    };
    Rule {
        name: Text::line(outcome.rule),
        passed: outcome.passed,
        reason: Text::line(sentence(&outcome.reason)),
        conditions: outcome.conditions.into_iter().map(condition).collect(),
    }
}
