//! Rotation of the secrets key while everything runs.
//!
//! Nothing may be sealed with a key that some process cannot open, and no key may go that something is sealed with. So
//! the steps are, and each can be taken again: the new key is [prepared](Rotation::prepare), known by
//! [all processes](Rotation::wait_until_known), [promoted](Rotation::promote), sealed with by
//! [all processes](Rotation::wait_until_sealing); everything is [sealed anew](Rotation::reseal), and the old key
//! [retired](Rotation::retire).

mod progress;
mod reseal;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use domain::{Clock, IdSource};

pub use progress::{Progress, Resealed};

use crate::{
    key_file::{KeyFile, KeyFileError},
    key_ring::{Key, KeyId, KeyIds, KeyRing},
    secret_box::{self, Purpose},
    store::{KeyReader, Store, StoreError},
};

/// A process that was not seen for so long does not run any more.
const LIVE: Duration = Duration::from_secs(10);
/// How often the processes are looked at.
const POLL: Duration = Duration::from_millis(250);
/// How long the processes may take for a step.
const PATIENCE: Duration = Duration::from_secs(60);

/// A rotation that cannot go on. Run again, it goes on where it was.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The key file cannot be used.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file is another database's.
    #[error("{path} holds {used}, but this database needs key {needed}; name the file that its services use")]
    OtherFile {
        /// The file.
        path: String,
        /// What it holds.
        used: KeyIds,
        /// What the store was written with.
        needed: KeyId,
    },
    /// What tells the right key is not what was written.
    #[error("the key check in the database cannot be read with {path}: it is damaged; restore the database")]
    KeyCheck {
        /// The file.
        path: String,
    },
    /// The key that an earlier run has made is not in the file any more.
    #[error(
        "a rotation to key {target} is under way, and {path} has no such key; put back the file that holds it, or give \
         up that rotation with --reseal"
    )]
    TargetMissing {
        /// The file.
        path: String,
        /// The key.
        target: KeyId,
    },
    /// Some processes are not where they should be.
    #[error(
        "{processes} {lack}; {path} must have the same content there and be readable for that process: copy it to that \
         machine, or restart that process, and run this again"
    )]
    Lagging {
        /// Which.
        processes: String,
        /// What they lack.
        lack: String,
        /// The file.
        path: String,
    },
    /// Random numbers that cannot be.
    #[error("a new key has the id of another one; run this again")]
    SameId,
}

/// A rotation of the key of one store.
pub struct Rotation {
    store: Arc<dyn Store>,
    file: KeyFile,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    patience: Duration,
    progress: Box<dyn Fn(Progress) + Send + Sync>,
}

impl fmt::Debug for Rotation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Rotation").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Rotation {
    /// Of the keys in `key_file`, which the services on `store` use. `progress` is told what happens.
    pub fn new(
        store: Arc<dyn Store>,
        key_file: &Path,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        progress: impl Fn(Progress) + Send + Sync + 'static,
    ) -> Self {
        let file = KeyFile::new(key_file);
        Self { store, file, clock, ids, patience: PATIENCE, progress: Box::new(progress) }
    }

    /// With another time limit for what it waits for.
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// All steps. Goes on where an earlier run ended.
    ///
    /// # Errors
    /// What prevents a step; nothing is lost, and running it again goes on.
    pub async fn run(&self) -> Result<Resealed, RotationError> {
        // What is wrong with the file itself is told first.
        self.file.read()?;
        let _locked = self.file.lock()?;
        let target = self.prepare().await?;
        self.wait_until_known(target).await?;
        self.promote(target)?;
        self.wait_until_sealing(target).await?;
        let resealed = self.reseal(target).await?;
        self.retire(target).await?;
        Ok(resealed)
    }

    /// Seals everything with the first key of the file, once all processes do so, and leaves the file as it is.
    ///
    /// # Errors
    /// What prevents it; what was sealed anew stays so.
    pub async fn run_reseal(&self) -> Result<Resealed, RotationError> {
        let ring = self.checked_ring().await?;
        let target = ring.first().id;
        self.wait_until_known(target).await?;
        self.wait_until_sealing(target).await?;
        let resealed = self.reseal(target).await?;
        self.store.set_rotation(None).await?;
        let spare = ring.ids().into_iter().filter(|id| *id != target).collect::<Vec<_>>();
        if !spare.is_empty() {
            self.tell(Progress::Spare(KeyIds(spare)));
        }
        Ok(resealed)
    }

    /// Step 1: a key that is to come first stands in the file, and opens. It is that of an earlier run if one was
    /// interrupted, the first one if something is sealed with another of the file, the second one if nothing is sealed with it yet
    /// (its owner has put it there), or else a new one.
    ///
    /// # Errors
    /// A file that is not this store's, or cannot be written.
    pub async fn prepare(&self) -> Result<KeyId, RotationError> {
        let ring = self.checked_ring().await?;
        let target = match self.store.rotation().await? {
            Some(target) if ring.key(target).is_some() => {
                self.tell(Progress::Resumed(target));
                target
            }
            Some(target) => return Err(self.target_missing(target)),
            None => self.chosen(ring).await?,
        };
        self.store.set_rotation(Some(target)).await?;
        Ok(target)
    }

    /// The key that a rotation is to lead to which nothing is known of yet.
    async fn chosen(&self, ring: KeyRing) -> Result<KeyId, RotationError> {
        let first = ring.first().id;
        let used = self.keys_in_use().await?;
        if ring.ids().iter().any(|id| *id != first && used.contains(id)) {
            return Ok(first);
        }
        if let Some(second) = ring.ids().get(1) {
            return Ok(*second);
        }
        let key = Key::generate(&*self.ids);
        if ring.key(key.id).is_some() {
            return Err(RotationError::SameId);
        }
        let target = key.id;
        self.file.write(&ring.with(key))?;
        self.tell(Progress::Made(target));
        Ok(target)
    }

    /// The keys that something is sealed with.
    async fn keys_in_use(&self) -> Result<Vec<KeyId>, RotationError> {
        let secrets = self.store.secrets_by_prefix(secret_box::PREFIX_LENGTH).await?;
        let check = self.store.sealed_check().await?;
        let sealed = secrets.iter().map(|(prefix, _)| prefix).chain(&check);
        Ok(sealed.filter_map(|sealed| secret_box::key_of(sealed)).collect())
    }

    /// Step 2: every process can open what is sealed with the key.
    ///
    /// # Errors
    /// A process that cannot in time.
    pub async fn wait_until_known(&self, target: KeyId) -> Result<(), RotationError> {
        let lack = format!("cannot open key {target} yet");
        let processes = self.wait(&lack, |reader| reader.keys.contains(&target)).await?;
        self.tell(Progress::Known { target, processes });
        Ok(())
    }

    /// Step 3: the key stands first in the file.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    pub fn promote(&self, target: KeyId) -> Result<(), RotationError> {
        let ring = self.ring_with(target)?;
        if ring.first().id != target {
            self.file.write(&ring.led_by(target))?;
        }
        self.tell(Progress::First(target));
        Ok(())
    }

    /// Step 4: every process seals with the key, and nothing is on its way that is sealed with another.
    ///
    /// # Errors
    /// A process that does not in time.
    pub async fn wait_until_sealing(&self, target: KeyId) -> Result<(), RotationError> {
        let processes = self.wait_for_sealing(target).await?;
        self.tell(Progress::Sealing { target, processes });
        Ok(())
    }

    async fn wait_for_sealing(&self, target: KeyId) -> Result<usize, RotationError> {
        let lack = format!("may still seal with another key than {target}");
        self.wait(&lack, |reader| reader.sealing == [target]).await
    }

    /// Step 6: the other keys leave the file, each into one of its own, because backups of the database need them.
    ///
    /// # Errors
    /// A process that seals with another key again, or a file that cannot be written.
    pub async fn retire(&self, target: KeyId) -> Result<Vec<PathBuf>, RotationError> {
        // A process that has come in the meantime may not know of it.
        self.wait_for_sealing(target).await?;
        let ring = self.ring_with(target)?;
        let mut kept = Vec::new();
        for key in ring.keys().filter(|key| key.id != target) {
            kept.push(self.file.keep(key)?);
        }
        if !kept.is_empty() {
            self.file.write(&ring.led_by(target).alone())?;
            self.tell(Progress::Retired(kept.clone()));
        }
        self.store.set_rotation(None).await?;
        Ok(kept)
    }

    /// How many processes there are, once all satisfy.
    async fn wait(&self, lack: &str, satisfies: impl Fn(&KeyReader) -> bool) -> Result<usize, RotationError> {
        let started = Instant::now();
        let mut told = false;
        loop {
            let readers = self.store.readers(self.clock.now().minus(LIVE)).await?;
            let lagging: Vec<&KeyReader> = readers.iter().filter(|reader| !satisfies(reader)).collect();
            if lagging.is_empty() {
                return Ok(readers.len());
            }
            let processes = lagging.iter().map(|reader| reader.host.as_str()).collect::<Vec<_>>().join(", ");
            if started.elapsed() >= self.patience {
                let (lack, path) = (lack.to_owned(), self.file.to_string());
                return Err(RotationError::Lagging { processes, lack, path });
            }
            if !std::mem::replace(&mut told, true) {
                self.tell(Progress::Waiting { processes, lack: lack.to_owned() });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The keys of the file, if they are those of this store.
    async fn checked_ring(&self) -> Result<KeyRing, RotationError> {
        let ring = self.file.read()?;
        let Some(check) = self.store.sealed_check().await? else { return Ok(ring) };
        let path = self.file.to_string();
        match secret_box::open(&self.with_kept(&ring, &check), Purpose::KeyCheck, &check) {
            Ok(_) => Ok(ring),
            Err(secret_box::SecretBoxError::OtherKey { needed, used }) => {
                Err(RotationError::OtherFile { path, used, needed })
            }
            Err(secret_box::SecretBoxError::Damaged) => Err(RotationError::KeyCheck { path }),
        }
    }

    fn ring_with(&self, target: KeyId) -> Result<KeyRing, RotationError> {
        let ring = self.file.read()?;
        if ring.key(target).is_some() { Ok(ring) } else { Err(self.target_missing(target)) }
    }

    fn target_missing(&self, target: KeyId) -> RotationError {
        RotationError::TargetMissing { path: self.file.to_string(), target }
    }

    /// With the key that something is sealed with, if an earlier rotation has kept it.
    fn with_kept(&self, ring: &KeyRing, sealed: &[u8]) -> KeyRing {
        let missing = secret_box::key_of(sealed).filter(|id| ring.key(*id).is_none());
        match missing.and_then(|id| self.file.kept(id)) {
            Some(key) => ring.clone().with(key),
            None => ring.clone(),
        }
    }

    fn tell(&self, progress: Progress) {
        (self.progress)(progress);
    }
}
