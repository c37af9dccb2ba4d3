//! A real RabbitMQ in a temporary folder, from the installed program.
//!
//! It runs below a small shell that waits for the end of its standard input, so that everything is gone with the test
//! process, however that ends.

use std::{
    io::Write as _,
    net::TcpListener,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::{net::TcpStream, sync::OnceCell};

use super::eventually;

const PROGRAM: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
const STARTED: Duration = Duration::from_secs(60);

/// `epmd` in the foreground, so that the node does not start one that outlives it.
const SCRIPT: &str = r#"
epmd -port "$ERL_EPMD_PORT" >/dev/null 2>&1 &
"$0" >>"$HOME/log" 2>&1 </dev/null &
cat >/dev/null
exec setsid sh -c 'kill -9 "-$0"; sleep 0.5; rm -rf "$HOME"' $$
"#;

/// A RabbitMQ node, killed when dropped.
pub(crate) struct Server {
    folder: tempfile::TempDir,
    port: u16,
    dist_port: u16,
    epmd_port: u16,
    child: Option<Child>,
}

impl Server {
    /// Starts a new node with empty data.
    pub(crate) async fn start() -> Self {
        assert!(Path::new(PROGRAM).exists(), "no {PROGRAM}: apt-get install rabbitmq-server");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut server =
            Self { folder, port: free_port(), dist_port: free_port(), epmd_port: free_port(), child: None };
        server.restart().await;
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port)
    }

    /// Kills the node without warning.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // The whole group: shell, epmd, node.
            let group = format!("-{}", child.id());
            let killed = Command::new("kill").args(["-9", "--", &group]).status().expect("kill runs");
            assert!(killed.success(), "cannot kill the broker");
            child.wait().expect("the broker ends");
        }
    }

    /// Starts it again on the same data and port.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        self.spawn();
        let port = self.port;
        eventually("RabbitMQ listens", STARTED, async || TcpStream::connect(("127.0.0.1", port)).await.ok()).await;
    }

    /// Runs `rabbitmqctl` against it.
    pub(crate) fn ctl(&self, arguments: &[&str]) {
        let output = Command::new("/usr/lib/rabbitmq/bin/rabbitmqctl")
            .args(["-n", &self.node()])
            .args(arguments)
            .env("HOME", self.folder.path())
            .env("ERL_EPMD_PORT", self.epmd_port.to_string())
            .output()
            .expect("rabbitmqctl runs");
        assert!(output.status.success(), "rabbitmqctl {arguments:?}: {output:?}");
    }

    fn node(&self) -> String {
        format!("wh{}@localhost", self.port)
    }

    fn spawn(&mut self) {
        let home = self.folder.path();
        let config = home.join("rabbitmq.conf");
        let mut file = std::fs::File::create(&config).expect("a configuration file");
        writeln!(file, "listeners.tcp.1 = 127.0.0.1:{}", self.port).expect("written");
        writeln!(file, "disk_free_limit.absolute = 50MB\nlog.console.level = warning").expect("written");
        let plugins = home.join("enabled_plugins");
        std::fs::write(&plugins, "[].").expect("a plugins file");
        let child = Command::new("sh")
            .args(["-c", SCRIPT, PROGRAM])
            .env("HOME", home)
            .env("ERL_EPMD_PORT", self.epmd_port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODENAME", self.node())
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_DIST_PORT", self.dist_port.to_string())
            .env("RABBITMQ_MNESIA_BASE", home.join("data"))
            .env("RABBITMQ_LOG_BASE", home.join("logs"))
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", plugins)
            .env("RABBITMQ_CONFIG_FILE", config)
            .env("RABBITMQ_CONF_ENV_FILE", home.join("no-such-file"))
            // Idle schedulers must not spin: the tests share the cores with it.
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none")
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("a shell");
        self.child = Some(child);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Address of a broker for all tests of this process: `AMQP_URL`, or one started for them.
pub(crate) async fn shared_url() -> String {
    static SHARED: OnceCell<Server> = OnceCell::const_new();
    if let Ok(url) = std::env::var("AMQP_URL") {
        return url;
    }
    SHARED.get_or_init(Server::start).await.url()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("its number").port()
}
