//! How a product is to run: its settings, its servers, and how many programs of each service there are.

use std::{collections::BTreeMap, path::Path, process::ExitStatus, sync::Arc, time::Duration};

use super::{
    Backup, Mode, Product, Program, Service, Settings,
    files::write_secret,
    launch::{Placement, Ports},
};
use crate::{
    clock::Clock,
    random,
    receiver::Authority,
    run,
    servers::{self, Database, VirtualHost},
};

/// How to start it; made by [`Product::prepare`].
pub struct Preparation {
    mode: Mode,
    settings: Settings,
    copies: BTreeMap<Service, usize>,
    broker: Option<VirtualHost>,
    database: Option<Database>,
    backup: Option<Arc<Backup>>,
    authority: Option<Arc<Authority>>,
}

impl Preparation {
    pub(super) fn new(mode: Mode) -> Self {
        Self {
            mode,
            settings: Settings::for_tests(),
            copies: BTreeMap::new(),
            broker: None,
            database: None,
            backup: None,
            authority: None,
        }
    }

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

    /// Has all programs go by this clock; the servers do not.
    #[must_use]
    pub fn clock(mut self, clock: &Clock) -> Self {
        for (name, value) in clock.environment() {
            self.settings.set_environment(name, value);
        }
        self
    }

    /// Runs so many programs of a service (distributed mode). The others talk to the first of them.
    #[must_use]
    pub fn copies(mut self, service: Service, count: usize) -> Self {
        self.copies.insert(service, count);
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

    /// Has every listener speak TLS, with a certificate of this authority.
    #[must_use]
    pub fn over_tls(mut self, authority: &Arc<Authority>) -> Self {
        self.authority = Some(Arc::clone(authority));
        self
    }

    /// Makes it of a backup, in a new place.
    #[must_use]
    pub fn restored(mut self, backup: &Arc<Backup>) -> Self {
        self.backup = Some(Arc::clone(backup));
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

    /// The database and the broker, unless the test has decided about them.
    async fn take_servers(&mut self) -> (Option<Database>, Option<VirtualHost>) {
        let (mut database, mut broker) = (None, None);
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
        (database, broker)
    }

    /// Certificates for all listeners, if they are to have any.
    fn take_certificates(&mut self, folder: &Path) {
        let Some(authority) = &self.authority else { return };
        authority.issue(folder);
        for section in ["http", "grpc", "admin"] {
            for (key, file) in [("cert_file", "cert.pem"), ("key_file", "key.pem")] {
                self.settings.set_default(&format!("{section}.{key}"), &folder.join(file).display().to_string());
            }
        }
        self.settings.set_default("services.ca_file", &authority.file());
    }

    /// Chooses ports and writes the files that the configuration names.
    async fn place(mut self) -> Product {
        let folder = run::folder(match self.mode {
            Mode::Embedded => "embedded",
            Mode::Distributed => "distributed",
        });
        let copies = |service: &Service| self.copies.get(service).copied().unwrap_or(1);
        let services = self.mode.services().iter();
        let programs: Vec<Program> = services
            .flat_map(|service| (1..=copies(service)).map(|number| Program { service: *service, number }))
            .collect();
        let ports: BTreeMap<_, _> = programs.iter().map(|program| (*program, Ports::free())).collect();
        self.take_certificates(&folder);
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        let mut admin_token = String::new();
        let mut database = None;
        let mut broker = None;
        if self.mode == Mode::Distributed {
            admin_token = format!("tmwh_{}", random::hex40());
            (database, broker) = self.take_servers().await;
            if let (Some(backup), Some(database)) = (&self.backup, &database) {
                let key = backup.restore_database(database, &folder).await;
                self.settings.set("secrets.key_file", &key);
            }
            let secret = |name: &str, text: &str| write_secret(&folder, name, text);
            self.settings.set_default("auth.bootstrap_token_file", &secret("bootstrap.token", &admin_token));
            if !self.settings.has("secrets.key_file") {
                self.settings.set("secrets.key_file", &secret("secrets.key", &random::key()));
            }
            self.settings.set_default("services.token_file", &secret("services.token", &random::hex40()));
            let address = |service: Service| format!("{scheme}://127.0.0.1:{}", ports[&service.into()].grpc);
            self.settings.set_default("services.subscription", &address(Service::Subscription));
            self.settings.set_default("services.history", &address(Service::History));
        }
        if let (Mode::Embedded, Some(backup)) = (self.mode, &self.backup) {
            backup.restore_data(&folder);
        }
        let placements = ports
            .into_iter()
            .map(|(program, ports)| {
                let mut settings = self.settings.clone();
                settings.set_default("http.listen", &format!("127.0.0.1:{}", ports.http));
                settings.set_default("grpc.listen", &format!("127.0.0.1:{}", ports.grpc));
                settings.set_default("admin.listen", &format!("127.0.0.1:{}", ports.admin));
                settings.set_default("data.dir", &folder.join("data").display().to_string());
                (program, Placement { ports, settings })
            })
            .collect();
        Product {
            mode: self.mode,
            folder,
            programs,
            placements,
            processes: BTreeMap::new(),
            admin_token,
            publisher_token: String::new(),
            database,
            broker,
            authority: self.authority,
        }
    }
}
