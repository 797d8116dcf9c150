//! SPEC K: codes, and the order in which calls are checked.

use rollcall_conformance::{borrowed, ids, online};
use rollcall_harness::{Rollcall, Setup};
use serde_json::{Value, json};

/// Calls of others' statuses that are wrong in themselves, each with its code.
fn wrong_calls() -> Vec<(Value, i32)> {
    let query = |ids: Value| json!({ "getUserStatus": { "userIds": ids } });
    let subscribe = |ids: Value| json!({ "subscribe": { "userIds": ids } });
    let unsubscribe = |ids: Value| json!({ "unsubscribe": { "userIds": ids } });
    vec![
        (query(json!([])), 6017),
        (query(json!(ids("u", 501))), 6017),
        (subscribe(json!([])), 6017),
        (subscribe(json!(ids("u", 101))), 6017),
        (subscribe(json!(["bob"])), 6017),
        (subscribe(json!(["a\n"])), 7003),
        (unsubscribe(json!(ids("u", 101))), 6017),
        (unsubscribe(json!([""])), 7003),
        (json!({ "setSelfStatus": { "custom": "x".repeat(101) } }), 6017),
    ]
}

// SPEC K1
#[tokio::test]
async fn a_login_is_missed_before_an_argument_is_found_wrong() {
    let rollcall = Rollcall::start().await;
    let mut raw = rollcall.connect().await;
    for (call, _) in wrong_calls().into_iter().filter(|(call, _)| call.to_string().len() < 4000) {
        raw.call(call).await.refused(6014);
    }
}

// SPEC K1
#[tokio::test]
async fn an_argument_is_found_wrong_before_the_edition_is() {
    let rollcall = Rollcall::start().await;
    for setup in [Setup::standard(), Setup::switched_off(), Setup::default()] {
        let app = rollcall.app_with(setup).await;
        let mut bob = app.session("bob", "d").await;
        for (call, code) in wrong_calls() {
            bob.call(call).await.refused(code);
        }
    }
}

// SPEC K1, C5
#[tokio::test]
async fn of_a_query_only_the_shape_of_the_list_is_checked_before_the_edition() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app_with(Setup::standard()).await;
    let mut bob = app.session("bob", "d").await;

    bob.query(&["a\n"]).await.refused(7013);
    bob.query(&["bob", "\u{7f}"]).await.refused(7013);
}

// SPEC K1
#[tokio::test]
async fn the_edition_is_missed_before_the_switch() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app_with(Setup::standard()).await;
    let mut bob = app.session("bob", "d").await;

    bob.query(&["alice"]).await.refused(7013);
    bob.subscribe(&["alice"]).await.refused(7013);
    bob.unsubscribe(&["alice"]).await.refused(7013);
    bob.call(json!({ "listSubscriptions": {} })).await.refused(7013);
}

// SPEC K1
#[tokio::test]
async fn a_refused_call_leaves_the_session_as_it_was() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut bob = app.session("bob", "d").await;
    bob.subscribe(&["alice"]).await.ok();
    let before = bob.set("before").await.ok().status();

    for _ in 0..10 {
        for (call, code) in wrong_calls() {
            bob.call(call).await.refused(code);
        }
    }

    assert_eq!(bob.status_of("bob").await, before);
    assert_eq!(bob.subscriptions().await, ["alice"]);
}

// SPEC K
#[tokio::test]
async fn a_message_says_what_was_wrong_and_what_was_expected() {
    let rollcall = Rollcall::start().await;
    let (app, other, off) =
        (rollcall.app().await, rollcall.app().await, rollcall.app_with(Setup::switched_off()).await);
    let standard = rollcall.app_with(Setup::standard()).await;
    let mut replies = Vec::new();
    let mut raw = rollcall.connect().await;
    replies.push(raw.set("too early").await.refused(6014));
    app.kick("kicked").await;
    let elsewhere = app.token_with("bob", |claims| claims["aud"] = json!(other.id.to_string()));
    let run_out = app.token_with("bob", |claims| claims["exp"] = json!(1));
    for (app_id, user, token, code) in [
        (4_000_000_000, "bob", app.token("bob"), 70020),
        (app.id, "bob", "no token".to_owned(), 70003),
        (app.id, "bob", elsewhere, 70014),
        (app.id, "bob", app.token("alice"), 70013),
        (app.id, "bob", run_out, 70001),
        (app.id, "kicked", app.token_with("kicked", |claims| claims["iat"] = json!(1)), 70052),
    ] {
        let mut raw = rollcall.connect().await;
        replies.push(raw.login_with(app_id, user, &token, "PLATFORM_WEB", "d").await.refused(code));
    }
    let mut bob = app.session("bob", "d").await;
    for (call, code) in wrong_calls() {
        replies.push(bob.call(call).await.refused(code));
    }
    replies.push(bob.query(&["\n"]).await.refused(6003));
    replies.push(standard.session("bob", "d").await.query(&["alice"]).await.refused(7013));
    replies.push(off.session("bob", "d").await.query(&["alice"]).await.refused(72001));
    while replies.last().unwrap().code != 7008 {
        replies.extend(Some(bob.query(&["alice"]).await).filter(|reply| reply.code != 0));
    }

    for reply in replies {
        let says = ["expected", "allowed", "at most"].iter().any(|word| reply.message.contains(word));
        assert!(says && !reply.message.ends_with('.'), "{}: {}", reply.code, reply.message);
    }
}

// SPEC K
#[tokio::test]
async fn a_message_names_no_other_user() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut raw = rollcall.connect().await;

    let of_another = app.token("secretive");
    let reply = raw.login_with(app.id, "bob", &of_another, "PLATFORM_LINUX", "d").await.refused(70013);

    assert!(!reply.message.contains("secretive"), "{}", reply.message);
    assert!(!reply.message.contains(&app.key) && !reply.message.contains(&of_another), "{}", reply.message);
}

// SPEC K
#[tokio::test]
async fn success_is_code_0_without_words() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    for dial in [rollcall.dial(), rollcall.dial().protobuf()] {
        let mut raw = dial.open().await;
        // Each of these checks code and message.
        assert!(online(&raw.login(&app, "bob", "d").await.ok().status()));
        raw.set("x").await.ok();
        raw.query(&["bob", "alice"]).await.ok();
        raw.subscribe(&borrowed(&ids("u", 3))).await.ok();
        raw.unsubscribe(&["u0"]).await.ok();
        assert_eq!(raw.subscriptions().await, ["u1", "u2"]);
        raw.unsubscribe(&[]).await.ok();
        raw.call(json!({ "ping": {} })).await.ok();
        raw.logout().await.ok();
    }
}
