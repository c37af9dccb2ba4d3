//! Connections for what may be anywhere in time. Planning a statement over the days of three months takes 15 ms to 150 ms,
//! using a plan that was kept a tenth of that; but each connection makes its own, and each takes a megabyte there. So
//! these are few, are not renewed as long as they are of use, and make the plans that lists need before anybody waits.

use std::time::Duration;

use sqlx::{
    PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use uuid::Uuid;

use super::{pool, reading};
use crate::{
    model::Status,
    store::{
        DAY, LONGEST, ListQuery, Page, Position, Sight,
        list::{AttemptRow, Source, attempt_columns},
    },
};

const CONNECTIONS: u32 = 4;
/// A connection is ready only with its plans.
const PATIENCE: Duration = Duration::from_secs(20);

/// The pool. Its first connections are made at once.
pub(super) fn connect(options: PgConnectOptions) -> PgPool {
    let options = options.options([("plan_cache_mode", "force_generic_plan")]);
    let far = PgPoolOptions::new()
        .min_connections(CONNECTIONS)
        .max_connections(CONNECTIONS)
        .acquire_timeout(PATIENCE)
        .max_lifetime(None)
        .idle_timeout(None)
        .after_connect(|connection, _| Box::pin(get_ready(connection)));
    pool(far, options)
}

/// Plans what lists with any filters read beyond their first days, and whole deliveries.
async fn get_ready(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let now: i64 =
        sqlx::query_scalar("SELECT (extract(epoch FROM now()) * 1000000)::bigint").fetch_one(&mut *connection).await?;
    let sight = Sight { from: now - i64::from(LONGEST) * DAY, now };
    let oldest = Position { time: sight.from, delivery_id: Uuid::nil(), number: 0 };
    for page in [Page::Newest, Page::NewerThan(oldest)] {
        for (webhook_id, event_type) in [(None, None), (Some(0), None), (None, Some("")), (Some(0), Some(""))] {
            // Either status is asked for in the same words.
            for (is_test, status) in [
                (None, Some(Status::Failed)),
                (Some(false), Some(Status::Failed)),
                (Some(true), Some(Status::Failed)),
                (Some(true), None),
            ] {
                let query = ListQuery {
                    // There is no such instance.
                    instance: String::new(),
                    webhook_id,
                    projects: None,
                    status,
                    event_type: event_type.map(str::to_owned),
                    from: None,
                    to: None,
                    is_test,
                    sight,
                    page,
                    limit: 1,
                };
                for stretch in query.stretches().iter().filter(|stretch| stretch.is_far()) {
                    for source in query.sources().filter(|source| matches!(source, Source::Attempts(_))) {
                        let mut select = stretch.select(source, attempt_columns!());
                        select.build_query_as::<AttemptRow>().fetch_optional(&mut *connection).await?;
                    }
                }
            }
        }
    }
    reading::entries(connection, "", Uuid::nil(), sight).await.map(drop)
}
