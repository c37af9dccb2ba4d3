//! What arrived and what history says of it, beside what should have been; and both as text.

use std::{
    collections::BTreeMap,
    fmt,
    ops::{Add, AddAssign},
};

use super::receiver::Arrival;
use crate::out::{escape, say};

/// Room for the last column, so that a line fits 120 columns also where an emoji takes two.
const LAST_COLUMN: usize = 45;

/// Numbers of history entries by status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) delivered: usize,
    pub(super) failed: usize,
}

impl Counts {
    pub(super) const fn all(self) -> usize {
        self.delivered + self.failed
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { delivered: self.delivered + other.delivered, failed: self.failed + other.failed }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} delivered, {} failed", self.delivered, self.failed)
    }
}

/// What arrived, beside what should have.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Events that were published.
    events: usize,
    /// Attempts that should arrive.
    pub(super) expected: usize,
    /// Attempts that did.
    pub(super) arrived: usize,
    unverified: usize,
    /// How many messages arrived in each chat.
    messages: BTreeMap<&'static str, usize>,
    /// What else is not as it should be.
    pub(super) surprises: Vec<String>,
    /// What history holds.
    pub(super) history: Counts,
    /// How history shows the address of a chat.
    pub(super) masked: Option<String>,
}

impl Outcome {
    /// Before anything arrived.
    pub(super) fn new(events: usize, expected: usize) -> Self {
        Self { events, expected, ..Self::default() }
    }

    /// Whether everything is as it should be.
    pub(super) fn complete(&self) -> bool {
        self.arrived == self.expected && self.unverified == 0 && self.surprises.is_empty()
    }

    /// Counts an attempt.
    pub(super) fn note(&mut self, arrival: &Arrival) {
        self.arrived += 1;
        self.unverified += usize::from(!arrival.verified);
        match &arrival.headline {
            Ok(Some(_)) => *self.messages.entry(arrival.receiver).or_default() += 1,
            Ok(None) => {}
            Err(wrong) => self.surprises.push(format!("{} {}: {wrong}", arrival.receiver, arrival.event)),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{} events published, {} of {} attempts arrived, {} signatures wrong",
            self.events, self.arrived, self.expected, self.unverified
        )?;
        let messages: Vec<String> = self.messages.iter().map(|(chat, count)| format!("{chat} {count}")).collect();
        writeln!(formatter, "messages in chats: {}", messages.join(", "))?;
        writeln!(formatter, "history: {}", self.history)?;
        if let Some(masked) = &self.masked {
            writeln!(formatter, "history shows the address of a chat as {masked} because its path is a secret")?;
        }
        for surprise in &self.surprises {
            writeln!(formatter, "unexpected: {surprise}")?;
        }
        formatter.write_str(if self.complete() {
            "Everything arrived as expected."
        } else {
            "Not everything arrived as expected."
        })
    }
}

/// Prints an attempt as it arrived.
pub(super) fn show(arrival: &Arrival) -> anyhow::Result<()> {
    say!("{}", line(arrival))
}

fn line(arrival: &Arrival) -> String {
    let Arrival { receiver, event, delivery, attempt, answered, verified, headline } = arrival;
    let signature = if *verified { "signature ok" } else { "SIGNATURE WRONG" };
    let last = match headline {
        Ok(Some(headline)) => shortened(&escape(headline), LAST_COLUMN),
        Ok(None) => format!("delivery {delivery}"),
        Err(wrong) => format!("BODY WRONG: {wrong}"),
    };
    format!("{receiver:<11} {event:<29} attempt {attempt}  {answered}  {signature}  {last}")
}

/// At most so many characters.
pub(super) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(headline: Result<Option<String>, String>) -> Arrival {
        Arrival {
            receiver: "fails-twice",
            event: "case.automation_links_changed".to_owned(),
            delivery: "0".repeat(36),
            attempt: 1,
            answered: 200,
            verified: true,
            headline,
        }
    }

    #[test]
    fn lines_are_at_most_120_columns_wide() {
        for headline in [None, Some("x".repeat(500))] {
            let line = line(&arrival(Ok(headline)));
            assert!((115..120).contains(&line.chars().count()), "{line}");
        }
    }

    #[test]
    fn it_is_complete_only_if_all_is_right() {
        let outcome = |arrivals: &[Arrival]| {
            let mut outcome = Outcome::new(2, 2);
            arrivals.iter().for_each(|arrival| outcome.note(arrival));
            outcome
        };
        let good = || arrival(Ok(Some("hello".to_owned())));
        assert!(outcome(&[good(), good()]).complete());
        assert!(outcome(&[good(), good()]).to_string().contains("fails-twice 2\n"));
        for wrong in [
            outcome(&[good()]),
            outcome(&[good(), good(), good()]),
            outcome(&[good(), Arrival { verified: false, ..good() }]),
            outcome(&[good(), arrival(Err("no blocks".to_owned()))]),
        ] {
            assert!(!wrong.complete(), "{wrong}");
        }
    }
}
