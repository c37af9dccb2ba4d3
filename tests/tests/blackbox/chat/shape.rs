//! What a message for each target looks like, by the targets' documentation.

use serde_json::{Value, json};

use super::{
    limits::{discord, slack, teams},
    texts,
};

/// Text that would mention everybody, or lead astray, if it were not escaped.
pub(super) const HOSTILE: [&str; 6] = [
    "<!channel>",
    "@everyone",
    "<@U12345>",
    "[here](https://evil.example)",
    "<https://evil.example|here>",
    "<script>*_~`",
];

/// Where messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Slack,
    Teams,
    Discord,
}

impl Target {
    pub(super) const ALL: [Self; 3] = [Self::Slack, Self::Teams, Self::Discord];

    /// The webhook's `type`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::Teams => "teams",
            Self::Discord => "discord",
        }
    }

    /// Panics unless the body is a message for this target, inside its limits.
    #[track_caller]
    pub(super) fn check(self, body: &[u8]) {
        let message: Value = serde_json::from_slice(body).expect("a body in JSON");
        let members: Vec<_> = message.as_object().expect("an object").keys().map(String::as_str).collect();
        match self {
            Self::Slack => {
                assert_eq!(members, ["blocks", "text"]);
                slack(&message);
            }
            Self::Teams => {
                assert_eq!((&message["type"], members.len()), (&json!("message"), 2), "{message}");
                let [attachment] = message["attachments"].as_array().expect("attachments").as_slice() else {
                    panic!("one attachment: {message}")
                };
                assert_eq!(attachment["contentType"], "application/vnd.microsoft.card.adaptive");
                let url = attachment.as_object().and_then(|members| members.get("contentUrl"));
                assert_eq!(url, Some(&Value::Null), "contentUrl is there, and null");
                let card = &attachment["content"];
                assert_eq!((&card["type"], &card["version"]), (&json!("AdaptiveCard"), &json!("1.4")));
                teams(body, card);
            }
            Self::Discord => {
                assert_eq!(members, ["allowed_mentions", "embeds"]);
                assert_eq!(message["allowed_mentions"], json!({"parse": []}));
                discord(&message);
            }
        }
    }

    /// Panics if any of [`HOSTILE`] is in the message in a form that this target understands.
    #[track_caller]
    pub(super) fn check_escaped(self, message: &Value) {
        let harmful: &[&str] = match self {
            Self::Slack => &["<!channel>", "<@U12345>", "<https://evil.example", "<script>"],
            Self::Teams => &["[here](https://evil.example)", "<script>"],
            Self::Discord => &["@everyone", "<@U12345>", "[here](https://evil.example)"],
        };
        let mut message = message.clone();
        if self == Self::Teams {
            remove_plain_texts(&mut message);
        }
        for text in texts(&message) {
            for harm in harmful {
                assert!(!text.contains(harm), "{}: {harm} stands in {text}", self.name());
            }
        }
    }
}

/// Takes the runs of rich text blocks out of a card: what is in them is shown as it is. All other texts may hold
/// Markdown, `fallbackText` included.
fn remove_plain_texts(card: &mut Value) {
    match card {
        Value::Array(list) => {
            list.retain(|element| element["type"] != "TextRun");
            list.iter_mut().for_each(remove_plain_texts);
        }
        Value::Object(members) => members.values_mut().for_each(remove_plain_texts),
        _ => {}
    }
}
