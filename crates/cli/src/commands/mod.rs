//! The commands, one file each.

pub(crate) mod apply;
pub(crate) mod config;
mod confirm;
pub(crate) mod export;
pub(crate) mod health;
pub(crate) mod parked;
mod progress;
pub(crate) mod publish;
pub(crate) mod replay;
pub(crate) mod secrets;
pub(crate) mod serve;
pub(crate) mod token;
pub(crate) mod verify;

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::standalone::token_in;

/// The status of whoever ends by Ctrl-C.
pub(crate) const INTERRUPTED: u8 = 130;

/// The token in a file: the one named, else the one that `standalone` has written into the data folder.
pub(crate) fn read_token(named: Option<&Path>, data: &Path, own: &str) -> anyhow::Result<String> {
    let path: PathBuf = named.map_or_else(|| data.join(own), Path::to_path_buf);
    token_in(&path).context("no token to send; name its file with --token-file")
}
