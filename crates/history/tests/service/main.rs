//! The whole service, as its callers and its broker see it, on a store in a temporary folder.
#![cfg(feature = "sqlite")]
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod doubles;
mod events;
mod exporting;
mod failing;
mod flaky;
mod lane;
mod manual;
mod reading;
mod recording;
mod replays;
mod started;
mod stats;
mod timed;
mod waiting;
