//! The part of the store for keys: what is sealed with which, and which running process has which.

use async_trait::async_trait;
use domain::{InstanceId, Timestamp};
use uuid::Uuid;

use super::{StoreError, common};
use crate::key_ring::KeyId;

/// The part for keys. None of it is a change of a webhook: no version is taken.
#[async_trait]
pub trait KeyStore: Send + Sync + 'static {
    /// What tells the right key; `None`: no service has started on this store yet.
    async fn sealed_check(&self) -> Result<Option<Vec<u8>>, StoreError>;

    /// Replaces what tells the right key; `false`: it is not `old` any more.
    async fn replace_check(&self, old: &[u8], new: &[u8]) -> Result<bool, StoreError>;

    /// At most `limit` webhooks after `after`, by id, whose secrets do not begin with `prefix`: they are sealed with
    /// another key. A tombstone has no secrets.
    async fn sealed_otherwise(&self, prefix: &[u8], after: i64, limit: u32) -> Result<Vec<SealedSecret>, StoreError>;

    /// What the secrets of webhooks begin with, so many bytes of each, and how many begin with it.
    async fn secrets_by_prefix(&self, length: i32) -> Result<Vec<(Vec<u8>, u64)>, StoreError>;

    /// Replaces secrets, each if it is what it was; answers how many were.
    async fn replace_secrets(&self, secrets: &[ResealedSecret]) -> Result<u64, StoreError>;

    /// Says which keys a process has, and removes processes that were not seen since `forget_before`.
    async fn announce(&self, reader: &KeyReader, forget_before: Timestamp) -> Result<(), StoreError>;

    /// Forgets a process that ends.
    async fn withdraw(&self, process: Uuid) -> Result<(), StoreError>;

    /// The processes that were seen at `since` or later, by host.
    async fn readers(&self, since: Timestamp) -> Result<Vec<KeyReader>, StoreError>;

    /// The key that a rotation leads to; `None`: none is under way.
    async fn rotation(&self) -> Result<Option<KeyId>, StoreError>;

    /// Remembers the key that a rotation leads to; `None`: it has come to its end.
    async fn set_rotation(&self, target: Option<KeyId>) -> Result<(), StoreError>;
}

/// The secrets of a webhook, sealed.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSecret {
    /// The webhook's id.
    pub webhook: i64,
    /// Its instance.
    pub instance: InstanceId,
    /// What is sealed.
    pub sealed: Vec<u8>,
}

/// Secrets of a webhook that are to be sealed otherwise.
#[derive(Clone, PartialEq, Eq)]
pub struct ResealedSecret {
    /// The webhook's id.
    pub webhook: i64,
    /// What is there so far.
    pub old: Vec<u8>,
    /// What is to be there.
    pub new: Vec<u8>,
}

/// A running process and its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyReader {
    /// A random id.
    pub process: Uuid,
    /// Where it runs, for people.
    pub host: String,
    /// The keys that it has, the one that seals first.
    pub keys: Vec<KeyId>,
    /// All keys that something on its way may be sealed with.
    pub sealing: Vec<KeyId>,
    /// When it said so.
    pub seen_at: Timestamp,
}

/// Key ids as rows hold them.
pub(super) fn texts(ids: &[KeyId]) -> Vec<String> {
    ids.iter().map(KeyId::to_string).collect()
}

/// Key ids in a row.
pub(super) fn ids(host: &str, texts: &[String]) -> Result<Vec<KeyId>, StoreError> {
    let read = |text: &String| {
        KeyId::parse(text).ok_or_else(|| common::damaged(&format!("the keys of {host}"), format!("`{text}` is no id")))
    };
    texts.iter().map(read).collect()
}

/// The id of the key that a rotation leads to, as its row holds it.
pub(super) fn target(bytes: &[u8]) -> Result<KeyId, StoreError> {
    let bytes = <[u8; 4]>::try_from(bytes);
    let bytes = bytes.map_err(|_| common::damaged("the rotation", "it is no key id".to_owned()))?;
    Ok(KeyId::from_bytes(bytes))
}
