//! What every store must do: one claim a function, and [`store_contract!`](crate::store_contract), which makes
//! a test of each. The claims know nothing of an engine and do not depend on the time it is.
//!
//! Compiled for this crate's tests, and for those of others with the feature `contract`. Each claim gets a
//! store of its own that is empty and has two partitions at least. [`model`] and [`twins`] are for property tests:
//! any run of commands against a small reference, and against another store.

#![expect(missing_docs, reason = "the name of a claim says what it checks")]

pub mod commands;
pub mod commits;
pub mod concurrency;
pub mod due;
pub mod epochs;
pub mod given;
pub mod guards;
pub mod keys;
pub mod kinds;
pub mod late;
pub mod leases;
pub mod model;
pub mod outbox;
pub mod steps;
mod tested;
pub mod timers;
pub mod twins;
pub mod versions;
pub mod windows;

pub use tested::{State, Tested};

/// Makes a test of each claim. The argument is evaluated in each test, where it may await, and gives an empty
/// store.
///
/// The tests are async ones of tokio, which the calling crate needs with its features `macros` and
/// `rt-multi-thread`.
#[macro_export]
macro_rules! store_contract {
    ($store:expr) => {
        $crate::store_contract! { @tests $store;
            commits:
                a_record_is_created_where_none_is_expected,
                a_record_is_not_created_over_another,
                a_record_is_replaced_at_the_expected_version,
                a_version_that_is_not_the_expected_one_conflicts,
                a_version_of_an_absent_record_conflicts,
                a_deleted_record_is_absent,
                a_delete_where_nothing_is_changes_no_record,
                a_conflict_changes_nothing,
                an_empty_value_is_not_an_absent_record,
                a_value_is_kept_byte_for_byte;
            versions:
                record_versions_increase_over_commits_deletes_and_re_creations,
                status_versions_increase_over_deletes_and_re_creations,
                a_status_version_moves_only_with_a_new_status,
                a_new_status_version_is_the_record_version_of_its_commit,
                a_record_that_was_created_again_has_no_status_version_of_before,
                versions_are_not_behind_the_clock_of_the_store,
                versions_are_above_the_floor_of_their_commit,
                a_floor_that_was_passed_changes_nothing,
                a_record_is_created_above_a_floor_and_gone_below_none;
            epochs:
                an_epoch_stays_whatever_is_stored,
                heads_are_those_of_the_epoch;
            outbox:
                a_new_store_has_empty_outboxes,
                a_commit_without_an_entry_leaves_the_outbox_alone,
                an_entry_is_headed_by_the_versions_of_its_commit,
                a_delete_tells_its_versions,
                the_entry_in_the_outbox_is_the_one_that_was_committed,
                sequences_have_no_holes,
                partitions_count_on_their_own,
                heads_stay_when_entries_are_published,
                unpublished_entries_are_listed_in_order_up_to_the_limit,
                published_entries_go_and_the_others_stay,
                publishing_again_or_what_never_was_is_no_error,
                a_partition_beyond_the_last_is_empty;
            guards:
                a_timer_due_later_than_its_guard_stops_the_commit,
                a_timer_due_exactly_at_its_guard_or_earlier_passes,
                a_guard_of_a_missing_timer_passes,
                one_guard_of_many_stops_the_commit,
                a_guarded_commit_changes_nothing,
                guards_see_the_timers_before_the_commit,
                a_touch_holds_a_guard,
                a_conflict_is_said_before_a_guard;
            late:
                a_commit_that_comes_in_time_is_applied,
                a_commit_that_comes_after_its_time_is_late,
                a_late_commit_changes_nothing,
                a_late_commit_creates_no_record,
                late_is_said_before_a_conflict_and_a_guard;
            timers:
                a_commit_sets_a_timer_earlier_and_later,
                a_commit_removes_a_timer,
                removing_a_missing_timer_is_no_error,
                timer_changes_apply_in_order,
                a_delete_leaves_timers_alone,
                a_touch_moves_timers_later,
                a_touch_never_moves_a_timer_earlier,
                a_touch_creates_nothing_and_names_the_missing,
                a_touch_does_not_revive_a_removed_timer,
                a_touch_in_another_partition_misses;
            due:
                due_timers_come_earliest_first,
                until_is_inclusive,
                deadlines_are_exact_to_the_microsecond,
                timers_of_other_boots_are_not_due,
                timers_of_other_partitions_are_not_due,
                the_limit_cuts_the_latest,
                pages_show_every_timer_once_though_deadlines_tie,
                pages_go_on_behind_timers_that_went;
            kinds:
                timers_of_each_kind_are_in_a_set_of_their_own,
                a_commit_sets_and_removes_timers_of_each_kind,
                a_touch_moves_timers_of_each_kind_later_and_creates_none,
                a_guard_of_each_kind_stops_the_commit_while_its_timer_is_due_later;
            keys:
                records_come_in_the_order_of_the_keys_with_repetitions,
                no_keys_give_no_records,
                five_hundred_keys_are_read_at_once,
                versions_are_those_of_the_records_and_none_is_0,
                kinds_of_records_are_apart,
                apps_with_the_same_user_id_are_apart,
                ids_that_look_like_syntax_are_apart,
                app_and_user_do_not_run_into_each_other;
            leases:
                a_new_store_has_no_leases,
                an_opened_lease_is_live_and_has_no_nonce_yet,
                a_boot_that_has_a_lease_is_not_opened_again,
                of_openings_of_one_boot_exactly_one_succeeds,
                a_renewed_lease_has_the_nonce_of_its_last_report,
                another_token_renews_and_retires_nothing,
                an_unknown_boot_is_as_a_dead_one,
                a_lease_is_killed_at_the_nonce_that_it_has_and_at_no_other,
                a_dead_or_retired_boot_never_lives_again,
                a_lease_tells_when_it_died_or_retired,
                of_a_kill_and_a_renewal_one_comes_first,
                a_dead_or_retired_lease_is_forgotten_and_a_live_one_is_not,
                leases_come_in_the_order_of_the_boots,
                nonces_are_told_apart_to_the_last_bit,
                leases_beyond_the_limit_are_refused_until_one_is_forgotten;
            windows:
                so_many_calls_are_allowed_in_a_span_and_no_more,
                every_decision_agrees_with_the_calls_allowed_before_it,
                a_limit_of_none_allows_nothing,
                windows_of_users_apps_and_kinds_are_apart,
                of_calls_at_once_exactly_so_many_are_allowed;
            concurrency:
                of_commits_at_one_version_exactly_one_wins,
                of_creations_of_one_key_exactly_one_wins,
                no_update_is_lost,
                no_sequence_is_lost_or_given_twice,
                a_removed_timer_stays_removed_under_touches,
                a_touch_and_an_end_that_is_guarded_against_it_never_both_win;
        }
    };
    (@tests $store:expr; $($module:ident: $($claim:ident),+;)+) => {
        $($(
            #[::tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $claim() {
                $crate::contract::$module::$claim($crate::contract::Tested::new($store)).await;
            }
        )+)+
    };
}

#[cfg(test)]
mod tests {
    //! The suite itself.

    #[test]
    fn every_claim_is_made_a_test() {
        let listed = include_str!("contract.rs");
        let modules = [
            include_str!("contract/commits.rs"),
            include_str!("contract/concurrency.rs"),
            include_str!("contract/due.rs"),
            include_str!("contract/epochs.rs"),
            include_str!("contract/guards.rs"),
            include_str!("contract/keys.rs"),
            include_str!("contract/kinds.rs"),
            include_str!("contract/late.rs"),
            include_str!("contract/leases.rs"),
            include_str!("contract/outbox.rs"),
            include_str!("contract/timers.rs"),
            include_str!("contract/versions.rs"),
            include_str!("contract/windows.rs"),
        ];
        let claims = modules.iter().flat_map(|text| text.split("\npub async fn ").skip(1));
        for claim in claims.filter_map(|text| text.split('(').next()) {
            let is_listed = listed.lines().any(|line| line.trim_end_matches([',', ';']).trim() == claim);
            assert!(is_listed, "{claim} is not in the list of `store_contract!`");
        }
    }
}
