//! What the first start writes into the data folder, for its owner's eyes only.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

use crate::out::say;

/// The token in a file: one word that can travel in a header.
pub(crate) fn token_in(path: &Path) -> anyhow::Result<String> {
    let shown = path.display();
    let bytes = fs::read(path).with_context(|| format!("cannot read the token in {shown}"))?;
    let text = str::from_utf8(&bytes).unwrap_or_default().trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        bail!("{shown} must hold a token: one word of printable ASCII characters");
    }
    Ok(text.to_owned())
}

/// The data folder.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Whether to print where made files are.
    announce: bool,
}

impl Folder {
    /// The folder, made with access for its owner alone if there is none; one that is there keeps its mode.
    pub(super) fn ensure(path: &Path, announce: bool) -> anyhow::Result<Self> {
        let made = match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) => fs::create_dir_all(parent),
            None => Ok(()),
        };
        match made.and_then(|()| DirBuilder::new().mode(0o700).create(path)) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => {}
            made => made.with_context(|| format!("cannot make the data folder {} (data.dir)", path.display()))?,
        }
        Ok(Self { path: path.to_path_buf(), announce })
    }

    /// The path of a database. With `make` there is a file afterwards that only its owner can read: those that SQLite
    /// makes beside it get the same mode.
    pub(super) fn database(&self, name: &str, make: bool) -> anyhow::Result<PathBuf> {
        let path = self.path.join(name);
        if make {
            let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
            match made {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                made => drop(made.with_context(|| format!("cannot make {}", path.display()))?),
            }
        }
        Ok(path)
    }

    /// The path of a small file, and whether it was made now. It is there with all of its text or not at all.
    pub(super) fn text(
        &self,
        what: &str,
        name: &str,
        text: impl FnOnce() -> String,
    ) -> anyhow::Result<(PathBuf, bool)> {
        let path = self.path.join(name);
        if path.try_exists().with_context(|| format!("cannot look for {}", path.display()))? {
            return Ok((path, false));
        }
        let made = self.write(&path, &text()).with_context(|| format!("cannot write {}", path.display()))?;
        if made && self.announce {
            // A server goes on if nobody reads what it says.
            let _ = say!("{what} written to {}", path.display());
        }
        Ok((path, made))
    }

    /// `false`: another program was faster.
    fn write(&self, path: &Path, text: &str) -> std::io::Result<bool> {
        // Only its owner can read a temporary file.
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.path)?;
        writeln!(file, "{text}")?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(path) {
            Ok(_) => {}
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => return Ok(false),
            Err(error) => return Err(error.error),
        }
        File::open(&self.path)?.sync_all()?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_made_is_for_its_owner_alone() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("a/data");
        let folder = Folder::ensure(&path, false).unwrap();
        assert_eq!(mode(&path), 0o700);
        let (token, made) = folder.text("token", "admin.token", || "text".into()).unwrap();
        assert!(made);
        assert_eq!((mode(&token), fs::read_to_string(&token).unwrap().as_str()), (0o600, "text\n"));
        assert_eq!(mode(&folder.database("queue.db", true).unwrap()), 0o600);
        assert!(!folder.database("history.db", false).unwrap().exists());
        assert_eq!(fs::read_dir(&path).unwrap().count(), 2, "nothing else is left there");
    }

    #[test]
    fn what_is_there_stays_as_it_is() {
        let temporary = tempfile::tempdir().unwrap();
        fs::set_permissions(temporary.path(), fs::Permissions::from_mode(0o750)).unwrap();
        for name in ["admin.token", "queue.db"] {
            fs::write(temporary.path().join(name), "old").unwrap();
        }
        let folder = Folder::ensure(temporary.path(), false).unwrap();
        assert_eq!(mode(temporary.path()), 0o750);
        let (token, made) = folder.text("token", "admin.token", || "new".into()).unwrap();
        assert!(!made && !folder.write(&token, "new").unwrap());
        let database = folder.database("queue.db", true).unwrap();
        assert_eq!(fs::read_to_string(token).unwrap() + &fs::read_to_string(database).unwrap(), "oldold");
        let file = temporary.path().join("queue.db");
        assert!(Folder::ensure(&file, false).unwrap_err().to_string().contains("data.dir"));
    }

    #[test]
    fn a_token_is_one_word() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("token");
        assert!(token_in(&path).unwrap_err().to_string().contains("/token"));
        for text in [&b""[..], b"two words", b"\xff", "tök".as_bytes()] {
            fs::write(&path, text).unwrap();
            assert!(token_in(&path).unwrap_err().to_string().contains("/token must hold a token"));
        }
        fs::write(&path, " word\n").unwrap();
        assert_eq!(token_in(&path).unwrap(), "word");
    }
}
