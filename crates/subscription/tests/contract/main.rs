//! What every store must do: one list of cases, run against PostgreSQL and SQLite.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test tells of a failure")]

mod backend;
mod opening;
mod postgres;
mod tokens;
mod versions;
mod webhooks;

/// One test of each case for each back end.
macro_rules! contract {
    ($($module:ident: $($case:ident)+;)+) => {
        mod on_postgres {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let backend = blackbox::servers::database().await;
                    crate::$module::$case(&backend).await;
                    backend.remove().await;
                }
            )+)+
        }

        #[cfg(feature = "sqlite")]
        mod on_sqlite {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    crate::$module::$case(&crate::backend::File::create()).await;
                }
            )+)+
        }
    };
}

contract! {
    webhooks:
        what_is_created_is_read_back
        reach_is_what_the_caller_manages
        lists_have_pages
        activation_changes_once
        deletion_leaves_an_empty_tombstone
        ids_are_not_used_again;
    versions:
        changes_come_in_pages
        a_version_from_the_future_means_all
        a_follower_misses_nothing
        the_same_change_at_once_happens_once;
    tokens:
        tokens_are_found_until_they_are_revoked
        tokens_are_of_their_instance
        a_text_is_one_token
        the_first_key_check_stays;
    opening:
        what_was_written_is_there_after_opening_again
        an_old_schema_is_refused_without_migration
        a_newer_schema_is_refused;
}
