//! Follows the key file while the service runs, and tells in the store which keys this process has: a rotation waits
//! until every process has a key before it is used, and until none uses one before it goes.

use std::{sync::Arc, time::Duration};

use domain::{Clock, IdSource};
use runtime::Tasks;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use crate::{
    secret_box::{KeysInUse, SecretBox},
    store::{KeyReader, Store, StoreError},
};

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Looks between two announcements when nothing changes.
const LOOKS: u32 = 2;
/// A process that was not seen for so long has ended without saying so.
const FORGET: Duration = Duration::from_secs(60);

/// This process as a rotation sees it.
struct Reader {
    store: Arc<dyn Store>,
    secrets: Arc<SecretBox>,
    clock: Arc<dyn Clock>,
    process: Uuid,
    host: String,
}

/// Announces this process, and goes on doing so until shutdown.
///
/// # Errors
/// The store fails.
pub(crate) async fn start(
    store: &Arc<dyn Store>,
    secrets: &Arc<SecretBox>,
    clock: &Arc<dyn Clock>,
    ids: &dyn IdSource,
    tasks: &Tasks,
) -> Result<(), StoreError> {
    let reader = Reader {
        store: Arc::clone(store),
        secrets: Arc::clone(secrets),
        clock: Arc::clone(clock),
        process: ids.uuid(),
        host: host(),
    };
    // The file may have changed while the process started.
    reader.look().await;
    let keys = reader.secrets.keys_in_use();
    reader.announce(&keys).await?;
    let shutdown = tasks.shutdown_token().clone();
    tasks.spawn("key reader", async move {
        tokio::select! {
            () = reader.follow(keys) => {}
            () = shutdown.cancelled() => {}
        }
        if let Err(error) = reader.store.withdraw(reader.process).await {
            tracing::debug!(%error, "this process stays announced for a minute");
        }
    });
    Ok(())
}

impl Reader {
    async fn follow(&self, mut told: KeysInUse) {
        let mut interval = tokio::time::interval(LOOK);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looks = 0;
        let mut complained = false;
        loop {
            interval.tick().await;
            self.look().await;
            let keys = self.secrets.keys_in_use();
            looks += 1;
            if looks < LOOKS && keys == told {
                continue;
            }
            match self.announce(&keys).await {
                Ok(()) => (looks, told, complained) = (0, keys, false),
                Err(error) if !complained => {
                    complained = true;
                    tracing::warn!(%error, "cannot tell the database which keys this process has; a rotation would not see it");
                }
                Err(_) => {}
            }
        }
    }

    /// Reads the file where a slow disk holds up nobody.
    async fn look(&self) {
        let secrets = Arc::clone(&self.secrets);
        // It does not panic; if it did, the next look would be another chance.
        let _ = tokio::task::spawn_blocking(move || secrets.reload()).await;
    }

    async fn announce(&self, keys: &KeysInUse) -> Result<(), StoreError> {
        let now = self.clock.now();
        let reader = KeyReader {
            process: self.process,
            host: self.host.clone(),
            keys: keys.keys.clone(),
            sealing: keys.sealing.clone(),
            seen_at: now,
        };
        self.store.announce(&reader, now.minus(FORGET)).await
    }
}

/// Where this process runs, for people.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = name.or_else(|| std::env::var("HOSTNAME").ok());
    let name = name.as_deref().map(str::trim).filter(|name| !name.is_empty()).unwrap_or("a host without a name");
    format!("{name} (process {})", std::process::id())
}
