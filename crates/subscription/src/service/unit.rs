//! A change of an instance as the calls make it: the store's, with what all of them check.

use domain::{InstanceId, Secret};
use proto::error::{ApiError, ErrorCode};

use super::{Service, not_found};
use crate::{
    access,
    credentials::Credentials,
    failure,
    secret_box::{InUse, Purpose},
    store::{Change, Reach, SealedWebhook, Write},
};

/// A change under way. Dropped, it leaves everything as it was.
pub(super) struct Unit {
    pub(super) change: Box<dyn Change>,
    /// What was sealed is stored before its key may go.
    _keys: InUse,
}

impl Service {
    /// Begins a change; others that want to change the instance wait until it ends.
    pub(super) async fn begin(&self, instance: &InstanceId) -> Result<Unit, ApiError> {
        let keys = self.secrets.in_use();
        let change = self.store.begin(instance).await.map_err(failure::of_store)?;
        Ok(Unit { change, _keys: keys })
    }

    pub(super) fn seal(
        &self,
        instance: &InstanceId,
        webhook: i64,
        credentials: &Credentials,
    ) -> Result<Vec<u8>, ApiError> {
        let text = credentials.text().map_err(|error| failure::of_opening(webhook, &error))?;
        let purpose = Purpose::Signing { instance, webhook };
        self.secrets.seal(&*self.ids, purpose, &text).map_err(failure::of_sealing)
    }

    pub(super) fn unseal(&self, instance: &InstanceId, webhook: &SealedWebhook) -> Result<Credentials, ApiError> {
        let id = webhook.webhook.id;
        let purpose = Purpose::Signing { instance, webhook: id };
        let text = self.secrets.open(purpose, &webhook.credentials).map_err(|error| failure::of_opening(id, &error))?;
        let text = zeroize::Zeroizing::new(text);
        Credentials::parse(&text).map_err(|error| failure::of_opening(id, &error))
    }

    pub(super) fn new_secret(&self) -> Secret {
        Secret::generate(&*self.ids)
    }
}

impl Unit {
    /// A webhook that is to be changed.
    ///
    /// # Errors
    /// There is none within reach, or it has not the version that the caller wants to change.
    pub(super) async fn webhook(
        &mut self,
        reach: &Reach,
        id: i64,
        if_version: Option<i64>,
    ) -> Result<SealedWebhook, ApiError> {
        let found = self.change.webhook(reach, id).await.map_err(failure::of_store)?;
        let found = found.ok_or_else(|| not_found(id))?;
        let version = found.webhook.version;
        match if_version {
            Some(wanted) if wanted != version => {
                let message =
                    format!("webhook {id} has version {version}, not {wanted}; read it again and repeat the change");
                Err(ApiError::new(ErrorCode::PreconditionFailed, message))
            }
            _ => Ok(found),
        }
    }

    /// Checks that the instance may have active webhooks.
    ///
    /// # Errors
    /// Its plan has none.
    pub(super) fn check_plan(&self) -> Result<(), ApiError> {
        access::to_plan(self.change.plan().map(|told| &told.plan))
    }

    /// Writes a webhook, and gives it its new version.
    pub(super) async fn put(
        &mut self,
        webhook: &mut SealedWebhook,
        entry: crate::store::LogEntry,
    ) -> Result<(), ApiError> {
        let write = Write { id: webhook.webhook.id, webhook: Some(webhook.clone()), entry };
        webhook.webhook.version = self.write(&[write]).await?;
        Ok(())
    }

    /// Writes webhooks; answers the version of the first.
    pub(super) async fn write(&mut self, writes: &[Write]) -> Result<i64, ApiError> {
        self.change.write(writes).await.map_err(failure::of_store)
    }

    /// Makes it so.
    pub(super) async fn commit(self) -> Result<(), ApiError> {
        self.change.commit().await.map_err(failure::of_store)
    }
}
