//! The REST API and the console against services in memory: what it asks of them, what it makes of their answers, and what it refuses.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are outside the functions marked as tests"
)]

mod answers;
mod bodies;
mod changing;
mod conditions;
mod conformance;
mod console;
mod document;
mod explaining;
mod exporting;
mod fake;
mod guarding;
mod hostile;
mod refusals;
mod replaying;
mod schema_check;
mod settings;
mod shown;
mod stats;
mod support;
