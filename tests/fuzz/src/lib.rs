//! Every parser of bytes from outside, as a target for fuzzing: what does not panic, hang or break its own promises on
//! any input passes.
//!
//! `cargo test` changes the seeds of each target at random, 2,000 times (`FUZZ_INPUTS` says how often);
//! `tests/fuzz/long` gives each of them millions of inputs with libFuzzer, which looks where they lead.
//!
//! A target that holds answers: what it refuses it must refuse with a text, and what it takes must be good for the next
//! one to read it.

#[cfg(test)]
mod changes;
mod seeds;
mod targets;

/// A parser.
#[derive(Debug)]
pub struct Target {
    /// How it is called on the command line.
    pub name: &'static str,
    /// Gives it an input. Panics where it has a fault.
    pub run: fn(&[u8]),
    /// Inputs that it takes, to start from.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// What inputs are made of.
    pub words: &'static [&'static str],
}

pub use targets::TARGETS;

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
