//! `secrets`: the key that signing secrets are encrypted with, changed in the key file and the database themselves.

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use clap::Subcommand;
use domain::{SystemClock, SystemIds};
use runtime::config::Config;
use subscription::{
    Progress, Resealed, Rotation,
    store::{Store, open_postgres, open_sqlite},
};

use crate::{
    out::{complain, say},
    standalone,
};

/// Counts are printed at most so often.
const PACE: Duration = Duration::from_secs(1);

#[derive(Debug, Subcommand)]
pub(crate) enum Secrets {
    /// Encrypt all signing secrets with a new key, while everything runs. Needs the configuration of the subscription
    /// service (or of standalone), on its machine: it works on the key file and the database themselves. Interrupted, it
    /// goes on when it is run again.
    RotateKey {
        /// Leave the key file as it is, and encrypt everything with its first key: for key files that are managed
        /// elsewhere, or are on several machines.
        #[arg(long)]
        reseal: bool,
    },
}

impl Secrets {
    pub(crate) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let Self::RotateKey { reseal } = self;
        let store = open(config).await?;
        let printer = Printer::default();
        let (clock, ids) = (Arc::new(SystemClock), Arc::new(SystemIds));
        let rotation = Rotation::new(store, &key_file(config), clock, ids, move |progress| printer.print(&progress));
        let resealed = if reseal { rotation.run_reseal().await? } else { rotation.run().await? };
        Ok(tell(&resealed))
    }
}

fn key_file(config: &Config) -> PathBuf {
    config.secrets.key_file.clone().unwrap_or_else(|| config.data.dir.join(standalone::KEY))
}

/// The database of the configuration, which must be there, with the schema of this program.
async fn open(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    Ok(match &config.database.url {
        Some(url) => open_postgres(url.reveal(), false).await?,
        None => open_sqlite(&config.data.dir.join(standalone::SUBSCRIPTION), false).await?,
    })
}

/// Prints what a rotation tells. It goes on if nobody reads it.
#[derive(Debug, Default)]
struct Printer {
    /// When a count was printed last.
    counted: Mutex<Option<Instant>>,
}

impl Printer {
    fn print(&self, progress: &Progress) {
        if self.is_due(progress) {
            let _ = say!("{progress}");
        }
    }

    fn is_due(&self, progress: &Progress) -> bool {
        let Progress::Resealing { left: 1.., .. } = progress else { return true };
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let due = counted.is_none_or(|at| at.elapsed() >= PACE);
        if due {
            *counted = Some(Instant::now());
        }
        due
    }
}

/// The outcome, and its status.
fn tell(resealed: &Resealed) -> ExitCode {
    for webhook in &resealed.unreadable {
        complain(format_args!(
            "error: no key opens the secrets of webhook {webhook}, which stay as they are; put the file of its key beside \
             the key file (it ends in .old-<key id>) and run this again, or delete the webhook"
        ));
    }
    let _ = say!("done: {} webhooks sealed anew, {} not readable", resealed.done, resealed.unreadable.len());
    if resealed.unreadable.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_printed_now_and_then_and_at_the_end() {
        let printer = Printer::default();
        let due = |left| printer.is_due(&Progress::Resealing { done: 1, left });
        assert_eq!([due(9), due(8), due(0), due(7)], [true, false, true, false]);
        *printer.counted.lock().unwrap() = Some(Instant::now() - PACE);
        assert!(due(6));
    }
}
