//! What presence is told of all sessions: digests in their turn, and lists of those that differ.

use std::collections::BTreeSet;

use rollcall_domain::{digest::SessionDigest, partition::Partitions};
use rollcall_proto::gateway::v1::{SessionDigest as Told, SessionList};

use super::*;
use crate::hub::Report;

const DIGEST_EVERY: Duration = Duration::from_secs(160);

/// All users are in the one partition of `one`; of sixteen, one has its turn every 10 s.
fn one() -> Option<Partitions> {
    Partitions::new(1)
}

fn make(hub: &Hub, partitions: Option<Partitions>, now: u64) -> Report {
    let mut report = hub.report(&boot(BOOT, 0), EVERY, LEFT, seconds(now));
    hub.tell_digests(&mut report, partitions, DIGEST_EVERY, seconds(now));
    report
}

fn answer(hub: &Hub, report: &Report, list: &[u32], now: u64) {
    let reply = ReportResponse { list: list.to_vec(), ..ReportResponse::default() };
    hub.reported(report, &reply, seconds(now));
    hub.digests_told(report, &reply, DIGEST_EVERY, seconds(now));
}

/// Makes a report that is answered, and returns the partitions whose digests are in it.
fn told(hub: &Hub, now: u64) -> Vec<u32> {
    let report = make(hub, Some(Partitions::EMBEDDED), now);
    answer(hub, &report, &[], now);
    report.request.digests.iter().map(|digest| digest.partition).collect()
}

/// Has the one partition listed.
fn listed(hub: &Hub, now: u64) -> SessionList {
    let report = make(hub, one(), now);
    answer(hub, &report, &[0], now);
    make(hub, one(), now).request.lists.remove(0)
}

fn counters(list: &SessionList) -> BTreeSet<u64> {
    list.sessions.iter().map(|session| session.counter).collect()
}

#[test]
fn the_digest_of_a_partition_is_that_of_the_sessions_in_it_that_have_not_ended() {
    let hub = hub();
    let [alice, silent, bob, carol] = ["alice", "silent", "bob", "carol"].map(|user| login(&hub, user));
    let digest = || make(&hub, one(), 0).request.digests.remove(0);
    let of = |handles: &[&Arc<SessionHandle>]| {
        let mut digest = SessionDigest::default();
        for handle in handles {
            digest.add(handle.key.0, &handle.key.1, handle.counter);
        }
        Told { partition: 0, sessions: digest.sessions, sum: digest.sum }
    };
    assert_eq!(digest(), of(&[&alice, &silent, &bob, &carol]), "from before the partitions were known");
    let dave = login(&hub, "dave");
    hub.remove_session(&bob, EndReason::Closed);
    hub.remove_session(&carol, EndReason::Logout);
    assert_eq!(digest(), of(&[&alice, &silent, &dave]));
    alice.heard(seconds(399));
    dave.heard(seconds(399));
    hub.end_due(seconds(401));
    assert_eq!(digest(), of(&[&alice, &dave]), "its connection is still open");
    hub.remove_session(&silent, EndReason::Closed);
    assert_eq!(digest(), of(&[&alice, &dave]));
}

#[test]
fn each_partition_has_its_turn_once_in_the_time_and_keeps_it_until_a_report_is_answered() {
    let hub = hub();
    assert_eq!(told(&hub, 0), [0]);
    assert_eq!(told(&hub, 5), [0; 0]);
    assert_eq!(make(&hub, Some(Partitions::EMBEDDED), 10).request.digests.len(), 1);
    assert_eq!(told(&hub, 25), [1, 2], "the report before was not answered");
    let all: Vec<u32> = (30..190).step_by(2).flat_map(|now| told(&hub, now)).collect();
    assert_eq!(all, [(3..16).collect::<Vec<_>>(), vec![0, 1, 2]].concat());
}

#[test]
fn all_partitions_are_told_soon_after_a_report_went_unanswered_and_under_a_new_boot_once_all_is_asserted() {
    let hub = hub();
    login(&hub, "alice");
    told(&hub, 0);
    hub.digest_all();
    assert_eq!(told(&hub, 1).len(), 16);
    assert_eq!(told(&hub, 12), [0; 0], "they have had their turn");
    hub.assert_all();
    assert_eq!(told(&hub, 13), [0; 0], "the sessions themselves are told");
    assert_eq!(told(&hub, 14).len(), 16);
}

#[test]
fn a_list_names_open_sessions_up_to_the_first_login_under_way_and_says_what_may_not_be_stored() {
    let hub = hub();
    let [_first, closed, leaving, second] = ["a", "b", "c", "d"].map(|user| login(&hub, user));
    hub.remove_session(&closed, EndReason::Moved);
    leaving.leave();
    let report = make(&hub, one(), 0);
    answer(&hub, &report, &[0, 1, 70_000], 0);
    hub.remove_session(&second, EndReason::Closed);
    let under_way = hub.begin_login();
    let later = login(&hub, "e");
    let list = make(&hub, one(), 0).request.lists.remove(0);
    assert_eq!(list.upto, under_way.counter - 1);
    assert_eq!(counters(&list), [1, later.counter].into());
    let ending: BTreeSet<u64> = list.ending.iter().copied().collect();
    assert_eq!(ending, [leaving.counter, second.counter].into(), "the end of the other one is stored");

    hub.report_lost((app(), id("f")), under_way.counter);
    let counter = under_way.counter;
    drop(under_way);
    let list = make(&hub, one(), 0).request.lists.remove(0);
    assert_eq!(list.upto, later.counter);
    assert!(list.ending.contains(&counter), "whether that login was stored is not known");
}

#[test]
fn a_list_is_told_until_a_report_is_answered_and_again_only_if_asked_for() {
    let hub = hub();
    login(&hub, "alice");
    assert!(make(&hub, one(), 0).request.lists.is_empty());
    listed(&hub, 0);
    let report = make(&hub, one(), 1);
    assert_eq!(report.request.lists.len(), 1);
    answer(&hub, &report, &[0], 1);
    let report = make(&hub, one(), 2);
    assert_eq!(report.request.lists.len(), 1);
    answer(&hub, &report, &[], 2);
    assert!(make(&hub, one(), 3).request.lists.is_empty());
}

// FAULT 11
#[test]
fn in_a_new_epoch_no_list_is_told_before_ends_are_told_again() {
    let hub = hub();
    let moved = login(&hub, "alice");
    let epoch = rollcall_domain::epoch::Epoch::new;
    hub.follow_epoch(epoch(1));
    hub.remove_session(&moved, EndReason::Moved);
    let report = make(&hub, one(), 0);
    answer(&hub, &report, &[0], 0);
    hub.follow_epoch(epoch(2));
    for now in 1..=3 {
        let report = make(&hub, one(), now);
        assert!(report.request.lists.is_empty());
        answer(&hub, &report, &[], now);
        hub.tell_ends_again(&report);
    }
    let list = make(&hub, one(), 4).request.lists.remove(0);
    assert_eq!((list.ending, list.upto), (vec![moved.counter], moved.counter));
}

#[test]
fn of_too_many_sessions_a_list_speaks_of_the_oldest_only() {
    let hub = hub();
    for number in 0..8_200 {
        let (key, never) = ((app(), id(&format!("u{number}"))), Monotonic(u64::MAX));
        hub.add_session(key, hub.begin_login().counter, record(), Codec::Json, seconds(0), never);
    }
    let list = listed(&hub, 0);
    assert_eq!((list.upto, counters(&list)), (8_192, (1..=8_192).collect()));
}

#[test]
fn a_report_has_at_most_32_lists_and_the_others_come_later() {
    let hub = hub();
    let partitions = Partitions::new(64);
    let wanted: Vec<u32> = (0..64).collect();
    let report = make(&hub, partitions, 0);
    answer(&hub, &report, &wanted, 0);
    let listed = |now| {
        let report = make(&hub, partitions, now);
        answer(&hub, &report, &[], now);
        report.request.lists.iter().map(|list| list.partition).collect::<Vec<_>>()
    };
    assert_eq!([listed(1), listed(2), listed(3)], [wanted[..32].to_vec(), wanted[32..].to_vec(), vec![]]);
}

#[test]
fn a_list_waits_while_more_ends_are_on_their_way_than_it_may_name() {
    let hub = hub();
    for number in 0..1_025 {
        let under_way = hub.begin_login();
        hub.report_lost((app(), id(&format!("u{number}"))), under_way.counter);
    }
    let without = hub.report(&boot(BOOT, 0), EVERY, LEFT, seconds(0));
    let reply = ReportResponse { list: vec![0], ..ReportResponse::default() };
    make(&hub, one(), 0);
    hub.digests_told(&without, &reply, DIGEST_EVERY, seconds(0));
    let report = make(&hub, one(), 1);
    assert!(report.request.lists.is_empty());
    answer(&hub, &report, &[], 1);
    assert_eq!(make(&hub, one(), 2).request.lists[0].ending.len(), 1_025 - 512);
}
