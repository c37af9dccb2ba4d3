//! What goes wrong with a store, in words that name the database and the setting, and no credentials.

use std::{fmt, sync::Arc, time::Duration};

use database::SchemaError;

/// Why the store cannot do its work.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It could not be opened.
    #[error("cannot open history database {address}: {reason}; check {setting}")]
    Open {
        /// Address or file, without credentials.
        address: String,
        /// What failed.
        reason: String,
        /// The setting that names the database.
        setting: &'static str,
    },
    /// Its schema is not one that this program can work with.
    #[error("history database {address}: {problem}")]
    Schema {
        /// Address or file, without credentials.
        address: String,
        /// What is wrong, and the fix.
        problem: String,
    },
    /// It does not answer, or not as it should; trying again may help.
    #[error("history database {address} fails: {reason}; check {setting}")]
    Failed {
        /// Address or file, without credentials.
        address: String,
        /// What failed.
        reason: String,
        /// The setting that names the database.
        setting: &'static str,
    },
    /// It did not answer in time; whether it has done what it was asked to is not known.
    #[error("history database does not answer within {seconds} s; check its host and the network")]
    Silent {
        /// How long was waited.
        seconds: u64,
    },
    /// It will never take this.
    #[error("history database {address} refuses a record: {reason}")]
    Refused {
        /// Address or file, without credentials.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Names a database in errors.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    shown: Arc<str>,
    setting: &'static str,
}

impl Address {
    pub(crate) fn new(shown: impl fmt::Display, setting: &'static str) -> Self {
        Self { shown: shown.to_string().into(), setting }
    }

    pub(crate) fn cannot_open(&self, reason: impl fmt::Display) -> StoreError {
        StoreError::Open { address: self.shown.to_string(), reason: one_line(&reason), setting: self.setting }
    }

    /// Its schema cannot be worked with.
    pub(crate) fn unfit(&self, error: SchemaError) -> StoreError {
        match error {
            SchemaError::Old { .. } | SchemaError::New { .. } => {
                StoreError::Schema { address: self.shown.to_string(), problem: one_line(&error) }
            }
            SchemaError::Read(_) | SchemaError::Migration(_) => self.cannot_open(error),
        }
    }

    pub(crate) fn failed(&self, error: &sqlx::Error) -> StoreError {
        let address = self.shown.to_string();
        let reason = one_line(error);
        if is_refusal(error) {
            StoreError::Refused { address, reason }
        } else {
            StoreError::Failed { address, reason, setting: self.setting }
        }
    }

    /// It did not answer in time.
    pub(crate) fn silent(&self, waited: Duration) -> StoreError {
        let reason = format!("no answer within {} s", waited.as_secs());
        StoreError::Failed { address: self.shown.to_string(), reason, setting: self.setting }
    }

    /// The task that owns the database has gone.
    #[cfg(feature = "sqlite")]
    pub(crate) fn gone(&self) -> StoreError {
        StoreError::Failed {
            address: self.shown.to_string(),
            reason: "it has been closed".into(),
            setting: self.setting,
        }
    }
}

fn one_line(text: &impl fmt::Display) -> String {
    text.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether the data is at fault, not the database: PostgreSQL's classes 22 (data exception) and 23 (integrity), and
/// SQLite's CONSTRAINT, MISMATCH and TOOBIG.
fn is_refusal(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Encode(_) => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| match code.parse::<u32>() {
            Ok(number) if code.len() < 5 => matches!(number & 0xff, 18..=20),
            _ => code.starts_with("22") || code.starts_with("23"),
        }),
        _ => false,
    }
}
