//! Chat messages as their targets see them: pictures in JSON of all samples, limits and escapes for any event, and what
//! other people's validators say.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod check;
mod events;
mod properties;
mod snapshots;
mod validators;

use domain::WebhookKind;
use proto::v1::Event;
use serde_json::Value;

/// The types of webhook that have a layout.
const TARGETS: [WebhookKind; 3] = [WebhookKind::Slack, WebhookKind::Teams, WebhookKind::Discord];

fn rendered(event: &Event, kind: WebhookKind) -> Value {
    serde_json::from_slice(&payload::render(event, kind, false).unwrap()).unwrap()
}
