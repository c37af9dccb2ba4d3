//! A PostgreSQL of our own on a free port, its data in a temporary folder.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use url::Url;

use super::{blocking, complete, installed, on_path};
use crate::{disk::Disk, ports, process::Process, random, receiver::Authority, run, wait::blocking_eventually};

const READY: Duration = Duration::from_secs(60);

/// A PostgreSQL server.
pub struct Postgres {
    url: Url,
    own: Option<Own>,
}

/// What a server that we started consists of.
struct Own {
    programs: PathBuf,
    folder: PathBuf,
    port: u16,
    user: Option<(u32, u32)>,
    process: Option<Process>,
    /// Whether it speaks TLS, with `cert.pem` and `key.pem` of its folder.
    tls: bool,
}

/// A database that nobody else uses.
#[derive(Clone, Debug)]
pub struct Database {
    /// Its address, with user and database.
    pub url: String,
    name: String,
    server: Url,
    psql: PathBuf,
    /// Of the server, if the harness has started it.
    folder: Option<PathBuf>,
}

impl Database {
    /// The server's files: tables, indexes and write-ahead log. None where somebody else runs it.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        // What is only in the server's memory so far shall be in them.
        execute(&self.psql, &self.server, "CHECKPOINT");
        self.folder.iter().flat_map(|folder| run::files(folder)).collect()
    }

    /// All of it as text.
    #[must_use]
    pub fn dump(&self) -> Vec<u8> {
        let program = installed(&on_path("pg_dump"), "postgresql-client");
        let mut command = Command::new(program);
        complete(command.arg("--dbname").arg(&self.url).current_dir("/").stdin(Stdio::null())).stdout
    }

    /// Runs statements in it; what the last one answers, without headings.
    pub async fn run(&self, statements: &str) -> String {
        let (psql, url, statements) = (self.psql.clone(), self.url.clone(), statements.to_owned());
        blocking(move || {
            let mut command = Command::new(psql);
            command.args(["--no-psqlrc", "--quiet", "--tuples-only", "--set", "ON_ERROR_STOP=1", "--dbname", &url]);
            command.args(["--command", &statements]).current_dir("/").stdin(Stdio::null());
            String::from_utf8(complete(&mut command).stdout).expect("UTF-8")
        })
        .await
    }

    /// Runs a file of statements in it, such as a dump.
    pub async fn run_file(&self, file: &Path) {
        let mut command = Command::new(&self.psql);
        command.args(["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", &self.url, "--file"]);
        command.arg(file).current_dir("/").stdin(Stdio::null());
        blocking(move || complete(&mut command)).await;
    }

    /// Removes it, whoever is still connected. Otherwise it stays for as long as its server, to be looked at.
    pub async fn remove(self) {
        blocking(move || execute(&self.psql, &self.server, &format!("DROP DATABASE {} WITH (FORCE)", self.name))).await;
    }
}

impl Postgres {
    /// The server that `DATABASE_URL` names, or else a new one.
    #[must_use]
    pub(super) fn for_run() -> Self {
        match std::env::var("DATABASE_URL") {
            Ok(text) if !text.is_empty() => {
                let url =
                    Url::parse(&text).expect("DATABASE_URL is an address like postgres://user:password@host/database");
                Self { url, own: None }
            }
            _ => Self::start(),
        }
    }

    /// Starts a server with an empty cluster; its only user `testmo` may do everything and needs no password.
    #[must_use]
    pub fn start() -> Self {
        Self::start_as(Own::create(), "")
    }

    /// Starts a server with its files on a disk of its own.
    #[must_use]
    pub fn start_on(disk: &Disk) -> Self {
        Self::start_as(Own::create_in(disk.folder("postgres")), "")
    }

    /// Starts a server whose addresses are for clients that speak TLS and trust nobody but this authority.
    #[must_use]
    pub fn start_with_tls(authority: &Authority) -> Self {
        let own = Own { tls: true, ..Own::create() };
        authority.issue(&own.folder);
        for file in ["cert.pem", "key.pem"] {
            let file = own.folder.join(file);
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a file of our own");
            if let Some((uid, gid)) = own.user {
                chown(&file, Some(uid), Some(gid)).expect("root may give the file to PostgreSQL's user");
            }
        }
        Self::start_as(own, &format!("?sslmode=verify-full&sslrootcert={}", authority.file()))
    }

    fn start_as(own: Own, query: &str) -> Self {
        let url = format!("postgres://testmo@127.0.0.1:{}/postgres{query}", own.port);
        let mut server = Self { url: Url::parse(&url).expect("an address made of a port"), own: Some(own) };
        server.resume();
        server
    }

    /// Creates an empty database.
    #[must_use]
    pub fn create_database(&self) -> Database {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("testmo_{}_{number}", &random::hex40()[..8]);
        let mut candidates = self.own.iter().map(|own| own.programs.join("psql")).collect::<Vec<_>>();
        candidates.extend(on_path("psql"));
        let psql = installed(&candidates, "postgresql-client");
        execute(&psql, &self.url, &format!("CREATE DATABASE {name}"));
        let mut url = self.url.clone();
        url.set_path(&name);
        let folder = self.own.as_ref().map(Own::data);
        Database { url: url.into(), name, server: self.url.clone(), psql, folder }
    }

    /// `kill -9` for all of its processes.
    pub fn kill(&mut self) {
        self.own_mut().process.take().expect("PostgreSQL runs").kill();
    }

    /// Starts it again if it has ended by itself, as what supervises it would.
    pub fn resume_if_ended(&mut self) -> bool {
        let own = self.own_mut();
        let ended = own.process.as_mut().is_some_and(|process| process.ended().is_some());
        if ended {
            own.process = None;
            self.resume();
        }
        ended
    }

    /// What `pg_amcheck` finds wrong with tables and indexes of all databases; nothing is.
    #[must_use]
    pub fn faults(&self) -> String {
        let own = self.own.as_ref().expect("a server that the harness has started; unset DATABASE_URL");
        let mut command = own.command("pg_amcheck");
        command.args(["--all", "--install-missing", "--heapallindexed", "--username=testmo", "--host=127.0.0.1"]);
        let output = command.arg(format!("--port={}", own.port)).stdin(Stdio::null()).output();
        let output = output.expect("pg_amcheck, which comes with PostgreSQL");
        let told = [output.stdout, output.stderr].concat();
        if output.status.success() { String::new() } else { String::from_utf8_lossy(&told).into_owned() }
    }

    /// Starts it again on the same data and port.
    pub fn resume(&mut self) {
        let own = self.own_mut();
        assert!(own.process.is_none(), "PostgreSQL runs already");
        let mut command = own.command("postgres");
        command.arg("-D").arg(own.data()).args(["-p", &own.port.to_string(), "-k"]).arg(&own.folder);
        for setting in ["listen_addresses=127.0.0.1", "max_connections=500", "fsync=on", "log_min_messages=warning"] {
            command.args(["-c", setting]);
        }
        if own.tls {
            command
                .args(["-c", "ssl=on", "-c"])
                .arg(format!("ssl_cert_file={}", own.folder.join("cert.pem").display()));
            command.arg("-c").arg(format!("ssl_key_file={}", own.folder.join("key.pem").display()));
        }
        // SIGQUIT ends it at once, and unlike SIGKILL lets it give back its shared memory.
        let mut process = Process::start("postgres", &mut command, &own.folder, "QUIT");
        let ready = blocking_eventually(READY, || process.ended().is_some() || own.accepts());
        assert!(ready && process.ended().is_none(), "PostgreSQL did not start\n{}", process.tail());
        own.process = Some(process);
    }

    fn own_mut(&mut self) -> &mut Own {
        self.own.as_mut().expect("a server that the harness has started; unset DATABASE_URL")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(own) = self.own.as_mut() {
            if let Some(mut process) = own.process.take() {
                process.signal("QUIT");
                let _ = process.wait(Duration::from_secs(5));
            }
            run::remove(&own.folder);
        }
    }
}

impl Own {
    fn create() -> Self {
        Self::create_in(run::folder("postgres"))
    }

    fn create_in(folder: PathBuf) -> Self {
        let programs = newest_programs();
        let user = other_user();
        if let Some((uid, gid)) = user {
            chown(&folder, Some(uid), Some(gid)).expect("root may give the folder to PostgreSQL's user");
        }
        let own = Self { programs, folder, port: ports::free(), user, process: None, tls: false };
        complete(
            own.command("initdb")
                .args(["--username=testmo", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "-D"])
                .arg(own.data())
                .stdin(Stdio::null()),
        );
        own
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(&self.folder).env_remove("PGDATA");
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    fn accepts(&self) -> bool {
        let status = self
            .command("pg_isready")
            .args(["--quiet", "--host=127.0.0.1", "--dbname=postgres", &format!("--port={}", self.port)])
            .stdin(Stdio::null())
            .status();
        status.expect("pg_isready, which comes with PostgreSQL").success()
    }
}

/// Runs a statement with the server's own client.
fn execute(psql: &Path, server: &Url, statement: &str) {
    let mut command = Command::new(psql);
    command.args(["--no-psqlrc", "--quiet", "--dbname"]).arg(server.as_str()).args(["--command", statement]);
    complete(command.current_dir("/").stdin(Stdio::null()));
}

/// The folder of the newest installed version's programs; Debian puts them beside `PATH`.
fn newest_programs() -> PathBuf {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin/postgres"))))
        .collect();
    versions.sort();
    let mut candidates: Vec<_> = versions.into_iter().rev().map(|(_, path)| path).collect();
    candidates.extend(on_path("postgres"));
    let postgres = installed(&candidates, "postgresql");
    postgres.parent().expect("a program is in a folder").to_owned()
}

/// PostgreSQL refuses to run as root: the user and group to run it as, if this is root.
fn other_user() -> Option<(u32, u32)> {
    let own = std::os::unix::fs::MetadataExt::uid(&fs::metadata(Path::new("/proc/self")).expect("/proc"));
    if own != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("/etc/passwd");
    let id = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    Some(id("postgres").or_else(|| id("nobody")).expect("a user `postgres` or `nobody` to run PostgreSQL as"))
}
