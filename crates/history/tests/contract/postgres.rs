//! A PostgreSQL server for the tests of this program: the one that `DATABASE_URL` names, else an own one in a temporary
//! folder, from the installed programs. Each test has a database of its own.

use std::{
    fs,
    io::Read as _,
    net::TcpListener,
    os::unix::{
        fs::{MetadataExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    str::FromStr as _,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, postgres::PgConnectOptions};

/// A database that is empty at first; call [`Database::remove`] at the end.
pub(crate) struct Database {
    server: &'static str,
    name: String,
}

impl Database {
    pub(crate) async fn create() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let server = tokio::task::spawn_blocking(server).await.unwrap();
        let name = format!("history_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        execute(server, format!("CREATE DATABASE {name}")).await;
        Self { server, name }
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        let (base, query) = self.server.split_once('?').unwrap_or((self.server, ""));
        let base = base.rsplit_once('/').expect("an address ends in /database").0;
        format!("{base}/{}?{query}", self.name)
    }

    pub(crate) async fn connect(&self) -> PgConnection {
        let options = PgConnectOptions::from_str(&self.url()).unwrap();
        PgConnection::connect_with(&options).await.unwrap()
    }

    pub(crate) async fn remove(self) {
        execute(self.server, format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }
}

async fn execute(server: &str, statement: String) {
    let options = PgConnectOptions::from_str(server).unwrap();
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

fn server() -> &'static str {
    static SERVER: OnceLock<(String, Option<Child>)> = OnceLock::new();
    let (url, _) = SERVER.get_or_init(|| match std::env::var("DATABASE_URL") {
        Ok(url) => (url, None),
        Err(_) => start(),
    });
    url
}

fn start() -> (String, Option<Child>) {
    let programs = programs();
    let folder = tempfile::Builder::new().prefix("history-postgres-").tempdir().unwrap().keep();
    let user = other_user();
    if let Some((uid, gid)) = user {
        chown(&folder, Some(uid), Some(gid)).unwrap();
    }
    let command = |program: &Path| {
        let mut command = Command::new(program);
        command.current_dir(&folder).env_remove("PGDATA").stdout(Stdio::null());
        if let Some((uid, gid)) = user {
            command.uid(uid).gid(gid);
        }
        command
    };
    let made = command(&programs.join("initdb"))
        .args(["--username=testmo", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "-D", "data"])
        .stdin(Stdio::null())
        .status();
    assert!(made.unwrap().success(), "initdb failed");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    // The shell ends the server when its standard input closes, which it does however this program ends.
    let script = format!(
        "'{}' -D data -h 127.0.0.1 -p {port} -k '' -c fsync=off -c max_connections=200 >log 2>&1 & server=$!; \
         read -r line; kill -QUIT $server; wait $server; cd /; rm -rf '{}'",
        programs.join("postgres").display(),
        folder.display()
    );
    let mut shell = command(Path::new("/bin/sh"))
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    for _ in 0..300 {
        let ready = command(&programs.join("pg_isready"))
            .args(["--quiet", "--host=127.0.0.1", &format!("--port={port}")])
            .status();
        if ready.unwrap().success() {
            return (format!("postgres://testmo@127.0.0.1:{port}/postgres"), Some(shell));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut log = String::new();
    let _ = fs::File::open(folder.join("log")).map(|mut file| file.read_to_string(&mut log));
    drop(shell.stdin.take());
    let _ = shell.wait();
    panic!("PostgreSQL did not start:\n{log}");
}

/// The folder of the newest installed version's programs.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, programs)| programs.join("initdb").is_file())
        .collect();
    found.sort();
    let Some((_, programs)) = found.pop() else {
        panic!("PostgreSQL is missing; install it with: apt-get install -y --no-install-recommends postgresql");
    };
    programs
}

/// PostgreSQL refuses to run as root: the user and group to run it as, if this is root.
fn other_user() -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let ids = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    Some(ids("postgres").or_else(|| ids("nobody")).expect("a user `postgres` or `nobody` to run PostgreSQL as"))
}
