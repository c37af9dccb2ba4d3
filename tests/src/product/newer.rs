//! A schema as a newer version of the product leaves it, which has only added to it.

use std::process::{Command, Stdio};

use super::{Mode, Product, Service};
use crate::servers;

/// Runs what comes between for each file.
const SQLITE: [&str; 2] = [
    "import sqlite3, sys\nfor path in sys.argv[1:]:\n    file = sqlite3.connect(path, timeout=30)\n    with file:\n",
    "\n    file.close()\n",
];
/// A column more in every table, and the note that says so.
const ADD: &str = "
        tables = file.execute(\"SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'\").fetchall()
        for table, in tables:
            if table not in ('_sqlx_migrations', 'compatibility'):
                file.execute(f'ALTER TABLE {table} ADD COLUMN newer INTEGER NOT NULL DEFAULT 5')
        file.execute(\"INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \"
            \"VALUES (999, 'newer', TRUE, x'00', 0)\")";
const CLOSE: &str = "UPDATE compatibility SET needs = 999";
const TABLES: &str = "SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE n.nspname IN ('history', 'subscription') AND c.relkind IN ('r', 'p') AND NOT c.relispartition \
     AND c.relname NOT IN ('_sqlx_migrations', 'compatibility')";
const FILES: [&str; 3] = ["subscription.db", "history.db", "queue.db"];

impl Product {
    /// Adds to all its schemas, while it runs; in embedded mode its program is restarted for it, which is what an upgrade
    /// is there. It then works with a schema that is newer than its programs.
    pub async fn add_to_schemas(&mut self) {
        if self.mode == Mode::Embedded {
            self.stop(Service::Standalone).await;
            self.in_files(ADD).await;
            self.resume(Service::Standalone).await;
            return;
        }
        let database = self.database.as_ref().expect("a database of its own");
        for table in database.run(TABLES).await.split_whitespace() {
            let column = format!("ALTER TABLE {table} ADD COLUMN newer integer NOT NULL DEFAULT 5");
            database.run(&column).await;
        }
        for schema in ["history", "subscription"] {
            let note = format!(
                "INSERT INTO {schema}._sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (999, 'newer', TRUE, '', 0)"
            );
            database.run(&note).await;
        }
    }

    /// Says in all its schemas that only newer programs can work with them; embedded, while its program does not run.
    pub async fn close_schemas_to_older_programs(&self) {
        if let Some(database) = &self.database {
            let close = |schema| format!("SET search_path = {schema}; {CLOSE};");
            database.run(&["history", "subscription"].map(close).concat()).await;
        } else {
            self.in_files(&format!("        file.execute('{CLOSE}')")).await;
        }
    }

    /// While its program does not run.
    async fn in_files(&self, statements: &str) {
        let mut command = Command::new("python3");
        command.args(["-c", &SQLITE.join(statements)]).stdin(Stdio::null());
        command.args(FILES.map(|file| self.folder.join("data").join(file)));
        servers::blocking(move || servers::complete(&mut command)).await;
    }
}
