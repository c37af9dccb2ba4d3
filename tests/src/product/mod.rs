//! The programs under test, in either mode.

mod files;
mod keeper;
mod launch;
mod settings;

use std::{collections::BTreeMap, fs, path::PathBuf, process::ExitStatus, time::Duration};

use serde_json::json;

use files::{read_secret, tail, write_secret};
pub use launch::Service;
use launch::{Placement, READY, wait_ready};
pub use settings::Settings;

use crate::{
    grpc::{Addresses, Grpc},
    process::Process,
    publisher::Publisher,
    random,
    rest::Rest,
    run,
    servers::{self, Database, VirtualHost},
    wait::eventually,
};

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
    /// The programs that run.
    #[must_use]
    pub fn services(self) -> &'static [Service] {
        match self {
            Self::Embedded => &[Service::Standalone],
            Self::Distributed => &[Service::Subscription, Service::History, Service::Dispatcher, Service::Ingest],
        }
    }
}

/// How to start it; made by [`Product::prepare`].
pub struct Preparation {
    mode: Mode,
    settings: Settings,
    broker: Option<VirtualHost>,
    database: Option<Database>,
}

/// A running product; dropped, it is killed, and if the test has failed its logs are shown.
pub struct Product {
    mode: Mode,
    folder: PathBuf,
    placements: BTreeMap<Service, Placement>,
    processes: BTreeMap<Service, Process>,
    admin_token: String,
    publisher_token: String,
    database: Option<Database>,
    broker: Option<VirtualHost>,
}

impl Preparation {
    /// Sets a configuration key, such as `delivery.timeout`; lists and numbers as TOML, strings as they are.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.settings.set(key, value);
        self
    }

    /// Leaves a key that the harness sets to its default.
    #[must_use]
    pub fn unset(mut self, key: &str) -> Self {
        self.settings.unset(key);
        self
    }

    /// Uses this RabbitMQ instead of the run's (distributed mode).
    #[must_use]
    pub fn broker(mut self, broker: VirtualHost) -> Self {
        self.broker = Some(broker);
        self
    }

    /// Uses this database instead of one of the run's (distributed mode).
    #[must_use]
    pub fn database(mut self, database: Database) -> Self {
        self.database = Some(database);
        self
    }

    /// Starts everything and waits until it is ready.
    pub async fn start(self) -> Product {
        let mode = self.mode;
        let mut product = self.place().await;
        product.start_all().await;
        product.take_tokens().await;
        assert_eq!(product.mode, mode);
        product
    }

    /// Starts one program that is expected to refuse; how it ended and all that it said.
    pub async fn refuses(self, service: Service, timeout: Duration) -> (ExitStatus, String) {
        self.place().await.refuses(service, timeout).await
    }

    /// Chooses ports and writes the files that the configuration names.
    async fn place(mut self) -> Product {
        let folder = run::folder(match self.mode {
            Mode::Embedded => "embedded",
            Mode::Distributed => "distributed",
        });
        let services: Vec<_> = self.mode.services().to_vec();
        let ports: BTreeMap<_, _> = services.iter().map(|service| (*service, launch::Ports::free())).collect();
        let mut admin_token = String::new();
        let mut database = None;
        let mut broker = None;
        if self.mode == Mode::Distributed {
            admin_token = format!("tmwh_{}", random::hex40());
            let secret = |name: &str, text: &str| write_secret(&folder, name, text);
            if !self.settings.has("database.url") {
                let made = match self.database.take() {
                    Some(database) => database,
                    None => servers::database().await,
                };
                self.settings.set_default("database.url", &made.url);
                database = Some(made);
            }
            if !self.settings.has("broker.url") {
                let made = match self.broker.take() {
                    Some(broker) => broker,
                    None => servers::virtual_host().await,
                };
                self.settings.set_default("broker.url", &made.url);
                broker = Some(made);
            }
            self.settings.set_default("auth.bootstrap_token_file", &secret("bootstrap.token", &admin_token));
            self.settings.set_default("secrets.key_file", &secret("secrets.key", &random::key()));
            self.settings.set_default("services.token_file", &secret("services.token", &random::hex40()));
            let address = |service| format!("http://127.0.0.1:{}", ports[&service].grpc);
            self.settings.set_default("services.subscription", &address(Service::Subscription));
            self.settings.set_default("services.history", &address(Service::History));
        }
        let placements = services
            .into_iter()
            .map(|service| {
                let ports = ports[&service];
                let mut settings = self.settings.clone();
                settings.set_default("http.listen", &format!("127.0.0.1:{}", ports.http));
                settings.set_default("grpc.listen", &format!("127.0.0.1:{}", ports.grpc));
                settings.set_default("admin.listen", &format!("127.0.0.1:{}", ports.admin));
                settings.set_default("data.dir", &folder.join("data").display().to_string());
                (service, Placement { ports, settings })
            })
            .collect();
        let (processes, publisher_token) = (BTreeMap::new(), String::new());
        Product { mode: self.mode, folder, placements, processes, admin_token, publisher_token, database, broker }
    }
}

impl Product {
    /// A product in `mode`, to be started, with settings that suit tests.
    #[must_use]
    pub fn prepare(mode: Mode) -> Preparation {
        Preparation { mode, settings: Settings::for_tests(), broker: None, database: None }
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
        Rest::new(self.placements[&self.keeper()].ports.http_address(), token)
    }

    /// A gRPC client that publishes with the publisher's token.
    #[must_use]
    pub fn publisher(&self) -> Publisher {
        self.publisher_with(Some(&self.publisher_token))
    }

    /// A gRPC client that publishes with any token.
    #[must_use]
    pub fn publisher_with(&self, token: Option<&str>) -> Publisher {
        Publisher::new(&self.publish_address(), token)
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
        Grpc::new(&addresses, token)
    }

    /// Where the services of a program are; embedded, all are in one.
    fn grpc_address(&self, service: Service) -> String {
        let service = if self.mode == Mode::Embedded { Service::Standalone } else { service };
        format!("http://127.0.0.1:{}", self.placements[&service].ports.grpc)
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
    pub fn output(&self, service: Service) -> String {
        self.processes[&service].output()
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

    /// The memory that each program has in use now, in KiB.
    #[must_use]
    pub fn resident_kib(&self) -> BTreeMap<Service, u64> {
        self.processes.iter().map(|(service, process)| (*service, process.resident_kib())).collect()
    }

    /// A client of a program's `/metrics` and health checks.
    #[must_use]
    pub fn health(&self, service: Service) -> Rest {
        Rest::new(self.placements[&service].ports.admin_address(), None)
    }

    /// What a program is configured with, such as the text of `database.url`.
    #[must_use]
    pub fn setting(&self, service: Service, key: &str) -> Option<&str> {
        self.placements[&service].settings.get(key)
    }

    /// Changes the configuration of all programs, from their next start on.
    pub fn reconfigure(&mut self, key: &str, value: &str) {
        for placement in self.placements.values_mut() {
            placement.settings.set(key, value);
        }
    }

    /// `kill -9` for one program.
    pub fn kill(&mut self, service: Service) {
        self.processes.remove(&service).unwrap_or_else(|| panic!("{service} does not run")).kill();
    }

    /// Ends one program with SIGTERM; panics if it does not end well.
    pub async fn stop(&mut self, service: Service) {
        let mut process = self.processes.remove(&service).unwrap_or_else(|| panic!("{service} does not run"));
        let (status, output) = servers::blocking(move || (process.terminate(GRACE), process.tail())).await;
        assert!(status.success(), "{service} ended with {status} after SIGTERM\n{output}");
    }

    /// Starts one program again on the same ports and data, and waits until it is ready.
    pub async fn resume(&mut self, service: Service) {
        self.spawn(service);
        self.wait_ready(service).await;
    }

    /// `kill -9` for all of it.
    pub fn kill_all(&mut self) {
        for service in self.mode.services() {
            self.kill(*service);
        }
    }

    /// Starts all of it and waits until it is ready.
    pub async fn start_all(&mut self) {
        for service in self.mode.services() {
            self.spawn(*service);
        }
        for service in self.mode.services() {
            self.wait_ready(*service).await;
        }
    }

    /// Starts one program that is expected to refuse; how it ended and all that it has written so far.
    pub async fn refuses(&mut self, service: Service, timeout: Duration) -> (ExitStatus, String) {
        self.spawn(service);
        let mut process = self.processes.remove(&service).expect("the program just started");
        servers::blocking(move || {
            let ended = process.wait(timeout);
            let output = process.output();
            let status = ended.unwrap_or_else(|| panic!("{service} still runs after {timeout:?}\n{output}"));
            (status, output)
        })
        .await
    }

    fn spawn(&mut self, service: Service) {
        assert!(!self.processes.contains_key(&service), "{service} runs already");
        let process = launch::start(service, &self.placements[&service], &self.folder);
        self.processes.insert(service, process);
    }

    async fn wait_ready(&mut self, service: Service) {
        let process = self.processes.get_mut(&service).expect("a program that was started");
        wait_ready(service, process, self.placements[&service].ports.admin_address()).await;
    }

    /// Embedded, the first start writes the tokens; distributed, the administrator makes the publisher's.
    async fn take_tokens(&mut self) {
        match self.mode {
            Mode::Embedded => {
                let data = self.folder.join("data");
                self.admin_token = read_secret(&data.join("admin.token"));
                self.publisher_token = read_secret(&data.join("publisher.token"));
            }
            Mode::Distributed => {
                let token = self.admin().post("/api/v1/tokens", json!({"name": "core", "role": "publisher"})).await;
                let token = token.expect(201);
                self.publisher_token = token["token"].as_str().expect("the text of the new token").to_owned();
                // Ingest learns of it within a moment.
                let publisher = self.publisher();
                eventually(READY, "ingest knows the publisher's token", async || {
                    publisher.is_known().await.then_some(())
                })
                .await;
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
            for service in self.mode.services() {
                eprintln!("{}", tail(&self.folder, *service));
            }
        } else {
            self.processes.clear();
            run::remove(&self.folder);
        }
    }
}
