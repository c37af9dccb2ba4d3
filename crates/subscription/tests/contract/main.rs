//! What every store must do: one list of cases, run against PostgreSQL and SQLite.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test tells of a failure")]

mod backend;
mod changes;
mod instances;
mod keys;
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
        what_is_replaced_is_read_back
        lists_are_filtered
        reach_is_what_the_caller_manages
        lists_have_pages
        deletion_leaves_an_empty_tombstone
        ids_are_not_used_again;
    versions:
        changes_come_in_pages
        a_version_from_the_future_means_all
        a_follower_misses_nothing
        the_same_change_at_once_happens_once;
    changes:
        what_is_dropped_did_not_happen
        changes_of_an_instance_wait_for_each_other
        changes_of_other_instances_go_on
        each_version_has_its_entry
        many_webhooks_change_in_one_write;
    instances:
        plans_are_remembered
        projects_are_remembered
        directories_have_pages_by_name
        deletions_of_projects_are_told
        webhooks_are_found_by_what_changes_them;
    keys:
        what_is_sealed_otherwise_is_found
        secrets_are_replaced_if_they_are_what_they_were
        replacing_goes_on_beside_changes
        the_key_check_is_replaced_if_it_is_what_it_was
        processes_are_there_until_they_end
        a_rotation_is_remembered_until_it_ends;
    tokens:
        tokens_are_found_until_they_are_revoked
        tokens_are_of_their_instance
        a_text_is_one_token
        the_first_key_check_stays;
    opening:
        what_was_written_is_there_after_opening_again
        what_the_first_version_wrote_is_kept
        an_old_schema_is_refused_without_migration
        a_newer_schema_is_worked_with
        a_schema_for_newer_programs_is_refused;
}
