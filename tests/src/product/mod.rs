//! The programs under test, in either mode.

mod aging;
mod backup;
mod files;
mod filling;
mod keeper;
mod launch;
mod newer;
mod preparation;
mod settings;

use std::{
    collections::BTreeMap, fs, os::unix::process::ExitStatusExt as _, path::PathBuf, process::ExitStatus, sync::Arc,
    time::Duration,
};

use serde_json::json;
use tokio_rustls::rustls::ClientConfig;

pub use backup::Backup;
use files::{read_secret, tail};
use launch::{Placement, READY, wait_ready};
pub use launch::{Program, Service};
pub use preparation::Preparation;
pub use settings::Settings;

use crate::{
    grpc::{Addresses, Grpc},
    process::Process,
    publisher::Publisher,
    receiver::Authority,
    rest::Rest,
    run,
    servers::{self, Database, VirtualHost},
    wait::eventually,
};

/// The number of the signal that `kill -9` sends.
const SIGKILL: i32 = 9;
/// How long a service may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(30);

/// The two ways to run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `testmo-webhooks standalone` on its own files.
    Embedded,
    /// Four programs on PostgreSQL and RabbitMQ.
    Distributed,
}

impl Mode {
    /// Those that a benchmark was asked for: `embedded` or `distributed` after `--`; without, both.
    #[must_use]
    pub fn asked() -> Vec<Self> {
        let asked: Vec<String> = std::env::args().collect();
        let named = |(name, _): &(&str, Self)| asked.iter().any(|argument| argument == name);
        let all = [("embedded", Self::Embedded), ("distributed", Self::Distributed)];
        let one: Vec<_> = all.into_iter().filter(named).map(|(_, mode)| mode).collect();
        if one.is_empty() { all.map(|(_, mode)| mode).into() } else { one }
    }

    /// The programs that run.
    #[must_use]
    pub fn services(self) -> &'static [Service] {
        match self {
            Self::Embedded => &[Service::Standalone],
            Self::Distributed => &[Service::Subscription, Service::History, Service::Dispatcher, Service::Ingest],
        }
    }
}

/// A running product; dropped, it is killed, and if the test has failed its logs are shown.
pub struct Product {
    mode: Mode,
    folder: PathBuf,
    /// In the order in which they start.
    programs: Vec<Program>,
    placements: BTreeMap<Program, Placement>,
    processes: BTreeMap<Program, Process>,
    admin_token: String,
    publisher_token: String,
    database: Option<Database>,
    broker: Option<VirtualHost>,
    /// Whose certificates it shows.
    authority: Option<Arc<Authority>>,
}

impl Product {
    /// A product in `mode`, to be started, with settings that suit tests.
    #[must_use]
    pub fn prepare(mode: Mode) -> Preparation {
        Preparation::new(mode)
    }

    /// A running product in `mode` with settings that suit tests.
    pub async fn start(mode: Mode) -> Self {
        Self::prepare(mode).start().await
    }

    /// The mode that it runs in.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// A REST client with the first administrator's token.
    #[must_use]
    pub fn admin(&self) -> Rest {
        self.rest(Some(&self.admin_token))
    }

    /// A REST client with any token.
    #[must_use]
    pub fn rest(&self, token: Option<&str>) -> Rest {
        Rest::new(self.placements[&self.keeper().into()].ports.http_address(), token).over_tls(self.trust())
    }

    /// A gRPC client that publishes with the publisher's token.
    #[must_use]
    pub fn publisher(&self) -> Publisher {
        self.publisher_with(Some(&self.publisher_token))
    }

    /// A publisher for each program that takes events.
    #[must_use]
    pub fn publishers(&self) -> Vec<Publisher> {
        let takes = |program: &&Program| matches!(program.service, Service::Ingest | Service::Standalone);
        let programs = self.programs.iter().filter(takes);
        let root = self.root();
        let publisher = |address: String| Publisher::over_tls(&address, Some(&self.publisher_token), root.as_deref());
        programs.map(|program| publisher(self.address_of(*program))).collect()
    }

    /// A gRPC client that publishes with any token.
    #[must_use]
    pub fn publisher_with(&self, token: Option<&str>) -> Publisher {
        Publisher::over_tls(&self.publish_address(), token, self.root().as_deref())
    }

    /// Where events are published to, such as `http://127.0.0.1:50051`.
    #[must_use]
    pub fn publish_address(&self) -> String {
        self.grpc_address(Service::Ingest)
    }

    /// A client of all public gRPC services with any token.
    #[must_use]
    pub fn grpc(&self, token: Option<&str>) -> Grpc {
        let addresses = Addresses {
            ingest: self.grpc_address(Service::Ingest),
            subscription: self.grpc_address(Service::Subscription),
            history: self.grpc_address(Service::History),
        };
        Grpc::new(&addresses, token, self.root().as_deref())
    }

    /// Where the services of a program are; embedded, all are in one.
    fn grpc_address(&self, service: Service) -> String {
        self.address_of(if self.mode == Mode::Embedded { Service::Standalone } else { service })
    }

    fn address_of(&self, program: impl Into<Program>) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.placements[&program.into()].ports.grpc)
    }

    /// What is trusted where it speaks TLS.
    fn trust(&self) -> Option<Arc<ClientConfig>> {
        self.authority.as_ref().map(|authority| authority.client())
    }

    /// The same in PEM.
    fn root(&self) -> Option<String> {
        self.authority.as_ref().map(|authority| authority.pem())
    }

    /// The first administrator's token.
    #[must_use]
    pub fn admin_token(&self) -> &str {
        &self.admin_token
    }

    /// The publisher's token.
    #[must_use]
    pub fn publisher_token(&self) -> &str {
        &self.publisher_token
    }

    /// What a program has written so far.
    #[must_use]
    pub fn output(&self, program: impl Into<Program>) -> String {
        self.processes[&program.into()].output()
    }

    /// Bytes of memory that a program holds in RAM now.
    #[must_use]
    pub fn resident(&self, program: impl Into<Program>) -> u64 {
        self.processes[&program.into()].resident()
    }

    /// All that the product has written so far, by place: logs, its files, its database as text, and the files of the
    /// servers that keep its data.
    pub async fn written(&self) -> Vec<(String, Vec<u8>)> {
        let (folder, database, broker) = (self.folder.clone(), self.database.clone(), self.broker.clone());
        servers::blocking(move || {
            let mut paths = run::files(&folder);
            paths.extend(broker.iter().flat_map(VirtualHost::files));
            paths.extend(database.iter().flat_map(Database::files));
            let read = |path: PathBuf| (path.display().to_string(), fs::read(&path).unwrap_or_default());
            let dump = database.iter().map(|database| ("the database".to_owned(), database.dump()));
            paths.into_iter().map(read).chain(dump).collect()
        })
        .await
    }

    /// Bytes of memory that each program holds in RAM now.
    #[must_use]
    pub fn resident_all(&self) -> BTreeMap<Program, u64> {
        self.processes.iter().map(|(program, process)| (*program, process.resident())).collect()
    }

    /// Files and connections that each program has open now.
    #[must_use]
    pub fn descriptors_all(&self) -> BTreeMap<Program, usize> {
        self.processes.iter().map(|(program, process)| (*program, process.descriptors())).collect()
    }

    /// A client of a program's `/metrics` and health checks.
    #[must_use]
    pub fn health(&self, program: impl Into<Program>) -> Rest {
        Rest::new(self.placements[&program.into()].ports.admin_address(), None).over_tls(self.trust())
    }

    /// What a program is configured with, such as the text of `database.url`.
    #[must_use]
    pub fn setting(&self, program: impl Into<Program>, key: &str) -> Option<&str> {
        self.placements[&program.into()].settings.get(key)
    }

    /// The programs that it consists of, whether they run or not.
    #[must_use]
    pub fn programs(&self) -> &[Program] {
        &self.programs
    }

    /// Its database (distributed mode).
    #[must_use]
    pub fn database(&self) -> Option<&Database> {
        self.database.as_ref()
    }

    /// Changes the configuration of all programs, from their next start on.
    pub fn reconfigure(&mut self, key: &str, value: &str) {
        for placement in self.placements.values_mut() {
            placement.settings.set(key, value);
        }
    }

    /// `kill -9` for one program.
    pub fn kill(&mut self, program: impl Into<Program>) {
        self.take(program.into()).kill();
    }

    /// Ends one program with SIGTERM; panics if it does not end well.
    pub async fn stop(&mut self, program: impl Into<Program>) {
        let program = program.into();
        let mut process = self.take(program);
        let (status, output) = servers::blocking(move || (process.terminate(GRACE), process.tail())).await;
        assert!(status.success(), "{program} ended with {status} after SIGTERM\n{output}");
    }

    /// Starts one program again on the same ports and data, and waits until it is ready.
    pub async fn resume(&mut self, program: impl Into<Program>) {
        let program = program.into();
        self.spawn(program);
        self.wait_ready(program).await;
    }

    /// `kill -9` for all of it.
    pub fn kill_all(&mut self) {
        // In the order in which they use each other: a dispatcher that sees the subscription service gone for its last few
        // milliseconds goes on with the webhooks that it knows, and has matched an event without what was saved last.
        let first = |program: &Program| program.service == Service::Dispatcher;
        let (dispatchers, others): (Vec<_>, Vec<_>) = self.programs.clone().into_iter().partition(first);
        for program in dispatchers.into_iter().chain(others) {
            self.kill(program);
        }
    }

    /// Starts all of it and waits until it is ready.
    pub async fn start_all(&mut self) {
        for program in self.programs.clone() {
            self.spawn(program);
        }
        for program in self.programs.clone() {
            self.wait_ready(program).await;
        }
    }

    /// Starts one program that is expected to refuse; how it ended and all that it has written so far.
    pub async fn refuses(&mut self, service: Service, timeout: Duration) -> (ExitStatus, String) {
        self.spawn(service.into());
        let mut process = self.take(service.into());
        servers::blocking(move || {
            let ended = process.wait(timeout);
            let output = process.output();
            let status = ended.unwrap_or_else(|| panic!("{service} still runs after {timeout:?}\n{output}"));
            (status, output)
        })
        .await
    }

    /// Starts one program that is to die as by `kill -9` the n-th time that it comes to a fail point, `name:n`, and waits
    /// until it has.
    pub async fn dies_at(&mut self, program: impl Into<Program>, point: &str, timeout: Duration) {
        let program = program.into();
        self.launch(program, Some(point));
        let mut process = self.take(program);
        let (status, process) = servers::blocking(move || (process.wait(timeout), process)).await;
        let died = status.is_some_and(|status| status.signal() == Some(SIGKILL));
        assert!(died, "{program} should have died at {point}: {status:?}\n{}", process.tail());
    }

    fn spawn(&mut self, program: Program) {
        self.launch(program, None);
    }

    fn launch(&mut self, program: Program, fail_point: Option<&str>) {
        assert!(!self.processes.contains_key(&program), "{program} runs already");
        let process = launch::start(program, &self.placements[&program], &self.folder, fail_point);
        self.processes.insert(program, process);
    }

    fn take(&mut self, program: Program) -> Process {
        self.processes.remove(&program).unwrap_or_else(|| panic!("{program} does not run"))
    }

    async fn wait_ready(&mut self, program: Program) {
        let health = self.health(program);
        let process = self.processes.get_mut(&program).expect("a program that was started");
        wait_ready(program, process, health).await;
    }

    /// Embedded, the first start writes the tokens; distributed, the administrator makes the publisher's.
    async fn take_tokens(&mut self) {
        match self.mode {
            Mode::Embedded => {
                let data = PathBuf::from(self.setting(Service::Standalone, "data.dir").expect("a data folder"));
                self.admin_token = read_secret(&data.join("admin.token"));
                self.publisher_token = read_secret(&data.join("publisher.token"));
            }
            Mode::Distributed => {
                let token = self.admin().post("/api/v1/tokens", json!({"name": "core", "role": "publisher"})).await;
                let token = token.expect(201);
                self.publisher_token = token["token"].as_str().expect("the text of the new token").to_owned();
                // Ingest learns of it within a moment.
                for publisher in self.publishers() {
                    eventually(READY, "ingest knows the publisher's token", async || {
                        publisher.is_known().await.then_some(())
                    })
                    .await;
                }
            }
        }
    }
}

impl Drop for Product {
    fn drop(&mut self) {
        for process in self.processes.values_mut() {
            process.kill();
        }
        if std::thread::panicking() {
            // Also of programs that the test has killed itself.
            for program in &self.programs {
                eprintln!("{}", tail(&self.folder, *program));
            }
        } else {
            self.processes.clear();
            run::remove(&self.folder);
        }
    }
}
