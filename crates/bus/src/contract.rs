//! What every bus must do: one claim a function, and [`bus_contract!`](crate::bus_contract), which makes a test
//! of each. The claims know nothing of an engine.
//!
//! Compiled for this crate's tests, and for those of others with the feature `contract`. Each claim gets a bus
//! of its own on which nobody else speaks or listens. Where a claim waits for something to happen, it waits
//! [`LIMIT`]; where nothing must happen, it looks at what came first.

#![expect(missing_docs, reason = "the name of a claim says what it checks")]

pub mod changes;
pub mod replays;
pub mod requests;
mod tested;
pub mod twins;

pub use tested::{LIMIT, Tested, brought, clock, heard, heartbeat, status, trace};

/// Makes a test of each claim. The argument is evaluated in each test, where it may await, and gives a bus.
///
/// The tests are async ones of tokio, which the calling crate needs with its features `macros` and
/// `rt-multi-thread`.
#[macro_export]
macro_rules! bus_contract {
    ($bus:expr) => {
        $crate::bus_contract! { @tests $bus;
            changes:
                a_subscriber_hears_changes_of_every_partition,
                every_subscriber_hears_every_message_in_order,
                what_was_published_before_is_not_heard,
                a_message_without_a_subscriber_is_no_error,
                a_message_arrives_as_it_was_sent,
                the_trace_context_travels,
                requests_are_not_heard_by_subscribers,
                what_is_published_on_another_subject_is_not_heard,
                a_subscriber_that_goes_does_not_stop_the_others,
                messages_wait_for_a_subscriber_that_reads_late,
                concurrent_publishers_lose_nothing_and_each_keeps_its_order;
            replays:
                what_is_kept_is_brought_as_it_was_sent_and_in_its_order,
                a_replay_goes_on_with_what_is_published,
                a_replay_from_now_brings_nothing_that_was_published_before,
                a_replay_begins_after_a_position,
                a_replay_begins_at_a_time,
                a_position_that_was_not_reached_is_anothers_and_all_is_brought,
                the_last_message_of_each_quiet_partition_is_told,
                positions_and_times_increase_and_it_is_told_how_many_follow,
                a_replay_waits_for_a_slow_reader,
                each_reader_is_brought_everything_once,
                requests_are_not_kept;
            requests:
                a_request_is_answered,
                a_request_arrives_as_it_was_sent,
                a_request_goes_to_exactly_one,
                requests_spread_over_those_who_serve,
                answers_find_their_own_requests,
                an_unanswered_request_times_out,
                a_dropped_request_times_out,
                an_answer_after_the_time_out_is_no_error,
                a_request_that_nobody_serves_fails,
                one_who_goes_is_asked_no_more,
                when_the_last_goes_nobody_serves,
                one_who_comes_later_is_asked;
        }
    };
    (@tests $bus:expr; $($module:ident: $($claim:ident),+;)+) => {
        $($(
            #[::tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $claim() {
                $crate::contract::$module::$claim($crate::contract::Tested::new($bus)).await;
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
            include_str!("contract/changes.rs"),
            include_str!("contract/replays.rs"),
            include_str!("contract/requests.rs"),
        ];
        let claims = modules.iter().flat_map(|text| text.split("\npub async fn ").skip(1));
        for claim in claims.filter_map(|text| text.split('(').next()) {
            let is_listed = listed.lines().any(|line| line.trim_end_matches([',', ';']).trim() == claim);
            assert!(is_listed, "{claim} is not in the list of `bus_contract!`");
        }
    }
}
