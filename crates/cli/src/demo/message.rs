//! What a person would read of a delivery: a chat's headline, if the body is what that chat takes.

use anyhow::{Context as _, ensure};
use domain::WebhookKind;
use serde_json::Value;

/// A body's line to read, or what is wrong with it. A generic body has none: it is for programs.
pub(super) fn headline(kind: WebhookKind, event: &str, body: &[u8]) -> anyhow::Result<Option<String>> {
    let body: Value = serde_json::from_slice(body).context("the body is no JSON")?;
    let text = match kind {
        WebhookKind::Generic => {
            ensure!(body["event"] == event, "the body's event is not that of the headers");
            return Ok(None);
        }
        WebhookKind::Slack => {
            let blocks = body["blocks"].as_array().map_or(0, Vec::len);
            ensure!((1..=50).contains(&blocks), "a Slack message has 1 to 50 blocks, this one {blocks}");
            body["text"].as_str()
        }
        WebhookKind::Teams => {
            let attachment = &body["attachments"][0];
            let card = &attachment["content"];
            ensure!(body["type"] == "message", "a Teams body is a message");
            ensure!(
                attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
                    && card["type"] == "AdaptiveCard",
                "a Teams message has an Adaptive Card attached"
            );
            first_text(&card["body"])
        }
        WebhookKind::Discord => {
            ensure!(body["allowed_mentions"]["parse"] == Value::Array(Vec::new()), "a Discord message mentions nobody");
            body["embeds"][0]["title"].as_str()
        }
    };
    let text = text.filter(|text| !text.trim().is_empty());
    text.map(|text| Some(text.to_owned())).with_context(|| format!("a {} message without a headline", kind.name()))
}

/// The text of the first element of a card that has one, wherever it stands inside others.
fn first_text(elements: &Value) -> Option<&str> {
    elements.as_array()?.iter().find_map(|element| {
        let inner = ["inlines", "items", "columns"].iter().find_map(|name| first_text(&element[name]));
        element["text"].as_str().or(inner)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(kind: WebhookKind, body: &Value) -> Result<Option<String>, String> {
        headline(kind, "run.created", body.to_string().as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn headlines_are_what_a_person_reads_first() {
        let card = |body: Value| {
            let content = json!({"type": "AdaptiveCard", "body": body});
            let attachment = json!({"contentType": "application/vnd.microsoft.card.adaptive", "content": content});
            json!({"type": "message", "attachments": [attachment]})
        };
        let nested =
            json!([{"items": [{"columns": [{"items": [{"inlines": [{"text": "Run started"}]}]}]}]}, {"text": "Shop"}]);
        for (kind, body, expected) in [
            (WebhookKind::Slack, json!({"text": "Run started", "blocks": [{}]}), Ok("Run started")),
            (WebhookKind::Slack, json!({"text": "Run started", "blocks": []}), Err("1 to 50 blocks")),
            (WebhookKind::Slack, json!({"text": " ", "blocks": [{}]}), Err("without a headline")),
            (WebhookKind::Teams, card(nested), Ok("Run started")),
            (WebhookKind::Teams, card(json!([])), Err("without a headline")),
            (WebhookKind::Teams, json!({"type": "message"}), Err("Adaptive Card")),
            (
                WebhookKind::Discord,
                json!({"embeds": [{"title": "Run started"}], "allowed_mentions": {"parse": []}}),
                Ok("Run started"),
            ),
            (WebhookKind::Discord, json!({"embeds": [{"title": "Run started"}]}), Err("mentions nobody")),
        ] {
            match (read(kind, &body), expected) {
                (Ok(Some(found)), Ok(expected)) => assert_eq!(found, expected),
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
                other => panic!("{body}: {other:?}"),
            }
        }
        assert_eq!(read(WebhookKind::Generic, &json!({"event": "run.created"})), Ok(None));
        assert!(read(WebhookKind::Generic, &json!({"event": "run.deleted"})).is_err());
        assert!(headline(WebhookKind::Slack, "run.created", b"<").is_err());
    }

    #[test]
    fn every_message_of_the_product_has_a_headline() {
        for event in domain::EventType::ALL {
            for kind in [WebhookKind::Slack, WebhookKind::Teams, WebhookKind::Discord] {
                let body = payload::render(&payload::sample(*event), kind, false).unwrap();
                assert!(headline(kind, event.name(), &body).unwrap().is_some(), "{event} {kind:?}");
            }
        }
    }
}
