//! Seeds, changed at random: the short form, on any compiler.

use proptest::{collection::vec, prelude::*, sample::Index};

use crate::{TARGETS, Target};

/// An input, shown as text.
struct Input(Vec<u8>);

impl std::fmt::Debug for Input {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "b\"{}\"", self.0.escape_ascii())
    }
}

/// What is done to an input.
#[derive(Clone, Debug)]
enum Change {
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Word(Index, Index),
    Delete(Index, usize),
    /// Deep and long things come of this.
    Repeat(Index, usize, usize),
    Splice(Index, Index),
    Cut(Index),
}

fn change() -> impl Strategy<Value = Change> {
    let place = any::<Index>;
    prop_oneof![
        3 => (place(), 1..=255u8).prop_map(|(at, bits)| Change::Flip(at, bits)),
        2 => (place(), vec(any::<u8>(), 1..8)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        4 => (place(), place()).prop_map(|(at, word)| Change::Word(at, word)),
        2 => (place(), 1..40usize).prop_map(|(at, length)| Change::Delete(at, length)),
        1 => (place(), 1..20usize, 2..2_000usize).prop_map(|(at, length, times)| Change::Repeat(at, length, times)),
        1 => (place(), place()).prop_map(|(at, other)| Change::Splice(at, other)),
        1 => place().prop_map(Change::Cut),
    ]
}

fn apply(input: &mut Vec<u8>, change: &Change, seeds: &[Vec<u8>], words: &[&str]) {
    let at = |index: &Index, input: &[u8]| index.index(input.len() + 1);
    match change {
        Change::Flip(place, bits) if !input.is_empty() => {
            let place = place.index(input.len());
            input[place] ^= bits;
        }
        Change::Insert(place, bytes) => {
            let place = at(place, input);
            input.splice(place..place, bytes.iter().copied());
        }
        Change::Word(place, word) if !words.is_empty() => {
            let place = at(place, input);
            input.splice(place..place, words[word.index(words.len())].bytes());
        }
        Change::Delete(place, length) => {
            let place = at(place, input);
            input.drain(place..(place + length).min(input.len()));
        }
        Change::Repeat(place, length, times) => {
            let place = at(place, input);
            let piece = input[place..(place + length).min(input.len())].repeat(*times);
            input.splice(place..place, piece);
        }
        Change::Splice(place, other) => {
            let other = &seeds[other.index(seeds.len())];
            let from = at(place, other);
            input.truncate(at(place, input));
            input.extend_from_slice(&other[from..]);
        }
        Change::Cut(place) => input.truncate(at(place, input)),
        Change::Flip(..) | Change::Word(..) => {}
    }
}

fn inputs() -> u32 {
    std::env::var("FUZZ_INPUTS").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000)
}

fn withstands(target: &Target) {
    let seeds = (target.seeds)();
    for seed in &seeds {
        (target.run)(seed);
    }
    let config = ProptestConfig { cases: inputs(), failure_persistence: None, ..ProptestConfig::default() };
    let strategy = (any::<Index>(), vec(change(), 0..6)).prop_map(move |(seed, changes)| {
        let mut input = seeds[seed.index(seeds.len())].clone();
        changes.iter().for_each(|change| apply(&mut input, change, &seeds, target.words));
        Input(input)
    });
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let tried = runner.run(&strategy, |Input(input)| {
        (target.run)(&input);
        Ok(())
    });
    if let Err(fault) = tried {
        panic!("{}: {fault}", target.name);
    }
}

#[test]
fn fuzz_no_input_breaks_a_parser() {
    let threads: Vec<_> = TARGETS.iter().map(|target| std::thread::spawn(move || withstands(target))).collect();
    for (thread, target) in threads.into_iter().zip(TARGETS) {
        assert!(thread.join().is_ok(), "{} has a fault, told above", target.name);
    }
}

/// Seeds that are refused would lead nowhere.
#[test]
fn fuzz_seeds_are_taken() {
    for target in TARGETS {
        assert!(!(target.seeds)().is_empty(), "{} has no seed", target.name);
    }
    let event = &crate::seeds::publish_requests()[0];
    assert!(ingest::fuzzing::request(event).is_ok());
    let request = gateway::fuzzing::webhook(&crate::seeds::webhook_bodies()[0]).expect("a webhook");
    assert_eq!(subscription::fuzzing::webhook(request), Ok(()));
    assert_eq!(history::fuzzing::records(&crate::seeds::record_messages()[0]), Ok(()));
    assert_eq!(history::fuzzing::cursor(str::from_utf8(&crate::seeds::cursors()[0]).unwrap()), Ok(()));
    assert_eq!(dispatcher::fuzzing::event(&crate::seeds::event_messages()[0]), Ok(()));
    assert_eq!(dispatcher::fuzzing::delivery(&crate::seeds::delivery_messages()[0]), Ok(()));
    assert_eq!(cli::fuzzing::apply_file(&crate::seeds::apply_files()[0]), Ok(2));
}
