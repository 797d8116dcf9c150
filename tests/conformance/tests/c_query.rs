//! SPEC C: queries.

use rollcall_conformance::{borrowed, online};
use rollcall_harness::{Rollcall, Setup, UserStatus};

fn names(statuses: &[UserStatus]) -> Vec<&str> {
    statuses.iter().map(|status| status.user_id.as_str()).collect()
}

// SPEC C1
#[tokio::test]
async fn own_status_is_read_without_edition_and_switch() {
    let rollcall = Rollcall::start().await;
    for setup in [Setup::standard(), Setup::switched_off()] {
        let app = rollcall.app_with(setup).await;
        let mut bob = app.session("bob", "d").await;
        let set = bob.set("here").await.ok().status();

        // However often, and however often it is named.
        for _ in 0..50 {
            assert_eq!(bob.status_of("bob").await, set);
        }
        assert_eq!(bob.query(&["bob", "bob", "bob"]).await.ok().statuses(), [set]);
    }
}

// SPEC C2
#[tokio::test]
async fn a_list_with_any_other_id_needs_edition_and_switch_for_the_own_id_too() {
    let rollcall = Rollcall::start().await;
    for (setup, code) in [(Setup::standard(), 7013), (Setup::switched_off(), 72001)] {
        let app = rollcall.app_with(setup).await;
        let mut bob = app.session("bob", "d").await;
        for list in [&["alice"][..], &["bob", "alice"], &["alice", "bob"], &["Bob"], &["bob "]] {
            bob.query(list).await.refused(code);
        }
        assert!(online(&bob.status_of("bob").await));
    }
}

// SPEC C3
#[tokio::test]
async fn a_query_names_1_to_500_ids() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut bob = app.session("bob", "d").await;
    // As long as ids may be.
    let most: Vec<String> = (0..500).map(|number| format!("{number:0>32}")).collect();
    let mut more = most.clone();
    more.push("one more".to_owned());

    assert_eq!(names(&bob.query(&borrowed(&most)).await.ok().statuses()), borrowed(&most));
    bob.query(&borrowed(&more)).await.refused(6017);
    bob.query(&[]).await.refused(6017);
}

// SPEC C3
#[tokio::test]
async fn a_lower_limit_of_the_app_holds() {
    let rollcall = Rollcall::start().await;
    let mut setup = Setup::default();
    setup.limits.query_ids = 3;
    let app = rollcall.app_with(setup).await;
    let mut bob = app.session("bob", "d").await;

    bob.query(&["a", "b", "c"]).await.ok();
    bob.query(&["a", "b", "c", "d"]).await.refused(6017);
}

// SPEC C3, C5
#[tokio::test]
async fn duplicates_collapse_and_answers_come_in_order_of_first_mention() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut bob = app.session("bob", "d").await;

    let reply = bob.query(&["zoe", "bob", "ann", "zoe", "mia", "bob", "ann"]).await.ok();

    assert_eq!(names(&reply.statuses()), ["zoe", "bob", "ann", "mia"]);
    assert_eq!(reply.failures(), []);
}

// SPEC C5
#[tokio::test]
async fn failures_are_listed_with_id_and_code_beside_the_answers() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut bob = app.session("bob", "d").await;
    let long = "y".repeat(33);

    let reply = bob.query(&["new\nline", "ann", &long, "bob", "new\nline"]).await.ok();

    assert_eq!(names(&reply.statuses()), ["ann", "bob"]);
    assert_eq!(reply.failures(), [("new\nline".to_owned(), 7003), (long, 7003)]);
}

// SPEC C5
#[tokio::test]
async fn a_query_of_which_every_id_fails_fails() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut bob = app.session("bob", "d").await;

    bob.query(&["\u{7f}", "ü"]).await.refused(6003);
    bob.query(&[""]).await.refused(6003);
}

// SPEC C6
#[tokio::test]
async fn a_query_after_the_reply_to_a_set_sees_it_from_every_session() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut phone = app.session("bob", "phone").await;
    let mut desk = app.session_by(rollcall.dial().protobuf(), "PLATFORM_MAC", "bob", "desk").await;
    let mut alice = app.session("alice", "d").await;
    let mut watcher = app.session("carol", "d").await;
    watcher.subscribe(&["bob"]).await.ok();

    for number in 0..20 {
        let text = number.to_string();
        let status = phone.set(&text).await.ok().status();
        for session in [&mut desk, &mut alice, &mut watcher] {
            assert_eq!(session.status_of("bob").await, status);
        }
    }
}

// SPEC C6
#[tokio::test]
async fn a_notification_after_a_query_is_never_older_than_its_answer() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut bob = app.session("bob", "d").await;
    // Each may ask 20 times.
    for name in ["alice", "carol", "dave", "eve", "frank"] {
        let mut watcher = app.session(name, "d").await;
        watcher.subscribe(&["bob"]).await.ok();
        for number in 0..20 {
            let text = number.to_string();
            bob.set(&text).await.ok();
            let read = watcher.status_of("bob").await;
            // What came before the answer may be older; it has been received by now.
            watcher.take_unread();
            let last = bob.set(&format!("{text} again")).await.ok().status();
            let mut pushed = watcher.expect_next("bob").await;
            while pushed != last {
                assert!(pushed.version >= read.version, "{pushed:?} was pushed after {read:?} was read");
                pushed = watcher.expect_next("bob").await;
            }
        }
    }
}

// SPEC C3
#[tokio::test]
async fn ids_are_told_apart_byte_for_byte() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut bob = app.session("bob", "d").await;
    bob.set("the only one").await.ok();
    let alike = ["bob", "Bob", "BOB", "bob ", " bob", "bob.", "b ob"];

    let statuses = bob.query(&alike).await.ok().statuses();

    assert_eq!(names(&statuses), alike);
    assert_eq!(statuses.iter().filter(|status| online(status)).count(), 1);
}
