//! `Debug` of the messages that hold secrets: whatever prints one, in a log or an error, shows what tells it from
//! others and leaves out the rest.

use std::fmt;

use crate::{internal::v1 as internal, v1};

/// Implements `Debug` with nothing but the named fields: one that the schema adds later stays hidden.
macro_rules! shown {
    ($($message:ty { $($field:ident),* })+) => {
        $(impl fmt::Debug for $message {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($message))$(.field(stringify!($field), &self.$field))*.finish_non_exhaustive()
            }
        })+
    };
}

shown! {
    internal::AuthenticateRequest {}
    internal::RequestHeader { name }
    internal::SigningSecret { expires_at, id }
    internal::WebhookConfig { id, version, deleted, instance, active, r#type, events, all_projects, projects, filter }
    v1::CreateTokenResponse { token }
    v1::CreateWebhookRequest { name, r#type, events, projects, filter }
    v1::CustomHeader { name }
    v1::UpdateWebhookRequest { id, name, events, filter, if_version }
    v1::Webhook { id, name, r#type, events, projects, active, filter, version }
}

/// Nothing in it is a secret; it has no `Debug` of its own only because its message has none.
impl fmt::Debug for v1::update_webhook_request::Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllProjects(all) => f.debug_tuple("AllProjects").field(all).finish(),
            Self::Projects(projects) => f.debug_tuple("Projects").field(projects).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_prints_a_message_shows_no_secret() {
        let secret = || "canary".to_owned();
        let header = v1::CustomHeader { name: "x-key".into(), value: secret() };
        let list = v1::CustomHeaderList { headers: vec![header.clone()] };
        let webhook = v1::Webhook {
            id: 7,
            url: secret(),
            secret: secret(),
            headers: vec![header.clone()],
            ..v1::Webhook::default()
        };
        let config = internal::WebhookConfig {
            url: secret(),
            secrets: vec![internal::SigningSecret { text: secret(), expires_at: None, id: 1 }],
            headers: vec![internal::RequestHeader { name: "x-key".into(), value: secret() }],
            ..internal::WebhookConfig::default()
        };
        let create = v1::CreateWebhookRequest { url: secret(), headers: vec![header], ..Default::default() };
        let update = v1::UpdateWebhookRequest { url: Some(secret()), headers: Some(list), ..Default::default() };
        let printed = [
            format!("{:?}", v1::CreateWebhookResponse { webhook: Some(webhook.clone()) }),
            format!("{:?}", v1::RegenerateSecretResponse { webhook: Some(webhook) }),
            format!("{:?} {:?}", config.secrets, config.headers),
            format!("{:?}", internal::ChangesResponse { webhooks: vec![config], ..Default::default() }),
            format!("{create:?} {:?}", create.headers),
            format!("{update:?} {:?}", update.headers),
            format!("{:?}", v1::CreateTokenResponse { text: secret(), ..Default::default() }),
            format!("{:?}", internal::AuthenticateRequest { token: secret() }),
        ];
        for text in &printed {
            assert!(!text.contains("canary"), "{text}");
        }
        assert!(printed[0].contains("id: 7") && printed[4].contains("x-key"), "{printed:?}");
    }
}
