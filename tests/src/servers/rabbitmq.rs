//! A RabbitMQ of our own on free ports, with its own node name, cookie and data in a temporary folder.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use url::Url;

use super::{complete, installed, on_path};
use crate::{ports, process::Process, random, receiver::Authority, run, wait::blocking_eventually};

const READY: Duration = Duration::from_secs(90);
/// How many virtual hosts are made at once: `rabbitmqctl` takes two seconds whatever it does.
const BATCH: u32 = 12;

/// A RabbitMQ server.
pub struct Rabbit {
    url: Url,
    own: Option<Own>,
    spare: Mutex<Vec<VirtualHost>>,
}

/// What a server that we started consists of.
struct Own {
    folder: PathBuf,
    port: u16,
    distribution_port: u16,
    epmd_port: u16,
    metrics_port: Option<u16>,
    processes: Option<[Process; 2]>,
}

/// A virtual host that nobody else uses.
#[derive(Clone, Debug)]
pub struct VirtualHost {
    /// Its address, with user, password and virtual host.
    pub url: String,
    /// Of the server, if the harness has started it.
    folder: Option<PathBuf>,
}

impl VirtualHost {
    /// The server's files, with the messages of all queues. None where somebody else runs it.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.folder.iter().flat_map(|folder| run::files(folder)).collect()
    }
}

impl Rabbit {
    /// The server that `AMQP_URL` names, or else a new one.
    ///
    /// Virtual hosts on a server that is given are made with the command in `RABBITMQCTL`, such as
    /// `docker exec -i rabbit rabbitmqctl`, or else with the installed one.
    #[must_use]
    pub(super) fn for_run() -> Self {
        match std::env::var("AMQP_URL") {
            Ok(text) if !text.is_empty() => {
                let url = Url::parse(&text).expect("AMQP_URL is an address like amqp://user:password@host:5672");
                Self { url, own: None, spare: Mutex::default() }
            }
            _ => Self::start(),
        }
    }

    /// Starts a server without plugins.
    #[must_use]
    pub fn start() -> Self {
        Self::start_as(Own::create())
    }

    /// Starts a server that tells its metrics to Prometheus.
    #[must_use]
    pub fn start_with_metrics() -> Self {
        let own = Own { metrics_port: Some(ports::free()), ..Own::create() };
        let settings =
            format!("prometheus.tcp.port = {}\nprometheus.tcp.ip = 127.0.0.1\n", own.metrics_port.unwrap_or_default());
        own.add_settings(&settings);
        fs::write(own.folder.join("enabled_plugins"), "[rabbitmq_prometheus].\n").expect("room for a name");
        Self::start_as(own)
    }

    /// Starts a server whose addresses are for clients that speak TLS.
    #[must_use]
    pub fn start_with_tls(authority: &Authority) -> Self {
        let (own, port) = (Own::create(), ports::free());
        authority.issue(&own.folder);
        let file = |name: &str| own.folder.join(name).display().to_string();
        let settings = format!(
            "listeners.ssl.1 = 127.0.0.1:{port}\nssl_options.cacertfile = {}\nssl_options.certfile = {}\n\
             ssl_options.keyfile = {}\nssl_options.verify = verify_none\nssl_options.fail_if_no_peer_cert = false\n",
            authority.file(),
            file("cert.pem"),
            file("key.pem")
        );
        own.add_settings(&settings);
        let mut server = Self::start_as(own);
        server.url.set_scheme("amqps").and_then(|()| server.url.set_port(Some(port))).expect("an address with a host");
        server
    }

    fn start_as(own: Own) -> Self {
        let url = format!("amqp://guest:guest@127.0.0.1:{}/%2f", own.port);
        let url = Url::parse(&url).expect("an address made of a port");
        let mut server = Self { url, own: Some(own), spare: Mutex::default() };
        server.resume();
        server
    }

    /// Where it tells its metrics.
    #[must_use]
    pub fn metrics_port(&self) -> u16 {
        let own = self.own.as_ref().and_then(|own| own.metrics_port);
        own.expect("a server that was started with metrics")
    }

    /// Its address, with user, password and the virtual host that it has from the start.
    #[must_use]
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// An empty virtual host in which the user may do everything.
    #[must_use]
    pub fn take_virtual_host(&self) -> VirtualHost {
        let mut spare = self.spare.lock().expect("no panic while virtual hosts are made");
        if spare.is_empty() {
            *spare = self.make_virtual_hosts();
        }
        spare.pop().expect("a batch is not empty")
    }

    /// `kill -9` for all of its processes.
    pub fn kill(&mut self) {
        for mut process in self.own_mut().processes.take().expect("RabbitMQ runs") {
            process.kill();
        }
    }

    /// Ends it as an operator would (SIGTERM).
    pub fn stop(&mut self) {
        let [mut server, mut epmd] = self.own_mut().processes.take().expect("RabbitMQ runs");
        server.terminate(READY);
        epmd.kill();
    }

    /// Starts it again on the same data and ports; returns when it speaks AMQP.
    pub fn resume(&mut self) {
        let own = self.own_mut();
        assert!(own.processes.is_none(), "RabbitMQ runs already");
        let epmd = own.start_epmd();
        let program = installed(&[PathBuf::from("/usr/lib/rabbitmq/bin/rabbitmq-server")], "rabbitmq-server");
        let mut server = Process::start("rabbitmq", &mut own.command(&program), &own.folder, "KILL");
        let ready = blocking_eventually(READY, || server.ended().is_some() || speaks_amqp(own.port));
        assert!(ready && server.ended().is_none(), "RabbitMQ did not start\n{}", server.tail());
        own.processes = Some([server, epmd]);
    }

    fn own_mut(&mut self) -> &mut Own {
        self.own.as_mut().expect("a server that the harness has started; unset AMQP_URL")
    }

    fn make_virtual_hosts(&self) -> Vec<VirtualHost> {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let run = &random::hex40()[..8];
        let names: Vec<_> =
            (0..BATCH).map(|_| format!("testmo-{run}-{}", NUMBER.fetch_add(1, Ordering::Relaxed))).collect();
        // A user of their own, whose password is found nowhere by chance.
        let (user, password) = (format!("testmo-{run}"), random::hex40());
        let all = ".*";
        let definitions = json!({
            "users": [{"name": user, "password": password, "tags": ""}],
            "vhosts": names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>(),
            "permissions": names.iter().map(|name| json!({
                "user": user, "vhost": name, "configure": all, "write": all, "read": all
            })).collect::<Vec<_>>(),
        });
        self.control(&["import_definitions"], &definitions.to_string());
        let address = |name: &String| {
            let mut url = self.url.clone();
            url.set_path(name);
            url.set_username(&user).and_then(|()| url.set_password(Some(&password))).expect("an address with a host");
            VirtualHost { url: url.into(), folder: self.own.as_ref().map(|own| own.folder.clone()) }
        };
        names.iter().rev().map(address).collect()
    }

    /// Runs `rabbitmqctl` with `input` on its standard input.
    pub fn control(&self, arguments: &[&str], input: &str) {
        let folder = run::folder("rabbitmqctl");
        let file = folder.join("input");
        fs::write(&file, input).expect("a file in a new folder");
        let mut command = match (&self.own, std::env::var("RABBITMQCTL")) {
            (None, Ok(text)) if !text.is_empty() => {
                let mut words = text.split_whitespace();
                let mut command = Command::new(words.next().expect("a word, as the text is not empty"));
                command.args(words);
                command
            }
            (None, _) => Command::new(installed(&on_path("rabbitmqctl"), "rabbitmq-server")),
            (Some(own), _) => {
                own.command(&installed(&[PathBuf::from("/usr/lib/rabbitmq/bin/rabbitmqctl")], "rabbitmq-server"))
            }
        };
        complete(command.args(arguments).stdin(fs::File::open(&file).expect("the file just written")));
        run::remove(&folder);
    }
}

impl Drop for Rabbit {
    fn drop(&mut self) {
        if let Some(own) = self.own.as_mut() {
            own.processes = None;
            run::remove(&own.folder);
        }
    }
}

impl Own {
    fn create() -> Self {
        let folder = run::folder("rabbitmq");
        fs::write(folder.join("enabled_plugins"), "[].\n").expect("a file in a new folder");
        fs::write(folder.join("environment"), "").expect("a file in a new folder");
        let settings = "log.file.level = warning\nlog.console = false\ndisk_free_limit.absolute = 64MB\n";
        fs::write(folder.join("rabbitmq.conf"), settings).expect("a file in a new folder");
        Self {
            folder,
            port: ports::free(),
            distribution_port: ports::free(),
            epmd_port: ports::free(),
            metrics_port: None,
            processes: None,
        }
    }

    fn add_settings(&self, settings: &str) {
        let file = self.folder.join("rabbitmq.conf");
        let known = fs::read_to_string(&file).expect("the file that it was made with");
        fs::write(file, known + settings).expect("room for more");
    }

    /// The port mapper of Erlang, which would otherwise start by itself, on the common port, and never end.
    fn start_epmd(&self) -> Process {
        let program = installed(&on_path("epmd"), "rabbitmq-server");
        let mut command = Command::new(program);
        command.args(["-address", "127.0.0.1", "-port", &self.epmd_port.to_string()]);
        let mut epmd = Process::start("epmd", &mut command, &self.folder, "KILL");
        let port = self.epmd_port;
        let ready = blocking_eventually(READY, || {
            epmd.ended().is_some() || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        assert!(ready && epmd.ended().is_none(), "epmd did not start\n{}", epmd.tail());
        epmd
    }

    /// One of RabbitMQ's programs, with an environment that reaches this node and nothing else of the machine.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(&self.folder).stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        let file = |name: &str| self.folder.join(name);
        command
            .env("HOME", &self.folder)
            .env("LANG", "C.UTF-8")
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", self.epmd_port.to_string())
            .env("RABBITMQ_NODENAME", format!("testmo-{}@localhost", self.port))
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_DIST_PORT", self.distribution_port.to_string())
            .env("RABBITMQ_CONF_ENV_FILE", file("environment"))
            .env("RABBITMQ_CONFIG_FILE", file("rabbitmq"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", file("advanced"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", file("enabled_plugins"))
            .env("RABBITMQ_MNESIA_BASE", file("data"))
            .env("RABBITMQ_LOG_BASE", file("log"))
            .env("RABBITMQ_GENERATED_CONFIG_DIR", file("generated"))
            .env("RABBITMQ_PID_FILE", file("pid"))
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-start_epmd false");
        command
    }
}

/// Whether somebody answers the protocol's first bytes with a frame of type 1: a method, `Connection.Start`.
fn speaks_amqp(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let ask = || {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"AMQP\x00\x00\x09\x01")?;
        let mut first = [0];
        stream.read_exact(&mut first)?;
        Ok::<_, std::io::Error>(first[0])
    };
    ask().is_ok_and(|kind| kind == 1)
}
