//! What is told again when the store is in another epoch.

use rollcall_domain::{epoch::Epoch, id::Op, time::Timestamp};
use rollcall_proto::gateway::v1::LastSet;

use super::*;

fn next(hub: &Hub) -> Report {
    hub.report(&boot(BOOT, 0), EVERY, LEFT, seconds(1))
}

/// Sends a report that is answered, and returns it.
fn answered(hub: &Hub) -> Report {
    let report = next(hub);
    hub.reported(&report, &ReportResponse::default(), seconds(1));
    hub.tell_ends_again(&report);
    report
}

fn follow(hub: &Hub, epoch: u64) -> bool {
    hub.follow_epoch(Epoch::new(epoch))
}

fn last_set(custom: &str, version: u64) -> LastSet {
    LastSet { op: 4, custom: custom.to_owned(), clear_at: 9, version }
}

fn keep(hub: &Hub, handle: &SessionHandle, custom: &str, version: u64) {
    hub.keep_set(handle, Op(4), custom.to_owned(), Some(Timestamp(9)), version);
}

/// What the session of a handle is asserted with.
fn told(hub: &Hub, handle: &SessionHandle) -> Option<LastSet> {
    hub.assert_session(&handle.key, handle.counter);
    next(hub).request.asserted.pop().unwrap().last_set
}

// FAULT 11
#[test]
fn in_a_new_epoch_all_sessions_are_asserted_once_and_in_the_first_or_one_that_was_left_none() {
    let hub = hub();
    login(&hub, "alice");
    login(&hub, "bob");
    assert_eq!(next(&hub).request.store_epoch, 0);
    for (epoch, is_new, asserted) in
        [(1, false, 0), (1, false, 0), (2, true, 2), (1, false, 0), (2, false, 0)]
    {
        assert_eq!(follow(&hub, epoch), is_new, "{epoch}");
        assert_eq!(answered(&hub).request.asserted.len(), asserted, "{epoch}");
    }
    assert!(!follow(&hub, 0), "not told");
    assert_eq!(next(&hub).request.store_epoch, 2);
}

// FAULT 11, SPEC A6
#[test]
fn ends_of_the_last_minute_are_told_again_once_others_had_time_to_assert() {
    let hub = hub();
    follow(&hub, 1);
    let [old, logged_out, closed, stays] =
        ["old", "logs out", "closes", "stays"].map(|user| login(&hub, user));
    hub.remove_session(&old, EndReason::Closed);
    hub.end_due(seconds(60));
    hub.remove_session(&logged_out, EndReason::Logout);
    hub.remove_session(&closed, EndReason::Closed);
    assert_eq!(answered(&hub).request.ended.len(), 2, "a logout is stored when it is answered");

    follow(&hub, 2);
    assert_eq!(answered(&hub).request.asserted.len(), 1);
    for _ in 0..3 {
        assert_eq!(answered(&hub).request.ended, []);
    }
    let again = [(&logged_out, EndReason::Logout), (&closed, EndReason::Closed)].map(|(handle, reason)| {
        let session = Some(session_ref(&handle.key, handle.counter));
        EndedConnection { session, reason: reason as i32 }
    });
    assert_eq!(answered(&hub).request.ended, again);
    assert_eq!(answered(&hub).request.ended, []);
    drop(stays);
}

// FAULT 11, SPEC B5
#[test]
fn a_session_is_asserted_with_its_last_set_that_was_stored_and_not_overtaken() {
    let hub = hub();
    let alice = login(&hub, "alice");
    assert_eq!(told(&hub, &alice), None, "nothing is known");
    keep(&hub, &alice, "first", 20);
    keep(&hub, &alice, "second", 30);
    assert_eq!(told(&hub, &alice), Some(last_set("second", 30)));
    keep(&hub, &alice, "overtaken", 0);
    assert_eq!(told(&hub, &alice), None);

    let key = (app(), id("bare"));
    let bare = LoginRecord { bare_since: 15, ..record() };
    let bare =
        hub.add_session(key, hub.begin_login().counter, bare, Codec::Json, seconds(0), Monotonic(u64::MAX));
    assert_eq!(told(&hub, &bare), Some(LastSet { version: 15, ..LastSet::default() }));
    keep(&hub, &bare, "said", 20);
    assert_eq!(told(&hub, &bare), Some(last_set("said", 20)));
}

// FAULT 11, SPEC B3
#[test]
fn a_set_is_let_go_when_a_later_one_or_leaving_online_is_heard_of_and_by_nothing_else() {
    let hub = hub();
    let alice = login(&hub, "alice");
    let hear = |record_version, custom_version| {
        let change = Change {
            record_version,
            custom_version,
            kind: ChangeKind::Status as i32,
            app_id: 1,
            user_id: "alice".to_owned(),
            ..Change::default()
        };
        hub.apply_change(&change, BOOT);
    };
    keep(&hub, &alice, "said", 30);
    // Its own change, an older one, a raise above what the store had of before, one by who knows nothing.
    for (record, custom) in [(30, 0), (20, 0), (40, 20), (50, 1), (60, 30)] {
        hear(record, custom);
        assert_eq!(told(&hub, &alice), Some(last_set("said", 30)), "{record} {custom}");
    }
    hear(70, 65);
    assert_eq!(told(&hub, &alice), None, "overtaken");
    keep(&hub, &alice, "again", 80);
    hear(90, 0);
    assert_eq!(told(&hub, &alice), None, "overtaken by that change");
}

// FAULT 11
#[test]
fn who_is_shown_with_a_later_version_than_is_stored_is_ahead() {
    let hub = hub();
    let watcher = login(&hub, "w");
    hub.apply_list(&watcher.key, 2, &[id("a"), id("b"), id("c")]);
    for (user, version) in [("a", 5), ("b", 5)] {
        show(&hub, user, "", version);
    }
    let read = [("a", 4), ("b", 5), ("c", 0), ("gone", 1)];
    let read: Vec<_> = read.iter().map(|(user, version)| (id(user), StatusVersion(*version))).collect();
    assert_eq!(hub.ahead(app(), &read), [(app(), id("a"))]);
    let shown = hub.shown_versions(app(), &[id("gone"), id("c"), id("a")]);
    assert_eq!(shown, [(id("a"), StatusVersion(5))]);
}
