//! Writing records: lock the deliveries, read what is known of them, merge, write the difference.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sqlx::{FromRow, PgPool, PgTransaction};
use uuid::Uuid;

use super::{
    begin::begin,
    bodies,
    counts::{self, Shards},
    reach::{Reach, since_any_match, since_match},
};
use crate::{
    merge::{self, NewAttempt, Plan, StoredWait, Wait},
    model::{Delivery, Record},
    store::{MarkRow, Marks},
};

/// How often to start over when somebody else's row got in between. Each time somebody else has got on.
pub(super) const STARTS: u32 = 20;

pub(super) async fn record(pool: &PgPool, shards: &Shards, records: &[Record]) -> Result<(), sqlx::Error> {
    if records.is_empty() {
        return Ok(());
    }
    let mut deliveries: BTreeMap<Uuid, &Delivery> = BTreeMap::new();
    for record in records {
        deliveries.entry(record.delivery.id).or_insert(&record.delivery);
    }
    for _ in 0..STARTS {
        let mut transaction = begin(pool, "BEGIN").await?;
        let Some(waits) = lock(&mut transaction, &deliveries).await? else {
            transaction.rollback().await?;
            continue;
        };
        let mut reach = Reach::default();
        for (delivery, waits) in deliveries.values().filter_map(|delivery| Some((delivery, waits.get(&delivery.id)?))) {
            // Of what waits it is known when it was matched first.
            let since = if waits.is_new {
                since_any_match(delivery.matched_at)
            } else {
                since_match(delivery.matched_at.min(waits.matched_at))
            };
            reach.add(delivery.id, since);
        }
        let attempts = reach.attempts(&mut transaction).await?;
        let marks = marks(&mut transaction, &deliveries).await?;
        let waits: Vec<StoredWait> = waits.into_values().map(|locked| locked.stored).collect();
        let plan = merge::plan(records, &attempts, &waits, &marks);
        write(&mut transaction, &plan).await?;
        let shard = shards.take();
        counts::add(&mut transaction, &shard, plan.counts).await?;
        return transaction.commit().await;
    }
    Err(sqlx::Error::Protocol("others kept changing the same deliveries".into()))
}

/// What is hidden of the instances of these deliveries.
async fn marks(
    transaction: &mut PgTransaction<'_>,
    deliveries: &BTreeMap<Uuid, &Delivery>,
) -> Result<Marks, sqlx::Error> {
    let instances: BTreeSet<&str> = deliveries.values().map(|delivery| delivery.instance.as_str()).collect();
    let rows: Vec<MarkRow> =
        sqlx::query_as("SELECT instance, hidden_before, cleared_at FROM settings WHERE instance = ANY($1)")
            .bind(instances.into_iter().collect::<Vec<_>>())
            .fetch_all(&mut **transaction)
            .await?;
    Ok(rows.into_iter().collect())
}

/// A delivery's row, locked.
#[derive(Debug, FromRow)]
pub(super) struct Locked {
    #[sqlx(flatten)]
    pub(super) stored: StoredWait,
    /// When the delivery was matched, as its row has it.
    pub(super) matched_at: i64,
    /// Whether the row was made to be locked.
    #[sqlx(skip)]
    pub(super) is_new: bool,
}

/// Locks the deliveries' rows, made for the purpose where there are none. `None`: somebody made one meanwhile, so that
/// not all are locked; waiting for it here could be waiting for each other.
pub(super) async fn lock(
    transaction: &mut PgTransaction<'_>,
    deliveries: &BTreeMap<Uuid, &Delivery>,
) -> Result<Option<HashMap<Uuid, Locked>>, sqlx::Error> {
    let ids: Vec<Uuid> = deliveries.keys().copied().collect();
    let found: Vec<Locked> = sqlx::query_as(
        "SELECT delivery_id, number, state, due_at, config_version, hold_reason, generation, leased_until, not_before, \
         since, manual, matched_at FROM pending WHERE delivery_id = ANY($1) ORDER BY delivery_id FOR UPDATE",
    )
    .bind(ids)
    .fetch_all(&mut **transaction)
    .await?;
    let mut locked: HashMap<Uuid, Locked> = found.into_iter().map(|row| (row.stored.delivery_id, row)).collect();
    let missing: Vec<&Delivery> =
        deliveries.values().copied().filter(|delivery| !locked.contains_key(&delivery.id)).collect();
    if missing.is_empty() {
        return Ok(Some(locked));
    }
    let rows: Vec<(&Delivery, Wait)> = missing.iter().map(|delivery| (*delivery, Wait::nothing())).collect();
    if insert_waits(transaction, &rows).await? < rows.len() as u64 {
        return Ok(None);
    }
    locked.extend(missing.into_iter().map(|delivery| {
        let stored = StoredWait { delivery_id: delivery.id, wait: Wait::nothing() };
        (delivery.id, Locked { stored, matched_at: delivery.matched_at, is_new: true })
    }));
    Ok(Some(locked))
}

async fn write(transaction: &mut PgTransaction<'_>, plan: &Plan<'_>) -> Result<(), sqlx::Error> {
    update_waits(transaction, &plan.waits).await?;
    if !plan.waits_over.is_empty() {
        sqlx::query("DELETE FROM pending WHERE delivery_id = ANY($1)")
            .bind(&plan.waits_over)
            .execute(&mut **transaction)
            .await?;
    }
    for (rows, statement) in [
        (
            &plan.replaced,
            "DELETE FROM attempts a USING UNNEST($1::uuid[], $2::int[], $3::bigint[]) AS r (delivery_id, number, at) \
             WHERE a.delivery_id = r.delivery_id AND a.number = r.number AND a.started_at = r.at \
             AND a.started_at >= $4 AND a.started_at <= $5",
        ),
        (
            &plan.ended,
            "UPDATE attempts a SET final = TRUE \
             FROM UNNEST($1::uuid[], $2::int[], $3::bigint[]) AS r (delivery_id, number, at) \
             WHERE a.delivery_id = r.delivery_id AND a.number = r.number AND a.started_at = r.at \
             AND a.started_at >= $4 AND a.started_at <= $5",
        ),
    ] {
        let (ids, numbers): (Vec<Uuid>, Vec<i32>) = rows.iter().map(|row| (row.0, row.1)).unzip();
        let times: Vec<i64> = rows.iter().map(|row| row.2).collect();
        if let (Some(first), Some(last)) = (times.iter().min().copied(), times.iter().max().copied()) {
            let change = sqlx::query(statement).bind(ids).bind(numbers).bind(times).bind(first).bind(last);
            change.execute(&mut **transaction).await?;
        }
    }
    insert_attempts(transaction, &plan.attempts).await?;
    let first = plan.bodies.iter().map(|body| since_any_match(body.at)).min().unwrap_or_default();
    bodies::insert(transaction, &plan.bodies, first).await?;
    bodies::keep(transaction, &plan.lasting).await
}

/// Writes waits of deliveries that have none; answers how many had none.
pub(super) async fn insert_waits(
    transaction: &mut PgTransaction<'_>,
    rows: &[(&Delivery, Wait)],
) -> Result<u64, sqlx::Error> {
    let of = |get: fn(&Wait) -> i64| rows.iter().map(|row| get(&row.1)).collect::<Vec<_>>();
    let statement = "INSERT INTO pending (delivery_id, instance, webhook_id, event_id, event_type, project_id, \
         matched_at, format, is_test, number, state, generation, due_at, config_version, leased_until, not_before, \
         since, hold_reason, manual) SELECT * FROM UNNEST($1::uuid[], $2::text[], $3::bigint[], $4::uuid[], $5::text[], \
         $6::bigint[], $7::bigint[], $8::text[], $9::boolean[], $10::int[], $11::smallint[], $12::int[], $13::bigint[], \
         $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[], $18::smallint[], $19::boolean[]) \
         ON CONFLICT (delivery_id) DO NOTHING";
    let done = sqlx::query(statement)
        .bind(rows.iter().map(|row| row.0.id).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.0.instance.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.0.webhook_id).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.0.event_id).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.0.event_type.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.0.project_id).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.0.matched_at).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.0.format.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.0.is_test).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.1.number).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.1.state).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.1.generation).collect::<Vec<_>>())
        .bind(of(|wait| wait.due_at))
        .bind(of(|wait| wait.config_version))
        .bind(of(|wait| wait.leased_until))
        .bind(of(|wait| wait.not_before))
        .bind(of(|wait| wait.since))
        .bind(rows.iter().map(|row| row.1.hold_reason).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.1.manual).collect::<Vec<_>>())
        .execute(&mut **transaction)
        .await?;
    Ok(done.rows_affected())
}

/// Changes waits whose rows are locked, so that they stay where they are. Each is looked up by itself: as a join it could
/// be taken for one with a small table, which is read whole then.
pub(super) async fn update_waits(
    transaction: &mut PgTransaction<'_>,
    rows: &[(&Delivery, Wait)],
) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let of = |get: fn(&Wait) -> i64| rows.iter().map(|row| get(&row.1)).collect::<Vec<_>>();
    let statement = "UPDATE pending p SET number = r.number, state = r.state, generation = r.generation, \
         due_at = r.due_at, config_version = r.config_version, leased_until = r.leased_until, \
         not_before = r.not_before, since = r.since, hold_reason = r.hold_reason, manual = r.manual \
         FROM UNNEST($1::uuid[], $2::int[], $3::smallint[], $4::int[], $5::bigint[], $6::bigint[], $7::bigint[], \
         $8::bigint[], $9::bigint[], $10::smallint[], $11::boolean[]) AS r (delivery_id, number, state, generation, due_at, \
         config_version, leased_until, not_before, since, hold_reason, manual) CROSS JOIN LATERAL (\
         SELECT ctid FROM pending WHERE delivery_id = r.delivery_id OFFSET 0) AS c WHERE p.ctid = c.ctid";
    sqlx::query(statement)
        .bind(rows.iter().map(|row| row.0.id).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.1.number).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.1.state).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.1.generation).collect::<Vec<_>>())
        .bind(of(|wait| wait.due_at))
        .bind(of(|wait| wait.config_version))
        .bind(of(|wait| wait.leased_until))
        .bind(of(|wait| wait.not_before))
        .bind(of(|wait| wait.since))
        .bind(rows.iter().map(|row| row.1.hold_reason).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.1.manual).collect::<Vec<_>>())
        .execute(&mut **transaction)
        .await
        .map(drop)
}

async fn insert_attempts(transaction: &mut PgTransaction<'_>, rows: &[NewAttempt<'_>]) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let texts = |get: for<'r> fn(&'r NewAttempt<'r>) -> &'r str| rows.iter().map(|row| get(row)).collect::<Vec<_>>();
    let statement = "INSERT INTO attempts (delivery_id, number, instance, webhook_id, event_id, event_type, \
         project_id, matched_at, format, is_test, status, made, final, started_at, duration_us, response_code, \
         error_class, error, url, remote_address, response_truncated, request_headers, response_headers, \
         response_body) \
         SELECT * FROM UNNEST($1::uuid[], $2::int[], $3::text[], $4::bigint[], $5::uuid[], $6::text[], $7::bigint[], \
         $8::bigint[], $9::text[], $10::boolean[], $11::smallint[], $12::boolean[], $13::boolean[], $14::bigint[], \
         $15::bigint[], $16::int[], $17::text[], $18::text[], $19::text[], $20::text[], $21::boolean[], $22::bytea[], \
         $23::bytea[], $24::bytea[])";
    sqlx::query(statement)
        .bind(rows.iter().map(|row| row.delivery.id).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.number).collect::<Vec<_>>())
        .bind(texts(|row| &row.delivery.instance))
        .bind(rows.iter().map(|row| row.delivery.webhook_id).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.delivery.event_id).collect::<Vec<_>>())
        .bind(texts(|row| &row.delivery.event_type))
        .bind(rows.iter().map(|row| row.delivery.project_id).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.delivery.matched_at).collect::<Vec<_>>())
        .bind(texts(|row| &row.delivery.format))
        .bind(rows.iter().map(|row| row.delivery.is_test).collect::<Vec<_>>())
        .bind(rows.iter().map(NewAttempt::status).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.made).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.is_final).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.started_at).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.content.duration_us).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.content.response_code).collect::<Vec<_>>())
        .bind(texts(|row| &row.content.error_class))
        .bind(texts(|row| &row.content.error))
        .bind(texts(|row| &row.content.url))
        .bind(texts(|row| &row.content.remote_address))
        .bind(rows.iter().map(|row| row.content.response_truncated).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.content.request_headers.as_slice()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.content.response_headers.as_slice()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.content.response_body.as_ref()).collect::<Vec<_>>())
        .execute(&mut **transaction)
        .await
        .map(drop)
}
