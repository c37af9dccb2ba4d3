//! A small disk of its own (a tmpfs), which tests fill and empty. Mounting it takes root, or sudo.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{run, servers::complete};

/// The disk.
#[derive(Debug)]
pub struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// An empty one of so many MiB.
    #[must_use]
    pub fn of_mebibytes(size: u32) -> Self {
        let folder = run::folder("disk");
        let options = format!("size={size}m,mode=711");
        complete(as_root("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&folder));
        Self { folder }
    }

    /// A new folder on it.
    #[must_use]
    pub fn folder(&self, name: &str) -> PathBuf {
        let folder = self.folder.join(name);
        fs::create_dir(&folder).expect("a folder on the new disk");
        folder
    }

    /// Takes all that is free. Call it again while programs give back what they had.
    pub fn fill(&self) {
        let mut ballast = File::options().create(true).append(true).open(self.ballast()).expect("a name on the disk");
        for piece in [1 << 20, 1 << 12] {
            while ballast.write_all(&vec![0; piece]).is_ok() {}
        }
    }

    /// Gives it back.
    pub fn relieve(&self) {
        fs::remove_file(self.ballast()).expect("the disk was filled");
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a program that is just ending may have files open there.
        let _ = as_root("umount").arg("--lazy").arg(&self.folder).status();
    }
}

fn as_root(program: &str) -> Command {
    let is_root = fs::metadata("/proc/self").expect("/proc").uid() == 0;
    let mut command = Command::new(if is_root { program } else { "sudo" });
    if !is_root {
        command.args(["-n", program]);
    }
    command
}

/// What SQLite finds wrong with its files in a folder, by file; nothing is.
#[must_use]
pub fn faults_of_sqlite(folder: &Path) -> Vec<String> {
    let is_database = |path: &PathBuf| fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"SQLite format 3\0"));
    let databases: Vec<PathBuf> = run::files(folder).into_iter().filter(is_database).collect();
    assert!(!databases.is_empty(), "there are databases in {}", folder.display());
    let program =
        "import sqlite3, sys\nfor row in sqlite3.connect(sys.argv[1]).execute('PRAGMA integrity_check'): print(row[0])";
    let check = |path: &PathBuf| {
        let output = complete(Command::new("python3").args(["-c", program]).arg(path));
        (path.display().to_string(), String::from_utf8(output.stdout).expect("text"))
    };
    let told = databases.iter().map(check).filter(|(_, told)| told.trim() != "ok");
    told.map(|(path, told)| format!("{path}: {told}")).collect()
}
