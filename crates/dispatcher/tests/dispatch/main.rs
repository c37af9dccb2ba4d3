//! The service from outside, between a broker, a history and a configuration that the test holds in its hand.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod changing;
mod failing;
mod lanes;
mod manual;
mod matching;
mod recording;
mod slow;
mod world;
