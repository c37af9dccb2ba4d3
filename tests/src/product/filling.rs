//! Much history at once, for what is measured: written by SQL, as if it had been delivered over the last 90 days.

use super::{Product, aging::python};

const COLUMNS: &str = "delivery_id, number, instance, webhook_id, event_id, event_type, project_id, matched_at, format, \
     is_test, status, made, final, started_at, duration_us, response_code, error_class, error, url, remote_address, \
     response_truncated, request_headers, response_headers, response_body";
/// Rows written by one statement.
const AT_ONCE: u64 = 100_000;
const DAY: u64 = 86_400_000_000;
const DAYS: u64 = 90;

const SQLITE: &str = "
import sqlite3, sys
file = sqlite3.connect(sys.argv[1], timeout=60)
with file:
    file.execute(sys.argv[2])
";

impl Product {
    /// So many entries of the webhooks 1 to `webhooks`, in turn; one in 20 has failed. Charts count them.
    pub async fn fill_history(&self, entries: u64, webhooks: u64) {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("a clock after 1970").as_micros();
        let now = u64::try_from(now).expect("a time that fits");
        let from = now - DAYS * DAY;
        let step = DAYS * DAY / entries.max(1);
        if let Some(database) = &self.database {
            let days = format!("SELECT add_day(day) FROM generate_series({from} / {DAY}, {now} / {DAY}) AS day");
            database.run(&format!("SET search_path = history; {days}")).await;
        }
        for first in (0..entries).step_by(usize::try_from(AT_ONCE).unwrap_or(usize::MAX)) {
            let last = (first + AT_ONCE).min(entries) - 1;
            match &self.database {
                Some(database) => {
                    let numbers = format!("generate_series({first}::bigint, {last}) AS i");
                    let rows =
                        rows(&numbers, "gen_random_uuid()", ["FALSE", "TRUE"], "''::bytea", from, step, webhooks);
                    database.run(&format!("SET search_path = history; {rows}")).await;
                }
                None => {
                    let numbers = format!(
                        "(WITH RECURSIVE n (i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last}) \
                         SELECT i FROM n)"
                    );
                    let rows = rows(&numbers, "randomblob(16)", ["0", "1"], "x''", from, step, webhooks);
                    python(&self.folder, SQLITE, &[&rows]).await;
                }
            }
        }
        // As `0006_counts.sql` counts: delivered and failed within 5.6 to 10 ms.
        let counts = |columns: &str, values: &str| {
            format!(
                "INSERT INTO counts (instance, webhook_id, hour, what{columns}, count) SELECT instance, webhook_id, \
                 started_at / 3600000000, CASE status WHEN 2 THEN 104 ELSE 204 END{values}, count(*) FROM attempts \
                 GROUP BY 1, 2, 3, 4"
            )
        };
        match &self.database {
            Some(database) => {
                let counts = counts(", shard", ", 0");
                database.run(&format!("SET search_path = history; {counts}")).await;
                // As days are that were written long ago: the server's own round would go on for minutes.
                database.run("VACUUM (ANALYZE, FREEZE)").await;
            }
            None => {
                python(&self.folder, SQLITE, &[&counts("", "")]).await;
            }
        }
    }
}

fn rows(numbers: &str, id: &str, [no, yes]: [&str; 2], nothing: &str, from: u64, step: u64, webhooks: u64) -> String {
    let at = format!("({from} + {step} * i)");
    format!(
        "INSERT INTO attempts ({COLUMNS}) SELECT {id}, 1, 'default', 1 + i % {webhooks}, {id}, 'run.completed', \
         1 + i % 20, {at}, 'generic', {no}, CASE WHEN i % 20 = 3 THEN 1 ELSE 2 END, {yes}, {yes}, {at}, 8000, \
         CASE WHEN i % 20 = 3 THEN 500 ELSE 200 END, '', '', 'https://hooks.example.com/in', '203.0.113.7:443', {no}, \
         {nothing}, {nothing}, {nothing} FROM {numbers}"
    )
}
