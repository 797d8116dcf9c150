//! SPEC D: subscriptions.

use rollcall_conformance::{GRACE, borrowed, ids, offline, online, says, unlogined};
use rollcall_harness::{Raw, Rollcall, Setup, eventually};
use rollcall_proto::{
    common::v1::Limits,
    subscription::v1::{ListSubscriptionsRequest, SubscribeRequest},
};
use serde_json::json;

/// Makes a list of 200 subscriptions, `u0` to `u199`, and returns their ids.
async fn fill(session: &mut Raw) -> Vec<String> {
    let targets = ids("u", 200);
    for part in targets.chunks(100) {
        assert_eq!(session.subscribe(&borrowed(part)).await.ok().evicted(), [""; 0]);
    }
    targets
}

// SPEC D1
#[tokio::test]
async fn subscribing_needs_the_edition_and_the_switch() {
    let rollcall = Rollcall::start().await;
    for (setup, code) in [(Setup::standard(), 7013), (Setup::switched_off(), 72001)] {
        let app = rollcall.app_with(setup).await;
        let mut alice = app.session("alice", "d").await;
        alice.subscribe(&["bob"]).await.refused(code);
        let _bob = app.session("bob", "d").await;
        assert_eq!(alice.pushed_during(GRACE).await, []);
    }
}

// SPEC D1
#[tokio::test]
async fn a_subscribe_names_1_to_100_ids_and_else_changes_nothing() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    let most = ids("u", 100);
    let more = ids("v", 101);

    alice.subscribe(&borrowed(&most)).await.ok();
    alice.subscribe(&borrowed(&more)).await.refused(6017);
    alice.subscribe(&[]).await.refused(6017);

    assert_eq!(alice.subscriptions().await, most);
}

// SPEC D2
#[tokio::test]
async fn beyond_200_the_least_recently_subscribed_go_and_are_named() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    let mut expected = fill(&mut alice).await;

    assert_eq!(alice.subscribe(&["new"]).await.ok().evicted(), ["u0"]);
    assert_eq!(alice.subscribe(&["newer", "newest"]).await.ok().evicted(), ["u1", "u2"]);

    expected.drain(..3);
    expected.extend(["new", "newer", "newest"].map(str::to_owned));
    assert_eq!(alice.subscriptions().await, expected);
    // Who was pushed out is heard of no more, who stays is.
    alice.take_unread();
    let _evicted = app.session("u1", "d").await;
    let _kept = app.session("u3", "d").await;
    alice.expect("u3", online).await;
    let about_evicted = alice.pushed_during(GRACE).await;
    assert!(about_evicted.iter().all(|status| status.user_id.as_str() != "u1"), "{about_evicted:?}");
}

// SPEC D2
#[tokio::test]
async fn only_subscribing_again_refreshes_a_place() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    fill(&mut alice).await;

    // u0 is subscribed anew; u1 is asked for, u2 is heard of.
    assert_eq!(alice.subscribe(&["u0"]).await.ok().evicted(), [""; 0]);
    alice.status_of("u1").await;
    let _u2 = app.session("u2", "d").await;
    alice.expect("u2", online).await;

    assert_eq!(alice.subscribe(&["new"]).await.ok().evicted(), ["u1"]);
    assert_eq!(alice.subscribe(&["newer"]).await.ok().evicted(), ["u2"]);
    let list = alice.subscriptions().await;
    assert_eq!(list.first().unwrap(), "u3");
    assert_eq!(list[list.len() - 3..], ["u0", "new", "newer"]);
}

// SPEC D2
#[tokio::test]
async fn ids_of_one_call_count_in_the_order_of_the_list() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;

    alice.subscribe(&["c", "a", "b"]).await.ok();
    assert_eq!(alice.subscriptions().await, ["c", "a", "b"]);
    alice.subscribe(&["b", "d", "c"]).await.ok();
    assert_eq!(alice.subscriptions().await, ["a", "b", "d", "c"]);
}

// SPEC D2
#[tokio::test]
async fn a_lowered_limit_applies_at_the_next_subscribe() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    alice.subscribe(&["a", "b", "c", "d", "e"]).await.ok();

    app.set(Setup { limits: Limits { subscriptions: 3, ..Limits::default() }, ..Setup::default() }).await;
    // Lists of others show when an instance of the service has heard of it.
    let mut probes = 0;
    for mut service in rollcall.subscriptions() {
        eventually("the limit to hold", async || {
            probes += 1;
            let (app_id, user_id, target_ids) = (app.id, format!("probe{probes}"), ids("p", 5));
            let probe = SubscribeRequest { app_id, user_id: user_id.clone(), target_ids, not_after: 0 };
            service.subscribe(probe).await.unwrap();
            let list = ListSubscriptionsRequest { app_id, user_id, online: false };
            service.list_subscriptions(list).await.unwrap().into_inner().target_ids.len() == 3
        })
        .await;
    }

    assert_eq!(alice.subscriptions().await, ["a", "b", "c", "d", "e"]);
    assert_eq!(alice.subscribe(&["f"]).await.ok().evicted(), ["a", "b", "c"]);
    assert_eq!(alice.subscriptions().await, ["d", "e", "f"]);
}

// SPEC D3
#[tokio::test]
async fn a_subscribe_with_a_wrong_id_changes_nothing() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    alice.subscribe(&["first", "second"]).await.ok();
    alice.expect_next("second").await;
    let long = "x".repeat(33);

    for list in [&["alice"][..], &["bob", "alice"], &["alice", "bob"], &["first", "alice"]] {
        alice.subscribe(list).await.refused(6017);
    }
    for wrong in ["", "a\0b", "a\nb", "ü", "\u{7f}", &long] {
        alice.subscribe(&["bob", wrong, "first"]).await.refused(7003);
    }

    assert_eq!(alice.subscriptions().await, ["first", "second"]);
    let _bob = app.session("bob", "d").await;
    assert_eq!(alice.pushed_during(GRACE).await, []);
}

// SPEC D3
#[tokio::test]
async fn an_unsubscribe_with_a_wrong_id_changes_nothing() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    alice.subscribe(&["first", "second"]).await.ok();

    alice.unsubscribe(&["first", "a\tb"]).await.refused(7003);

    assert_eq!(alice.subscriptions().await, ["first", "second"]);
    let _first = app.session("first", "d").await;
    alice.expect("first", online).await;
}

// SPEC D4
#[tokio::test]
async fn every_session_of_the_subscriber_hears_the_present_and_the_future_ones() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut present = app.session("alice", "present").await;
    let mut subscribing = app.session("alice", "subscribing").await;
    subscribing.subscribe(&["bob"]).await.ok();
    let mut bob = app.session("bob", "d").await;
    let mut future = app.session_by(rollcall.dial().protobuf(), "PLATFORM_WEB", "alice", "future").await;

    bob.set("hello all").await.ok();

    for session in [&mut present, &mut subscribing, &mut future] {
        let status = session.expect("bob", says("hello all")).await;
        assert!(online(&status));
    }
}

// SPEC D4, D5
#[tokio::test]
async fn subscriptions_outlive_the_sessions_and_a_login_tells_how_many_there_are() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = rollcall.connect().await;
    let first = alice.login(&app, "alice", "d").await.ok();
    assert_eq!(kept(first.result("login")), 0);
    alice.subscribe(&["bob", "carol"]).await.ok();
    alice.logout().await.ok();
    let mut bob = app.session("bob", "d").await;

    let mut back = rollcall.connect().await;
    let reply = back.login(&app, "alice", "another").await.ok();

    assert_eq!(kept(reply.result("login")), 2);
    back.expect("bob", online).await;
    back.expect("carol", unlogined).await;
    assert_eq!(back.subscriptions().await, ["bob", "carol"]);
    back.lose().await;
    bob.set("while nobody listened").await.ok();
    let mut again = app.session("alice", "d").await;
    again.expect("bob", says("while nobody listened")).await;
}

/// Reads how many subscriptions a login found; an explicit zero is present in JSON, as the field is optional.
fn kept(login: &serde_json::Value) -> u64 {
    login["subscriptions"].as_u64().expect("a count")
}

// SPEC D4
#[tokio::test]
async fn a_subscription_made_elsewhere_reaches_the_users_sessions() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    let _bob = app.session("bob", "d").await;

    // As through another gateway.
    let target_ids = vec!["bob".to_owned()];
    let request = SubscribeRequest { app_id: app.id, user_id: "alice".to_owned(), target_ids, not_after: 0 };
    rollcall.subscription().subscribe(request).await.unwrap();

    assert!(online(&alice.expect_next("bob").await));
}

// SPEC D6
#[tokio::test]
async fn the_current_status_of_added_ids_follows_the_reply() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut online_one = app.session("online", "d").await;
    let set = online_one.set("busy").await.ok().status();
    app.session("offline", "d").await.lose().await;
    let mut alice = app.session("alice", "d").await;
    eventually("offline", async || offline(&alice.status_of("offline").await)).await;

    alice.subscribe(&["online", "offline", "never"]).await.ok();

    assert_eq!(alice.take_unread(), [], "nothing of them comes before the reply");
    let mut followed = Vec::new();
    while followed.len() < 3 {
        followed.push(alice.next_status().await);
    }
    followed.sort_by_key(|status| status.user_id);
    let [never, off, on] = followed.try_into().unwrap();
    assert!(unlogined(&never) && offline(&off) && on == set, "{never:?} {off:?} {on:?}");
    // Who was on the list already is not new.
    alice.subscribe(&["online"]).await.ok();
    assert_eq!(alice.pushed_during(GRACE).await, []);
}

// SPEC D6
#[tokio::test]
async fn the_list_has_the_gates_of_subscribe() {
    let rollcall = Rollcall::start().await;
    for (setup, code) in [(Setup::standard(), 7013), (Setup::switched_off(), 72001)] {
        let app = rollcall.app_with(setup).await;
        let mut alice = app.session("alice", "d").await;
        alice.call(json!({ "listSubscriptions": {} })).await.refused(code);
    }
}

// SPEC D6
#[tokio::test]
async fn the_list_is_in_the_order_of_subscribing_and_may_be_read_any_number_of_times() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    assert_eq!(alice.subscriptions().await, [""; 0]);
    for users in [&["zoe"][..], &["bob", "ann"]] {
        alice.subscribe(users).await.ok();
    }
    for _ in 0..50 {
        assert_eq!(alice.subscriptions().await, ["zoe", "bob", "ann"]);
    }
}

// SPEC D7
#[tokio::test]
async fn a_subscribe_that_races_with_changes_does_not_miss_the_last_one() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut bob = app.session("bob", "d").await;

    // Each may subscribe 20 times.
    for name in ["alice", "carol"] {
        let mut watcher = app.session(name, "d").await;
        for round in 0..20 {
            let texts: Vec<String> = (0..5).map(|number| format!("{name} {round}.{number}")).collect();
            for text in &texts[..4] {
                bob.begin(json!({ "setSelfStatus": { "custom": text } })).await;
            }
            let subscribe = watcher.begin(json!({ "subscribe": { "userIds": ["bob"] } })).await;
            bob.set(&texts[4]).await.ok();
            watcher.reply(subscribe).await.ok();

            watcher.expect("bob", says(&texts[4])).await;
            watcher.unsubscribe(&["bob"]).await.ok();
            watcher.take_unread();
        }
    }
}
