//! Which entries of history a page shows.

use domain::EventType;
use proto::v1::ListEntriesRequest;
use serde::Deserialize;

use crate::{
    console::{
        choice::{self, Choice},
        paging::address,
        when,
    },
    deliveries::{STATUSES, status_from},
    error::Failure,
};

const PER_PAGE: i32 = 25;

/// The filters as they stand in the address. What is no filter is none; a time that is none is a mistake.
#[derive(Clone, Default, Deserialize)]
pub(super) struct Filters {
    #[serde(default)]
    pub(super) status: String,
    #[serde(default)]
    pub(super) event: String,
    #[serde(default)]
    pub(super) from: String,
    #[serde(default)]
    pub(super) to: String,
    #[serde(default)]
    pub(super) test: String,
    #[serde(default)]
    pub(super) cursor: String,
    #[serde(default)]
    pub(super) done: String,
}

impl Filters {
    pub(super) fn request(&self, webhook_id: i64) -> Result<ListEntriesRequest, Failure> {
        let time = |name: &str, text: &str| {
            let message = format!("{name} must be a day and a time, such as 2026-11-23T08:15");
            when::from_field(text).map_err(|()| Failure::new(proto::error::ErrorCode::Validation, message))
        };
        Ok(ListEntriesRequest {
            webhook_id,
            status: status_from(&self.status).unwrap_or_default().into(),
            per_page: PER_PAGE,
            cursor: self.cursor.clone(),
            event_type: self.event.parse::<EventType>().map_or("", EventType::name).to_owned(),
            from: time("From", &self.from)?,
            to: time("To", &self.to)?,
            is_test: match self.test.as_str() {
                "only" => Some(true),
                "none" => Some(false),
                _ => None,
            },
        })
    }

    /// Whether anything is left out.
    pub(super) fn any(&self) -> bool {
        [&self.status, &self.event, &self.from, &self.to, &self.test].into_iter().any(|text| !text.is_empty())
    }

    /// The address of the page with these filters, to be completed with a cursor.
    pub(super) fn address(&self, path: &str) -> String {
        let pairs = [
            ("status", self.status.as_str()),
            ("event", self.event.as_str()),
            ("from", self.from.as_str()),
            ("to", self.to.as_str()),
            ("test", self.test.as_str()),
        ];
        address(path, &pairs)
    }

    pub(super) fn statuses(&self) -> Vec<Choice> {
        let title = |name: &str| match name {
            "pending" => "Pending",
            "delivered" => "Delivered",
            _ => "Failed",
        };
        STATUSES.into_iter().rev().map(|(_, name)| Choice::new(name, title(name), &self.status)).collect()
    }

    pub(super) fn events(&self) -> Vec<Choice> {
        choice::events(&self.event)
    }

    pub(super) fn tests(&self) -> Vec<Choice> {
        [("only", "Test payloads only"), ("none", "Without test payloads")]
            .map(|(value, title)| Choice::new(value, title, &self.test))
            .into()
    }
}
