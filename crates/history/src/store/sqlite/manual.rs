//! Attempts that somebody asks for. Nobody else writes meanwhile.

use bytes::Bytes;
use sqlx::SqliteConnection;

use super::{
    reading::read_body,
    record::{insert_bodies, insert_waits},
    rows::by_ids,
};
use crate::{
    manual,
    merge::{StoredAttempt, Wait},
    model::{Delivery, NoRetry, Retry},
    opening::TRACE,
    store::{Released, list::delivery_columns},
};

/// A test payload to be written.
#[derive(Clone)]
pub(super) struct Test {
    pub(super) delivery: Delivery,
    pub(super) body: Bytes,
    pub(super) now: i64,
    pub(super) leased_until: i64,
}

pub(super) async fn queue_test(
    connection: &mut SqliteConnection,
    test: &Test,
) -> Result<Option<Released>, sqlx::Error> {
    let Test { delivery, body, .. } = test;
    let known: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM pending WHERE delivery_id = ?1) \
         OR EXISTS (SELECT 1 FROM attempts WHERE delivery_id = ?1)",
    )
    .bind(delivery.id)
    .fetch_one(&mut *connection)
    .await?;
    if known {
        return Ok(None);
    }
    let wait = Wait::manual(1, test.now, test.leased_until);
    insert_waits(connection, "", &[(delivery, wait)]).await?;
    insert_bodies(connection, &manual::bodies(delivery, body)).await?;
    Ok(Some(manual::taken(delivery.clone(), &wait, body.clone())))
}

pub(super) async fn retry(
    connection: &mut SqliteConnection,
    retry: &Retry,
) -> Result<Result<Released, NoRetry>, sqlx::Error> {
    let found: Option<Delivery> = sqlx::query_as(concat!(
        "SELECT ",
        delivery_columns!(),
        " FROM attempts WHERE delivery_id = ? AND instance = ? LIMIT 1"
    ))
    .bind(retry.delivery_id)
    .bind(&retry.instance)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(mut delivery) = found else { return Ok(Err(NoRetry::Pending)) };
    let waiting: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pending WHERE delivery_id = ?)")
        .bind(delivery.id)
        .fetch_one(&mut *connection)
        .await?;
    let attempts: Vec<StoredAttempt> = by_ids(
        connection,
        "SELECT delivery_id, number, status, made, final, started_at, duration_us FROM attempts \
         WHERE delivery_id IN ",
        &[delivery.id],
    )
    .await?;
    let number = match manual::next(&attempts, waiting, retry.called_at) {
        Ok(number) => number,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let Some(body) = read_body(connection, &delivery.event(), &delivery.format).await? else {
        return Ok(Err(NoRetry::Bodiless));
    };
    delivery.trace = read_body(connection, &delivery.event(), TRACE).await?.unwrap_or_default();
    let wait = Wait::manual(number, retry.called_at, retry.leased_until);
    insert_waits(connection, "", &[(&delivery, wait)]).await?;
    Ok(Ok(manual::taken(delivery, &wait, body)))
}
