//! Making the signing secret of a webhook anew.

use std::time::Duration;

use domain::Identity;
use proto::{
    error::{ApiError, ErrorCode},
    v1::{self, RegenerateSecretRequest},
};

use super::{
    Service, answer,
    change_log::{Action, Actor, differences},
    rules,
};
use crate::access;

const LONGEST_OVERLAP: u64 = 72;

impl Service {
    pub(super) async fn regenerate(
        &self,
        caller: &Identity,
        request: &RegenerateSecretRequest,
    ) -> Result<v1::Webhook, ApiError> {
        let reach = access::to_webhooks(caller)?;
        let mut unit = self.begin(&reach.instance).await?;
        let mut webhook = unit.webhook(&reach, request.id, request.if_version).await?;
        let overlap = overlap(request.overlap_hours)?;
        let actor = Actor::new(caller, self.clock.now());
        let mut credentials = self.unseal(&reach.instance, &webhook)?;
        let secret = self.new_secret();
        credentials.rotate(&secret, actor.at, overlap).map_err(|error| {
            ApiError::new(ErrorCode::Conflict, format!("webhook {} cannot get another secret: {error}", request.id))
        })?;
        let before = webhook.webhook.clone();
        webhook.credentials = self.seal(&reach.instance, request.id, &credentials)?;
        webhook.webhook.secret_masked = secret.masked();
        webhook.webhook.secret_id += 1;
        webhook.webhook.previous_secret_expires_at = credentials.previous_expires_at();
        webhook.webhook.updated_at = actor.at;
        let deltas = differences(&before, &webhook.webhook, &["secret"]);
        unit.put(&mut webhook, actor.entry(Action::SecretRegenerated, &deltas)?).await?;
        unit.commit().await?;
        Ok(v1::Webhook { secret: secret.reveal().to_owned(), ..answer::webhook(webhook.webhook, actor.at) })
    }
}

fn overlap(hours: i32) -> Result<Duration, ApiError> {
    let hours = u64::try_from(hours).ok().filter(|hours| *hours <= LONGEST_OVERLAP);
    let hours = hours.ok_or_else(|| rules::fault("overlap_hours", format!("must be 0 to {LONGEST_OVERLAP} hours")))?;
    Ok(Duration::from_secs(hours * 3_600))
}
