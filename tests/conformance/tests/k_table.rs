//! SPEC K, K1, C5: the table of codes, what a store that fails is answered with, and what is checked last.

use std::time::Duration;

use rollcall_client::Code;
use rollcall_conformance::GRACE;
use rollcall_harness::{App, Deployment, Dial, Raw, Rollcall, Setup, eventually, within};
use rollcall_proto::{
    refusal,
    subscription::v1::{SubscribeRequest, UnsubscribeRequest},
};

/// How many calls of a kind are allowed in a window.
const LIMIT: usize = 20;

// SPEC K
#[test]
fn the_codes_are_those_of_the_specification_and_no_others() {
    let table = [
        0, 6003, 6012, 6014, 6017, 6206, 6208, 7003, 7008, 7013, 9508, 70001, 70003, 70013, 70014, 70020,
        70052, 70107, 70169, 70402, 70500, 72001,
    ];
    let mut numbers: Vec<i32> = Code::ALL.iter().map(|code| code.number()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, table);
}

// SPEC K, P1
#[tokio::test]
async fn a_call_that_comes_after_its_last_moment_is_answered_6012_and_takes_no_effect() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    alice.subscribe(&["bob"]).await.ok();
    let (app_id, user_id) = (app.id, "alice".to_owned());
    // A microsecond after 1970 began.
    let not_after = 1;
    let subscribe = SubscribeRequest {
        app_id,
        user_id: user_id.clone(),
        target_ids: vec!["carol".to_owned()],
        not_after,
    };
    let unsubscribe = UnsubscribeRequest { app_id, user_id, target_ids: Vec::new(), not_after };

    for refused in [
        rollcall.subscription().subscribe(subscribe).await.map(drop).unwrap_err(),
        rollcall.subscription().unsubscribe(unsubscribe).await.map(drop).unwrap_err(),
    ] {
        assert_eq!(refused.code(), tonic::Code::DeadlineExceeded);
        assert_eq!(refusal::from_status(&refused).code.number(), 6012);
    }
    assert_eq!(alice.subscriptions().await, ["bob"]);
}

/// Makes what the store holds of a user unreadable.
fn spoil(rollcall: &mut Rollcall, app: &App, user: &str) {
    let redis = &rollcall.engines().redis;
    let keys = redis.operate(&["KEYS".to_owned(), format!("*u:{}:{}:{user}", app.id, user.len())]);
    let key = keys.lines().find(|line| line.contains("u:")).expect("a record").trim();
    // Behind the two versions of 8 bytes each.
    redis.operate(&[&b"SETRANGE"[..], key.as_bytes(), b"16", b"\xff\xff\xff\xff"]);
}

/// The deployments whose store can fail: what one process has in its memory cannot.
const ON_SERVERS: [Deployment; 2] = [Deployment::Node, Deployment::Cluster];

// SPEC C5, K
#[tokio::test]
async fn a_status_that_cannot_be_read_fails_by_itself_and_a_call_that_meets_it_alone_fails_whole() {
    for deployment in ON_SERVERS {
        let mut rollcall = Rollcall::builder().deployment(deployment).start().await;
        let app = rollcall.app().await;
        let mut alice = app.session("alice", "d").await;
        app.session("spoilt", "d").await.logout().await.ok();
        spoil(&mut rollcall, &app, "spoilt");

        let reply = alice.query(&["alice", "spoilt", "bob"]).await.ok();
        assert_eq!(reply.failures(), [("spoilt".to_owned(), 70500)]);
        assert_eq!(reply.statuses().len(), 2);
        alice.query(&["spoilt"]).await.refused(6003);
        let mut spoilt = rollcall.connect().await;
        spoilt.login(&app, "spoilt", "d").await.refused(70500);
        assert_eq!(spoilt.closed().await, Some(3004), "it may pass");
    }
}

// SPEC K, P1
#[tokio::test]
async fn while_the_store_does_not_answer_calls_end_with_70169_and_change_nothing() {
    for deployment in ON_SERVERS {
        let mut builder = Rollcall::builder().deployment(deployment);
        for service in ["gateway", "presence"] {
            // By default nobody expires in the time of a few calls.
            builder = builder.setting(service, "expiry = \"30s\"");
        }
        let mut rollcall = builder.start().await;
        let app = rollcall.app().await;
        let mut bob = app.session("bob", "d").await;
        let before = bob.set("before").await.ok().status();
        bob.subscribe(&["alice"]).await.ok();

        rollcall.engines().redis.pause();
        bob.set("never").await.refused(70169);
        bob.subscribe(&["carol"]).await.refused(70169);
        // Of the one id, or of the app's settings where they are not at hand.
        assert!([6003, 70169].contains(&bob.query(&["bob"]).await.code));
        rollcall.engines().redis.resume();

        eventually("the store to be back", async || bob.query(&["bob"]).await.code == 0).await;
        tokio::time::sleep(GRACE).await;
        assert_eq!(bob.status_of("bob").await, before);
        assert_eq!(bob.subscriptions().await, ["alice"]);
    }
}

async fn call(session: &mut Raw, what: &str) -> i32 {
    match what {
        "query" => session.query(&["alice"]).await.code,
        "subscribe" => session.subscribe(&["alice"]).await.code,
        "unsubscribe" => session.unsubscribe(&["nobody"]).await.code,
        other => panic!("{other} is no call"),
    }
}

/// Checks that calls which a gate refuses count against no window, and that a full window is not asked about before it.
async fn is_asked_before_the_window(gate: Setup, code: i32) {
    let rollcall = Rollcall::start().await;
    let at = rollcall.addresses().clients[0].clone();
    for what in ["query", "subscribe", "unsubscribe"] {
        let app = rollcall.app_with(gate).await;
        let mut bob = app.session_by(Dial::new(&at), "PLATFORM_LINUX", "bob", "d").await;
        let mut carol = app.session_by(Dial::new(&at), "PLATFORM_LINUX", "carol", "d").await;
        for _ in 0..2 * LIMIT {
            assert_eq!(call(&mut bob, what).await, code, "{what}");
        }
        app.set(Setup::default()).await;
        let mut codes = Vec::new();
        while codes.last() != Some(&7008) {
            codes.push(call(&mut bob, what).await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // More where the machine is so slow that the window moves on.
        let allowed = codes.iter().filter(|one| **one == 0).count();
        assert!(allowed >= LIMIT, "{what}: {allowed} calls, {codes:?}");

        app.set(gate).await;
        // The gateway of both knows once it refuses who has made few calls. Until then the window is kept full.
        while carol.query(&["alice"]).await.code != code {
            for _ in 0..2 * LIMIT {
                call(&mut bob, what).await;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        assert_eq!(call(&mut bob, what).await, code, "{what}");
    }
}

// SPEC K1
#[tokio::test]
async fn the_edition_is_asked_for_before_the_window_and_what_it_refuses_is_not_counted() {
    is_asked_before_the_window(Setup::standard(), 7013).await;
}

// SPEC K1
#[tokio::test]
async fn the_switch_is_asked_for_before_the_window_and_what_it_refuses_is_not_counted() {
    is_asked_before_the_window(Setup::switched_off(), 72001).await;
}

// SPEC K1
#[tokio::test]
async fn an_argument_is_found_wrong_although_the_window_is_full() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut bob = app.session("bob", "d").await;
    for what in ["query", "subscribe", "unsubscribe"] {
        within("the window to be full", async { while call(&mut bob, what).await != 7008 {} }).await;
        match what {
            "query" => bob.query(&[]).await.refused(6017),
            "subscribe" => bob.subscribe(&["bob"]).await.refused(6017),
            _ => bob.unsubscribe(&["\n"]).await.refused(7003),
        };
    }
}
