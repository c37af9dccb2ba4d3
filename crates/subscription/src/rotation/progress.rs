//! What a rotation tells while it is at work. Never a key.

use std::{fmt, path::PathBuf};

use crate::key_ring::{KeyId, KeyIds};

/// Something that a rotation has done, or waits for. Shown as a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// An earlier run has made the key, and this one goes on.
    Resumed(KeyId),
    /// A new key stands in the file.
    Made(KeyId),
    /// Processes are waited for.
    Waiting {
        /// Which.
        processes: String,
        /// What they lack.
        lack: String,
    },
    /// All processes can open the key.
    Known {
        /// The key.
        target: KeyId,
        /// How many.
        processes: usize,
    },
    /// The key stands first in the file.
    First(KeyId),
    /// All processes seal with the key.
    Sealing {
        /// The key.
        target: KeyId,
        /// How many.
        processes: usize,
    },
    /// So many webhooks of so many are sealed with the key.
    Resealing {
        /// Sealed anew so far.
        done: u64,
        /// Left, as far as is known.
        left: usize,
    },
    /// The other keys have left the file, each into one of its own.
    Retired(Vec<PathBuf>),
    /// Nothing needs these keys of the file any more.
    Spare(KeyIds),
}

impl fmt::Display for Progress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Made(key) => write!(formatter, "key {key} made; it opens and does not seal yet"),
            Self::Resumed(key) => write!(formatter, "a rotation to key {key} is under way already; it goes on"),
            Self::Waiting { processes, lack } => write!(formatter, "waiting: {processes} {lack}"),
            Self::Known { target, processes } => {
                write!(formatter, "every process can open key {target} ({processes} running)")
            }
            Self::First(key) => write!(formatter, "key {key} stands first in the key file"),
            Self::Sealing { target, processes } => {
                write!(formatter, "every process seals with key {target} ({processes} running)")
            }
            Self::Resealing { done, left } => write!(formatter, "{done} webhooks sealed anew, {left} left"),
            Self::Retired(kept) => {
                let files: Vec<String> = kept.iter().map(|path| path.display().to_string()).collect();
                let files = files.join(", ");
                write!(formatter, "the old key is kept in {files}: backups made before now need it; keep it with them")
            }
            Self::Spare(keys) => write!(
                formatter,
                "nothing in this database needs {keys} of the key file any more; take them out, and keep them with the \
                 backups made before now, which need them"
            ),
        }
    }
}

/// What came of sealing everything anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Number of webhooks that were sealed anew.
    pub done: u64,
    /// Webhooks that no key opens; they stay as they are.
    pub unreadable: Vec<i64>,
}
