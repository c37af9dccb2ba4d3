//! Pages as they are sent: what is around each of them, and the headers that keep it safe.

use askama::Template;
use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{assets, text::Text, visitor::Visitor};

/// Nothing from elsewhere, nothing inline, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

const SAFETY: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    // Not `no-referrer`: forms would then say that they come from nowhere.
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// What surrounds a page's own content.
pub(super) struct Frame {
    pub(super) title: String,
    pub(super) style: &'static str,
    pub(super) script: &'static str,
    pub(super) icon: &'static str,
    /// `None`: nobody is signed in.
    pub(super) who: Option<Who>,
    pub(super) section: Section,
    /// What an action before has done.
    pub(super) notice: Option<&'static str>,
    /// Why the instance has no webhooks, where its plan has none.
    pub(super) plan: Option<Text>,
}

/// Who is signed in.
pub(super) struct Who {
    pub(super) name: Text,
    pub(super) role: &'static str,
    pub(super) instance: Text,
    pub(super) is_system_admin: bool,
    pub(super) proof: String,
}

/// The parts of the console that its head leads to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    None,
    Webhooks,
    Deliveries,
    Tokens,
    Settings,
}

impl Section {
    /// For askama, which compares references.
    pub(super) fn is_webhooks(&self) -> bool {
        *self == Self::Webhooks
    }

    pub(super) fn is_deliveries(&self) -> bool {
        *self == Self::Deliveries
    }

    pub(super) fn is_tokens(&self) -> bool {
        *self == Self::Tokens
    }

    pub(super) fn is_settings(&self) -> bool {
        *self == Self::Settings
    }
}

impl Frame {
    /// Around a page for somebody who is signed in.
    pub(super) fn new(title: impl Into<String>, section: Section, visitor: &Visitor) -> Self {
        let who = Who {
            name: Text::line(visitor.name.clone()),
            role: visitor.role_title(),
            instance: Text::line(visitor.instance.clone()),
            is_system_admin: visitor.is_system_admin(),
            proof: visitor.proof.clone(),
        };
        Self { who: Some(who), section, ..Self::outside(title) }
    }

    /// Around a page for anybody.
    pub(super) fn outside(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            style: assets::style_path(),
            script: assets::script_path(),
            icon: assets::icon_path(),
            who: None,
            section: Section::None,
            notice: None,
            plan: None,
        }
    }

    /// With what an action before has done, named in the query.
    pub(super) fn after(self, done: &str) -> Self {
        Self { notice: notice(done), ..self }
    }

    pub(super) fn with_plan(self, plan: Option<Text>) -> Self {
        Self { plan, ..self }
    }
}

/// What is said after an action. Its code is in the address, which anybody can write: so no text is taken from there.
fn notice(done: &str) -> Option<&'static str> {
    Some(match done {
        "saved" => "The webhook was saved.",
        "unchanged" => "Nothing was changed.",
        "activated" => "The webhook is active: deliveries are sent.",
        "deactivated" => "The webhook is inactive: deliveries are paused.",
        "deleted" => "The webhook was deleted. Its delivery history is kept for the configured retention period.",
        "test" => "The test payload was dispatched. What becomes of it is shown below.",
        "retried" => "A new delivery attempt was dispatched.",
        "revoked" => "The token was revoked.",
        "settings" => "The settings were saved.",
        "cleared" => "The delivery history was cleared.",
        "cancelled" => "The replay was cancelled.",
        _ => return None,
    })
}

/// A page with this status.
pub(super) fn html(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => safe((status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], text)),
        Err(error) => {
            tracing::error!(%error, "a page cannot be written");
            safe((StatusCode::INTERNAL_SERVER_ERROR, "the page cannot be shown; the log of the service says why"))
        }
    }
}

/// An answer with the headers that keep pages safe.
pub(super) fn safe(answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    for (name, value) in SAFETY {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// To another page, which is then read anew.
pub(super) fn see_other(path: &str) -> Response {
    match HeaderValue::try_from(path) {
        Ok(path) => safe((StatusCode::SEE_OTHER, [(header::LOCATION, path)])),
        Err(_) => safe((StatusCode::SEE_OTHER, [(header::LOCATION, "/")])),
    }
}
