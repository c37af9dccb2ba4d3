//! Attempts that somebody asks for.

use std::collections::BTreeMap;

use bytes::Bytes;
use sqlx::PgPool;

use super::{
    begin::begin,
    bodies,
    reach::{Reach, since_any_match},
    reading,
    record::{STARTS, insert_waits, lock, update_waits},
};
use crate::{
    manual,
    merge::Wait,
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
    let since = since_any_match(delivery.matched_at);
    let mut reach = Reach::default();
    reach.add(delivery.id, since);
    if made == 0 || !reach.attempts(&mut transaction).await?.is_empty() {
        return Ok(None);
    }
    bodies::insert(&mut transaction, &manual::bodies(&delivery, &body), since).await?;
    transaction.commit().await?;
    Ok(Some(manual::taken(delivery, &wait, body)))
}

pub(super) async fn retry(pool: &PgPool, retry: &Retry) -> Result<Result<Released, NoRetry>, sqlx::Error> {
    for _ in 0..STARTS {
        let mut transaction = begin(pool, "BEGIN").await?;
        let statement = concat!(
            "SELECT ",
            delivery_columns!(),
            " FROM attempts WHERE delivery_id = $1 AND instance = $2 AND started_at >= $3 LIMIT 1"
        );
        let found: Option<Delivery> = sqlx::query_as(statement)
            .bind(retry.delivery_id)
            .bind(&retry.instance)
            .bind(since_any_match(retry.matched_at))
            .fetch_optional(&mut *transaction)
            .await?;
        let Some(mut delivery) = found else { return Ok(Err(NoRetry::Pending)) };
        let Some(waits) = lock(&mut transaction, &BTreeMap::from([(delivery.id, &delivery)])).await? else {
            transaction.rollback().await?;
            continue;
        };
        let mut reach = Reach::default();
        reach.add(delivery.id, since_any_match(delivery.matched_at));
        let attempts = reach.attempts(&mut transaction).await?;
        let waiting = waits.values().any(|locked| locked.stored.wait.number > 0);
        let number = match manual::next(&attempts, waiting, retry.called_at) {
            Ok(number) => number,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let (event, matched_at) = (delivery.event(), delivery.matched_at);
        let body = reading::body(&mut transaction, &event, &delivery.format, matched_at).await?;
        let Some(body) = body else { return Ok(Err(NoRetry::Bodiless)) };
        let trace = reading::body(&mut transaction, &event, TRACE, matched_at).await?;
        delivery.trace = trace.unwrap_or_default().into();
        let wait = Wait::manual(number, retry.called_at, retry.leased_until);
        update_waits(&mut transaction, &[(&delivery, wait)]).await?;
        transaction.commit().await?;
        return Ok(Ok(manual::taken(delivery, &wait, body.into())));
    }
    Err(sqlx::Error::Protocol("others kept changing the same delivery".into()))
}
