//! The secrets of a webhook: what it signs with, and the values of its headers. At rest they are one sealed text.

use std::{fmt, time::Duration};

use domain::{CustomHeader, Secret, Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Secrets that sign at the same time, at most: each makes the header of every delivery longer.
const MOST_SECRETS: usize = 10;
/// What the text of a webhook begins with that was last written when it had nothing but one signing secret.
const BARE: &str = "whsec_";

/// All secrets of a webhook. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    /// The current one first.
    secrets: Vec<SigningSecret>,
    /// In the order to send them.
    pub(crate) headers: Vec<CustomHeader>,
}

/// A secret to sign with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(crate) struct SigningSecret {
    /// As shown to the user.
    pub(crate) text: String,
    /// Microseconds since the Unix epoch; absent: it is the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
}

impl SigningSecret {
    /// When it stops signing; `None`: never.
    pub(crate) fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at.map(Timestamp::from_micros)
    }

    fn signs(&self, now: Timestamp) -> bool {
        self.expires_at().is_none_or(|end| now < end)
    }
}

/// The text at rest.
#[derive(Serialize, Deserialize)]
struct Stored {
    secrets: Vec<SigningSecret>,
    headers: Vec<StoredHeader>,
}

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct StoredHeader {
    name: String,
    value: String,
}

/// A text that holds no credentials. Says nothing of it: parts of it are secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("holds no credentials")]
pub(crate) struct NoCredentials;

/// More secrets would sign at the same time than may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{MOST_SECRETS} secrets sign for it already; regenerate with overlap_hours 0, or wait until one expires")]
pub(crate) struct TooManySecrets;

impl Credentials {
    /// Those of a new webhook.
    pub(crate) fn new(secret: &Secret, headers: Vec<CustomHeader>) -> Self {
        let current = SigningSecret { text: secret.reveal().to_owned(), expires_at: None };
        Self { secrets: vec![current], headers }
    }

    /// From the text at rest.
    ///
    /// # Errors
    /// Another text.
    pub(crate) fn parse(text: &str) -> Result<Self, NoCredentials> {
        if text.starts_with(BARE) {
            let secrets = vec![SigningSecret { text: text.to_owned(), expires_at: None }];
            return Ok(Self { secrets, headers: Vec::new() });
        }
        let stored: Stored = serde_json::from_str(text).map_err(|_| NoCredentials)?;
        let header = |header: &StoredHeader| CustomHeader { name: header.name.clone(), value: header.value.clone() };
        Ok(Self { headers: stored.headers.iter().map(header).collect(), secrets: stored.secrets })
    }

    /// The text at rest.
    ///
    /// # Errors
    /// None in practice: texts and numbers always have a JSON form.
    pub(crate) fn text(&self) -> Result<Zeroizing<String>, NoCredentials> {
        let header = |header: &CustomHeader| StoredHeader { name: header.name.clone(), value: header.value.clone() };
        let stored = Stored { secrets: self.secrets.clone(), headers: self.headers.iter().map(header).collect() };
        serde_json::to_string(&stored).map(Zeroizing::new).map_err(|_| NoCredentials)
    }

    /// Signs with `next` from now on. Those so far go on beside it until the overlap ends, or their own time.
    ///
    /// # Errors
    /// Too many would sign.
    pub(crate) fn rotate(&mut self, next: &Secret, now: Timestamp, overlap: Duration) -> Result<(), TooManySecrets> {
        let end = now.plus(overlap);
        let mut secrets = vec![SigningSecret { text: next.reveal().to_owned(), expires_at: None }];
        for old in self.signing(now).filter(|_| !overlap.is_zero()) {
            let end = old.expires_at().map_or(end, |own| own.min(end)).as_micros();
            secrets.push(SigningSecret { text: old.text.clone(), expires_at: Some(end) });
        }
        if secrets.len() > MOST_SECRETS {
            return Err(TooManySecrets);
        }
        self.secrets = secrets;
        Ok(())
    }

    /// The secrets that sign now, the current one first.
    pub(crate) fn signing(&self, now: Timestamp) -> impl Iterator<Item = &SigningSecret> {
        self.secrets.iter().filter(move |secret| secret.signs(now))
    }

    /// When the last of the older secrets stops signing; `None`: there is none.
    pub(crate) fn previous_expires_at(&self) -> Option<Timestamp> {
        self.secrets.iter().filter_map(SigningSecret::expires_at).max()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Credentials({} secrets, {} headers)", self.secrets.len(), self.headers.len())
    }
}

#[cfg(test)]
mod tests {
    use domain::SystemIds;

    use super::*;

    const NOON: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);
    const HOUR: Duration = Duration::from_secs(3_600);

    fn texts(credentials: &Credentials, now: Timestamp) -> Vec<String> {
        credentials.signing(now).map(|secret| secret.text.clone()).collect()
    }

    #[test]
    fn what_is_stored_comes_back() {
        let secret = Secret::generate(&SystemIds);
        let header = CustomHeader { name: "authorization".into(), value: "Bearer \"x\"".into() };
        let mut credentials = Credentials::new(&secret, vec![header]);
        credentials.rotate(&Secret::generate(&SystemIds), NOON, HOUR).unwrap();
        let text = credentials.text().unwrap();
        assert_eq!(Credentials::parse(&text), Ok(credentials.clone()));
        assert_eq!(format!("{credentials:?}"), "Credentials(2 secrets, 1 headers)");
        // As it was written before there was anything but a secret.
        assert_eq!(Credentials::parse(secret.reveal()), Ok(Credentials::new(&secret, Vec::new())));
        for other in ["", "{}", "secret", "[]"] {
            assert_eq!(Credentials::parse(other), Err(NoCredentials), "{other}");
        }
    }

    #[test]
    fn older_secrets_sign_until_the_earlier_of_both_ends() {
        let [a, b, c, d] = [(); 4].map(|()| Secret::generate(&SystemIds));
        let mut credentials = Credentials::new(&a, Vec::new());
        assert_eq!(credentials.previous_expires_at(), None);
        credentials.rotate(&b, NOON, HOUR).unwrap();
        credentials.rotate(&c, NOON, 3 * HOUR).unwrap();
        assert_eq!(texts(&credentials, NOON), [c.reveal(), b.reveal(), a.reveal()]);
        assert_eq!(texts(&credentials, NOON.plus(HOUR)), [c.reveal(), b.reveal()]);
        assert_eq!(credentials.previous_expires_at(), Some(NOON.plus(3 * HOUR)));
        credentials.rotate(&d, NOON.plus(HOUR), HOUR).unwrap();
        assert_eq!(texts(&credentials, NOON.plus(HOUR)), [d.reveal(), c.reveal(), b.reveal()]);
        assert_eq!(texts(&credentials, NOON.plus(2 * HOUR)), [d.reveal()]);
        credentials.rotate(&a, NOON.plus(HOUR), Duration::ZERO).unwrap();
        assert_eq!(texts(&credentials, NOON.plus(HOUR)), [a.reveal()]);
        assert_eq!(credentials.previous_expires_at(), None);
    }

    #[test]
    fn their_number_is_bounded() {
        let mut credentials = Credentials::new(&Secret::generate(&SystemIds), Vec::new());
        let mut rotate = |now| credentials.rotate(&Secret::generate(&SystemIds), now, HOUR);
        assert!((0..9).all(|_| rotate(NOON).is_ok()));
        assert_eq!(rotate(NOON), Err(TooManySecrets));
        assert!(rotate(NOON.plus(HOUR)).is_ok());
    }
}
