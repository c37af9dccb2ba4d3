//! The REST calls on one webhook: how they are made, and what they do when they are permitted.

use blackbox::rest::{Answer, Rest};
use serde_json::json;

use super::world::{Seen, WEBHOOKS, ensure};

/// A call on a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Read,
    Rename,
    /// With the tag of a version that it has not.
    RenameStale,
    Delete,
    /// With the tag of a version that it has not.
    DeleteStale,
    Activate,
    Deactivate,
    Secret,
    Deliveries,
    Stats,
    Changes,
    /// What becomes of a sample event.
    Explain,
    /// Sending a test payload.
    Test,
    /// Trying again what has failed, of which there is nothing.
    Replay,
    CountReplay,
    Replays,
}

const RENAMED: &str = "renamed";
/// Before everything.
pub(super) const LONG_AGO: &str = "2020-01-01T00:00:00Z";
/// A version that no webhook has.
const STALE: &str = "\"900000001\"";

impl Call {
    /// Method and path, as the OpenAPI document has them.
    pub(super) fn route(self) -> (&'static str, &'static str) {
        match self {
            Self::Read => ("get", "/webhooks/{id}"),
            Self::Rename | Self::RenameStale => ("patch", "/webhooks/{id}"),
            Self::Delete | Self::DeleteStale => ("delete", "/webhooks/{id}"),
            Self::Activate => ("post", "/webhooks/{id}/activate"),
            Self::Deactivate => ("post", "/webhooks/{id}/deactivate"),
            Self::Secret => ("post", "/webhooks/{id}/secret"),
            Self::Deliveries => ("get", "/webhooks/{id}/deliveries"),
            Self::Stats => ("get", "/webhooks/{id}/stats"),
            Self::Changes => ("get", "/webhooks/{id}/changes"),
            Self::Explain => ("post", "/webhooks/{id}/explain"),
            Self::Test => ("post", "/webhooks/{id}/test"),
            Self::Replay | Self::CountReplay => ("post", "/webhooks/{id}/replay"),
            Self::Replays => ("get", "/webhooks/{id}/replays"),
        }
    }

    /// Whether the webhook is active before it: each action is to change something.
    pub(super) fn wants_active(self) -> bool {
        self != Self::Activate
    }

    pub(super) async fn send(self, rest: &Rest, id: &str) -> Answer {
        let path = format!("{WEBHOOKS}/{id}");
        match self {
            Self::Read => rest.get(&path).await,
            Self::Rename => rest.patch(&path, json!({"name": RENAMED})).await,
            Self::RenameStale => {
                rest.clone().with_header("if-match", STALE).patch(&path, json!({"name": RENAMED})).await
            }
            Self::Delete => rest.delete(&path).await,
            Self::DeleteStale => rest.clone().with_header("if-match", STALE).delete(&path).await,
            Self::Activate => rest.act(&format!("{path}/activate")).await,
            Self::Deactivate => rest.act(&format!("{path}/deactivate")).await,
            Self::Secret => rest.act(&format!("{path}/secret")).await,
            Self::Deliveries => rest.get(&format!("{path}/deliveries")).await,
            Self::Stats => rest.get(&format!("{path}/stats")).await,
            Self::Changes => rest.get(&format!("{path}/changes")).await,
            Self::Test => rest.act(&format!("{path}/test")).await,
            Self::Replay => rest.post(&format!("{path}/replay"), json!({"from": LONG_AGO})).await,
            Self::CountReplay => {
                rest.post(&format!("{path}/replay"), json!({"from": LONG_AGO, "count_only": true})).await
            }
            Self::Replays => rest.get(&format!("{path}/replays")).await,
            Self::Explain => rest.post(&format!("{path}/explain"), json!({"event": "run.completed"})).await,
        }
    }

    /// Whether an accepted call did what it is for.
    pub(super) fn check_done(self, before: &Seen, after: &Seen, answer: &Answer) -> Result<(), String> {
        let wrong = || format!("{:?} was answered {} and made of {before:?} {after:?}", self, answer.json);
        let (old, new, result) = (&before.webhook, &after.webhook, &answer.json["result"]);
        let grown = after.version() > before.version();
        let done = match self {
            Self::Read => before == after && result == new,
            Self::Rename => grown && new["name"] == RENAMED && result == new,
            Self::Delete => before.status == 200 && after.status == 404,
            Self::Activate => grown && old["active"] == false && new["active"] == true && result == new,
            // One without projects has been deactivated with its last project.
            Self::Deactivate => grown == (old["active"] == true) && new["active"] == false && result == new,
            Self::Secret => grown && is_new_secret(result["secret"].as_str(), new["secret"].as_str()),
            Self::Deliveries | Self::Replays => before == after && result.is_array(),
            Self::Stats => before == after && result["intervals"].as_array().is_some_and(|hours| hours.len() == 24),
            Self::Replay => before == after && result["id"].is_string() && result["total"] == 0,
            Self::CountReplay => before == after && result["count"] == 0,
            Self::Changes => before == after && result.as_array().is_some_and(|changes| !changes.is_empty()),
            Self::Explain => before == after && result["rules"].as_array().is_some_and(|rules| rules.len() == 6),
            Self::Test => before == after && result["delivery_id"].is_string(),
            Self::RenameStale | Self::DeleteStale => false,
        };
        ensure(done, wrong)
    }
}

/// Whether a secret is whole, and the webhook shows the last four characters of it and no more.
fn is_new_secret(whole: Option<&str>, masked: Option<&str>) -> bool {
    let (Some(whole), Some(masked)) = (whole, masked) else { return false };
    whole.starts_with("whsec_") && whole.len() > 40 && masked.ends_with(&whole[whole.len() - 4..]) && masked != whole
}
