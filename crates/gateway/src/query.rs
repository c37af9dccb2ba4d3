//! Query parameters: those that a route knows, and no others.

use axum::{
    extract::{FromRequestParts, Query as Pairs},
    http::{Uri, request::Parts},
};
use domain::{EventType, WebhookKind};
use prost_types::Timestamp;
use proto::{
    error::ErrorCode,
    v1::{
        DeliveryStatus, ExportEntriesRequest, GetStatsRequest, ListEntriesRequest, ListWebhooksRequest, StatsInterval,
    },
};

use crate::{
    deliveries::{self, Format},
    error::Failure,
    named::Named,
    path::number,
    stats,
};

pub(crate) const PER_PAGE: [i32; 4] = [15, 25, 50, 100];
pub(crate) const PER_PAGE_DEFAULT: i32 = 100;
/// Characters of the text to look for; no name is longer.
pub(crate) const TEXT_LIMIT: usize = 255;

/// The parameters of a request, not yet read.
pub(crate) struct Query(Named<String>);

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        Self::parse(&parts.uri)
    }
}

impl Query {
    /// What stands after the question mark.
    pub(crate) fn parse(uri: &Uri) -> Result<Self, Failure> {
        let Pairs(pairs) = Pairs::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| Failure::new(ErrorCode::Malformed, "the query is not of the form name=value&name=value"))?;
        let mut named = Named::new("query parameter");
        for (name, value) in pairs {
            named.add(name, value);
        }
        Ok(Self(named))
    }
}

/// That there are no parameters.
pub(crate) struct NoQuery;

impl<S: Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let Query(named) = Query::from_request_parts(parts, state).await?;
        named.finish().map(|()| Self)
    }
}

/// Which page of a list.
#[derive(Clone, Copy)]
pub(crate) struct PageQuery {
    /// From 1.
    pub(crate) page: i32,
    /// One of 15, 25, 50, 100.
    pub(crate) per_page: i32,
}

impl Query {
    /// `page` and `per_page`.
    pub(crate) fn page(self) -> Result<PageQuery, Failure> {
        let Self(mut named) = self;
        let page = page(&mut named);
        named.finish().map(|()| page)
    }

    /// `page`, `per_page` and the filters of the list of webhooks.
    pub(crate) fn webhooks(self) -> Result<(PageQuery, ListWebhooksRequest), Failure> {
        let Self(mut named) = self;
        let page = page(&mut named);
        let active = flag(&mut named, "active");
        let kind = named.take("type");
        if let Some(Err(error)) = kind.as_ref().map(|kind| kind.parse::<WebhookKind>()) {
            named.fault("type", error.to_string());
        }
        let project_id = id(&mut named, "project", "must be a project id, an integer from 1");
        let query = named.take("q").unwrap_or_default();
        if query.chars().count() > TEXT_LIMIT || query.chars().any(char::is_control) {
            named.fault("q", format!("must have at most {TEXT_LIMIT} characters, no control characters among them"));
        }
        let PageQuery { page: number, per_page } = page;
        let request =
            ListWebhooksRequest { page: number, per_page, active, r#type: kind.unwrap_or_default(), project_id, query };
        named.finish().map(|()| (page, request))
    }

    /// `validate_only`: whether everything is to be checked and nothing saved.
    pub(crate) fn validate_only(self) -> Result<bool, Failure> {
        let Self(mut named) = self;
        let validate_only = flag(&mut named, "validate_only").unwrap_or_default();
        named.finish().map(|()| validate_only)
    }

    /// The filters of lists, `per_page` and `cursor`, as a request for entries of this webhook, or of all (0).
    pub(crate) fn entries(self, webhook_id: i64) -> Result<ListEntriesRequest, Failure> {
        let Self(mut named) = self;
        let Filters { status, event_type, from, to, is_test } = Filters::take(&mut named);
        let per_page = per_page(&mut named);
        let cursor = named.take("cursor").unwrap_or_default();
        let request = ListEntriesRequest { webhook_id, status, per_page, cursor, event_type, from, to, is_test };
        named.finish().map(|()| request)
    }

    /// `format`, `webhook`, the filters of lists and `cursor`, as a request for an export.
    pub(crate) fn export(self) -> Result<(Format, ExportEntriesRequest), Failure> {
        let Self(mut named) = self;
        let format = named.take("format").map(|name| deliveries::FORMATS.into_iter().find(|row| row.0 == name));
        if format == Some(None) {
            named.fault("format", format!("must be one of {}", deliveries::FORMATS.map(|row| row.0).join(", ")));
        }
        let format = format.flatten().map_or(Format::Json, |row| row.1);
        let webhook_id = id(&mut named, "webhook", "must be a webhook id, an integer from 1");
        let Filters { status, event_type, from, to, is_test } = Filters::take(&mut named);
        let cursor = named.take("cursor").unwrap_or_default();
        let request = ExportEntriesRequest { webhook_id, status, cursor, event_type, from, to, is_test };
        named.finish().map(|()| (format, request))
    }

    /// `confirm`, empty where it is left out. The service says what it has to be.
    pub(crate) fn confirmation(self) -> Result<String, Failure> {
        let Self(mut named) = self;
        let confirm = named.take("confirm").unwrap_or_default();
        named.finish().map(|()| confirm)
    }

    /// `from`, `to` and `interval`, as a request for the statistics of this webhook.
    pub(crate) fn stats(self, webhook_id: i64) -> Result<GetStatsRequest, Failure> {
        let Self(mut named) = self;
        let (from, to) = (time(&mut named, "from"), time(&mut named, "to"));
        let interval = named.take("interval").map(|text| stats::interval_from(&text));
        if interval == Some(None) {
            named.fault("interval", format!("must be {}", stats::INTERVALS.map(|(_, name)| name).join(" or ")));
        }
        let interval = interval.flatten().unwrap_or(StatsInterval::Hour).into();
        named.finish().map(|()| GetStatsRequest { webhook_id, from, to, interval })
    }
}

/// Which entries of history are wanted: `status`, `event`, `from`, `to` and `test`.
struct Filters {
    status: i32,
    event_type: String,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    is_test: Option<bool>,
}

impl Filters {
    fn take(named: &mut Named<String>) -> Self {
        let status = named.take("status").map(|text| deliveries::status_from(&text));
        if status == Some(None) {
            named.fault("status", format!("must be one of {}", deliveries::STATUSES.map(|(_, name)| name).join(", ")));
        }
        let event = named.take("event");
        if let Some(Err(error)) = event.as_ref().map(|name| name.parse::<EventType>()) {
            named.fault("event", error.to_string());
        }
        Self {
            status: status.flatten().unwrap_or(DeliveryStatus::Unspecified).into(),
            event_type: event.unwrap_or_default(),
            from: time(named, "from"),
            to: time(named, "to"),
            is_test: flag(named, "test"),
        }
    }
}

/// 0 where it is left out.
fn id(named: &mut Named<String>, name: &'static str, fault: &str) -> i64 {
    let Some(text) = named.take(name) else { return 0 };
    number(&text).unwrap_or_else(|| {
        named.fault(name, fault);
        0
    })
}

fn page(named: &mut Named<String>) -> PageQuery {
    let page = match named.take("page").map(|text| text.parse::<i32>()) {
        None => 1,
        Some(Ok(page)) if page > 0 => page,
        Some(_) => {
            named.fault("page", format!("must be an integer from 1 to {}", i32::MAX));
            1
        }
    };
    PageQuery { page, per_page: per_page(named) }
}

fn per_page(named: &mut Named<String>) -> i32 {
    let Some(text) = named.take("per_page") else { return PER_PAGE_DEFAULT };
    let given = text.parse().ok().filter(|number| PER_PAGE.contains(number));
    given.unwrap_or_else(|| {
        named.fault("per_page", "must be one of 15, 25, 50, 100");
        PER_PAGE_DEFAULT
    })
}

fn time(named: &mut Named<String>, name: &'static str) -> Option<Timestamp> {
    let text = named.take(name)?;
    let time = proto::json::timestamp::parse(&text);
    if time.is_none() {
        named.fault(name, "must be a time in RFC 3339, such as 2026-11-23T08:15:00Z (a + is written %2B)");
    }
    time
}

fn flag(named: &mut Named<String>, name: &'static str) -> Option<bool> {
    let flag = named.take(name).map(|text| text.parse());
    flag.and_then(|flag| flag.map_err(|_| named.fault(name, "must be true or false")).ok())
}
