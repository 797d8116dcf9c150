//! SPEC H3, H7: tokens that run out in a session, new ones, and tokens that are revoked.

use std::{sync::Arc, time::Duration};

use rollcall_conformance::{GRACE, alice_watching_bob, offline, online, unlogined};
use rollcall_harness::{App, Dial, Heard, Raw, Recorder, Rollcall, eventually, token};
use serde_json::{Value, json};

/// The grace of the profile `fast`.
const TOKEN_GRACE: Duration = Duration::from_secs(5);

/// Logs bob in over a connection of some kind, with a token.
async fn bob_with(app: &App, dial: Dial, token: &str) -> Raw {
    let mut bob = dial.open().await;
    bob.login_with(app.id, "bob", token, "PLATFORM_LINUX", "d").await.ok();
    bob
}

/// Waits until the second of the wall clock is over, so that what is issued next is issued in a later one.
async fn next_second() {
    let second = token::now();
    eventually("the next second", async || token::now() > second).await;
}

fn calls() -> [Value; 6] {
    [
        json!({ "setSelfStatus": { "custom": "x" } }),
        json!({ "getUserStatus": { "userIds": ["bob"] } }),
        json!({ "subscribe": { "userIds": ["alice"] } }),
        json!({ "unsubscribe": { "userIds": [] } }),
        json!({ "listSubscriptions": {} }),
        json!({ "login": {} }),
    ]
}

/// Makes a token of bob as `rollcallctl token` does.
async fn made(rollcall: &Rollcall, name: &str, app: &App, how: &[&str]) -> String {
    let id = app.id.to_string();
    let token = rollcall.ctl(name, &[&["token", "--app-id", &id, "--user-id", "bob"], how].concat());
    eventually("a token", async || token.output().ends_with('\n')).await;
    token.output().trim().to_owned()
}

// SPEC H3
#[tokio::test]
async fn a_token_that_runs_out_is_told_then_calls_are_refused_and_the_connection_closes_as_lost() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    alice.subscribe(&["bob"]).await.ok();
    for dial in [rollcall.dial(), rollcall.dial().protobuf()] {
        let exp = token::now() + 3;
        let mut bob = bob_with(&app, dial, &app.token_with("bob", |claims| claims["exp"] = json!(exp))).await;
        alice.expect("bob", online).await;
        bob.set("still good").await.ok();

        bob.token_expired().await;

        assert!(token::now() >= exp, "never before");
        for call in calls() {
            bob.call(call).await.refused(6206);
        }
        bob.call(json!({ "ping": {} })).await.ok();
        assert!(online(&alice.status_of("bob").await), "the session goes on for the grace");
        assert_eq!(bob.closed().await, Some(3506));
        assert!(token::now() >= exp + TOKEN_GRACE.as_secs(), "never before");
        assert_eq!((bob.token_ends(), bob.kicked()), (0, None), "told once");
        assert!(offline(&alice.expect("bob", |status| !online(status)).await), "as a lost connection");
    }
}

// SPEC H3
#[tokio::test]
async fn who_only_logs_out_in_the_grace_is_logged_out() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let (mut alice, bob) = alice_watching_bob(&app).await;
    bob.lose().await;
    alice.expect("bob", offline).await;
    let mut bob = bob_with(&app, rollcall.dial(), &app.token_for("bob", 1)).await;
    bob.token_expired().await;
    bob.logout().await.ok();
    assert_eq!(bob.closed().await, Some(3500));
    assert!(unlogined(&alice.expect("bob", |status| !online(status) && !offline(status)).await));
}

// SPEC H3
#[tokio::test]
async fn a_new_token_in_time_or_in_the_grace_keeps_the_session() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let (mut alice, bob) = alice_watching_bob(&app).await;
    drop(bob);
    alice.expect("bob", offline).await;
    for dial in [rollcall.dial(), rollcall.dial().protobuf()] {
        let mut bob = bob_with(&app, dial, &app.token_for("bob", 2)).await;
        alice.expect("bob", online).await;
        let exp = token::now() + 5;
        bob.refresh_token(&app.token_with("bob", |claims| claims["exp"] = json!(exp))).await.ok();
        // The first one runs out unheard.
        bob.token_expired().await;
        assert!(token::now() >= exp, "never before the later one");
        bob.set("too late").await.refused(6206);

        bob.refresh_token(&app.token("bob")).await.ok();

        bob.set("back").await.ok();
        alice.expect("bob", |status| status.custom == "back").await;
        assert_eq!(alice.pushed_during(TOKEN_GRACE + GRACE).await, [], "nobody saw a flicker");
        bob.set("still here").await.ok();
        assert_eq!(bob.token_ends(), 0);
        bob.lose().await;
        alice.expect("bob", offline).await;
    }
}

// SPEC H3, H1
#[tokio::test]
async fn a_new_token_is_checked_as_at_login_and_a_refused_one_changes_nothing() {
    let rollcall = Rollcall::start().await;
    let (app, other) = (rollcall.app().await, rollcall.app().await);
    let mut bob = bob_with(&app, rollcall.dial(), &app.token_for("bob", 2)).await;
    let run_out = |claims: &mut Value| claims["exp"] = json!(token::now() - 60);
    let elsewhere = |claims: &mut Value| claims["aud"] = json!(other.id.to_string());
    for (wrong, code) in [
        (String::new(), 70003),
        (other.token("bob"), 70003),
        (app.token_with("alice", elsewhere), 70014),
        (app.token_with("alice", run_out), 70013),
        (app.token_with("bob", run_out), 70001),
    ] {
        bob.refresh_token(&wrong).await.refused(code);
    }
    bob.token_expired().await;
    bob.refresh_token(&app.token("alice")).await.refused(70013);
    bob.set("x").await.refused(6206);
    let mut stranger = rollcall.connect().await;
    stranger.refresh_token(&app.token("bob")).await.refused(6014);
}

// SPEC H3
#[tokio::test]
async fn the_sdk_raises_the_end_of_a_token_at_that_moment_and_goes_on_with_a_new_one() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let client = app.client("d");
    let recorder = Arc::new(Recorder::default());
    client.add_listener(Arc::clone(&recorder));
    client.login(app.id, "bob", &app.token_for("bob", 1)).await.unwrap();
    recorder.wait_for("the end of the token", |heard| heard.contains(&Heard::SigExpired)).await;
    assert!(client.get_login_user().is_some());
    assert_eq!(client.set_self_status(Some("x")).await.unwrap_err().code.number(), 6206);

    client.refresh_token(&app.token_for("bob", 3)).await.unwrap();

    client.set_self_status(Some("on")).await.unwrap();
    let ends = |heard: &[Heard]| heard.iter().filter(|heard| **heard == Heard::SigExpired).count();
    recorder.wait_for("the end of the second token", |heard| ends(heard) == 2).await;
    recorder
        .wait_for("the end of the session", |heard| heard.last() == Some(&Heard::Disconnected(6206)))
        .await;
    assert_eq!((client.get_login_user(), ends(&recorder.heard())), (None, 2));
    client.login(app.id, "bob", &app.token("bob")).await.unwrap();
}

// SPEC H7, A4, ATTACK X8
#[tokio::test]
async fn a_kick_ends_all_sessions_and_the_tokens_issued_until_then() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    alice.subscribe(&["bob"]).await.ok();
    let old = app.token("bob");
    let mut sessions = Vec::new();
    for number in 0..3 {
        let mut bob = rollcall.connect().await;
        let platform = ["PLATFORM_LINUX", "PLATFORM_WEB", "PLATFORM_IPHONE"][number];
        bob.login_with(app.id, "bob", &old, platform, &format!("d{number}")).await.ok();
        sessions.push(bob);
    }
    let live = sessions.len();
    alice.expect("bob", online).await;

    let kicked = app.kick("bob").await;

    assert!((1..=live).contains(&(kicked.sessions as usize)), "{kicked:?}");
    for bob in &mut sessions {
        assert_eq!(bob.closed().await, Some(3504));
        assert_eq!(bob.kicked(), Some(6208));
    }
    assert!(unlogined(&alice.expect_next("bob").await), "one change, and no OFFLINE");
    let undated = app.token_with("bob", |claims| drop(claims.as_object_mut().unwrap().remove("iat")));
    let then = app.token_with("bob", |claims| claims["iat"] = json!(kicked.revoked_until));
    for revoked in [&old, &undated, &then] {
        let mut bob = rollcall.connect().await;
        bob.login_with(app.id, "bob", revoked, "PLATFORM_LINUX", "d").await.refused(70052);
        assert_eq!(bob.closed().await, Some(3503));
    }
    assert_eq!(alice.pushed_during(GRACE).await, []);

    let since = app.token_with("bob", |claims| claims["iat"] = json!(kicked.revoked_until + 1));
    let mut bob = bob_with(&app, rollcall.dial(), &since).await;
    bob.refresh_token(&then).await.refused(70052);
    bob.refresh_token(&since).await.ok();
    assert!(online(&alice.expect_next("bob").await));
    assert_eq!(app.kick("nobody").await.sessions, 0);
}

// SPEC H1, H7
#[tokio::test]
async fn a_revoked_token_is_told_after_all_else_is_checked() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let old = app.token_with("bob", |claims| claims["exp"] = json!(token::now() - 60));
    app.kick("bob").await;
    let mut bob = rollcall.connect().await;
    bob.login_with(app.id, "bob", &old, "PLATFORM_LINUX", "d").await.refused(70001);
}

// SPEC H7, ATTACK X8
#[tokio::test]
async fn the_sdk_of_a_kicked_user_hears_it_and_stays_away() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let (client, recorder) = app.sdk("bob", "d").await;
    app.kick("bob").await;
    recorder.wait_for("the kick", |heard| heard.last() == Some(&Heard::Kicked)).await;
    assert_eq!(client.get_login_user(), None);
    next_second().await;
    client.login(app.id, "bob", &app.token("bob")).await.unwrap();
}

// SPEC H7
#[tokio::test]
async fn of_logins_that_race_with_a_kick_none_is_left() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    for round in 0..5 {
        let user = format!("user-{round}");
        let old = app.token(&user);
        let logins: Vec<_> = (0..8)
            .map(|number| {
                let dial = rollcall.dial();
                let login = json!({
                    "appId": app.id, "userId": user, "token": old, "platform": "PLATFORM_LINUX",
                    "deviceId": format!("d{number}"),
                });
                tokio::spawn(async move {
                    let mut raw = dial.open().await;
                    tokio::time::sleep(Duration::from_millis(number * 3)).await;
                    raw.begin(json!({ "login": login })).await;
                    raw.closed().await
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(10)).await;
        app.kick(&user).await;
        for login in logins {
            // Refused, or kicked; not silent until the expiry.
            let closed = login.await.unwrap();
            assert!([Some(3503), Some(3504)].contains(&closed), "closed with {closed:?}");
        }
        assert!(unlogined(&alice.status_of(&user).await));
    }
}

// SPEC H7
#[tokio::test]
async fn rollcallctl_kicks_a_user() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut bob = app.session("bob", "d").await;
    let id = app.id.to_string();
    let kick = rollcall.operate("kick", &["kick", "--app-id", &id, "--user-id", "bob", "--output", "json"]);
    assert_eq!(bob.closed().await, Some(3504));
    eventually("the outcome", async || {
        let said: Option<Value> = serde_json::from_str(&kick.output()).ok();
        said.is_some_and(|said| said["user_id"] == "bob" && said["sessions"] == 1)
    })
    .await;
}

// SPEC H1, ATTACK X7
#[tokio::test]
async fn a_token_signed_by_a_key_of_ed25519_that_an_operator_added_is_accepted_until_it_is_removed() {
    // The pair of RFC 8410, section 10.
    let private = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
    let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let file = |name: &str, pem: &str| {
        let path = rollcall.folder().join(name);
        std::fs::write(&path, pem).unwrap();
        path.display().to_string()
    };
    let (private, public) = (file("key.pem", private), file("public.pem", public));
    let by_kid = made(&rollcall, "by-kid", &app, &["--ed25519-key", &private, "--kid", "ed"]).await;
    let by_any = made(&rollcall, "by-any", &app, &["--ed25519-key", &private]).await;
    let by_other = made(&rollcall, "by-other", &app, &["--ed25519-key", &private, "--kid", "1"]).await;
    let code = async |token: &str| {
        let mut bob = rollcall.connect().await;
        bob.login_with(app.id, "bob", token, "PLATFORM_LINUX", "d").await.code
    };
    assert_eq!(code(&by_kid).await, 70003);

    let id = app.id.to_string();
    let add = rollcall
        .operate("add", &["app", "key", "add", "--app-id", &id, "--kid", "ed", "--public-key", &public]);
    eventually("the key to be known", async || code(&by_kid).await == 0).await;
    assert!(add.output().contains("EdDSA"), "{}", add.output());
    eventually("all instances to know it", async || code(&by_any).await == 0).await;
    assert_eq!(code(&by_other).await, 70003, "kid names a key of another algorithm");
    assert_eq!(code(&app.token("bob")).await, 0, "the first key is still good");

    let _remove = rollcall.operate("remove", &["app", "key", "remove", "--app-id", &id, "--kid", "ed"]);
    eventually("the key to be gone", async || code(&by_kid).await == 70003).await;
}

// SPEC H1
#[tokio::test]
async fn a_user_sig_logs_in_runs_out_and_is_refreshed_as_a_jwt_does() {
    let rollcall = Rollcall::start().await;
    let (app, other) = (rollcall.app().await, rollcall.app().await);
    let key = app.key.as_str();
    let sig = made(&rollcall, "sig", &app, &["--key", key, "--user-sig"]).await;
    let foreign = made(&rollcall, "foreign", &other, &["--key", key, "--user-sig"]).await;
    let forged = made(&rollcall, "forged", &app, &["--key", &other.key, "--user-sig"]).await;
    assert!(!sig.contains(['.', '+', '/', '=']), "{sig}");
    for (token, user, code) in [(&forged, "bob", 70003), (&foreign, "bob", 70014), (&sig, "alice", 70013)] {
        let mut raw = rollcall.connect().await;
        raw.login_with(app.id, user, token, "PLATFORM_LINUX", "d").await.refused(code);
    }
    let short = made(&rollcall, "short", &app, &["--key", key, "--user-sig", "--ttl", "4s"]).await;
    let mut bob = bob_with(&app, rollcall.dial(), &short).await;
    bob.token_expired().await;
    bob.refresh_token(&sig).await.ok();
    bob.set("on").await.ok();
    let mut late = rollcall.connect().await;
    late.login_with(app.id, "bob", &short, "PLATFORM_LINUX", "d").await.refused(70001);
}

// SPEC H1, H7
#[tokio::test]
async fn a_user_sig_of_the_future_is_refused_and_one_issued_before_a_kick_is_revoked() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let sig = |issued_at: u64| token::user_sig(app.key.as_bytes(), app.id, "bob", issued_at, 7_200);
    let code = async |token: &str| {
        let mut bob = rollcall.connect().await;
        bob.login_with(app.id, "bob", token, "PLATFORM_LINUX", "d").await.code
    };
    let begun = token::now();
    assert_eq!(code(&sig(begun)).await, 0);
    assert_eq!(code(&sig(begun + 3_600)).await, 70003);
    assert_eq!(code(&sig(u64::MAX)).await, 70003);
    assert_eq!(code(&sig(begun - 7_300)).await, 70001);

    let kicked = app.kick("bob").await;
    assert_eq!(code(&sig(kicked.revoked_until)).await, 70052);
    assert_eq!(code(&sig(begun)).await, 70052);
}
