//! A PostgreSQL for these tests: the one that `DATABASE_URL` names, or one of their own from the installed programs,
//! as another user where this is root, in a temporary folder that goes when the test program ends, however it ends.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use subscription::store::{OpenError, Store, open_postgres};
use url::Url;

use crate::backend::Backend;

/// A database that only one test uses.
pub(crate) struct Database {
    name: String,
    url: Url,
}

impl Database {
    pub(crate) async fn create() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("subscription_test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut url = server().clone();
        run(&url, format!("CREATE DATABASE {name}")).await;
        url.set_path(&name);
        Self { name, url }
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// Runs a statement in it as the server's owner.
    pub(crate) async fn admin(&self, sql: String) {
        run(&self.url, sql).await;
    }

    /// Removes a role, which belongs to the server and not to a database.
    pub(crate) async fn drop_role(role: &str) {
        run(server(), format!("DROP ROLE {role}")).await;
    }

    /// Removes it; the one of a test that failed stays to be looked at.
    pub(crate) async fn remove(self) {
        run(server(), format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }
}

impl Backend for Database {
    async fn open(&self, migrate: bool) -> Result<Arc<dyn Store>, OpenError> {
        open_postgres(self.url.as_str(), migrate).await
    }

    async fn execute(&self, sql: &'static str) {
        run(&self.url, format!("SET search_path = subscription; {sql}")).await;
    }
}

async fn run(url: &Url, sql: String) {
    let mut connection = PgConnection::connect(url.as_str()).await.expect("the tests' PostgreSQL answers");
    connection.execute(AssertSqlSafe(sql)).await.unwrap();
    connection.close().await.unwrap();
}

/// The server's address.
fn server() -> &'static Url {
    static SERVER: OnceLock<(Url, Option<Child>)> = OnceLock::new();
    let (url, _) = SERVER.get_or_init(|| match std::env::var("DATABASE_URL") {
        Ok(text) if !text.is_empty() => (text.parse().expect("DATABASE_URL is an address"), None),
        _ => {
            let (url, guard) = start();
            (url, Some(guard))
        }
    });
    url
}

/// Runs the server until the pipe from the test program (this one's input) ends, then takes everything away.
const GUARD: &str = r#"
"$0/postgres" -D "$1/data" -k "$1" -c listen_addresses= -c fsync=off -c max_connections=300 >"$1/log" 2>&1 &
server=$!
while read -r _; do :; done
kill -s QUIT "$server"
wait "$server"
rm -rf "$1"
"#;

fn start() -> (Url, Child) {
    let programs = programs();
    let folder = tempfile::Builder::new().prefix("subscription-postgres-").tempdir().unwrap().keep();
    let user = other_user();
    if let Some((uid, gid)) = user {
        chown(&folder, Some(uid), Some(gid)).unwrap();
    }
    let command = |program: &Path| {
        let mut command = Command::new(program);
        command.current_dir(&folder).env_remove("PGDATA").process_group(0).stdin(Stdio::null());
        if let Some((uid, gid)) = user {
            command.uid(uid).gid(gid);
        }
        command
    };
    let initdb = command(&programs.join("initdb"))
        .args(["--username=testmo", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "-D"])
        .arg(folder.join("data"))
        .output()
        .unwrap();
    assert!(initdb.status.success(), "initdb failed: {}", String::from_utf8_lossy(&initdb.stderr));
    let guard = command(Path::new("sh"))
        .args(["-c", GUARD])
        .arg(&programs)
        .arg(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh, to guard PostgreSQL");
    wait_until_ready(&programs, &folder);
    let address = format!("postgres://testmo@localhost/postgres?host={}", folder.display());
    (address.parse().unwrap(), guard)
}

fn wait_until_ready(programs: &Path, folder: &Path) {
    for _ in 0..600 {
        let ready = Command::new(programs.join("pg_isready")).arg("-q").arg("-h").arg(folder).status().unwrap();
        if ready.success() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("PostgreSQL did not start: {}", fs::read_to_string(folder.join("log")).unwrap_or_default());
}

/// Where the newest installed version's programs are.
fn programs() -> PathBuf {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, folder)| folder.join("postgres").is_file())
        .collect();
    found.sort();
    let newest = found.pop().map(|(_, folder)| folder);
    newest.expect(
        "PostgreSQL is missing; install it with: apt-get install -y --no-install-recommends postgresql \
         (or set DATABASE_URL)",
    )
}

/// PostgreSQL does not run as root: whom to run it as, if this is root.
fn other_user() -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let ids = |name: &str| {
        let fields: Vec<_> = users.lines().map(|line| line.split(':').collect::<Vec<_>>()).collect();
        let line = fields.into_iter().find(|fields| fields[0] == name)?;
        Some((line[2].parse().ok()?, line[3].parse().ok()?))
    };
    Some(ids("postgres").or_else(|| ids("nobody")).expect("a user `postgres` or `nobody` to run PostgreSQL as"))
}
