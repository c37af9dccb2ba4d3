//! Attempts that somebody asks for.

use std::collections::BTreeMap;

use bytes::Bytes;
use sqlx::{PgPool, PgTransaction};

use super::{
    begin::begin,
    record::{STARTS, insert_bodies, insert_waits, lock, update_waits},
};
use crate::{
    manual,
    merge::{StoredAttempt, Wait},
    model::{Delivery, NoRetry, Retry},
    opening::TRACE,
    store::{Released, list::delivery_columns},
};

pub(super) async fn queue_test(
    pool: &PgPool,
    delivery: Delivery,
    body: Bytes,
    now: i64,
    leased_until: i64,
) -> Result<Option<Released>, sqlx::Error> {
    let wait = Wait::manual(1, now, leased_until);
    let mut transaction = begin(pool, "BEGIN").await?;
    // Attempts are looked for after the row is there: whoever records one at the same time has been waited for.
    let made = insert_waits(&mut transaction, &[(&delivery, wait)]).await?;
    let attempted: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM attempts WHERE delivery_id = $1)")
        .bind(delivery.id)
        .fetch_one(&mut *transaction)
        .await?;
    if made == 0 || attempted {
        return Ok(None);
    }
    insert_bodies(&mut transaction, &manual::bodies(&delivery, &body)).await?;
    transaction.commit().await?;
    Ok(Some(manual::taken(delivery, &wait, body)))
}

pub(super) async fn retry(pool: &PgPool, retry: &Retry) -> Result<Result<Released, NoRetry>, sqlx::Error> {
    for _ in 0..STARTS {
        let mut transaction = begin(pool, "BEGIN").await?;
        let found: Option<Delivery> = sqlx::query_as(concat!(
            "SELECT ",
            delivery_columns!(),
            " FROM attempts WHERE delivery_id = $1 AND instance = $2 LIMIT 1"
        ))
        .bind(retry.delivery_id)
        .bind(&retry.instance)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(mut delivery) = found else { return Ok(Err(NoRetry::Pending)) };
        let Some(waits) = lock(&mut transaction, &BTreeMap::from([(delivery.id, &delivery)])).await? else {
            transaction.rollback().await?;
            continue;
        };
        let attempts: Vec<StoredAttempt> = sqlx::query_as(
            "SELECT delivery_id, number, status, made, final, started_at, duration_us FROM attempts \
             WHERE delivery_id = $1",
        )
        .bind(delivery.id)
        .fetch_all(&mut *transaction)
        .await?;
        let waiting = waits.iter().any(|stored| stored.wait.number > 0);
        let number = match manual::next(&attempts, waiting, retry.called_at) {
            Ok(number) => number,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let Some(body) = read_body(&mut transaction, &delivery, &delivery.format).await? else {
            return Ok(Err(NoRetry::Bodiless));
        };
        delivery.trace = read_body(&mut transaction, &delivery, TRACE).await?.unwrap_or_default().into();
        let wait = Wait::manual(number, retry.called_at, retry.leased_until);
        update_waits(&mut transaction, &[(&delivery, wait)]).await?;
        transaction.commit().await?;
        return Ok(Ok(manual::taken(delivery, &wait, body.into())));
    }
    Err(sqlx::Error::Protocol("others kept changing the same delivery".into()))
}

async fn read_body(
    transaction: &mut PgTransaction<'_>,
    delivery: &Delivery,
    format: &str,
) -> Result<Option<Vec<u8>>, sqlx::Error> {
    sqlx::query_scalar("SELECT content FROM bodies WHERE instance = $1 AND event_id = $2 AND format = $3")
        .bind(&delivery.instance)
        .bind(delivery.event_id)
        .bind(format)
        .fetch_optional(&mut **transaction)
        .await
}
