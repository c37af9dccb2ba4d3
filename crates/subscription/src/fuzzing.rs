//! What callers of the service `Webhooks` send, for `tests/fuzz`.

use domain::{CustomHeader, SystemClock, WebhookDraft, WebhookSpec};
use proto::v1::CreateWebhookRequest;

use crate::{
    jwt::{JwtKey, JwtVerifier, is_jwt},
    service::{rules, webhooks},
};

/// A webhook that somebody asks for. One that keeps the rules keeps them again as it is stored.
///
/// # Errors
/// Which rules it breaks.
///
/// # Panics
/// If the rules call good what they then do not.
pub fn webhook(request: CreateWebhookRequest) -> Result<(), String> {
    let spec = rules::check(webhooks::draft(request), Vec::new()).map_err(|error| error.to_string())?;
    let again = rules::check(written(&spec), Vec::new());
    assert_eq!(again.as_ref(), Ok(&spec), "what is stored is not what was checked");
    Ok(())
}

fn written(spec: &WebhookSpec) -> WebhookDraft {
    WebhookDraft {
        name: spec.name.clone(),
        url: spec.url.to_string(),
        kind: spec.kind.name().to_owned(),
        events: spec.events.iter().map(ToString::to_string).collect(),
        projects: match &spec.scope {
            domain::Scope::All => None,
            domain::Scope::Projects(projects) => Some(projects.clone()),
        },
        allow_insecure: spec.allow_insecure,
        send_traceparent: spec.send_traceparent,
        headers: spec
            .headers
            .iter()
            .map(|CustomHeader { name, value }| CustomHeader { name: name.clone(), value: value.clone() })
            .collect(),
        filter: spec.filter.texts().map(str::to_owned).collect(),
    }
}

/// The key that [`token`] takes tokens for.
pub const KEY: &[u8] = b"a secret of 32 bytes for fuzzing";

/// A bearer token: whether it is a JWT that is accepted, of either algorithm.
///
/// # Errors
/// Why it is not.
pub fn token(text: &str) -> Result<(), String> {
    use domain::Clock as _;
    let _ = is_jwt(text);
    let now = SystemClock.now();
    let keys = [JwtKey::secret(KEY), JwtKey::ed25519([7; 32])];
    let verified = keys.map(|key| JwtVerifier::new(key, None, None).verify(text, now).map(drop));
    let [hs256, eddsa] = verified.map(|result| result.map_err(|error| error.to_string()));
    hs256.or(eddsa)
}
