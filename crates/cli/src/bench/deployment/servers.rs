//! PostgreSQL and RabbitMQ of the measurement's own, from the installed programs, as durable as in production.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::{
        fs::{MetadataExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};

use super::program::Program;

/// As docker-compose.yml has them.
const POSTGRES: [&str; 5] =
    ["listen_addresses=127.0.0.1", "shared_buffers=256MB", "max_wal_size=2GB", "max_connections=200", "fsync=on"];

/// A port that nobody listens at.
pub(super) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Starts PostgreSQL; the program, and the address of its empty database.
pub(super) async fn postgres(folder: &Path) -> anyhow::Result<(Program, String)> {
    let programs = newest_postgres()?;
    let (data, port) = (folder.join("postgres"), free_port()?);
    fs::create_dir(&data)?;
    // It refuses to run as root.
    let user = if fs::metadata("/proc/self")?.uid() == 0 { Some(account()?) } else { None };
    if let Some((uid, gid)) = user {
        chown(&data, Some(uid), Some(gid))?;
    }
    let command = |program: &str| {
        let mut command = Command::new(programs.join(program));
        command.current_dir(&data).env_remove("PGDATA");
        if let Some((uid, gid)) = user {
            command.uid(uid).gid(gid);
        }
        command
    };
    let cluster = data.join("data");
    let made = command("initdb")
        .args(["--username=testmo", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "-D"])
        .arg(&cluster)
        .stdin(Stdio::null())
        .output()?;
    if !made.status.success() {
        bail!("initdb failed: {}", String::from_utf8_lossy(&made.stderr).trim());
    }
    let mut server = command("postgres");
    server.arg("-D").arg(&cluster).args(["-p", &port.to_string(), "-k"]).arg(&data);
    server.args(POSTGRES.iter().flat_map(|setting| ["-c", setting]));
    let mut program = Program::start("postgres", &mut server, folder)?;
    let accepts = async || {
        let mut ask = command("pg_isready");
        ask.args(["--quiet", "--host=127.0.0.1", "--dbname=postgres", &format!("--port={port}")]).stdin(Stdio::null());
        ask.status().is_ok_and(|status| status.success())
    };
    program.wait_until(accepts).await?;
    Ok((program, format!("postgres://testmo@127.0.0.1:{port}/postgres")))
}

/// The folder of the newest installed version; Debian puts them beside `PATH`.
fn newest_postgres() -> anyhow::Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let versions = versions.filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path())));
    let (_, newest) = versions.max().context("PostgreSQL is missing; install it: apt-get install postgresql")?;
    Ok(newest.join("bin"))
}

fn account() -> anyhow::Result<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd")?;
    let line = users.lines().find(|line| line.starts_with("postgres:")).context("there is no user postgres")?;
    let mut fields = line.split(':').skip(2).map(str::parse);
    match (fields.next(), fields.next()) {
        (Some(Ok(user)), Some(Ok(group))) => Ok((user, group)),
        _ => bail!("/etc/passwd: the user postgres has no number"),
    }
}

/// Starts RabbitMQ, with the port mapper that its node needs; the programs, and its address.
pub(super) async fn rabbitmq(folder: &Path) -> anyhow::Result<([Program; 2], String)> {
    let server = Path::new("/usr/lib/rabbitmq/bin/rabbitmq-server");
    if !server.is_file() {
        bail!("RabbitMQ is missing; install it: apt-get install rabbitmq-server");
    }
    let data = folder.join("rabbitmq");
    fs::create_dir(&data)?;
    fs::write(data.join("enabled_plugins"), "[].\n")?;
    fs::write(data.join("environment"), "")?;
    fs::write(data.join("rabbitmq.conf"), "log.file.level = warning\nlog.console = false\n")?;
    let (port, distribution, mapper) = (free_port()?, free_port()?, free_port()?);
    let mut epmd = Command::new("epmd");
    epmd.args(["-address", "127.0.0.1", "-port", &mapper.to_string()]);
    let mut epmd = Program::start("epmd", &mut epmd, folder)?;
    epmd.wait_until(async || TcpStream::connect((Ipv4Addr::LOCALHOST, mapper)).is_ok()).await?;

    let mut command = Command::new(server);
    command.env_clear().current_dir(&data).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    for (name, file) in [
        ("RABBITMQ_CONF_ENV_FILE", "environment"),
        ("RABBITMQ_CONFIG_FILE", "rabbitmq"),
        ("RABBITMQ_ADVANCED_CONFIG_FILE", "advanced"),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", "enabled_plugins"),
        ("RABBITMQ_MNESIA_BASE", "data"),
        ("RABBITMQ_LOG_BASE", "log"),
        ("RABBITMQ_GENERATED_CONFIG_DIR", "generated"),
        ("RABBITMQ_PID_FILE", "pid"),
    ] {
        command.env(name, data.join(file));
    }
    command.env("HOME", &data).env("LANG", "C.UTF-8").env("ERL_EPMD_ADDRESS", "127.0.0.1");
    command.env("ERL_EPMD_PORT", mapper.to_string()).env("RABBITMQ_NODENAME", format!("bench-{port}@localhost"));
    command.env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1").env("RABBITMQ_NODE_PORT", port.to_string());
    command.env("RABBITMQ_DIST_PORT", distribution.to_string());
    command.env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-start_epmd false");
    let mut program = Program::start("rabbitmq", &mut command, folder)?;
    program.wait_until(async || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()).await?;
    Ok(([epmd, program], format!("amqp://guest:guest@127.0.0.1:{port}/%2f")))
}
