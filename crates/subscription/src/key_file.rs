//! The key file: read by every process, replaced as a whole by the one command that changes it.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::key_ring::{Key, KeyId, KeyRing, KeyTextError};

/// A key file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read.
    #[error("cannot read the secrets key {path}: {source}; secrets.key_file must name a readable file")]
    Unreadable {
        /// The file.
        path: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// It holds no key.
    #[error(
        "{path} holds no key; it must hold 32 random bytes in base64 (secrets.key_file); restore it from a backup, or \
         for a new database make one with: openssl rand -base64 32"
    )]
    NoKey {
        /// The file.
        path: String,
    },
    /// It holds something else than keys.
    #[error(
        "line {line} of {path} must hold 32 random bytes in base64 (secrets.key_file), or be a comment that begins with \
         #; mend it or take it out"
    )]
    Line {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
    },
    /// It cannot be replaced.
    #[error(
        "cannot write {path}: {source}; run this as the owner of the file, in a folder that it may write to; where the \
         file is managed elsewhere change it there and use --reseal"
    )]
    Unwritable {
        /// The file.
        path: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// Another command changes it.
    #[error("another rotation is at work on {path}; wait for it")]
    Locked {
        /// The file.
        path: String,
    },
}

/// The file that `secrets.key_file` names.
#[derive(Clone, Debug)]
pub(crate) struct KeyFile(PathBuf);

/// While it is held nobody else may change key files of the same folder.
#[derive(Debug)]
pub(crate) struct Locked {
    _folder: File,
}

impl KeyFile {
    pub(crate) fn new(path: &Path) -> Self {
        Self(path.to_path_buf())
    }

    fn shown(&self) -> String {
        self.0.display().to_string()
    }

    pub(crate) fn read(&self) -> Result<KeyRing, KeyFileError> {
        let path = self.shown();
        let text = fs::read_to_string(&self.0).map(Zeroizing::new);
        let text = text.map_err(|source| KeyFileError::Unreadable { path: path.clone(), source })?;
        KeyRing::parse(&text).map_err(|error| match error {
            KeyTextError::NoKey => KeyFileError::NoKey { path },
            KeyTextError::Line(line) => KeyFileError::Line { path, line },
        })
    }

    /// Keeps others from changing it. The folder is locked, because the file itself is replaced; the lock ends with the
    /// process at the latest.
    pub(crate) fn lock(&self) -> Result<Locked, KeyFileError> {
        let unwritable = |source| KeyFileError::Unwritable { path: self.shown(), source };
        let folder = self.place().and_then(|place| File::open(folder_of(&place))).map_err(unwritable)?;
        match folder.try_lock() {
            Ok(()) => Ok(Locked { _folder: folder }),
            Err(fs::TryLockError::WouldBlock) => Err(KeyFileError::Locked { path: self.shown() }),
            Err(fs::TryLockError::Error(source)) => Err(unwritable(source)),
        }
    }

    /// Replaces its text; who reads it finds the old one or the new one. Owner, group and mode stay: other programs must
    /// go on reading it.
    pub(crate) fn write(&self, ring: &KeyRing) -> Result<(), KeyFileError> {
        let written = self.place().and_then(|place| {
            let kept = fs::metadata(&place)?;
            replace(&place, &ring.text(), Some(&kept))
        });
        written.map_err(|source| KeyFileError::Unwritable { path: self.shown(), source })
    }

    /// Keeps a key that is to leave the file in one of its own, which is only for its owner. Answers its path.
    pub(crate) fn keep(&self, key: &Key) -> Result<PathBuf, KeyFileError> {
        let path = self.kept_path(key.id);
        let written = self.place().and_then(|place| {
            let owner = fs::metadata(&place)?;
            replace(&path, &KeyRing::of(key.clone()).text(), None)?;
            own_alike(&path, &owner)
        });
        let shown = path.display().to_string();
        written.map(|()| path).map_err(|source| KeyFileError::Unwritable { path: shown, source })
    }

    /// A key that has left the file; `None`: it was not kept, or cannot be read.
    pub(crate) fn kept(&self, id: KeyId) -> Option<Key> {
        Self(self.kept_path(id)).read().ok()?.key(id).cloned()
    }

    fn kept_path(&self, id: KeyId) -> PathBuf {
        let mut path = self.0.clone().into_os_string();
        path.push(format!(".old-{id}"));
        PathBuf::from(path)
    }

    /// Where it really is: a link is to stay one.
    fn place(&self) -> io::Result<PathBuf> {
        fs::canonicalize(&self.0)
    }
}

impl fmt::Display for KeyFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(formatter)
    }
}

/// Without a folder in its name a file is in the working folder.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// Writes a file as a whole: it has the old text or the new one, whatever happens. With the owner and mode of `like`, or
/// for its owner alone.
fn replace(path: &Path, text: &str, like: Option<&fs::Metadata>) -> io::Result<()> {
    let folder = folder_of(path);
    // Only its owner can read a temporary file.
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    if let Some(like) = like {
        own_alike(file.path(), like)?;
        file.as_file().set_permissions(fs::Permissions::from_mode(like.mode() & 0o777))?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

fn own_alike(path: &Path, like: &fs::Metadata) -> io::Result<()> {
    let own = fs::metadata(path)?;
    if (own.uid(), own.gid()) == (like.uid(), like.gid()) {
        return Ok(());
    }
    std::os::unix::fs::chown(path, Some(like.uid()), Some(like.gid()))
}

#[cfg(test)]
mod tests {
    use domain::SystemIds;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn it_is_replaced_as_a_whole_and_stays_whose_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.key");
        let (old, new) = (Key::generate(&SystemIds), Key::generate(&SystemIds));
        fs::write(&path, KeyRing::of(old.clone()).text().as_str()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let link = folder.path().join("link.key");
        std::os::unix::fs::symlink(&path, &link).unwrap();

        let file = KeyFile::new(&link);
        let locked = file.lock().unwrap();
        let busy = KeyFile::new(&path).lock().unwrap_err().to_string();
        assert!(busy.contains("secrets.key") && busy.contains("another rotation"), "{busy}");
        let both = file.read().unwrap().with(new.clone());
        file.write(&both).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(KeyFile::new(&path).read().unwrap().same(&both));
        assert_eq!(mode(&path), 0o640);

        assert!(file.kept(old.id).is_none());
        let kept = file.keep(&old).unwrap();
        assert_eq!(kept, folder.path().join(format!("link.key.old-{}", old.id)));
        assert_eq!(mode(&kept), 0o600);
        assert_eq!(file.kept(old.id).unwrap().bytes, old.bytes);
        assert!(file.kept(new.id).is_none());
        let names = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(names, 3, "nothing else is left there");
        drop(locked);
        assert!(file.lock().is_ok());
    }

    #[test]
    fn mistakes_name_the_file_and_the_fix() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.key");
        let refusal = || KeyFile::new(&path).read().unwrap_err().to_string();
        assert!(refusal().contains("secrets.key: ") && refusal().contains("secrets.key_file"), "{}", refusal());
        fs::write(&path, "# nothing\n").unwrap();
        assert!(refusal().contains("secrets.key holds no key") && refusal().contains("openssl rand"), "{}", refusal());
        let good = KeyRing::of(Key::generate(&SystemIds)).text();
        fs::write(&path, format!("{}hunter2\n", *good)).unwrap();
        assert!(refusal().contains("line 2 of ") && refusal().contains("secrets.key_file"), "{}", refusal());
        assert!(!refusal().contains("hunter2"));
        fs::write(&path, b"\xff\xfe").unwrap();
        assert!(refusal().contains("cannot read"), "{}", refusal());
        let missing = KeyFile::new(&folder.path().join("none/secrets.key")).lock().unwrap_err().to_string();
        assert!(missing.contains("none/secrets.key") && missing.contains("--reseal"), "{missing}");
    }
}
