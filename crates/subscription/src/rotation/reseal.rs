//! Step 5 of a rotation: everything is sealed with the new key, in batches, beside whoever changes webhooks.

use super::{Progress, Resealed, Rotation, RotationError};
use crate::{
    key_ring::{Key, KeyId, KeyRing},
    secret_box::{self, Purpose, SecretBoxError},
    store::{ResealedSecret, SealedSecret},
};

/// Webhooks in one transaction, at most: it holds their locks.
const BATCH: u32 = 100;

impl Rotation {
    /// Step 5: everything is sealed with the key. What somebody changes meanwhile is taken again. A row that no key opens
    /// is reported, and stays.
    ///
    /// # Errors
    /// The store or the file fails.
    pub async fn reseal(&self, target: KeyId) -> Result<Resealed, RotationError> {
        let ring = self.file.read()?;
        let key = ring.key(target).ok_or_else(|| self.target_missing(target))?;
        let mut resealed = Resealed::default();
        loop {
            resealed.unreadable = self.pass(&ring, key, &mut resealed.done).await?;
            // What was changed while it was looked at is left over.
            if self.left(key.id).await? <= resealed.unreadable.len() {
                break;
            }
        }
        self.reseal_check(&ring, key).await?;
        Ok(resealed)
    }

    /// Goes through all webhooks once; answers those that no key opens.
    async fn pass(&self, ring: &KeyRing, key: &Key, done: &mut u64) -> Result<Vec<i64>, RotationError> {
        let prefix = secret_box::prefix(key.id);
        let mut unreadable = Vec::new();
        let mut after = i64::MIN;
        loop {
            let found = self.store.sealed_otherwise(&prefix, after, BATCH).await?;
            let Some(last) = found.last() else { return Ok(unreadable) };
            after = last.webhook;
            let mut batch = Vec::with_capacity(found.len());
            for secret in found {
                let webhook = secret.webhook;
                match self.sealed_anew(ring, key, secret) {
                    Ok(secret) => batch.push(secret),
                    Err(_) => unreadable.push(webhook),
                }
            }
            *done += self.store.replace_secrets(&batch).await?;
            self.tell(Progress::Resealing { done: *done, left: self.left(key.id).await? });
        }
    }

    /// Number of webhooks that are sealed with another key.
    async fn left(&self, key: KeyId) -> Result<usize, RotationError> {
        let prefix = secret_box::prefix(key);
        let secrets = self.store.secrets_by_prefix(secret_box::PREFIX_LENGTH).await?;
        let left: u64 = secrets.iter().filter(|(other, _)| *other != prefix).map(|(_, count)| count).sum();
        Ok(usize::try_from(left).unwrap_or(usize::MAX))
    }

    fn sealed_anew(&self, ring: &KeyRing, key: &Key, secret: SealedSecret) -> Result<ResealedSecret, SecretBoxError> {
        let purpose = Purpose::Signing { instance: &secret.instance, webhook: secret.webhook };
        let text = secret_box::open(&self.with_kept(ring, &secret.sealed), purpose, &secret.sealed)?;
        let new = secret_box::seal(key, &*self.ids, purpose, &text)?;
        Ok(ResealedSecret { webhook: secret.webhook, old: secret.sealed, new })
    }

    async fn reseal_check(&self, ring: &KeyRing, key: &Key) -> Result<(), RotationError> {
        loop {
            let Some(old) = self.store.sealed_check().await? else { return Ok(()) };
            if secret_box::key_of(&old) == Some(key.id) {
                return Ok(());
            }
            let damaged = |_: SecretBoxError| RotationError::KeyCheck { path: self.file.to_string() };
            let text = secret_box::open(&self.with_kept(ring, &old), Purpose::KeyCheck, &old).map_err(damaged)?;
            let new = secret_box::seal(key, &*self.ids, Purpose::KeyCheck, &text).map_err(damaged)?;
            if self.store.replace_check(&old, &new).await? {
                return Ok(());
            }
        }
    }
}
