//! The list of webhooks, each with its health at a glance.

use std::collections::HashMap;

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use proto::v1::{
    self, BatchGetStatsRequest, ExplainWebhookRequest, GetStatsResponse, SampleEvent, explain_webhook_request::Event,
};
use serde::Deserialize;

use super::head::reason;
use crate::{
    Services,
    caller::answer,
    console::{
        chart::Chart,
        choice::Choice,
        names::{KINDS, Projects, events_summary, kind_title},
        page::{Frame, Section, html},
        paging::{Paging, address, number},
        text::Text,
        trouble::{Trouble, sentence},
        visitor::Visitor,
    },
    path,
    query::TEXT_LIMIT,
};

const PER_PAGE: i32 = 25;

#[derive(Template)]
#[template(path = "webhooks.html")]
struct ListPage {
    frame: Frame,
    rows: Vec<Row>,
    paging: Paging,
    filtered: bool,
    q: String,
    active: Vec<Choice>,
    kinds: Vec<Choice>,
    projects: Vec<Choice>,
}

struct Row {
    id: i64,
    name: Text,
    url: Text,
    kind: &'static str,
    events: Text,
    projects: Text,
    active: bool,
    reason: Option<Text>,
    insecure: bool,
    /// `None`: history cannot tell now.
    chart: Option<Chart>,
}

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    q: String,
    #[serde(default)]
    active: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    project: String,
    #[serde(default)]
    page: String,
    #[serde(default)]
    done: String,
}

impl Asked {
    /// What is no filter is none.
    fn request(&self) -> v1::ListWebhooksRequest {
        let kind = KINDS.into_iter().find(|row| row.0 == self.kind).map_or("", |row| row.0);
        v1::ListWebhooksRequest {
            page: number(&self.page),
            per_page: PER_PAGE,
            active: match self.active.as_str() {
                "active" => Some(true),
                "inactive" => Some(false),
                _ => None,
            },
            r#type: kind.to_owned(),
            project_id: path::number(&self.project).unwrap_or_default(),
            query: self.q.trim().chars().filter(|letter| !letter.is_control()).take(TEXT_LIMIT).collect(),
        }
    }
}

/// `GET /`
pub(super) async fn show(
    State(services): State<Services>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    let request = asked.request();
    let page = request.page;
    let mut webhooks = services.webhooks();
    let (found, projects) = futures::try_join!(
        answer(webhooks.list_webhooks(visitor.caller.request(request.clone()))),
        Projects::load(&services, &visitor.caller),
    )?;
    let webhook_ids: Vec<_> = found.webhooks.iter().map(|webhook| webhook.id).collect();
    let plan = async {
        match webhook_ids.first() {
            Some(webhook) => plan(&services, &visitor, *webhook).await,
            None => None,
        }
    };
    let (plan, mut stats) = futures::join!(plan, stats(&services, &visitor, &webhook_ids));
    let rows = found.webhooks.into_iter().map(|webhook: v1::Webhook| {
        let chart = stats.remove(&webhook.id).map(Chart::of);
        row(&projects, webhook, chart)
    });
    let filtered = request != v1::ListWebhooksRequest { page, per_page: PER_PAGE, ..Default::default() };
    let filters = [
        ("q", asked.q.as_str()),
        ("active", asked.active.as_str()),
        ("type", asked.kind.as_str()),
        ("project", asked.project.as_str()),
    ];
    let choice = |id: i64| Choice::new(id.to_string(), projects.name(id).to_string(), &asked.project);
    let page = ListPage {
        frame: Frame::new("Webhooks", Section::Webhooks, &visitor).after(&asked.done).with_plan(plan),
        rows: rows.collect(),
        paging: Paging::new(page, PER_PAGE, found.total, address("/", &filters)),
        filtered,
        active: [("active", "Active"), ("inactive", "Inactive")]
            .map(|(value, title)| Choice::new(value, title, &asked.active))
            .into(),
        kinds: KINDS.map(|(value, title)| Choice::new(value, title, &asked.kind)).into(),
        projects: projects.ids().into_iter().map(choice).collect(),
        q: request.query,
    };
    Ok(html(StatusCode::OK, &page))
}

/// What became of the events of webhooks in the last 24 hours; nothing if history cannot tell now.
async fn stats(services: &Services, visitor: &Visitor, webhook_ids: &[i64]) -> HashMap<i64, GetStatsResponse> {
    let request = BatchGetStatsRequest { webhook_ids: webhook_ids.to_vec(), ..Default::default() };
    let answered = answer(services.history().batch_get_stats(visitor.caller.request(request))).await;
    answered.map(|answer| answer.stats).unwrap_or_default()
}

fn row(projects: &Projects, webhook: v1::Webhook, chart: Option<Chart>) -> Row {
    Row {
        id: webhook.id,
        kind: kind_title(&webhook.r#type),
        events: events_summary(&webhook.events),
        projects: projects.summary(webhook.projects.as_ref()),
        active: webhook.active,
        reason: reason(&webhook.inactive_reason),
        insecure: webhook.allow_insecure,
        name: Text::line(webhook.name),
        url: Text::line(webhook.url),
        chart,
    }
}

/// Why the instance may have no active webhooks; `None`: it may, or it cannot be said. Of the plan the visitor is told by
/// the rules that hold for any of its webhooks.
pub(super) async fn plan(services: &Services, visitor: &Visitor, webhook: i64) -> Option<Text> {
    let event = Event::Sample(SampleEvent { r#type: "run.created".to_owned(), project_id: 0 });
    let request = visitor.caller.request(ExplainWebhookRequest { id: webhook, event: Some(event) });
    let explained = answer(services.webhooks().explain_webhook(request)).await.ok()?;
    let rule = explained.rules.into_iter().find(|rule| rule.rule == "plan" && !rule.passed)?;
    Some(Text::line(sentence(&rule.reason)))
}
