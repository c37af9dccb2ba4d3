//! What stands above everything about one webhook: what it is, what can be done with it, and where to look further.

use domain::inactive;
use proto::v1;

use crate::console::{
    names::kind_title,
    text::Text,
    trouble::sentence,
    visitor::Visitor,
    when::{When, when},
};

/// The screens about one webhook.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::console) enum Tab {
    Edit,
    Deliveries,
    Explain,
    Replays,
    Changes,
}

/// The head of a screen about one webhook.
pub(in crate::console) struct Head {
    pub(in crate::console) id: i64,
    pub(in crate::console) name: Text,
    pub(in crate::console) url: Text,
    pub(in crate::console) kind: &'static str,
    pub(in crate::console) active: bool,
    /// Why it is inactive, where that was not an operator's doing.
    pub(in crate::console) reason: Option<Text>,
    pub(in crate::console) warnings: Vec<Text>,
    /// Until when an older secret signs as well.
    pub(in crate::console) overlap: Option<When>,
    pub(in crate::console) proof: String,
    tab: Tab,
}

impl Head {
    pub(in crate::console) fn new(webhook: &v1::Webhook, tab: Tab, visitor: &Visitor) -> Self {
        Self {
            id: webhook.id,
            name: Text::line(webhook.name.clone()),
            url: Text::line(webhook.url.clone()),
            kind: kind_title(&webhook.r#type),
            active: webhook.active,
            reason: reason(&webhook.inactive_reason),
            warnings: webhook.warnings.iter().map(|text| Text::line(sentence(text))).collect(),
            overlap: when(webhook.previous_secret_expires_at),
            proof: visitor.proof.clone(),
            tab,
        }
    }

    pub(in crate::console) fn is_edit(&self) -> bool {
        self.tab == Tab::Edit
    }

    pub(in crate::console) fn is_deliveries(&self) -> bool {
        self.tab == Tab::Deliveries
    }

    pub(in crate::console) fn is_explain(&self) -> bool {
        self.tab == Tab::Explain
    }

    pub(in crate::console) fn is_replays(&self) -> bool {
        self.tab == Tab::Replays
    }

    pub(in crate::console) fn is_changes(&self) -> bool {
        self.tab == Tab::Changes
    }
}

/// Why a webhook is inactive, for people.
pub(super) fn reason(reason: &str) -> Option<Text> {
    if reason.is_empty() {
        return None;
    }
    let details = reason.split_once(':').map_or("", |(_, details)| details.trim());
    Some(Text::line(match inactive::code(reason) {
        inactive::PLAN_DOWNGRADED => "Deactivated because the plan was downgraded.".to_owned(),
        inactive::PROJECTS_DELETED => "Deactivated because its last project was deleted.".to_owned(),
        inactive::ENDPOINT_FAILING => format!("Deactivated because its endpoint kept failing: {details}."),
        _ => format!("Deactivated: {reason}."),
    }))
}
