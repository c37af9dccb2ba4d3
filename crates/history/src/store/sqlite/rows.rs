//! Statements over many rows. Their text is cached by what it is, so rows go in groups of a few sizes only.

use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection, query_builder::Separated, sqlite::SqliteRow};
use uuid::Uuid;

/// Sizes of groups. The largest stays below the limit of 32,766 parameters with 25 columns, and beyond it a row gets
/// no cheaper.
const SIZES: [usize; 4] = [100, 20, 5, 1];

/// Divides rows into groups.
fn groups<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = SIZES.into_iter().find(|size| *size <= rows.len())?;
        let (group, rest) = rows.split_at(size);
        rows = rest;
        Some(group)
    })
}

/// Runs `before VALUES (…), (…) after` for all rows. For conditions on several columns the values are to be joined
/// (`FROM (VALUES …) CROSS JOIN`): for `(…, …) IN (VALUES …)` SQLite reads the whole table.
pub(super) async fn write<T>(
    connection: &mut SqliteConnection,
    (before, after): (&str, &str),
    rows: &[T],
    mut push: impl FnMut(&mut Separated<'_, Sqlite, &'static str>, &T) + Send,
) -> Result<(), sqlx::Error>
where
    T: Sync,
{
    for group in groups(rows) {
        let mut query = QueryBuilder::<Sqlite>::new(before);
        query.push(" ");
        query.push_values(group, |mut row, value| push(&mut row, value));
        query.push(" ").push(after);
        query.build().execute(&mut *connection).await?;
    }
    Ok(())
}

/// Reads all rows of `before VALUES (…), (…) after`; see [`write`] for conditions on several columns.
pub(super) async fn read<T, R>(
    connection: &mut SqliteConnection,
    (before, after): (&str, &str),
    rows: &[T],
    mut push: impl FnMut(&mut Separated<'_, Sqlite, &'static str>, &T) + Send,
) -> Result<Vec<R>, sqlx::Error>
where
    T: Sync,
    R: for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
{
    let mut found = Vec::new();
    for group in groups(rows) {
        let mut query = QueryBuilder::<Sqlite>::new(before);
        query.push(" ");
        query.push_values(group, |mut row, value| push(&mut row, value));
        query.push(" ").push(after);
        found.extend(query.build_query_as().fetch_all(&mut *connection).await?);
    }
    Ok(found)
}

/// Reads all rows of `select (…)` with these ids in the parentheses.
pub(super) async fn by_ids<T>(
    connection: &mut SqliteConnection,
    select: &str,
    ids: &[Uuid],
) -> Result<Vec<T>, sqlx::Error>
where
    T: for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
{
    let mut found = Vec::new();
    for group in groups(ids) {
        let mut query = QueryBuilder::<Sqlite>::new(select);
        query.push_ids(group);
        found.extend(query.build_query_as().fetch_all(&mut *connection).await?);
    }
    Ok(found)
}

/// Runs `statement (…)` with these ids in the parentheses.
pub(super) async fn change_by_ids(
    connection: &mut SqliteConnection,
    statement: &str,
    ids: &[Uuid],
) -> Result<(), sqlx::Error> {
    for group in groups(ids) {
        let mut query = QueryBuilder::<Sqlite>::new(statement);
        query.push_ids(group);
        query.build().execute(&mut *connection).await?;
    }
    Ok(())
}

trait PushIds {
    fn push_ids(&mut self, ids: &[Uuid]);
}

impl PushIds for QueryBuilder<Sqlite> {
    fn push_ids(&mut self, ids: &[Uuid]) {
        self.push("(");
        let mut list = self.separated(", ");
        for id in ids {
            list.push_bind(*id);
        }
        self.push(")");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_hold_every_row_once_and_have_few_sizes() {
        for count in [0, 1, 4, 5, 37, 100, 299] {
            let rows: Vec<usize> = (0..count).collect();
            assert!(groups(&rows).all(|group| SIZES.contains(&group.len())));
            assert_eq!(groups(&rows).flatten().copied().collect::<Vec<_>>(), rows);
        }
    }
}
