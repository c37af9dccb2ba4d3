//! The schedule of retries while many deliveries wait. With the schedule of production: `benches/schedule.rs`.

use std::time::Duration;

use blackbox::{
    in_both_modes,
    product::Mode,
    schedule::{Form, measure},
};

in_both_modes!(attempts_come_on_schedule_while_many_wait);

async fn attempts_come_on_schedule_while_many_wait(mode: Mode) {
    measure(
        mode,
        Form {
            schedule: Some(r#"["0s", "4s", "12s"]"#),
            waits: [0, 4, 12].map(Duration::from_secs),
            rate: 10,
            period: Duration::from_secs(15),
            patience: Duration::from_secs(60),
        },
    )
    .await;
}
