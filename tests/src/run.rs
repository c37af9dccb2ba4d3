//! What belongs to one run of the test program: a folder for all that is written, and a watchdog that ends what was
//! started and removes the folder, however the run ends.
//!
//! The watchdog is a shell that reads from a pipe. Only this process holds the other end, so that the pipe ends with
//! this process: also after a panic, `kill -9`, or `exit`, which drop nothing.

use std::{
    fs,
    io::ErrorKind,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

const WATCHDOG: &str = r#"
while read -r _; do :; done
for file in "$0"/groups/*; do
    [ -e "$file" ] && kill -s "$(cat "$file")" -- "-${file##*/}" 2>/dev/null
done
tries=0
for file in "$0"/groups/*; do
    while [ -e "$file" ] && kill -s 0 -- "-${file##*/}" 2>/dev/null && [ "$tries" -lt 50 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    kill -s KILL -- "-${file##*/}" 2>/dev/null
done
for disk in "$0"/disk-*; do
    [ -e "$disk" ] && { umount --lazy "$disk" || sudo -n umount --lazy "$disk"; } 2>/dev/null
done
rm -rf "$0"
"#;

struct Run {
    folder: PathBuf,
    /// Its standard input is closed by the operating system when this process ends.
    _watchdog: Child,
}

fn current() -> &'static Run {
    static RUN: OnceLock<Run> = OnceLock::new();
    RUN.get_or_init(|| {
        let folder =
            tempfile::Builder::new().prefix("testmo-blackbox-").tempdir().expect("a folder for temporary files").keep();
        fs::create_dir(folder.join("groups")).expect("a folder in the new folder");
        // PostgreSQL runs as another user and must get through to its own folder.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o711)).expect("permissions of the new folder");
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG])
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            .process_group(0)
            .spawn()
            .expect("sh, for the watchdog");
        Run { folder, _watchdog: watchdog }
    })
}

/// A new folder; it goes with the run at the latest.
#[must_use]
pub fn folder(name: &str) -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let folder = current().folder.join(format!("{name}-{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
    fs::create_dir(&folder).unwrap_or_else(|error| panic!("cannot create {}: {error}", folder.display()));
    folder
}

/// The files in a folder and the folders in it.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.flat_map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { vec![entry.path()] }).collect()
}

/// Removes a folder made by [`folder`], which processes that are just ending may still write to.
pub fn remove(folder: &Path) {
    let removed = crate::wait::blocking_eventually(std::time::Duration::from_secs(5), || {
        fs::remove_dir_all(folder).is_ok() || !folder.exists()
    });
    if !removed {
        eprintln!("cannot remove {} yet; the watchdog does at the end", folder.display());
    }
}

/// Has the watchdog send `signal` (its name) to a process group when the run ends.
pub(crate) fn guard(group: u32, signal: &str) {
    fs::write(guard_file(group), signal).expect("the watchdog's list can be written to");
}

/// Takes a process group off the watchdog's list: it has been killed.
pub(crate) fn release(group: u32) {
    if let Err(error) = fs::remove_file(guard_file(group)) {
        assert_eq!(error.kind(), ErrorKind::NotFound, "cannot change the watchdog's list: {error}");
    }
}

fn guard_file(group: u32) -> PathBuf {
    current().folder.join("groups").join(group.to_string())
}
