//! SPEC E: the end of subscriptions.

use std::{collections::BTreeSet, time::Duration};

use rollcall_conformance::{GRACE, borrowed, ids, says};
use rollcall_harness::{Rollcall, Setup, eventually};
use serde_json::json;

// SPEC E1
#[tokio::test]
async fn unsubscribing_needs_the_edition_and_the_switch() {
    let rollcall = Rollcall::start().await;
    for (setup, code) in [(Setup::standard(), 7013), (Setup::switched_off(), 72001)] {
        let app = rollcall.app_with(setup).await;
        let mut alice = app.session("alice", "d").await;
        alice.unsubscribe(&["bob"]).await.refused(code);
        alice.unsubscribe(&[]).await.refused(code);
    }
}

// SPEC E1
#[tokio::test]
async fn an_unsubscribe_names_at_most_100_ids_and_else_changes_nothing() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    let (some, others) = (ids("u", 100), ids("v", 100));
    alice.subscribe(&borrowed(&some)).await.ok();
    alice.subscribe(&borrowed(&others)).await.ok();
    let mut more = some.clone();
    more.push("v0".to_owned());

    alice.unsubscribe(&borrowed(&more)).await.refused(6017);
    assert_eq!(alice.subscriptions().await.len(), 200);
    alice.unsubscribe(&borrowed(&some)).await.ok();
    assert_eq!(alice.subscriptions().await, others);
}

// SPEC E1
#[tokio::test]
async fn an_empty_list_clears_all() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    for clearing in [json!({ "userIds": [] }), json!({})] {
        alice.subscribe(&["bob", "carol"]).await.ok();
        alice.call(json!({ "unsubscribe": clearing })).await.ok();
        assert_eq!(alice.subscriptions().await, [""; 0]);
        alice.forget(&["bob", "carol"]);
    }
    alice.pushed_during(Duration::from_millis(200)).await;
    let _bob = app.session("bob", "d").await;
    assert_eq!(alice.pushed_during(GRACE).await, []);
}

// SPEC E1
#[tokio::test]
async fn an_id_that_is_not_on_the_list_is_no_error() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    alice.subscribe(&["bob", "carol"]).await.ok();

    alice.unsubscribe(&["stranger"]).await.ok();
    alice.unsubscribe(&["alice"]).await.ok();
    alice.unsubscribe(&["stranger", "carol", "carol"]).await.ok();

    assert_eq!(alice.subscriptions().await, ["bob"]);
}

// SPEC E2
#[tokio::test]
async fn nothing_of_a_user_reaches_the_session_after_the_reply_to_its_unsubscribe() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    let mut bob = app.session("bob", "d").await;
    let mut carol = app.session("carol", "d").await;
    alice.subscribe(&["carol"]).await.ok();
    alice.expect_next("carol").await;

    for round in 0..19 {
        alice.subscribe(&["bob"]).await.ok();
        // Changes that are on their way when the unsubscribe is answered.
        for number in 0..20 {
            bob.begin(json!({ "setSelfStatus": { "custom": format!("{round}.{number}") } })).await;
        }
        alice.unsubscribe(&["bob"]).await.ok();
        alice.take_unread();

        let marker = format!("after {round}");
        bob.set(&marker).await.ok();
        carol.set(&marker).await.ok();
        let heard = alice.next_status().await;
        assert!(heard.user_id.as_str() == "carol" && says(&marker)(&heard), "{heard:?}");
    }
    assert_eq!(alice.pushed_during(GRACE).await, []);
}

// SPEC E2
#[tokio::test]
async fn the_users_other_sessions_stop_hearing_too() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut asking = app.session("alice", "asking").await;
    let mut other = app.session("alice", "other").await;
    let mut bob = app.session("bob", "d").await;
    let mut carol = app.session("carol", "d").await;
    asking.subscribe(&["bob", "carol"]).await.ok();
    let mut awaited = BTreeSet::from(["bob", "carol"]);
    while !awaited.is_empty() {
        awaited.remove(other.next_status().await.user_id.as_str());
    }

    asking.unsubscribe(&["bob"]).await.ok();

    // Until a change of bob is passed over, while one of carol after it is not.
    let mut round = 0;
    eventually("the other session to stop hearing of bob", async || {
        round += 1;
        let text = round.to_string();
        bob.set(&text).await.ok();
        tokio::time::sleep(Duration::from_millis(100)).await;
        carol.set(&text).await.ok();
        let mut heard = vec![other.next_status().await];
        while heard.last().is_none_or(|status| !(status.user_id.as_str() == "carol" && says(&text)(status))) {
            heard.push(other.next_status().await);
        }
        heard.iter().all(|status| status.user_id.as_str() != "bob")
    })
    .await;
    bob.set("once more").await.ok();
    assert_eq!(other.pushed_during(GRACE).await, []);
}

// SPEC E2
#[tokio::test]
async fn subscribing_again_after_an_unsubscribe_starts_anew() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    let _bob = app.session("bob", "d").await;
    alice.subscribe(&["bob"]).await.ok();
    let first = alice.expect_next("bob").await;

    alice.unsubscribe(&["bob"]).await.ok();
    alice.subscribe(&["bob"]).await.ok();

    assert_eq!(alice.expect_next("bob").await, first, "the current status follows, as for any added id");
}
