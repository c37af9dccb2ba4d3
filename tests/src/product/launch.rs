//! Starting one program of the product.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use hyper::Method;

use super::Settings;
use crate::{ports, process::Process, rest::Rest, wait::eventually};

/// How long a program may take until it is ready, on a machine that is busy with other tests.
pub(super) const READY: Duration = Duration::from_secs(60);

/// A program of the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// All services in one process.
    Standalone,
    /// Webhooks, REST and the console.
    Subscription,
    /// Takes events.
    Ingest,
    /// Sends deliveries.
    Dispatcher,
    /// Records them.
    History,
}

impl Service {
    fn program(self) -> &'static str {
        match self {
            Self::Standalone => "testmo-webhooks",
            Self::Subscription => "testmo-subscription",
            Self::Ingest => "testmo-ingest",
            Self::Dispatcher => "testmo-dispatcher",
            Self::History => "testmo-history",
        }
    }

    /// The program in the target folder that this test program is in, `target/<profile>/deps`.
    #[must_use]
    pub fn path(self) -> PathBuf {
        let tests = std::env::current_exe().expect("the path of this program");
        let folder = tests.parent().and_then(Path::parent).expect("a test program is in target/<profile>/deps");
        let program = folder.join(self.program());
        assert!(program.is_file(), "{} is missing; run `cargo build --workspace --bins`", program.display());
        program
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program())
    }
}

/// One of the programs that run the same service; a [`Service`] alone is the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Program {
    /// What it runs.
    pub service: Service,
    /// From 1.
    pub number: usize,
}

impl From<Service> for Program {
    fn from(service: Service) -> Self {
        Self { service, number: 1 }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            1 => self.service.fmt(f),
            number => write!(f, "{}-{number}", self.service),
        }
    }
}

/// Where a program listens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    pub(super) http: u16,
    pub(super) grpc: u16,
    pub(super) admin: u16,
}

impl Ports {
    pub(super) fn free() -> Self {
        Self { http: ports::free(), grpc: ports::free(), admin: ports::free() }
    }

    pub(super) fn http_address(self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.http).into()
    }

    pub(super) fn admin_address(self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.admin).into()
    }
}

/// Where a program runs and how it is configured; the same at each start.
#[derive(Clone, Debug)]
pub(super) struct Placement {
    pub(super) ports: Ports,
    pub(super) settings: Settings,
}

/// A program in `folder`, with no configuration but the given one.
pub(super) fn command(service: Service, placement: &Placement, folder: &Path) -> Command {
    let mut command = Command::new(service.path());
    command.env_clear().current_dir(folder).env("RUST_BACKTRACE", "1").env("HOME", folder);
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    if let Some(filter) = std::env::var_os("RUST_LOG") {
        command.env("RUST_LOG", filter);
    }
    placement.settings.apply(&mut command);
    command
}

/// Starts a program in `folder`; `fail_point`: where it is to die, and which time.
pub(super) fn start(program: Program, placement: &Placement, folder: &Path, fail_point: Option<&str>) -> Process {
    let mut command = command(program.service, placement, folder);
    command.envs(fail_point.map(|point| ("FAIL_POINT", point)));
    if program.service == Service::Standalone {
        command.arg("standalone");
    }
    Process::start(&program.to_string(), &mut command, folder, "KILL")
}

/// Waits until the program's readiness check says yes; panics with its log if it ends first.
pub(super) async fn wait_ready(program: Program, process: &mut Process, client: Rest) {
    let admin = client.address();
    let mut last = String::from("no answer");
    let what = format!("{program} is ready (/readyz on {admin}); see its log below");
    eventually(READY, what, async || {
        if let Some(status) = process.ended() {
            panic!("{program} ended with {status} instead of getting ready: {last}");
        }
        let answer = client.try_send(Method::GET, "/readyz", None).await.ok()?;
        last = format!("{} {}", answer.status, answer.json);
        (answer.status == 200).then_some(())
    })
    .await;
}
