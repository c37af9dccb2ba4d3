//! Writing records: read what is known of the deliveries, merge, write the difference. Nobody else writes meanwhile.

use std::collections::{BTreeSet, HashSet};

use sqlx::SqliteConnection;
use uuid::Uuid;

use super::{
    counts, packing, retention,
    rows::{by_ids, change_by_ids, read, write},
};
use crate::{
    merge::{self, LastingBody, NewAttempt, NewBody, Plan, StoredAttempt, StoredWait, Wait},
    model::{Delivery, EventKey, Record},
    opening::GENERIC,
};

pub(super) async fn record(connection: &mut SqliteConnection, records: &[Record]) -> Result<(), sqlx::Error> {
    let ids: BTreeSet<Uuid> = records.iter().map(|record| record.delivery.id).collect();
    let ids: Vec<Uuid> = ids.into_iter().collect();
    let waits: Vec<StoredWait> = by_ids(
        connection,
        "SELECT delivery_id, number, state, due_at, config_version, hold_reason, generation, leased_until, not_before, \
         since, manual FROM pending WHERE delivery_id IN ",
        &ids,
    )
    .await?;
    let attempts: Vec<StoredAttempt> = by_ids(
        connection,
        "SELECT delivery_id, number, status, made, final, started_at, duration_us FROM attempts \
         WHERE delivery_id IN ",
        &ids,
    )
    .await?;
    let instances: BTreeSet<&str> = records.iter().map(|record| record.delivery.instance.as_str()).collect();
    let instances: Vec<&str> = instances.into_iter().collect();
    let marks = retention::marks(connection, &instances).await?;
    let plan = merge::plan(records, &attempts, &waits, &marks);
    write_plan(connection, &plan).await?;
    counts::add(connection, plan.counts).await
}

async fn write_plan(connection: &mut SqliteConnection, plan: &Plan<'_>) -> Result<(), sqlx::Error> {
    insert_waits(connection, "OR REPLACE", &plan.waits).await?;
    change_by_ids(connection, "DELETE FROM pending WHERE delivery_id IN ", &plan.waits_over).await?;
    for (rows, before) in [
        (&plan.replaced, "DELETE FROM attempts WHERE rowid IN (SELECT a.rowid FROM ("),
        (&plan.ended, "UPDATE attempts SET final = 1 WHERE rowid IN (SELECT a.rowid FROM ("),
    ] {
        let after = ") AS u CROSS JOIN attempts AS a ON a.delivery_id = u.column1 AND a.number = u.column2)";
        write(connection, (before, after), rows, |row, (id, number, _)| {
            row.push_bind(*id).push_bind(*number);
        })
        .await?;
    }
    insert_attempts(connection, &plan.attempts).await?;
    insert_bodies(connection, &plan.bodies).await?;
    keep_bodies(connection, &plan.lasting).await
}

/// `conflict`: what happens where a delivery waits already, `OR REPLACE` or `OR IGNORE`; empty: it fails.
pub(super) async fn insert_waits(
    connection: &mut SqliteConnection,
    conflict: &'static str,
    rows: &[(&Delivery, Wait)],
) -> Result<(), sqlx::Error> {
    let before = format!(
        "INSERT {conflict} INTO pending (delivery_id, instance, webhook_id, event_id, event_type, project_id, \
         matched_at, format, is_test, number, state, due_at, config_version, generation, leased_until, \
         not_before, since, hold_reason, manual)"
    );
    write(connection, (&before, ""), rows, |row, (delivery, wait)| {
        row.push_bind(delivery.id)
            .push_bind(delivery.instance.clone())
            .push_bind(delivery.webhook_id)
            .push_bind(delivery.event_id)
            .push_bind(delivery.event_type.clone())
            .push_bind(delivery.project_id)
            .push_bind(delivery.matched_at)
            .push_bind(delivery.format.clone())
            .push_bind(delivery.is_test)
            .push_bind(wait.number)
            .push_bind(wait.state)
            .push_bind(wait.due_at)
            .push_bind(wait.config_version)
            .push_bind(wait.generation)
            .push_bind(wait.leased_until)
            .push_bind(wait.not_before)
            .push_bind(wait.since)
            .push_bind(wait.hold_reason)
            .push_bind(wait.manual);
    })
    .await
}

async fn insert_attempts(connection: &mut SqliteConnection, rows: &[NewAttempt<'_>]) -> Result<(), sqlx::Error> {
    let before = "INSERT INTO attempts (delivery_id, number, instance, webhook_id, event_id, event_type, project_id, \
         matched_at, format, is_test, status, made, final, started_at, duration_us, response_code, error_class, \
         error, url, remote_address, response_truncated, request_headers, response_headers, response_body, \
         response_packing)";
    write(connection, (before, ""), rows, |row, attempt| {
        let NewAttempt { delivery, content, .. } = attempt;
        let (response_packing, response_body) = packing::pack(&content.response_body);
        row.push_bind(delivery.id)
            .push_bind(attempt.number)
            .push_bind(delivery.instance.clone())
            .push_bind(delivery.webhook_id)
            .push_bind(delivery.event_id)
            .push_bind(delivery.event_type.clone())
            .push_bind(delivery.project_id)
            .push_bind(delivery.matched_at)
            .push_bind(delivery.format.clone())
            .push_bind(delivery.is_test)
            .push_bind(attempt.status())
            .push_bind(attempt.made)
            .push_bind(attempt.is_final)
            .push_bind(attempt.started_at)
            .push_bind(content.duration_us)
            .push_bind(content.response_code)
            .push_bind(content.error_class.clone())
            .push_bind(content.error.clone())
            .push_bind(content.url.clone())
            .push_bind(content.remote_address.clone())
            .push_bind(content.response_truncated)
            .push_bind(content.request_headers.clone())
            .push_bind(content.response_headers.clone())
            .push_bind(response_body)
            .push_bind(response_packing);
    })
    .await
}

/// Writes bodies, unless there are such; answers the events whose generic one was written.
pub(super) async fn insert_bodies(
    connection: &mut SqliteConnection,
    rows: &[NewBody<'_>],
) -> Result<HashSet<EventKey>, sqlx::Error> {
    let before = "INSERT OR IGNORE INTO bodies (instance, event_id, format, at, packing, content)";
    let after = "RETURNING instance, event_id, format";
    let written: Vec<(String, Uuid, String)> = read(connection, (before, after), rows, |row, body| {
        let (packing, content) = packing::pack(body.content);
        row.push_bind(body.event.instance.clone())
            .push_bind(body.event.event_id)
            .push_bind(body.format.to_owned())
            .push_bind(body.at)
            .push_bind(packing)
            .push_bind(content);
    })
    .await?;
    let generic = written.into_iter().filter(|row| row.2 == GENERIC);
    Ok(generic.map(|(instance, event_id, _)| EventKey { instance, event_id }).collect())
}

/// Keeps bodies for as long as the attempts that need them are seen.
async fn keep_bodies(connection: &mut SqliteConnection, lasting: &[LastingBody<'_>]) -> Result<(), sqlx::Error> {
    let before = "UPDATE bodies SET at = max(at, u.column4) FROM (";
    let after =
        ") AS u WHERE bodies.instance = u.column1 AND bodies.event_id = u.column2 AND bodies.format = u.column3";
    write(connection, (before, after), lasting, |row, body| {
        row.push_bind(body.event.instance.clone())
            .push_bind(body.event.event_id)
            .push_bind(body.format.to_owned())
            .push_bind(body.at);
    })
    .await
}
