//! SPEC H: login, logout, kick.

use rollcall_conformance::{GRACE, offline, online, says, unlogined};
use rollcall_harness::{App, Raw, Rollcall, Setup, token, within};
use serde_json::{Value, json};

/// Logs in with a token, and checks that it is refused with a code and that the connection closes.
async fn refused(rollcall: &Rollcall, app: u32, user: &str, token: &str, code: i32) {
    let mut raw = rollcall.connect().await;
    raw.login_with(app, user, token, "PLATFORM_LINUX", "d").await.refused(code);
    assert_eq!(raw.closed().await, Some(3503), "a refused login of {user}");
}

/// Checks that a user never was online.
async fn never_online(app: &App, user: &str) {
    let mut reader = app.session("reader", "d").await;
    let status = reader.status_of(user).await;
    assert!(unlogined(&status) && status.version == 0, "{status:?}");
}

// SPEC H1
#[tokio::test]
async fn app_user_and_token_of_a_login_must_agree() {
    let rollcall = Rollcall::start().await;
    let (app, other) = (rollcall.app().await, rollcall.app().await);
    let bobs = app.token("bob");

    refused(&rollcall, 4_000_000_000, "bob", &bobs, 70020).await;
    refused(&rollcall, app.id, "alice", &bobs, 70013).await;
    refused(&rollcall, app.id, "Bob", &bobs, 70013).await;
    // Each app signs with its own key: a token for another app must bear this app's signature to be one.
    let elsewhere = app.token_with("bob", |claims| claims["aud"] = json!(other.id.to_string()));
    refused(&rollcall, app.id, "bob", &elsewhere, 70014).await;
    refused(&rollcall, other.id, "bob", &bobs, 70003).await;

    for app in [&app, &other] {
        never_online(app, "bob").await;
        never_online(app, "alice").await;
    }
    assert!(online(&app.session("bob", "d").await.status_of("bob").await));
}

// SPEC H1
#[tokio::test]
async fn a_token_that_has_run_out_is_refused_and_one_without_iat_is_not() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    for past in [json!(token::now() - 60), json!(1), json!(0), json!(-1)] {
        let run_out = app.token_with("bob", |claims| claims["exp"] = past);
        refused(&rollcall, app.id, "bob", &run_out, 70001).await;
    }
    never_online(&app, "bob").await;

    let undated = app.token_with("bob", |claims| drop(claims.as_object_mut().unwrap().remove("iat")));
    let mut bob = rollcall.connect().await;
    bob.login_with(app.id, "bob", &undated, "PLATFORM_WEB", "d").await.ok();
}

// SPEC H1, ATTACK X7
#[tokio::test]
async fn a_forged_or_malformed_token_is_refused() {
    let rollcall = Rollcall::start().await;
    let (app, other) = (rollcall.app().await, rollcall.app().await);
    let claims = app.claims("bob");
    let key = app.key.as_bytes();
    let good = app.token("bob");
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, _) = signed.split_once('.').unwrap();
    let hs256 = token::Algorithm::HS256;
    let named = |algorithm: &str| json!({ "alg": algorithm, "typ": "JWT" });
    let mut forged = vec![
        // No signature, another's, a cut one, one of other claims.
        token::jwt("none", &claims, key),
        format!("{signed}."),
        token::jwt("HS256", &claims, other.key.as_bytes()),
        token::jwt("HS256", &claims, b""),
        format!("{signed}.{}", &signature[..signature.len() - 2]),
        app.token("alice").rsplit_once('.').unwrap().0.to_owned() + "." + signature,
        // Another algorithm, honestly or under a false name.
        token::jwt("HS384", &claims, key),
        token::jwt("HS512", &claims, key),
        token::forged(&named("none"), &claims, key, Some(hs256)),
        token::forged(&named("RS256"), &claims, key, Some(hs256)),
        token::forged(&named("EdDSA"), &claims, key, Some(hs256)),
        token::forged(&named("hs256"), &claims, key, Some(hs256)),
        token::forged(&json!({}), &claims, key, Some(hs256)),
        // No token at all.
        String::new(),
        "..".to_owned(),
        "token".to_owned(),
        header.to_owned(),
        signed.to_owned(),
        format!("{good}.more"),
        format!(" {good}"),
        "eyJhbGciOiJIUzI1NiJ9.bm8ganNvbg.AAAA".to_owned(),
        "\0\u{1b}[31m\n".to_owned(),
    ];
    let required = ["sub", "aud", "exp"];
    forged.extend(required.map(|claim| app.token_with("bob", |claims| drop(claims[claim].take()))));
    forged
        .extend(required.map(|claim| {
            app.token_with("bob", |claims| drop(claims.as_object_mut().unwrap().remove(claim)))
        }));
    forged.push(app.token_with("bob", |claims| claims["exp"] = json!((token::now() + 60).to_string())));
    forged.push(app.token_with("bob", |claims| claims["sub"] = json!(["bob"])));
    forged.push(app.sign(&Value::Null));

    for token in forged {
        refused(&rollcall, app.id, "bob", &token, 70003).await;
    }
    never_online(&app, "bob").await;
}

// SPEC H1
#[tokio::test]
async fn a_login_is_checked_in_the_order_app_signature_app_of_token_user_expiry() {
    let rollcall = Rollcall::start().await;
    let (app, other) = (rollcall.app().await, rollcall.app().await);
    let run_out = |claims: &mut Value| claims["exp"] = json!(token::now() - 60);
    let elsewhere = |claims: &mut Value| claims["aud"] = json!(other.id.to_string());

    // Each is wrong in all that comes after, too.
    let all_wrong = app.token_with("alice", |claims| {
        run_out(claims);
        elsewhere(claims);
    });
    let badly_signed = format!("{}.AAAA", all_wrong.rsplit_once('.').unwrap().0);
    refused(&rollcall, 4_000_000_000, "bob", &badly_signed, 70020).await;
    refused(&rollcall, app.id, "bob", &badly_signed, 70003).await;
    refused(&rollcall, app.id, "bob", &all_wrong, 70014).await;
    refused(&rollcall, app.id, "bob", &app.token_with("alice", run_out), 70013).await;
    refused(&rollcall, app.id, "bob", &app.token_with("bob", run_out), 70001).await;
}

// SPEC H2, ATTACK X9
#[tokio::test]
async fn after_login_the_caller_is_the_session_whatever_a_message_says() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut bob = app.session("bob", "d").await;
    bob.subscribe(&["carol"]).await.ok();
    let mut mallory = app.session("mallory", "d").await;
    let as_bob = json!({
        "userId": "bob", "user_id": "bob", "fromUserId": "bob", "appId": app.id,
        "session": { "boot": "1", "counter": "1" }, "sessionId": "1",
    });
    let disguised = |arguments: Value| {
        let mut all = as_bob.clone();
        all.as_object_mut().unwrap().extend(arguments.as_object().unwrap().clone());
        all
    };
    let before = bob.status_of("bob").await;

    let set = json!({ "setSelfStatus": disguised(json!({ "custom": "mine" })) });
    assert_eq!(mallory.call(set).await.ok().status().user_id.as_str(), "mallory");
    mallory.call(json!({ "subscribe": disguised(json!({ "userIds": ["dave"] })) })).await.ok();
    mallory.call(json!({ "unsubscribe": disguised(json!({ "userIds": ["carol"] })) })).await.ok();
    assert_eq!(mallory.subscriptions().await, ["dave"]);
    mallory.call(json!({ "logout": disguised(json!({})) })).await.ok();

    assert_eq!(bob.status_of("bob").await, before);
    assert_eq!(bob.subscriptions().await, ["carol"]);
    assert!(unlogined(&bob.status_of("mallory").await));
}

// SPEC H2, C1, C4
#[tokio::test]
async fn gates_windows_and_extras_of_a_query_are_those_of_the_session_whatever_a_message_says() {
    let rollcall = Rollcall::start().await;
    let as_bob =
        |users: &[&str]| json!({ "getUserStatus": { "userIds": users, "callerId": "bob", "userId": "bob" } });
    let standard = rollcall.app_with(Setup::standard()).await;
    let mut mallory = standard.session("mallory", "d").await;
    mallory.call(as_bob(&["bob"])).await.refused(7013);
    mallory.call(as_bob(&["mallory"])).await.ok();

    let app = rollcall.app().await;
    let mut bob = app.session("bob", "d").await;
    let mut mallory = app.session_on("PLATFORM_IPAD", "mallory", "d").await;
    let own = mallory.call(as_bob(&["mallory"])).await.ok().result("getUserStatus")["own"].clone();
    assert_eq!(own, json!({ "userId": "mallory", "platforms": ["PLATFORM_IPAD"] }));
    let of_bob = mallory.call(as_bob(&["bob"])).await.ok();
    assert_eq!(of_bob.result("getUserStatus").get("own"), None);
    // Never fewer than 20 in 5 s, so these were counted against somebody.
    within("mallory's window to be full", async {
        while mallory.call(as_bob(&["bob"])).await.code != 7008 {}
    })
    .await;
    bob.query(&["mallory"]).await.ok();
}

// SPEC H5
#[tokio::test]
async fn a_device_that_logs_in_again_replaces_its_session_silently() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    alice.subscribe(&["bob"]).await.ok();
    let mut older = app.session("bob", "phone").await;
    older.set("still mine").await.ok();
    alice.expect("bob", says("still mine")).await;

    let mut newer = app.session("bob", "phone").await;

    assert_eq!(older.closed().await, Some(3505));
    assert_eq!(older.kicked(), None);
    assert_eq!(alice.pushed_during(GRACE).await, [], "nobody sees it");
    let status = newer.status_of("bob").await;
    assert!(online(&status) && says("still mine")(&status), "{status:?}");
    newer.lose().await;
    assert!(offline(&alice.expect_next("bob").await), "there was one session");
}

// SPEC H5
#[tokio::test]
async fn another_platform_or_device_replaces_nothing() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut sessions: Vec<Raw> = Vec::new();
    for (platform, device) in [
        ("PLATFORM_ANDROID", "one"),
        ("PLATFORM_IPHONE", "one"),
        ("PLATFORM_ANDROID", "two"),
        ("PLATFORM_ANDROID", "ONE"),
        ("PLATFORM_WEB", "one"),
    ] {
        sessions.push(app.session_on(platform, "bob", device).await);
    }

    tokio::time::sleep(GRACE).await;
    for session in &mut sessions {
        session.call(json!({ "ping": {} })).await.ok();
    }
}

// SPEC H6
#[tokio::test]
async fn a_logout_is_answered_before_the_connection_closes() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut alice = app.session("alice", "d").await;
    for dial in [rollcall.dial(), rollcall.dial().protobuf()] {
        let mut bob = app.session_by(dial, "PLATFORM_LINUX", "bob", "d").await;
        bob.logout().await.ok();
        // The reply means stored: nobody need wait.
        assert!(unlogined(&alice.status_of("bob").await));
        assert_eq!(bob.closed().await, Some(3500));
    }
}

// SPEC H6
#[tokio::test]
async fn a_logout_of_one_session_leaves_the_others() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut phone = app.session("bob", "phone").await;
    let mut desk = app.session("bob", "desk").await;
    desk.set("still here").await.ok();

    phone.logout().await.ok();

    let status = desk.status_of("bob").await;
    assert!(online(&status) && says("still here")(&status), "{status:?}");
}

// SPEC H6
#[tokio::test]
async fn calls_sent_right_behind_the_login_are_served_after_it() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut raw = rollcall.connect().await;
    let login = json!({
        "appId": app.id, "userId": "bob", "token": app.token("bob"), "platform": "PLATFORM_WEB", "deviceId": "d",
    });

    let login = raw.begin(json!({ "login": login })).await;
    let set = raw.begin(json!({ "setSelfStatus": { "custom": "in a hurry" } })).await;
    let query = raw.begin(json!({ "getUserStatus": { "userIds": ["alice"] } })).await;

    raw.reply(login).await.ok();
    assert!(says("in a hurry")(&raw.reply(set).await.ok().status()));
    raw.reply(query).await.ok();
}

// SPEC H6
#[tokio::test]
async fn calls_without_login_are_refused_and_a_login_may_follow() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    for dial in [rollcall.dial(), rollcall.dial().protobuf()] {
        let mut raw = dial.open().await;
        for call in [
            json!({ "ping": {} }),
            json!({ "logout": {} }),
            json!({ "refreshToken": { "token": app.token("bob") } }),
            json!({ "setSelfStatus": { "custom": "x" } }),
            json!({ "getUserStatus": { "userIds": ["bob"] } }),
            json!({ "subscribe": { "userIds": ["alice"] } }),
            json!({ "unsubscribe": { "userIds": [] } }),
            json!({ "listSubscriptions": {} }),
        ] {
            raw.call(call).await.refused(6014);
        }
        let status = raw.login(&app, "bob", "d").await.ok().status();
        assert!(online(&status) && says("")(&status), "{status:?}");
        assert_eq!(raw.subscriptions().await, [""; 0]);
    }
}
