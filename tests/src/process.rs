//! One started program: its log, signals, and its end together with everything that it has started.

use std::{
    collections::HashMap,
    fmt, fs,
    fs::OpenOptions,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use crate::{run, wait::blocking_eventually};

/// How long the kernel gets to end what was killed.
const REAP: Duration = Duration::from_secs(10);

/// A started program; dropped, it is killed.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    ended: Option<ExitStatus>,
    killed: bool,
}

impl Process {
    /// Starts `command` in a process group of its own, its output appended to `folder/name.log`.
    ///
    /// `farewell` is the name of the signal that the watchdog sends should this process of ours die first.
    #[must_use]
    pub fn start(name: &str, command: &mut Command, folder: &Path, farewell: &str) -> Self {
        let log = folder.join(format!("{name}.log"));
        let output = OpenOptions::new().create(true).append(true).open(&log).expect("a log file in the given folder");
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a second handle of the log file"))
            .stderr(output)
            .process_group(0);
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", command.get_program().to_string_lossy()));
        run::guard(child.id(), farewell);
        Self { name: name.to_owned(), child, log, ended: None, killed: false }
    }

    /// The name that it was started under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Bytes of memory that it holds in RAM now (`VmRSS`).
    #[must_use]
    pub fn resident(&self) -> u64 {
        let path = format!("/proc/{}/status", self.id());
        let status = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{} has no {path}: {error}", self.name));
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kibibytes.unwrap_or_else(|| panic!("no VmRSS in {path}")) * 1024
    }

    /// Files and connections that it has open now.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        let path = format!("/proc/{}/fd", self.id());
        fs::read_dir(&path).unwrap_or_else(|error| panic!("{} has no {path}: {error}", self.name)).count()
    }

    /// How it ended; `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("the state of a child process");
        }
        self.ended
    }

    /// Waits for it to end by itself.
    pub fn wait(&mut self, timeout: Duration) -> Option<ExitStatus> {
        let _ = blocking_eventually(timeout, || self.ended().is_some());
        self.ended
    }

    /// Sends a signal, by name, to the program alone.
    pub fn signal(&mut self, signal: &str) {
        if self.ended().is_none() {
            send(signal, &[self.child.id().to_string()]);
        }
    }

    /// Asks it to end (SIGTERM) and waits; panics if it does not within `timeout`.
    pub fn terminate(&mut self, timeout: Duration) -> ExitStatus {
        self.signal("TERM");
        let ended = self.wait(timeout);
        let status = ended.unwrap_or_else(|| panic!("{} ignored SIGTERM for {timeout:?}\n{}", self.name, self.tail()));
        self.kill();
        status
    }

    /// `kill -9` for it and everything that it has started; waits until all of it is gone.
    pub fn kill(&mut self) {
        if std::mem::replace(&mut self.killed, true) {
            return;
        }
        let group = self.child.id();
        let mut targets = descendants(group);
        let family = targets.clone();
        targets.push(format!("-{group}"));
        send("KILL", &targets);
        if self.ended.is_none() {
            self.ended = self.child.wait().ok();
        }
        run::release(group);
        let gone = blocking_eventually(REAP, || family.iter().all(|id| !is_alive(id)));
        assert!(gone, "{} left processes behind that kill -9 does not end: {family:?}", self.name);
    }

    /// Everything that it has written, standard output and standard error.
    #[must_use]
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The last lines of its log, under a heading.
    #[must_use]
    pub fn tail(&self) -> String {
        let output = self.output();
        let lines: Vec<_> = output.lines().collect();
        let first = lines.len().saturating_sub(60);
        format!("--- last lines of {}\n{}\n", self.log.display(), lines[first..].join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("name", &self.name).field("id", &self.child.id()).finish_non_exhaustive()
    }
}

fn send(signal: &str, targets: &[String]) {
    // The shell's own `kill`: neither unsafe code nor a package that a small Debian lacks.
    let status = Command::new("sh")
        .args(["-c", r#"signal=$1; shift; kill -s "$signal" -- "$@""#, "sh", signal])
        .args(targets)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.expect("sh, for sending a signal");
}

/// The processes below `root`, which may be in process groups of their own (PostgreSQL's are).
fn descendants(root: u32) -> Vec<String> {
    let mut children: HashMap<String, Vec<String>> = HashMap::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let id = entry.file_name().to_string_lossy().into_owned();
        if let Some((_, parent)) = state_and_parent(&id) {
            children.entry(parent).or_default().push(id);
        }
    }
    let mut found = Vec::new();
    let mut next = vec![root.to_string()];
    while let Some(parent) = next.pop() {
        for child in children.get(&parent).into_iter().flatten() {
            found.push(child.clone());
            next.push(child.clone());
        }
    }
    found
}

/// A zombie is gone; unless it is only the first thread that is, while others still hold ports and files.
fn is_alive(id: &str) -> bool {
    let threads = || fs::read_dir(format!("/proc/{id}/task")).map_or(0, Iterator::count);
    state_and_parent(id).is_some_and(|(state, _)| !matches!(state.as_str(), "Z" | "X") || threads() > 1)
}

/// From `/proc/<id>/stat`: `id (name, which may hold anything) state parent …`.
fn state_and_parent(id: &str) -> Option<(String, String)> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    Some((fields.next()?.to_owned(), fields.next()?.to_owned()))
}
