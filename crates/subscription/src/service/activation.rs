//! Activating and deactivating.

use domain::{Identity, Scope, Timestamp};
use proto::{
    error::{ApiError, ErrorCode},
    v1,
};

use super::{
    Service, answer,
    change_log::{Action, Actor, Delta, differences},
    unit::Unit,
};
use crate::{access, store::Webhook};

impl Service {
    pub(super) async fn set_active(
        &self,
        caller: &Identity,
        id: i64,
        if_version: Option<i64>,
        active: bool,
    ) -> Result<v1::Webhook, ApiError> {
        let reach = access::to_webhooks(caller)?;
        let mut unit = self.begin(&reach.instance).await?;
        let mut webhook = unit.webhook(&reach, id, if_version).await?;
        let actor = Actor::new(caller, self.clock.now());
        if let Some((action, deltas)) = unit.switch(&mut webhook.webhook, active, actor.at)? {
            unit.put(&mut webhook, actor.entry(action, &deltas)?).await?;
            unit.commit().await?;
        }
        Ok(answer::webhook(webhook.webhook, actor.at))
    }
}

impl Unit {
    /// Switches a webhook, not yet in the store; `None`: it is so already.
    ///
    /// # Errors
    /// The plan has no webhooks, or there is no project left that would fire it.
    pub(super) fn switch(
        &self,
        webhook: &mut Webhook,
        active: bool,
        at: Timestamp,
    ) -> Result<Option<(Action, Vec<Delta>)>, ApiError> {
        if webhook.active == active {
            return Ok(None);
        }
        if active {
            self.check_plan()?;
            if webhook.scope == Scope::Projects(Vec::new()) {
                let message = format!("webhook {} has no project left; choose projects first", webhook.id);
                return Err(ApiError::new(ErrorCode::Conflict, message));
            }
        }
        let before = webhook.clone();
        webhook.active = active;
        webhook.inactive_reason.clear();
        webhook.updated_at = at;
        if active {
            webhook.endpoint_since = at;
        }
        let action = if active { Action::Activated } else { Action::Deactivated };
        Ok(Some((action, differences(&before, webhook, &[]))))
    }
}
