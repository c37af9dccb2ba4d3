//! What is measured: programs started for it, in either mode, or a deployment that is there.

mod program;
mod servers;

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{IdSource as _, SystemIds};
use http::Method;
use program::Program;
use servers::free_port;

use super::usage::{self, Usage};
use crate::rest::Rest;

/// How the product runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// All services in one process, on SQLite.
    Embedded,
    /// Four programs, PostgreSQL and RabbitMQ.
    Distributed,
}

/// Where it is, and who may do what there.
pub(crate) struct Deployment {
    /// Address of the REST API.
    pub(crate) rest: String,
    /// Address of the service that takes events.
    pub(crate) grpc: String,
    pub(crate) admin_token: String,
    pub(crate) publisher_token: String,
    /// From start to ready, of the program that takes longest; not known of somebody else's.
    pub(crate) started_in: Option<Duration>,
    programs: Vec<Program>,
    _folder: Option<tempfile::TempDir>,
}

impl Deployment {
    /// One that somebody else runs.
    pub(crate) fn existing(rest: String, grpc: String, admin_token: String, publisher_token: String) -> Self {
        Self { rest, grpc, admin_token, publisher_token, started_in: None, programs: Vec::new(), _folder: None }
    }

    /// Starts one on this machine, with nothing in it, that may post to this machine and takes as much as it can.
    pub(crate) async fn start(mode: Mode) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("testmo-webhooks-bench-").tempdir()?;
        match mode {
            Mode::Embedded => Self::embedded(folder).await,
            Mode::Distributed => Self::distributed(folder).await,
        }
    }

    async fn embedded(folder: tempfile::TempDir) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("standalone").env_clear();
        let data = folder.path().join("data");
        set(&mut command, "data.dir", &data.display().to_string());
        let (program, ports, started_in) = start("standalone", &mut command, folder.path()).await?;
        let token = |name: &str| crate::commands::read_token(None, &data, name);
        Ok(Self {
            rest: ports.http,
            grpc: ports.grpc,
            admin_token: token("admin.token")?,
            publisher_token: token("publisher.token")?,
            started_in: Some(started_in),
            programs: vec![program],
            _folder: Some(folder),
        })
    }

    async fn distributed(folder: tempfile::TempDir) -> anyhow::Result<Self> {
        let path = folder.path();
        // PostgreSQL runs as somebody else.
        fs::set_permissions(path, fs::Permissions::from_mode(0o711))?;
        let (postgres, database) = servers::postgres(path).await?;
        let ([epmd, rabbitmq], broker) = servers::rabbitmq(path).await?;
        let mut programs = vec![postgres, epmd, rabbitmq];
        let token = || format!("tmwh_{}{}", SystemIds.uuid().simple(), &SystemIds.uuid().simple().to_string()[..8]);
        let (admin_token, publisher_token) = (token(), token());
        let key = {
            let mut key = [0; 32];
            SystemIds.fill(&mut key);
            STANDARD.encode(key)
        };
        let mut settings = vec![
            ("database.url", database),
            ("broker.url", broker),
            ("secrets.key_file", secret(path, "secrets.key", &key)?),
            ("services.token_file", secret(path, "services.token", &token())?),
            ("auth.bootstrap_token_file", secret(path, "admin.token", &admin_token)?),
            ("auth.bootstrap_publisher_token_file", secret(path, "publisher.token", &publisher_token)?),
        ];
        let (subscription, history) = (free_port()?, free_port()?);
        settings.push(("services.subscription", format!("http://127.0.0.1:{subscription}")));
        settings.push(("services.history", format!("http://127.0.0.1:{history}")));
        let mut started_in = Duration::ZERO;
        let (mut rest, mut grpc) = (String::new(), String::new());
        for (name, port) in [
            ("testmo-subscription", Some(subscription)),
            ("testmo-history", Some(history)),
            ("testmo-dispatcher", None),
            ("testmo-ingest", None),
        ] {
            let mut command = Command::new(beside(name)?);
            command.env_clear();
            settings.iter().for_each(|(key, value)| set(&mut command, key, value));
            if let Some(port) = port {
                set(&mut command, "grpc.listen", &format!("127.0.0.1:{port}"));
            }
            let (program, ports, took) = start(name, &mut command, path).await?;
            match name {
                "testmo-subscription" => rest = ports.http,
                "testmo-ingest" => grpc = ports.grpc,
                _ => {}
            }
            started_in = started_in.max(took);
            programs.push(program);
        }
        let (started_in, _folder) = (Some(started_in), Some(folder));
        Ok(Self { rest, grpc, admin_token, publisher_token, started_in, programs, _folder })
    }

    /// What each program has used since it was started. Nothing of a deployment that somebody else runs.
    pub(crate) fn usage(&self) -> Vec<(&'static str, Usage)> {
        let programs = self.programs.iter().filter(|program| program.name != "epmd");
        programs.map(|program| (program.name, usage::of(program.id()))).collect()
    }
}

struct Ports {
    http: String,
    grpc: String,
}

/// Starts a program of ours and waits until it is ready; how long that took.
async fn start(name: &'static str, command: &mut Command, folder: &Path) -> anyhow::Result<(Program, Ports, Duration)> {
    let address = || anyhow::Ok(format!("127.0.0.1:{}", free_port()?));
    let (http, admin) = (address()?, address()?);
    set(command, "http.listen", &http);
    set(command, "admin.listen", &admin);
    let given = command.get_envs().find(|(name, _)| *name == "TESTMO_WEBHOOKS__GRPC__LISTEN");
    let grpc = match given.and_then(|(_, value)| value?.to_str().map(ToOwned::to_owned)) {
        Some(given) => given,
        None => address()?,
    };
    set(command, "grpc.listen", &grpc);
    set(command, "delivery.allow_networks", r#"["127.0.0.1/32"]"#);
    set(command, "publishing.events_per_second", "0");
    set(command, "log.filter", "warn");
    command.env("HOME", folder);
    let mut program = Program::start(name, command, folder)?;
    let client = Rest::new(&admin, None)?;
    let ready = async || client.send(Method::GET, "/readyz", None).await.is_ok_and(|(status, _)| status == 200);
    let took = program.wait_until(ready).await?;
    Ok((program, Ports { http, grpc }, took))
}

fn set(command: &mut Command, key: &str, value: &str) {
    command.env(format!("TESTMO_WEBHOOKS__{}", key.to_uppercase().replace('.', "__")), value);
}

/// A file that only its owner may read; its path.
fn secret(folder: &Path, name: &str, text: &str) -> anyhow::Result<String> {
    let path = folder.join(name);
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?.write_all(text.as_bytes())?;
    Ok(path.display().to_string())
}

/// A program of ours, which is where this one is.
fn beside(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    if !path.is_file() {
        bail!("{} is missing; build all programs: cargo build --release --workspace --bins", path.display());
    }
    path.canonicalize().context("the program has gone")
}
