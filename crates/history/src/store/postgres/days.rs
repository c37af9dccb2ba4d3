//! The days that attempts and bodies are divided into; see `migrations/postgres/0010_retention.sql`.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use sqlx::PgPool;

use crate::{
    model::{Record, What},
    store::DAY,
};

/// From this day on and before that one each has partitions of its own; further ones have some together.
pub(super) const OWN: std::ops::Range<i64> = 18_262..47_482;

/// The day of a time, counted from the Unix epoch.
pub(super) const fn day_of(micros: i64) -> i64 {
    micros.div_euclid(DAY)
}

/// The days that are known to have their partitions.
#[derive(Default)]
pub(super) struct Days {
    known: Mutex<BTreeSet<i64>>,
}

impl Days {
    /// Sees to it that these days have their partitions: before a transaction that writes to them, because adding one is
    /// a transaction of its own.
    pub(super) async fn ensure(&self, pool: &PgPool, days: &BTreeSet<i64>) -> Result<(), sqlx::Error> {
        for day in self.missing(days) {
            sqlx::query("SELECT add_day($1)").bind(day).execute(pool).await?;
            self.lock().insert(day);
        }
        Ok(())
    }

    fn missing(&self, days: &BTreeSet<i64>) -> Vec<i64> {
        let known = self.lock();
        days.iter().copied().filter(|day| OWN.contains(day) && !known.contains(day)).collect()
    }

    /// Whether something failed because a day was dropped that had been known; then no day is known any more, and it is
    /// worth another try.
    pub(super) fn has_failed<T>(&self, done: &Result<T, sqlx::Error>) -> bool {
        let Err(sqlx::Error::Database(error)) = done else { return false };
        let lacks_partition = error.code().as_deref() == Some("23514") && error.constraint().is_none();
        if lacks_partition {
            self.lock().clear();
        }
        lacks_partition
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<i64>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The days that records are written to.
pub(super) fn of_records(records: &[Record]) -> BTreeSet<i64> {
    let mut days = BTreeSet::new();
    for record in records {
        match &record.what {
            What::Attempt(attempt) => _ = days.insert(day_of(attempt.started_at)),
            What::Cancel { at, .. } => _ = days.insert(day_of(*at)),
            What::Hold { .. } => {}
        }
        if !record.body.is_empty() {
            days.insert(day_of(record.delivery.matched_at));
        }
    }
    days
}
