//! PostgreSQL away for two minutes under load: what is lost (nothing), and how fast history catches up. It takes five minutes
//! and wants a machine of its own:
//!
//! ```sh
//! cargo build --release --workspace --bins --all-features
//! cargo bench -p blackbox --all-features --bench outage
//! ```
//!
//! `OUTAGE_SECONDS` (default 120) is how long it is away, `OUTAGE_RATE` (default 200) how many events a second come.

use std::time::Duration;

use blackbox::outage::{Form, measure};

fn main() {
    let form = Form {
        outage: Duration::from_secs(from_environment("OUTAGE_SECONDS", 120)),
        rate: usize::try_from(from_environment("OUTAGE_RATE", 200)).expect("a rate"),
        before: Duration::from_secs(10),
        patience: Duration::from_secs(600),
    };
    blackbox::run_test(async {
        let outcome = measure(form).await;
        println!("{outcome}");
        assert_eq!((outcome.lost, outcome.unrecorded), (0, 0), "accepted events that are lost, or not on record");
    });
}

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}
