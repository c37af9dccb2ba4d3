//! Making history old: nobody waits for days.

use std::{path::Path, process::Command, process::Stdio, time::Duration};

use super::Product;
use crate::servers;

/// The same for both: everything that is there was so many microseconds earlier.
const SQLITE: &str = "
import sqlite3, sys
file = sqlite3.connect(sys.argv[1], timeout=30)
with file:
    for column in ('started_at', 'matched_at'):
        file.execute(f'UPDATE attempts SET {column} = {column} - ?', (int(sys.argv[2]),))
    file.execute('UPDATE bodies SET at = at - ?', (int(sys.argv[2]),))
";
const COUNT: &str = "
import sqlite3, sys
print(sqlite3.connect(sys.argv[1], timeout=30).execute('SELECT count(*) FROM attempts').fetchone()[0])
";

impl Product {
    /// Lets all attempts, and the bodies of all events, be so much older.
    pub async fn age_history(&self, by: Duration) {
        let micros = by.as_micros();
        if let Some(database) = &self.database {
            let statement = format!(
                "SET search_path = history; \
                 SELECT add_day(day) FROM (SELECT DISTINCT (started_at - {micros}) / 86400000000 AS day FROM attempts \
                 UNION SELECT (at - {micros}) / 86400000000 FROM bodies) AS days; \
                 UPDATE attempts SET started_at = started_at - {micros}, matched_at = matched_at - {micros}; \
                 UPDATE bodies SET at = at - {micros}, day = (at - {micros}) / 86400000000"
            );
            database.run(&statement).await;
        } else {
            python(&self.folder, SQLITE, &[&micros.to_string()]).await;
        }
    }

    /// How many attempts are on the disk, whether anybody sees them or not.
    pub async fn attempts_on_disk(&self) -> u64 {
        let text = match &self.database {
            Some(database) => database.run("SELECT count(*) FROM history.attempts").await,
            None => python(&self.folder, COUNT, &[]).await,
        };
        text.trim().parse().unwrap_or_else(|error| panic!("{text:?} is no number: {error}"))
    }
}

pub(super) async fn python(folder: &Path, script: &str, arguments: &[&str]) -> String {
    let mut command = Command::new("python3");
    command.args(["-c", script]).arg(folder.join("data/history.db")).args(arguments).stdin(Stdio::null());
    let output = servers::blocking(move || servers::complete(&mut command)).await;
    String::from_utf8(output.stdout).expect("UTF-8")
}
