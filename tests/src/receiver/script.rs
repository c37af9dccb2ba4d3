//! What a receiver answers.

use std::time::Duration;

use super::Received;

/// What happens to one request.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(super) delay: Duration,
    pub(super) action: Action,
}

#[derive(Clone, Debug)]
pub(super) enum Action {
    Respond { status: u16, headers: Vec<(String, String)>, body: Vec<u8> },
    Raw { bytes: Vec<u8>, then: Then },
}

/// What comes after bytes that are no whole response.
#[derive(Clone, Debug)]
pub(super) enum Then {
    Close,
    Hang,
    Reset,
    Repeat { piece: Vec<u8>, pause: Duration },
}

impl Answer {
    /// A response with this status and no body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self { delay: Duration::ZERO, action: Action::Respond { status, headers: Vec::new(), body: Vec::new() } }
    }

    /// These bytes instead of an HTTP response, then the end of the connection.
    #[must_use]
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self::raw_then(bytes, Then::Close)
    }

    /// The end of the connection, without a byte.
    #[must_use]
    pub fn close() -> Self {
        Self::raw(Vec::new())
    }

    /// Nothing, for as long as the sender waits.
    #[must_use]
    pub fn hang() -> Self {
        Self::raw_then_hang(Vec::new())
    }

    /// These bytes, then nothing for as long as the sender waits.
    #[must_use]
    pub fn raw_then_hang(bytes: impl Into<Vec<u8>>) -> Self {
        Self::raw_then(bytes, Then::Hang)
    }

    /// These bytes, then a reset of the connection (RST).
    #[must_use]
    pub fn raw_then_reset(bytes: impl Into<Vec<u8>>) -> Self {
        Self::raw_then(bytes, Then::Reset)
    }

    /// These bytes, then `piece` again and again for as long as the sender reads, with a pause after each.
    #[must_use]
    pub fn endless(bytes: impl Into<Vec<u8>>, piece: impl Into<Vec<u8>>, pause: Duration) -> Self {
        Self::raw_then(bytes, Then::Repeat { piece: piece.into(), pause })
    }

    fn raw_then(bytes: impl Into<Vec<u8>>, then: Then) -> Self {
        Self { delay: Duration::ZERO, action: Action::Raw { bytes: bytes.into(), then } }
    }

    /// With a header more.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Action::Respond { headers, .. } = &mut self.action {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// With a body.
    #[must_use]
    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        if let Action::Respond { body, .. } = &mut self.action {
            *body = bytes.into();
        }
        self
    }

    /// Only after a while.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

/// The answers of a path, one after the other; the last one stands for all that follow.
#[derive(Clone, Debug)]
pub struct Script {
    answers: Vec<Answer>,
    by_attempt: bool,
}

impl Script {
    /// The answers to the first attempt of a delivery, to the second and so on, whatever else came; the last one stands
    /// for all that follow.
    #[must_use]
    pub fn by_attempt(answers: Vec<Answer>) -> Self {
        Self { answers, by_attempt: true }
    }

    fn in_turn(answers: Vec<Answer>) -> Self {
        Self { answers, by_attempt: false }
    }

    /// What `request` gets that comes after `earlier` others.
    pub(super) fn answer(&self, request: &Received, earlier: usize) -> Answer {
        let number = if self.by_attempt { earlier_attempts(request) } else { earlier };
        self.answers.get(number).or_else(|| self.answers.last()).cloned().unwrap_or_else(|| Answer::status(200))
    }
}

/// How many attempts of its delivery there were before, as the request says itself.
fn earlier_attempts(request: &Received) -> usize {
    let attempt = request.header("x-testmo-attempt").and_then(|number| number.parse().ok()).unwrap_or(1_usize);
    attempt.saturating_sub(1)
}

impl Default for Script {
    fn default() -> Self {
        Answer::status(200).into()
    }
}

impl From<Answer> for Script {
    fn from(answer: Answer) -> Self {
        Self::in_turn(vec![answer])
    }
}

impl From<u16> for Script {
    fn from(status: u16) -> Self {
        Answer::status(status).into()
    }
}

impl<const N: usize> From<[Answer; N]> for Script {
    fn from(answers: [Answer; N]) -> Self {
        Self::in_turn(answers.into())
    }
}

impl<const N: usize> From<[u16; N]> for Script {
    fn from(statuses: [u16; N]) -> Self {
        Self::in_turn(statuses.into_iter().map(Answer::status).collect())
    }
}
