//! What history costs at its size: pages of lists and whole deliveries while 2,000 entries a second are written, an export of a
//! million entries, removing a million expired ones, and bytes per entry. It wants a machine of its own:
//!
//! ```sh
//! cargo bench -p history --features sqlite --bench history
//! ```
//!
//! | variable | default | |
//! |---|---|---|
//! | `HISTORY_BENCH_STORES` | `postgres,sqlite` | which stores |
//! | `HISTORY_BENCH_ENTRIES` | 10000000; SQLite 2000000 | entries to begin with, over 90 days |
//! | `HISTORY_BENCH_ROUNDS` | 300 | how often each page and detail is read |
//! | `HISTORY_BENCH_EXPORTED` | 1000000 | entries of the export, at most what there is |
//! | `HISTORY_BENCH_EXPIRED` | 1000000 | entries that the retention removes, of an instance of their own |
//! | `HISTORY_BENCH_STORED` | 20000 | entries to weigh |
//!
//! Entries are filled in by SQL; what is measured goes through the store as in production.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a panic is how a benchmark fails, its times are the wall clock's, and its tasks end with it"
)]

mod fill;
mod measure;
mod removing;
mod weight;
mod work;

use fill::Filled;

/// A setting of this run.
fn setting(name: &str, default: i64) -> i64 {
    let name = format!("HISTORY_BENCH_{name}");
    std::env::var(&name).map_or(default, |text| text.parse().unwrap_or_else(|_| fill::fail(&name)))
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stores = std::env::var("HISTORY_BENCH_STORES").unwrap_or_else(|_| "postgres,sqlite".to_owned());
        for name in stores.split(',') {
            println!("\n== {name}");
            run(name).await;
        }
    });
}

async fn run(name: &str) {
    let entries = setting("ENTRIES", if name == "postgres" { 10_000_000 } else { 2_000_000 });
    let filled = Filled::new(name, entries).await;
    measure::pages_and_details(&filled, setting("ROUNDS", 300)).await;
    measure::export(&filled, setting("EXPORTED", 1_000_000)).await;
    removing::expired(&filled, setting("EXPIRED", 1_000_000)).await;
    drop(filled);
    weight::bytes_per_entry(name, setting("STORED", 20_000)).await;
}
