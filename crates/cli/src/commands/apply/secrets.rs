//! The secrets of new webhooks: the server tells each once, and so does `apply`.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde_json::{Map, Value as Json};

use crate::out::{quoted, say};

/// Where secrets go.
pub(super) enum Secrets {
    /// Standard output.
    Shown,
    /// A file of its own, by name of the webhook.
    Saved { path: PathBuf, secrets: Map<String, Json> },
}

impl Secrets {
    /// Standard output, or a new file that its owner alone may read. It is made before there is a secret: one that
    /// could not be saved would be lost.
    pub(super) fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else { return Ok(Self::Shown) };
        let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        made.with_context(|| format!("cannot make {} (--secrets-file names a new file)", path.display()))?;
        Ok(Self::Saved { path: path.to_path_buf(), secrets: Map::new() })
    }

    /// Hands the secret of a new webhook over.
    pub(super) fn hand_over(&mut self, name: &str, id: i64, secret: &str) -> anyhow::Result<()> {
        match self {
            Self::Shown => say!("    secret of {} ({id}), shown only now: {secret}", quoted(name)),
            Self::Saved { path, secrets } => {
                secrets.insert(name.to_owned(), secret.into());
                let fix = "make a new one with POST /api/v1/webhooks";
                let context = || format!("its secret is lost, {} cannot be written; {fix}/{id}/secret", path.display());
                replace(path, secrets).with_context(context)
            }
        }
    }

    /// Ends it: a file in which there is nothing is taken away, so that the next run can make it.
    pub(super) fn close(self) -> anyhow::Result<()> {
        match self {
            Self::Saved { path, secrets } if secrets.is_empty() => {
                fs::remove_file(&path).with_context(|| format!("cannot remove the empty {}", path.display()))
            }
            Self::Saved { path, .. } => say!("the secrets are in {}", path.display()),
            Self::Shown => Ok(()),
        }
    }
}

/// Puts a new file in the place of the old one, so that there is a whole one at any time.
fn replace(path: &Path, secrets: &Map<String, Json>) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer_pretty(&mut file, secrets)?;
    file.write_all(b"\n")?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_file_is_new_whole_and_for_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.json");
        let mut secrets = Secrets::open(Some(&path)).unwrap();
        secrets.hand_over("b", 1, "whsec_1").unwrap();
        secrets.hand_over("a", 2, "whsec_2").unwrap();
        let read: Json = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(read, serde_json::json!({"a": "whsec_2", "b": "whsec_1"}));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(Secrets::open(Some(&path)).is_err(), "it is never written over");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        fs::remove_dir_all(folder.path()).unwrap();
        let error = secrets.hand_over("c", 3, "whsec_3").unwrap_err().to_string();
        assert!(error.contains("/api/v1/webhooks/3/secret") && !error.contains("whsec_3"), "{error}");
    }

    #[test]
    fn a_file_without_secrets_is_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.json");
        Secrets::open(Some(&path)).unwrap().close().unwrap();
        assert!(!path.exists());
    }
}
