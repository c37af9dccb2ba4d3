//! How long an instance's history is kept, and clearing it. What is hidden is removed by `retention.rs`.

use domain::Role;
use proto::{
    error::{ApiError, ErrorCode},
    v1::{ClearEntriesRequest, UpdateSettingsRequest},
};
use tonic::Status;

use crate::{
    api::{HistoryService, Reader},
    recording::store_status,
    requests::field,
    store::{RETENTIONS, Sight},
};

/// What has to be said to clear history.
const CONFIRMATION: &str = "clear-all-delivery-history";

impl HistoryService {
    /// What is seen of an instance's history now.
    pub(crate) async fn sight(&self, instance: &str) -> Result<Sight, Status> {
        let now = self.clock.now().as_micros();
        let settings = self.store.settings(instance).await.map_err(store_status)?;
        Ok(Sight { from: settings.visible_from(now), now })
    }

    /// How many days history is kept.
    pub(crate) async fn retention(&self, reader: &Reader) -> Result<i32, Status> {
        must_keep(reader)?;
        let settings = self.store.settings(&reader.instance).await.map_err(store_status)?;
        Ok(settings.retention_days)
    }

    /// Changes how many days history is kept.
    pub(crate) async fn set_retention(&self, reader: &Reader, request: UpdateSettingsRequest) -> Result<i32, Status> {
        must_keep(reader)?;
        let days = request.retention_days;
        if !RETENTIONS.contains(&days) {
            return Err(field("retention_days", "must be 7, 30 or 90"));
        }
        let now = self.clock.now().as_micros();
        let set = self.store.set_retention(&reader.instance, days, now).await.map_err(store_status)?;
        tracing::info!(instance = reader.instance, days, by = reader.identity.name, "the retention of history was set");
        Ok(set.retention_days)
    }

    /// Clears history.
    pub(crate) async fn clear(&self, reader: &Reader, request: &ClearEntriesRequest) -> Result<(), Status> {
        must_keep(reader)?;
        if request.confirm != CONFIRMATION {
            return Err(field("confirm", &format!("must be `{CONFIRMATION}`: what is cleared does not come back")));
        }
        self.store.clear(&reader.instance, self.clock.now().as_micros()).await.map_err(store_status)?;
        tracing::info!(instance = reader.instance, by = reader.identity.name, "the history of an instance was cleared");
        Ok(())
    }
}

/// That the caller may say how long history is kept.
fn must_keep(reader: &Reader) -> Result<(), Status> {
    if reader.identity.role == Role::SystemAdmin {
        return Ok(());
    }
    let message = "keeping and clearing history needs a token of role system_admin";
    Err(ApiError::new(ErrorCode::Forbidden, message).into())
}
