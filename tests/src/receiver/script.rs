//! What a receiver answers.

use std::time::Duration;

/// What happens to one request.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(super) delay: Duration,
    pub(super) action: Action,
}

#[derive(Clone, Debug)]
pub(super) enum Action {
    Respond { status: u16, headers: Vec<(String, String)>, body: Vec<u8> },
    Raw { bytes: Vec<u8>, hang: bool },
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
        Self { delay: Duration::ZERO, action: Action::Raw { bytes: bytes.into(), hang: false } }
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
        Self { delay: Duration::ZERO, action: Action::Raw { bytes: bytes.into(), hang: true } }
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
pub struct Script(Vec<Answer>);

impl Script {
    pub(super) fn answer(&self, number: usize) -> Answer {
        self.0.get(number).or_else(|| self.0.last()).cloned().unwrap_or_else(|| Answer::status(200))
    }
}

impl Default for Script {
    fn default() -> Self {
        Self(vec![Answer::status(200)])
    }
}

impl From<Answer> for Script {
    fn from(answer: Answer) -> Self {
        Self(vec![answer])
    }
}

impl From<u16> for Script {
    fn from(status: u16) -> Self {
        Answer::status(status).into()
    }
}

impl<const N: usize> From<[Answer; N]> for Script {
    fn from(answers: [Answer; N]) -> Self {
        Self(answers.into())
    }
}

impl<const N: usize> From<[u16; N]> for Script {
    fn from(statuses: [u16; N]) -> Self {
        Self(statuses.into_iter().map(Answer::status).collect())
    }
}
