//! A wall clock for programs under test that is set while they run (libfaketime, from Debian's packages). What they measure
//! lengths of time with goes on as it is: no operating system sets that.

use std::{fs, path::PathBuf};

use crate::run;

/// The clock.
#[derive(Debug)]
pub struct Clock {
    file: PathBuf,
}

impl Clock {
    /// One that is right.
    #[must_use]
    pub fn right() -> Self {
        let clock = Self { file: run::folder("clock").join("offset") };
        clock.set(0);
        clock
    }

    /// Sets it to so many seconds after the time that it is; before, if negative.
    pub fn set(&self, seconds: i64) {
        // Renamed, so that nobody reads half of it.
        let new = self.file.with_extension("new");
        fs::write(&new, format!("{seconds:+}")).expect("the clock's file can be written");
        fs::rename(&new, &self.file).expect("the clock's file can be replaced");
    }

    /// What makes a program go by it.
    pub(crate) fn environment(&self) -> [(&'static str, String); 5] {
        [
            ("LD_PRELOAD", library().display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("NO_FAKE_STAT", "1".to_owned()),
        ]
    }
}

fn library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").expect("a folder").map(|entry| entry.expect("an entry").path());
    let libraries = folders.map(|folder| folder.join("faketime/libfaketime.so.1"));
    libraries.into_iter().find(|path| path.exists()).expect("libfaketime is missing; run `tests/run --prepare`")
}
