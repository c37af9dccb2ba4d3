//! Where an export goes: into `FILE.part`, which becomes `FILE` when it is whole.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, TryLockError},
    io::{BufRead as _, BufReader, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::count::Count;

/// Bytes that an entry has at most, with a good deal to spare.
const LINE: u64 = 16 << 20;

/// The file that is wanted.
#[derive(Debug)]
pub(super) struct Target {
    file: PathBuf,
    part: PathBuf,
    force: bool,
}

/// The part that is being written.
#[derive(Debug)]
pub(super) struct Part {
    target: Target,
    writer: File,
}

/// Where an export goes on.
#[derive(Debug)]
pub(super) struct Begun {
    /// What is there.
    pub(super) count: Count,
    /// The cursor of its last entry, if it has any.
    pub(super) cursor: Option<String>,
}

impl Target {
    /// Refuses to replace a file, unless it is to.
    pub(super) fn new(file: &Path, force: bool) -> anyhow::Result<Self> {
        match fs::metadata(file) {
            Ok(found) if !found.is_file() => bail!("{} is no file; name one with --output", file.display()),
            Ok(_) if !force => bail!("{} is there already; replace it with --force", file.display()),
            _ => {}
        }
        if file.file_name().is_none() {
            bail!("{} is no file; name one with --output", file.display());
        }
        let mut part = OsString::from(file);
        part.push(".part");
        Ok(Self { file: file.to_owned(), part: part.into(), force })
    }

    /// Where it is until it is whole.
    pub(super) fn part(&self) -> &Path {
        &self.part
    }

    /// Starts with nothing.
    pub(super) fn create(self) -> anyhow::Result<Part> {
        let mut options = OpenOptions::new();
        match options.write(true).create(self.force).create_new(!self.force).open(&self.part) {
            Ok(writer) => {
                self.lock(&writer)?;
                writer.set_len(0).with_context(|| format!("cannot write {}", self.part.display()))?;
                Ok(Part { target: self, writer })
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => bail!(
                "{} is there already, of an export that runs or was broken off; go on with it with --resume, or start \
                 anew with --force",
                self.part.display()
            ),
            Err(error) => Err(error).with_context(|| format!("cannot write {}", self.part.display())),
        }
    }

    /// Goes on after the last whole line, and cuts what comes after it.
    pub(super) fn resume(self) -> anyhow::Result<(Part, Begun)> {
        let name = self.part.display();
        let mut writer = match OpenOptions::new().read(true).write(true).open(&self.part) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                bail!("there is no {name} to go on with; leave out --resume")
            }
            opened => opened.with_context(|| format!("cannot open {name}"))?,
        };
        self.lock(&writer)?;
        let begun = begun(&mut writer).with_context(|| format!("cannot go on with {name}"))?;
        let cut = writer.set_len(begun.count.bytes).and_then(|()| writer.seek(SeekFrom::End(0)));
        cut.with_context(|| format!("cannot write {name}"))?;
        Ok((Part { target: self, writer }, begun))
    }

    /// Keeps others from writing to it too. Where files cannot be locked, nothing does.
    fn lock(&self, writer: &File) -> anyhow::Result<()> {
        if matches!(writer.try_lock(), Err(TryLockError::WouldBlock)) {
            bail!("another export is writing {}", self.part.display());
        }
        Ok(())
    }
}

impl Part {
    pub(super) fn write(&mut self, text: &[u8]) -> anyhow::Result<()> {
        self.writer.write_all(text).with_context(|| format!("cannot write {}", self.target.part.display()))
    }

    /// Makes it the file that is wanted.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        let Target { file, part, .. } = self.target;
        let renamed = self.writer.sync_all().and_then(|()| fs::rename(&part, &file));
        renamed.with_context(|| format!("cannot make {} of {}", file.display(), part.display()))
    }
}

/// Reads the whole lines.
fn begun(file: &mut File) -> anyhow::Result<Begun> {
    let mut count = Count::new();
    let (mut start, mut end, mut length) = (0, 0, 0);
    let mut reader = BufReader::with_capacity(64 << 10, &mut *file);
    loop {
        let text = reader.fill_buf()?;
        if text.is_empty() {
            break;
        }
        for (place, _) in text.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            (start, end) = (end, length + place as u64 + 1);
        }
        let read = text.len();
        length += read as u64;
        count.add(text);
        reader.consume(read);
    }
    count.bytes = end;
    if end == 0 {
        return Ok(Begun { count, cursor: None });
    }
    if end - start > LINE {
        bail!("its last line is no entry of an export");
    }
    file.seek(SeekFrom::Start(start))?;
    let mut line = Vec::new();
    file.take(end - start).read_to_end(&mut line)?;
    let entry: Option<Value> = serde_json::from_slice(&line).ok();
    let cursor = entry.as_ref().and_then(|entry| entry["cursor"].as_str());
    let cursor = cursor.context("its last line is no entry of an export in NDJSON, with a cursor")?;
    Ok(Begun { count, cursor: Some(cursor.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("export.ndjson");
        fs::write(folder.path().join("export.ndjson.part"), text).unwrap();
        (folder, file)
    }

    #[test]
    fn an_export_goes_on_after_the_last_whole_line() {
        let (one, two) = ("{\"cursor\":\"one\"}\n", "{\"cursor\":\"two\"}\n");
        for (text, kept, entries, cursor) in [
            (String::new(), 0, 0, None),
            ("{\"cur".to_owned(), 0, 0, None),
            (format!("{one}{two}"), 34, 2, Some("two")),
            (format!("{one}{two}{{\"cursor\":\"three\"}}"), 34, 2, Some("two")),
            (one.repeat(10_000) + two + "{\"", 170_017, 10_001, Some("two")),
        ] {
            let (_folder, file) = part(&text);
            let (mut part, begun) = Target::new(&file, false).unwrap().resume().unwrap();
            assert_eq!((begun.count.bytes, begun.count.entries), (kept, entries));
            assert_eq!(begun.cursor.as_deref(), cursor);
            part.write(b"more\n").unwrap();
            part.finish().unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), text[..kept as usize].to_owned() + "more\n");
        }
    }

    #[test]
    fn what_is_no_part_of_an_export_stays_as_it_is() {
        for text in ["hello\nworld\n", "{\"cursor\":null}\n", "[\n{\"cursor\":\"a\"},\n", "\n"] {
            let (folder, file) = part(text);
            let error = Target::new(&file, false).unwrap().resume().unwrap_err();
            assert!(format!("{error:#}").contains("export.ndjson.part: its last line is no entry"), "{error:#}");
            assert_eq!(fs::read_to_string(folder.path().join("export.ndjson.part")).unwrap(), text);
        }
    }

    #[test]
    fn nothing_is_replaced_unasked() {
        let (folder, file) = part("old");
        let error = Target::new(&file, false).unwrap().create().unwrap_err().to_string();
        assert!(error.contains("export.ndjson.part is there already") && error.contains("--resume"), "{error}");
        fs::write(&file, "older").unwrap();
        assert!(Target::new(&file, false).unwrap_err().to_string().contains("--force"));
        let mut part = Target::new(&file, true).unwrap().create().unwrap();
        part.write(b"new").unwrap();
        for other in
            [Target::new(&file, true).unwrap().create(), Target::new(&file, true).unwrap().resume().map(|it| it.0)]
        {
            assert!(other.unwrap_err().to_string().starts_with("another export is writing "));
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "older", "until the new one is whole");
        part.finish().unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        for no_file in [folder.path(), Path::new("/dev/null"), Path::new("/"), Path::new("..")] {
            assert!(Target::new(no_file, true).unwrap_err().to_string().contains("is no file"), "{no_file:?}");
        }
        let missing = folder.path().join("missing");
        assert!(Target::new(&missing, false).unwrap().resume().unwrap_err().to_string().contains("leave out --resume"));
    }
}
