//! Bodies of deliveries, made from events. Pure: the same event gives the same bytes, everywhere and always.
//!
//! - [`render`] makes the body for a type of webhook.
//! - [`render_generic`] makes the JSON envelope.
//! - [`sample`] makes an event of each type for test payloads, the catalogue and the documentation.
//!
//! A chat message is made in two steps: `notice` says what is to be told, and `slack`, `teams` and `discord` say it in
//! their own syntax, inside their own limits.

mod counts;
mod detail;
mod discord;
mod generic;
mod link;
mod notice;
mod phrase;
mod sample;
mod slack;
mod teams;
#[cfg(test)]
mod tests;
mod text;

use domain::WebhookKind;
use proto::v1::Event;

pub use generic::{RenderError, render_generic};
pub use sample::sample;

/// The body that webhooks of a type get for an event.
///
/// Chat messages keep their target's limits whatever the event holds: they show less of it then. Text of users is
/// escaped for its target. `extra_json` is in the generic payload only.
///
/// # Errors
/// An event that ingest would have refused: see [`RenderError`].
pub fn render(event: &Event, kind: WebhookKind, is_test: bool) -> Result<Vec<u8>, RenderError> {
    let notice = || notice::Notice::new(event, is_test);
    match kind {
        WebhookKind::Generic => render_generic(event, is_test),
        WebhookKind::Slack => slack::render(&notice()?),
        WebhookKind::Teams => teams::render(&notice()?),
        WebhookKind::Discord => discord::render(&notice()?),
    }
}
