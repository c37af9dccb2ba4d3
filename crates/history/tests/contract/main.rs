//! What every store must do, held by one list of tests that runs against PostgreSQL and SQLite.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use sqlx::Connection as _;

mod bodies;
mod counts;
mod endpoints;
mod export;
mod known;
mod manual;
mod open;
mod opening;
mod read;
mod record;
mod release;
mod replays;
mod retention;
mod timed;
mod traces;

/// Runs each test against each store.
macro_rules! contract {
    ($($module:ident::$test:ident),* $(,)?) => {
        mod on_postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let database = blackbox::servers::database().await;
                    let store = history::store::open_postgres(&database.url, true).await.unwrap();
                    crate::$module::$test(store).await;
                    database.remove().await;
                }
            )*
        }
        #[cfg(feature = "sqlite")]
        mod on_sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let folder = tempfile::tempdir().unwrap();
                    let store = history::store::open_sqlite(&folder.path().join("history.db"), true).await.unwrap();
                    crate::$module::$test(store).await;
                }
            )*
        }
    };
}

contract! {
    open::a_new_event_is_pending_for_each_of_its_webhooks,
    open::an_id_published_again_is_a_duplicate_and_changes_nothing,
    open::one_id_twice_in_a_batch_is_opened_once,
    open::of_publishes_opened_at_once_one_wins,
    open::a_redelivered_event_sends_what_is_not_recorded,
    open::a_redelivered_event_is_sent_in_the_format_that_it_was_opened_with,
    open::a_redelivered_event_that_was_never_opened_is_new,
    open::a_redelivered_event_that_was_sent_in_part_without_history_sends_the_rest,
    open::an_event_without_deliveries_claims_its_id,
    open::an_event_opened_after_its_attempt_was_recorded_does_not_wait,
    open::instances_do_not_share_ids_or_bodies,
    open::claims_are_forgotten_when_they_are_old,
    record::a_failed_attempt_waits_for_the_next_and_a_delivered_one_ends,
    bodies::the_generic_body_of_an_event_is_kept_whatever_is_delivered,
    bodies::bodies_in_other_formats_are_kept_for_deliveries_only,
    bodies::the_first_content_of_an_event_wins,
    bodies::a_body_is_its_instances_own,
    bodies::what_was_recorded_before_it_was_opened_gets_its_bodies,
    record::a_record_brings_what_was_never_opened,
    record::the_better_account_of_an_attempt_stands,
    record::records_in_any_order_give_the_same_rows,
    record::many_writers_on_the_same_deliveries_leave_none_waiting,
    record::large_batches_and_odd_texts_are_stored,
    record::what_is_recorded_waited_for_otherwise_or_older_is_not_sent,
    record::it_is_known_whether_the_attempt_before_was_recorded,
    release::held_deliveries_are_taken_once_and_settled,
    release::a_hold_under_a_newer_configuration_is_not_taken,
    release::a_hold_shows_why,
    release::a_lease_that_was_not_settled_runs_out,
    release::a_hold_during_a_release_is_not_lost,
    release::what_was_not_published_is_taken_again_with_a_new_generation,
    release::a_hold_under_no_newer_configuration_than_its_release_rests_until_the_lease_is_over,
    release::each_delivery_is_taken_with_its_own_body,
    release::waits_of_webhooks_and_long_waits_are_found,
    timed::a_timed_hold_is_taken_when_its_time_has_come,
    timed::what_was_to_wait_by_a_clock_that_was_ahead_waits_from_now_on,
    timed::an_attempt_may_leave_its_next_one_here,
    timed::what_was_queued_again_counts_until_something_is_heard_of_it,
    timed::what_is_overdue_elsewhere_is_held,
    endpoints::what_is_held_for_a_failing_endpoint_is_taken_in_turn_or_as_a_whole,
    endpoints::a_webhook_is_as_well_as_its_newest_attempt,
    endpoints::failures_far_enough_apart_without_a_success_between_are_found,
    endpoints::what_says_nothing_of_an_endpoint_does_not_count,
    traces::what_is_held_is_taken_with_its_trace,
    traces::what_failed_is_retried_in_its_trace,
    traces::a_test_keeps_its_trace,
    traces::what_is_over_keeps_none_beside_its_entry,
    manual::what_failed_for_good_waits_for_the_attempt_that_is_asked_for,
    manual::of_presses_at_once_one_makes_an_attempt,
    manual::what_is_not_over_or_not_there_is_not_retried,
    manual::a_retry_that_was_not_queued_is_taken_again_and_late_records_do_not_end_it,
    manual::a_test_is_pending_and_taken_at_once_and_only_once,
    manual::held_tests_are_taken_whatever_they_are_held_for,
    replays::meant_is_what_has_failed_for_good_and_in_the_range,
    replays::each_gets_one_attempt_a_few_at_a_time,
    replays::steps_at_the_same_time_ask_once,
    replays::one_replay_of_a_webhook_runs_at_a_time,
    replays::a_cancelled_replay_takes_back_what_waits_here,
    replays::a_replay_waits_with_its_webhook_and_ends_with_it,
    replays::what_was_retried_meanwhile_is_left_alone,
    replays::a_long_history_is_gone_through_in_parts,
    read::pages_hold_every_entry_once_in_order,
    read::filters_and_instances_are_kept_apart,
    read::a_delivery_has_everything,
    read::a_delivery_that_goes_on_is_never_seen_ended,
    export::an_export_has_what_was_there_when_it_began,
    export::an_export_is_filtered_and_goes_on_anywhere,
    export::an_export_that_nobody_reads_ends,
    counts::attempts_are_counted_once_in_their_hour,
    counts::what_a_better_account_replaces_is_taken_back,
    counts::attempts_are_counted_by_how_long_they_took,
    counts::counts_agree_with_the_list_whatever_the_order,
    counts::tests_are_not_counted,
    counts::what_waits_is_counted,
    counts::of_many_webhooks_each_has_its_own,
    counts::skipped_events_are_counted_once_by_reason,
    counts::a_skipped_event_that_claims_nothing_is_counted_once,
    counts::of_events_opened_at_once_each_is_counted_once,
    counts::what_is_opened_after_its_attempts_is_counted_once,
    counts::old_counts_are_forgotten,
    retention::attempts_of_many_days_are_in_one_list,
    retention::a_shorter_retention_hides_at_once_and_removes,
    retention::what_is_older_than_the_longest_retention_goes,
    retention::a_body_is_kept_for_late_attempts_and_for_what_waits,
    retention::a_clear_leaves_what_waits_and_nothing_else,
    retention::a_clear_is_the_instances_own_and_starts_judging_anew,
    retention::records_of_many_days_in_any_order_give_the_same_rows,
}

#[tokio::test]
async fn sessions_have_limits_so_that_nobody_waits_for_somebody_who_is_silent() {
    let database = blackbox::servers::database().await;
    let store = history::store::open_postgres(&database.url, true).await.unwrap();
    let mut connection = sqlx::PgConnection::connect(&database.url).await.unwrap();
    // A session's settings are shown to itself alone, so it is made to write them down.
    sqlx::raw_sql(
        "CREATE TABLE history.seen (name text, setting text);
         CREATE FUNCTION history.look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO history.seen SELECT name, setting || coalesce(unit, '') FROM pg_settings WHERE name IN
             ('statement_timeout', 'idle_in_transaction_session_timeout', 'tcp_keepalives_idle',
             'tcp_keepalives_interval', 'tcp_keepalives_count');
             RETURN NULL;
         END $$;
         CREATE TRIGGER look AFTER INSERT ON history.attempts FOR EACH STATEMENT EXECUTE FUNCTION history.look()",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    store.record(vec![known::record(1, 1, known::delivered(10))].into()).await.unwrap();
    let seen: Vec<(String, String)> = sqlx::query_as("SELECT name, setting FROM history.seen ORDER BY name")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    let expected = [
        ("idle_in_transaction_session_timeout", "30000ms"),
        ("statement_timeout", "30000ms"),
        ("tcp_keepalives_count", "3"),
        ("tcp_keepalives_idle", "10s"),
        ("tcp_keepalives_interval", "5s"),
    ]
    .map(|(name, setting)| (name.to_owned(), setting.to_owned()));
    assert_eq!(seen, expected);
    database.remove().await;
}

/// The migration that brought counts counts what was there.
#[tokio::test]
async fn what_was_in_postgres_before_counts_were_is_counted() {
    let database = blackbox::servers::database().await;
    let store = history::store::open_postgres(&database.url, true).await.unwrap();
    counts::fill(store.as_ref()).await;
    let before = counts::filled(store.as_ref()).await;
    let mut connection = sqlx::PgConnection::connect(&database.url).await.unwrap();
    let migration = include_str!("../../migrations/postgres/0006_counts.sql");
    let script = format!("SET search_path = history; DROP TABLE counts; {migration}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(script)).execute(&mut connection).await.unwrap();
    assert_eq!(counts::filled(store.as_ref()).await, before);
    assert!(before[..8].iter().all(|counts| !counts.is_empty()) && before[8].is_empty(), "{before:?}");
    database.remove().await;
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn what_was_in_sqlite_before_counts_were_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.db");
    let store = history::store::open_sqlite(&path, true).await.unwrap();
    counts::fill(store.as_ref()).await;
    let before = counts::filled(store.as_ref()).await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    let migration = include_str!("../../migrations/sqlite/0006_counts.sql");
    let script = format!("DROP TABLE counts; {migration}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(script)).execute(&mut connection).await.unwrap();
    assert_eq!(counts::filled(store.as_ref()).await, before);
}

#[tokio::test]
async fn an_unreachable_database_is_named_without_its_password() {
    let url = "postgres://testmo:hunter2@127.0.0.1:1/none";
    let refused = history::store::open_postgres(url, true).await.err().unwrap().to_string();
    assert!(refused.contains("127.0.0.1:1/none") && refused.contains("database.url"), "{refused}");
    assert!(!refused.contains("hunter2"), "{refused}");
    let refused = history::store::open_postgres("postgres://a:hunter2@[x/", true).await.err().unwrap().to_string();
    assert!(!refused.contains("hunter2"), "{refused}");
}
