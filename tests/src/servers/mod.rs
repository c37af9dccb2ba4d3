//! PostgreSQL and RabbitMQ, from the installed programs or from `DATABASE_URL` and `AMQP_URL`.
//!
//! One of each serves all tests of a run, that is of one test program, with a database and a virtual host for each
//! product under test. A test that kills a server starts one of its own.

mod postgres;
mod rabbitmq;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

pub use postgres::{Database, Postgres};
pub use rabbitmq::{Rabbit, VirtualHost};

/// A new, empty database on the run's PostgreSQL.
pub async fn database() -> Database {
    static SHARED: OnceLock<Postgres> = OnceLock::new();
    blocking(|| SHARED.get_or_init(Postgres::for_run).create_database()).await
}

/// A new, empty virtual host on the run's RabbitMQ.
pub async fn virtual_host() -> VirtualHost {
    blocking(|| shared_rabbit().take_virtual_host()).await
}

/// The address of the run's RabbitMQ, for tests that keep apart by the names of their queues: it takes no
/// `rabbitmqctl`.
pub async fn rabbit_url() -> &'static str {
    blocking(|| shared_rabbit().url()).await
}

fn shared_rabbit() -> &'static Rabbit {
    static SHARED: OnceLock<Rabbit> = OnceLock::new();
    SHARED.get_or_init(Rabbit::for_run)
}

/// A RabbitMQ for one test alone, which may kill it.
pub async fn own_rabbit() -> Rabbit {
    blocking(Rabbit::start).await
}

/// A PostgreSQL for one test alone, which may kill it.
pub async fn own_postgres() -> Postgres {
    blocking(Postgres::start).await
}

/// Runs what blocks where it holds up no other task.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// The first of `candidates` that exists; panics with the line that installs `package` where none does.
pub(crate) fn installed(candidates: &[PathBuf], package: &str) -> PathBuf {
    candidates.iter().find(|path| path.is_file()).cloned().unwrap_or_else(|| {
        let program = candidates.last().map(|path| path.display().to_string()).unwrap_or_default();
        panic!("{program} is missing; install it with: apt-get install -y --no-install-recommends {package}")
    })
}

/// Files called `name` in the folders of `PATH`.
pub(crate) fn on_path(name: &str) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(name)).collect()
}

/// Runs a command to its end; panics with what it said if it fails.
pub(crate) fn complete(command: &mut Command) -> Output {
    let program = Path::new(command.get_program()).display().to_string();
    let output = command.output().unwrap_or_else(|error| panic!("cannot start {program}: {error}"));
    assert!(
        output.status.success(),
        "{program} failed, {}:\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
