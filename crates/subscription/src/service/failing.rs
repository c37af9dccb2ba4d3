//! Deactivating a webhook whose endpoint has failed for too long. History judges that, by attempts; here it becomes so, if
//! the webhook is still the one that was judged.

use domain::{InstanceId, inactive};
use proto::{error::ApiError, internal::v1::DeactivateFailingRequest};
use serde_json::json;

use super::{
    Service,
    change_log::{Action, Actor, Delta, differences},
    instances::deactivate,
};
use crate::{failure, store::Reach};

impl Service {
    /// Answers whether it was deactivated.
    ///
    /// # Errors
    /// A request that names no instance or no time, or a store that fails.
    pub(crate) async fn deactivate_failing(&self, request: &DeactivateFailingRequest) -> Result<bool, ApiError> {
        let instance = request.instance.parse::<InstanceId>();
        let instance = instance.map_err(|error| mistake("instance", error.to_string()))?;
        let mut since = request.failing_since.ok_or_else(|| mistake("failing_since", "is required".to_owned()))?;
        let mut unit = self.begin(&instance).await?;
        let reach = Reach { instance, projects: None };
        let found = unit.change.webhook(&reach, request.webhook_id).await.map_err(failure::of_store)?;
        let judged = |webhook: &crate::store::Webhook| webhook.active && webhook.version == request.version;
        let Some(mut sealed) = found.filter(|found| judged(&found.webhook)) else { return Ok(false) };

        let actor = Actor::system(self.clock.now());
        // Whole seconds: it is for people.
        since.nanos = 0;
        let reason = inactive::endpoint_failing(&since.to_string(), &request.last_error);
        let before = sealed.webhook.clone();
        deactivate(&mut sealed.webhook, &reason);
        sealed.webhook.updated_at = actor.at;
        let mut deltas = differences(&before, &sealed.webhook, &[]);
        deltas.push(Delta::set("inactive_reason", &json!(reason)));
        unit.put(&mut sealed, actor.entry(Action::EndpointFailing, &deltas)?).await?;
        unit.commit().await?;
        self.metrics.deactivated(&reason, 1);
        tracing::warn!(webhook_id = before.id, instance = %reach.instance, reason, "a webhook is deactivated");
        Ok(true)
    }
}

fn mistake(field: &str, message: String) -> ApiError {
    ApiError::fields(vec![(field.to_owned(), message)])
}
