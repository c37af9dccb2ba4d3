//! The files of a product under test that the harness reads and writes.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use super::Program;

/// The last lines of a program's log.
pub(super) fn tail(folder: &Path, program: Program) -> String {
    let text = fs::read(folder.join(format!("{program}.log"))).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    format!("--- last lines of {program}\n{}\n", lines[lines.len().saturating_sub(60)..].join("\n"))
}

/// A new file with a secret, for a program to read; its path.
pub(super) fn write_secret(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).expect("a new file");
    file.write_all(text.as_bytes()).expect("room for a token");
    path.display().to_string()
}

/// A token that the product has written, which only its owner may read.
pub(super) fn read_secret(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    let mode = fs::metadata(path).expect("a file that could be read").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600, "{} may be read by others", path.display());
    text.trim().to_owned()
}
