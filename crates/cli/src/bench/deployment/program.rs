//! A program that was started for the measurement, and ends with it.

use std::{
    fs::File,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process_group};

/// How long a program may take to be ready.
const READY: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Lines of its log that are shown if it is not.
const TAIL: usize = 20;

/// It and whatever it starts are killed when this is dropped.
pub(super) struct Program {
    pub(super) name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts it; what it says goes into a file of `folder`.
    pub(super) fn start(name: &'static str, command: &mut Command, folder: &Path) -> anyhow::Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).process_group(0);
        let child = command.spawn().with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Self { name, child, log })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it is ready; how long that took.
    pub(super) async fn wait_until(&mut self, mut is_ready: impl AsyncFnMut() -> bool) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        while !is_ready().await {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended ({status}) instead of getting ready\n{}", self.name, self.tail());
            }
            if begun.elapsed() > READY {
                bail!("{} is not ready after {} s\n{}", self.name, READY.as_secs(), self.tail());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(begun.elapsed())
    }

    fn tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        crate::out::escape(&lines[lines.len().saturating_sub(TAIL)..].join(" | "))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(group) = group {
            // It may have ended by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}
