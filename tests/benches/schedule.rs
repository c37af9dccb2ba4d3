//! The schedule of production while 12,000 deliveries wait. It takes 25 minutes in each mode and wants a machine of its
//! own:
//!
//! ```sh
//! cargo build --release --workspace --bins --all-features
//! cargo bench -p blackbox --all-features --bench schedule [-- embedded | -- distributed]
//! ```

use std::time::Duration;

use blackbox::{
    product::Mode,
    schedule::{Form, measure},
};

/// 5 events a second for 4 endpoints and 10 minutes: all their deliveries wait at the end.
const FORM: Form = Form {
    schedule: None,
    waits: [Duration::ZERO, Duration::from_secs(120), Duration::from_secs(600)],
    rate: 5,
    period: Duration::from_secs(600),
    patience: Duration::from_secs(800),
};

fn main() {
    for mode in Mode::asked() {
        blackbox::run_test(measure(mode, FORM));
    }
}
