//! SPEC D2 to D4, D7, E1, E2: sessions of one user that follow each other connect to different gateways, where there are
//! several.

use std::{collections::BTreeSet, time::Duration};

use rollcall_conformance::{borrowed, ids, online, says};
use rollcall_harness::{App, Deployment, Raw, Rollcall, Setup, UserStatus, eventually};
use rollcall_proto::{common::v1::Limits, presence::v1::GetUserStatusRequest};

/// Waits until changes of a user are passed over by a session that hears what alice says after each of them.
async fn stops_hearing(session: &mut Raw, user: &str, of: &mut Raw, alice: &mut Raw) {
    let mut round = 0;
    eventually(&format!("a session of alice to stop hearing of {user}"), async || {
        round += 1;
        let text = format!("{user} {round}");
        of.set(&text).await.ok();
        tokio::time::sleep(Duration::from_millis(100)).await;
        alice.set(&text).await.ok();
        let mut heard = vec![session.next_status().await];
        while heard.last().is_none_or(|status| !(status.user_id.as_str() == "alice" && says(&text)(status))) {
            heard.push(session.next_status().await);
        }
        heard.iter().all(|status| status.user_id.as_str() != user)
    })
    .await;
}

// SPEC D2, E1, E2
#[tokio::test]
async fn the_users_other_sessions_stop_hearing_of_who_is_pushed_out_or_cleared() {
    let rollcall = Rollcall::start().await;
    let limits = Limits { subscriptions: 2, ..Limits::default() };
    let app = rollcall.app_with(Setup { limits, ..Setup::default() }).await;
    let mut asking = app.session("alice", "asking").await;
    let mut other = app.session("alice", "other").await;
    let mut users = Vec::new();
    for user in ["bob", "carol", "dave"] {
        users.push(app.session(user, "d").await);
    }
    let [bob, carol, dave] = &mut users[..] else { panic!("three users") };
    asking.subscribe(&["bob", "carol"]).await.ok();
    let mut awaited = BTreeSet::from(["bob", "carol"]);
    while !awaited.is_empty() {
        awaited.remove(other.next_status().await.user_id.as_str());
    }

    assert_eq!(asking.subscribe(&["dave"]).await.ok().evicted(), ["bob"]);
    other.expect("dave", online).await;
    stops_hearing(&mut other, "bob", bob, &mut asking).await;
    carol.set("who stayed").await.ok();
    other.expect("carol", says("who stayed")).await;

    asking.unsubscribe(&[]).await.ok();
    stops_hearing(&mut other, "carol", carol, &mut asking).await;
    stops_hearing(&mut other, "dave", dave, &mut asking).await;
    assert_eq!(other.subscriptions().await, [""; 0]);
}

// SPEC D3, D4
#[tokio::test]
async fn subscribes_of_two_sessions_at_once_are_all_kept_and_both_hear_of_everybody() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut sessions = [app.session("alice", "one").await, app.session("alice", "two").await];
    // As many as a window allows, in turn and without waiting for each other.
    let mut calls = Vec::new();
    for round in 0..10 {
        for (number, session) in sessions.iter_mut().enumerate() {
            let targets = ids(&format!("u{round}-{number}-"), 3);
            let subscribe = serde_json::json!({ "subscribe": { "userIds": targets } });
            calls.push((number, session.begin(subscribe).await));
        }
    }
    for (number, call) in calls {
        sessions[number].reply(call).await.ok();
    }

    let list = sessions[0].subscriptions().await;
    assert_eq!(list, sessions[1].subscriptions().await);
    assert_eq!((list.len(), BTreeSet::from_iter(&list).len()), (60, 60));
    for session in &mut sessions {
        let mut unheard = BTreeSet::from_iter(borrowed(&list));
        while !unheard.is_empty() {
            unheard.remove(session.next_status().await.user_id.as_str());
        }
    }
    for user in ["u0-0-0", "u9-1-2"] {
        let _session = app.session(user, "d").await;
        for session in &mut sessions {
            session.expect(user, online).await;
        }
    }
}

/// Reads a status as the app's backend does, which counts against nobody's window.
async fn stored(rollcall: &Rollcall, app: &App, user: &str) -> u64 {
    let request =
        GetUserStatusRequest { app_id: app.id, user_ids: vec![user.to_owned()], ..Default::default() };
    let read = rollcall.presence().get_user_status(request).await.unwrap().into_inner();
    read.statuses[0].version
}

// SPEC D4, D7
#[tokio::test]
async fn a_subscribe_that_races_with_who_comes_or_goes_misses_the_last_state_on_no_session() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut asking = app.session("alice", "asking").await;
    let mut other = app.session("alice", "other").await;
    for round in 0..18 {
        let user = format!("user{round}");
        let subscribe = serde_json::json!({ "subscribe": { "userIds": [user] } });
        let mut session = rollcall.connect().await;
        let call = if round % 2 == 0 {
            let call = asking.begin(subscribe).await;
            session.login(&app, &user, "d").await.ok();
            call
        } else {
            session.login(&app, &user, "d").await.ok();
            session.begin(serde_json::json!({ "logout": {} })).await;
            let call = asking.begin(subscribe).await;
            assert_eq!(session.closed().await, Some(3500));
            call
        };
        asking.reply(call).await.ok();
        let last = stored(&rollcall, &app, &user).await;
        let is_last = |status: &UserStatus| status.version == last && online(status) == (round % 2 == 0);
        asking.expect(&user, is_last).await;
        other.expect(&user, is_last).await;
    }
}

// SPEC D4
#[tokio::test]
async fn subscriptions_outlive_a_restart_of_every_service() {
    // One process alone holds them in its memory, as long as it lives.
    let mut rollcall = Rollcall::builder().deployment(Deployment::Cluster).start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    alice.subscribe(&["bob", "carol"]).await.ok();
    for service in ["presence", "subscription", "notifier", "gateway"] {
        for number in 0..2 {
            rollcall.process(service, number).kill();
            rollcall.start_again(service, number).await;
        }
    }

    let mut back = None;
    eventually("alice to be back", async || {
        let mut raw = rollcall.connect().await;
        let reply = raw.login(&app, "alice", "d").await;
        let kept = reply.code == 0 && reply.result("login")["subscriptions"] == 2;
        back = kept.then_some(raw);
        kept
    })
    .await;
    let mut alice = back.unwrap();
    assert_eq!(alice.subscriptions().await, ["bob", "carol"]);
    let mut bob = app.session("bob", "d").await;
    bob.set("after all of that").await.ok();
    alice.expect("bob", says("after all of that")).await;
}
