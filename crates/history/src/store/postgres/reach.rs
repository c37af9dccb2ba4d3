//! How far back to look for the attempts of deliveries. Looking into every day takes long, and an attempt is not older
//! than its delivery.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    merge::StoredAttempt,
    store::{DAY, check::Attempted, replays::AGAIN},
};

/// How far the clocks of dispatchers may be apart.
const SKEW: i64 = 3600 * 1_000_000;
/// What is younger than this is looked for apart from the rest.
const RECENT: i64 = 2 * DAY;

/// From when on a delivery may have attempts that is known to have been matched then for the first time.
pub(super) const fn since_match(matched_at: i64) -> i64 {
    matched_at.saturating_sub(SKEW)
}

/// From when on a delivery may have attempts that was matched then, perhaps anew.
pub(super) const fn since_any_match(matched_at: i64) -> i64 {
    matched_at.saturating_sub(AGAIN)
}

/// Deliveries, each with the time from which on it may have attempts.
#[derive(Default)]
pub(super) struct Reach(Vec<(Uuid, i64)>);

impl Reach {
    pub(super) fn add(&mut self, delivery_id: Uuid, since: i64) {
        self.0.push((delivery_id, since));
    }

    /// The recent ones, and the others, each with the earliest time of its attempts.
    fn groups(&self) -> impl Iterator<Item = (Vec<Uuid>, i64)> {
        let newest = self.0.iter().map(|row| row.1).max().unwrap_or_default();
        let is_recent = |row: &(Uuid, i64)| row.1 > newest.saturating_sub(RECENT);
        let (recent, rest): (Vec<_>, Vec<_>) = self.0.iter().copied().partition(is_recent);
        [recent, rest].into_iter().filter_map(|group| {
            let since = group.iter().map(|row| row.1).min()?;
            Some((group.into_iter().map(|row| row.0).collect(), since))
        })
    }

    /// Their attempts.
    pub(super) async fn attempts(&self, connection: &mut PgConnection) -> Result<Vec<StoredAttempt>, sqlx::Error> {
        let mut found = Vec::new();
        for (ids, since) in self.groups() {
            let statement = "SELECT delivery_id, number, status, made, final, started_at, duration_us FROM attempts \
                 WHERE delivery_id = ANY($1) AND started_at >= $2";
            let rows = sqlx::query_as(statement).bind(ids).bind(since).fetch_all(&mut *connection);
            found.extend::<Vec<StoredAttempt>>(rows.await?);
        }
        Ok(found)
    }

    /// The same, as far as it matters for what is about to be sent.
    pub(super) async fn attempted(&self, connection: &mut PgConnection) -> Result<Vec<Attempted>, sqlx::Error> {
        let mut found = Vec::new();
        for (ids, since) in self.groups() {
            let statement = "SELECT delivery_id, number, made, final FROM attempts WHERE delivery_id = ANY($1) AND started_at >= $2";
            let rows = sqlx::query_as(statement).bind(ids).bind(since).fetch_all(&mut *connection);
            found.extend::<Vec<Attempted>>(rows.await?);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_delivery_does_not_make_others_old() {
        let mut reach = Reach::default();
        for (id, since) in [(1, 100 * DAY), (2, 99 * DAY), (3, 10 * DAY), (4, 40 * DAY)] {
            reach.add(Uuid::from_u128(id), since);
        }
        let ids = |wanted: [u128; 2]| wanted.map(Uuid::from_u128).to_vec();
        let expected = vec![(ids([1, 2]), 99 * DAY), (ids([3, 4]), 10 * DAY)];
        assert_eq!(reach.groups().collect::<Vec<_>>(), expected);
        assert_eq!(Reach::default().groups().count(), 0);
    }
}
