//! SPEC G1: changes of an app take effect for clients that are connected, without a restart.

use std::time::Duration;

use rollcall_conformance::{GRACE, alice_watching_bob, borrowed, ids, says, unlogined};
use rollcall_harness::{App, Raw, Rollcall, Setup, eventually, token};
use rollcall_proto::{
    admin::v1::{AddTokenKeyRequest, RemoveTokenKeyRequest},
    common::v1::{Edition, Limits},
};
use serde_json::json;

fn limited(limits: Limits) -> Setup {
    Setup { limits, ..Setup::default() }
}

/// Logs in two users, which are on different gateways of a cluster.
async fn two_users(app: &App) -> [Raw; 2] {
    [app.session("alice", "d").await, app.session("carol", "d").await]
}

async fn call(session: &mut Raw, what: &str, users: &[&str]) -> i32 {
    match what {
        "query" => session.query(users).await.code,
        "subscribe" => session.subscribe(users).await.code,
        "unsubscribe" => session.unsubscribe(users).await.code,
        other => panic!("{other} is no call"),
    }
}

// SPEC G1, C3, D1, E1
#[tokio::test]
async fn limits_of_ids_in_a_call_fall_and_rise_under_connected_clients() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut sessions = two_users(&app).await;
    for most in [2, 5, 1] {
        let limits = Limits { query_ids: most, subscribe_ids: most, ..Limits::default() };
        app.set(limited(limits)).await;
        let many = ids("u", usize::try_from(most).unwrap() + 1);
        let many = borrowed(&many);
        for session in &mut sessions {
            for what in ["query", "subscribe", "unsubscribe"] {
                eventually(&format!("{what} of {most} ids"), async || {
                    call(session, what, &many).await == 6017 && call(session, what, &many[1..]).await == 0
                })
                .await;
            }
        }
    }
}

// SPEC G1, D2
#[tokio::test]
async fn the_limit_of_subscriptions_rises_again_under_connected_clients() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    for (round, most) in [3, 5, 2].into_iter().enumerate() {
        app.set(limited(Limits { subscriptions: most, ..Limits::default() })).await;
        let most = usize::try_from(most).unwrap();
        let mut turn = 0;
        eventually(&format!("{most} subscriptions at most"), async || {
            turn += 1;
            let users = ids(&format!("u{round}-{turn}-"), 6);
            alice.subscribe(&borrowed(&users)).await.code == 0
                && alice.subscriptions().await == users[6 - most..]
        })
        .await;
    }
}

/// The calls that are counted, each apart.
const COUNTED: [&str; 3] = ["query", "subscribe", "unsubscribe"];

/// Makes each of the counted calls so slowly that the greatest limit allows it, until so many in a row are answered with
/// a code, whichever they are.
async fn paced(session: &mut Raw, code: i32, in_a_row: u32) {
    let mut row = 0;
    eventually(&format!("{in_a_row} calls of each kind to be answered with {code}"), async || {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let mut codes = Vec::new();
        for what in COUNTED {
            codes.push(call(session, what, &["bob"]).await);
        }
        row = if codes.iter().all(|one| *one == code) { row + 1 } else { 0 };
        row == in_a_row
    })
    .await;
}

// SPEC G1, C4, D1, E1
#[tokio::test]
async fn the_limit_of_calls_in_a_window_falls_and_rises_under_connected_clients() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut sessions = two_users(&app).await;
    for session in &mut sessions {
        app.set(limited(Limits { window_calls: 1, ..Limits::default() })).await;
        paced(session, 7008, 2).await;
        app.set(limited(Limits { window_calls: 20, ..Limits::default() })).await;
        paced(session, 0, 8).await;
    }
}

/// Waits until a query of another is answered with a code.
async fn takes_effect(session: &mut Raw, code: i32) {
    eventually(&format!("queries to be answered with {code}"), async || {
        session.query(&["bob"]).await.code == code
    })
    .await;
}

/// Checks that what changes while an app is `off` is told when it is on again, once, and its last state alone.
async fn catches_up(off: Setup, code: i32) {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let (mut alice, mut bob) = alice_watching_bob(&app).await;
    let mut dave = app.session("dave", "d").await;
    alice.subscribe(&["dave"]).await.ok();
    alice.expect_next("dave").await;
    app.set(off).await;
    takes_effect(&mut alice, code).await;
    // A session that begins meanwhile, on a platform of its own as STANDARD wants it. It may have heard of both before
    // its gateway knew.
    let mut late = app.session_on("PLATFORM_MAC", "alice", "late").await;
    takes_effect(&mut late, code).await;
    late.take_unread();
    alice.take_unread();

    for text in ["first", "second", "last"] {
        bob.set(text).await.ok();
    }
    dave.logout().await.ok();
    for session in [&mut alice, &mut late] {
        let heard = session.pushed_during(GRACE).await;
        assert!(heard.iter().all(|status| status.user_id.as_str() == "alice"), "{heard:?}");
    }

    app.set(Setup::default()).await;
    for session in [&mut alice, &mut late] {
        let mut missed = vec![session.next_status().await, session.next_status().await];
        missed.sort_by_key(|status| status.user_id.to_string());
        let [of_bob, of_dave] = &missed[..] else { panic!("two statuses") };
        assert!(of_bob.user_id.as_str() == "bob" && says("last")(of_bob), "{missed:?}");
        assert!(of_dave.user_id.as_str() == "dave" && unlogined(of_dave), "{missed:?}");
        assert_eq!(session.pushed_during(GRACE).await, []);
        takes_effect(session, 0).await;
    }
}

// SPEC G1, FAULT 27
#[tokio::test]
async fn what_was_missed_while_status_was_off_is_told_when_it_is_on_again() {
    catches_up(Setup::switched_off(), 72001).await;
}

// SPEC G1, FAULT 27
#[tokio::test]
async fn what_was_missed_while_the_edition_was_standard_is_told_when_it_has_risen_again() {
    catches_up(Setup { edition: Edition::Standard, ..Setup::default() }, 7013).await;
}

// SPEC G1, FAULT 27
#[tokio::test]
async fn a_switch_that_flaps_leaves_every_watcher_with_the_last_state() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let (mut alice, mut bob) = alice_watching_bob(&app).await;
    for round in 0..6 {
        let setup = if round % 2 == 0 { Setup::switched_off() } else { Setup::default() };
        app.set(setup).await;
        for change in 0..5 {
            bob.set(&format!("{round}-{change}")).await.ok();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    alice.expect("bob", says("5-4")).await;
}

// SPEC G1, H1
#[tokio::test]
async fn keys_are_renewed_under_connected_clients_one_beside_the_other() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let (app_id, kid) = (app.id, "2026".to_owned());
    let mut alice = app.session("alice", "d").await;
    let add = AddTokenKeyRequest { app_id, kid: kid.clone(), ..AddTokenKeyRequest::default() };
    let added = rollcall.admin().add_token_key(add).await.unwrap().into_inner();
    let by = |kid: Option<&str>, key: &str, user: &str| {
        let mut header = json!({ "alg": "HS256" });
        if let Some(kid) = kid {
            header["kid"] = json!(kid);
        }
        token::forged(&header, &app.claims(user), key.as_bytes(), Some(token::Algorithm::HS256))
    };
    let code = async |token: &str| {
        let mut raw = rollcall.connect().await;
        raw.login_with(app_id, "bob", token, "PLATFORM_LINUX", "d").await.code
    };
    let (new, old) = (by(Some("2026"), &added.token_key, "bob"), by(Some("1"), &app.key, "bob"));
    let crossed = by(Some("1"), &added.token_key, "bob");
    // Each instance of presence hears of it by itself, so each look waits for its own.
    eventually("the new key to be known", async || code(&new).await == 0).await;
    assert_eq!((code(&old).await, code(&crossed).await), (0, 70003));
    assert_eq!(code(&by(None, &app.key, "bob")).await, 0);

    let remove = RemoveTokenKeyRequest { app_id, kid: "1".to_owned(), expected_version: added.version };
    rollcall.admin().remove_token_key(remove).await.unwrap();

    eventually("the old key to be gone", async || code(&old).await == 70003).await;
    eventually("the new key to be known", async || code(&new).await == 0).await;
    // Who is in stays in, and shows a token of the new key next time.
    alice.set("still here").await.ok();
    eventually("the old key to be gone everywhere", async || {
        alice.refresh_token(&by(Some("1"), &app.key, "alice")).await.code == 70003
    })
    .await;
    eventually("the new key to be known everywhere", async || {
        alice.refresh_token(&by(Some("2026"), &added.token_key, "alice")).await.code == 0
    })
    .await;
    let last = RemoveTokenKeyRequest { app_id, kid, ..RemoveTokenKeyRequest::default() };
    let refused = rollcall.admin().remove_token_key(last).await.unwrap_err();
    assert!(refused.message().contains("last key"), "{refused:?}");
}
