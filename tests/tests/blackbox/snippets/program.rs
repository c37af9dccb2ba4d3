//! A program of a page, running as a receiver's author would run it.

use std::{path::Path, process::Command, time::Duration};

use blackbox::{ports, process::Process, run, wait::eventually};
use tokio::net::TcpStream;

use super::page::Page;

/// How long it may take until it listens: Rust's compiles its libraries the first time.
const START: Duration = Duration::from_secs(400);

/// How a program verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// `webhook-id`, `webhook-timestamp`, `webhook-signature`.
    Standard,
    /// `X-Testmo-Signature-256`.
    Testmo,
}

/// Ends when dropped.
pub(super) struct Program {
    process: Process,
    pub(super) scheme: Scheme,
    pub(super) port: u16,
}

impl Program {
    /// Starts it on `port`, which may take a while: [`Program::listens`].
    pub(super) fn start(page: &Page, scheme: Scheme, port: u16, secret: &str) -> Self {
        let folder = run::folder(page.name());
        let mut command = page.install(&folder, secret);
        let command = with(&mut command, scheme, port);
        Self { process: Process::start(page.name(), command, &folder, "KILL"), scheme, port }
    }

    pub(super) async fn listens(&mut self) {
        let what = format!("{} listens on {}", self.process.name(), self.port);
        eventually(START, what, async || {
            if let Some(status) = self.process.ended() {
                panic!("{} ended with {status}\n{}", self.process.name(), self.process.tail());
            }
            TcpStream::connect(("127.0.0.1", self.port)).await.ok()
        })
        .await;
    }

    /// The lines of its output that speak of a delivery.
    pub(super) fn lines(&self, delivery: &str) -> Vec<String> {
        self.process.output().lines().filter(|line| line.contains(delivery)).map(str::to_owned).collect()
    }

    pub(super) fn tail(&self) -> String {
        self.process.tail()
    }

    /// Whether it has given up by itself.
    pub(super) fn failed(&mut self) -> bool {
        self.process.ended().is_some_and(|status| !status.success())
    }
}

fn with(command: &mut Command, scheme: Scheme, port: u16) -> &mut Command {
    if scheme == Scheme::Testmo {
        command.env("WEBHOOK_SCHEME", "testmo");
    }
    command.env("PORT", port.to_string())
}

/// A port for a program, and the address of a webhook that goes there.
pub(super) fn place() -> (u16, String) {
    let port = ports::free();
    (port, format!("http://127.0.0.1:{port}/hook"))
}

/// Makes a file in `folder` for each name.
pub(super) fn write(folder: &Path, files: &[(&str, &[u8])]) {
    for (name, bytes) in files {
        std::fs::write(folder.join(name), bytes).expect("a new file");
    }
}
