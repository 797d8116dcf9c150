//! What a gateway and the store do not agree on, because something in the store was changed behind everybody's back, is
//! found by digests and repaired, long before anything expires.

use std::time::Instant;

use rollcall_faults::{Ring, at, log_in, watched};
use rollcall_harness::{Deployment, Engines, General, Rollcall, eventually};
use rollcall_proto::{common::v1::GeneralStatus, presence::v1::GetUserStatusRequest};

/// A timer of a session: the key of its set, its name there, and its deadline.
type Timer = (String, String, String);

/// Starts a cluster in which neither heartbeats nor deadlines find anything while a test runs.
async fn start() -> Rollcall {
    Rollcall::builder()
        .deployment(Deployment::Cluster)
        .setting("presence", "expiry = \"300s\"")
        .setting("gateway", "expiry = \"300s\"")
        .setting("gateway", "upload_every = \"200s\"")
        .start()
        .await
}

/// Reads the timers of all sessions.
fn timers(Engines { redis, .. }: &Engines) -> Vec<Timer> {
    let mut timers = Vec::new();
    for key in redis.operate(&["KEYS", "*timers:*"]).lines() {
        let reply = redis.operate(&["ZRANGE", key, "0", "-1", "WITHSCORES"]);
        let lines: Vec<&str> = reply.lines().collect();
        let of_key =
            lines.chunks_exact(2).map(|pair| (key.to_owned(), pair[0].to_owned(), pair[1].to_owned()));
        timers.extend(of_key);
    }
    timers
}

// SPEC A7, SPEC A11
#[tokio::test]
async fn sessions_whose_timers_are_lost_get_them_again_and_nobody_is_shown_as_gone() {
    let mut rollcall = start().await;
    let app = rollcall.app().await;
    let ring = Ring::start(&rollcall, &app, 20).await;
    let (gone, mut watcher) = watched(&rollcall, &app, "gone").await;
    let before = timers(rollcall.engines());
    assert_eq!(before.len(), 22);

    let lost = Instant::now();
    for (key, member, _) in before.iter().filter(|(_, member, _)| !member.ends_with(":watcher")) {
        rollcall.engines().redis.operate(&["ZREM", key, member]);
    }
    eventually("all timers to be there again", async || timers(rollcall.engines()).len() == before.len())
        .await;
    eprintln!("{} timers were there again {:?} after they were lost", before.len() - 1, lost.elapsed());
    ring.say("after").await;
    ring.wait("the text", |status| status.custom == "after").await;
    ring.assert_nobody_left();
    assert!(watcher.take_unread().is_empty());

    // By its timer the session is found once its gateway is dead.
    rollcall.process("gateway", 0).kill();
    watcher.expect("gone", |status| status.general == General::Offline).await;
    ring.assert_nobody_left();
    drop(gone);
}

// SPEC A2
#[tokio::test]
async fn a_session_that_no_gateway_has_is_gone_long_before_it_expires_and_its_user_is_shown_as_gone() {
    let mut rollcall = start().await;
    let app = rollcall.app().await;
    let ring = Ring::start(&rollcall, &app, 10).await;
    let (mut alice, mut watcher) = watched(&rollcall, &app, "alice").await;
    let mut other = log_in(&app, at(&rollcall, 0), "other", "d").await;
    let engines = rollcall.engines();
    let record = engines.redis.operate(&["KEYS", "*u:*:5:alice"]).trim().to_owned();
    let (key, member, score) =
        timers(engines).into_iter().find(|(_, member, _)| member.ends_with(":5:alice")).expect("a timer");
    engines.redis.operate(&["COPY", &record, "kept"]);
    alice.logout().await.ok();
    let left = watcher.expect("alice", |status| status.general == General::Unlogined).await;

    let engines = rollcall.engines();
    engines.redis.operate(&["COPY", "kept", &record, "REPLACE"]);
    engines.redis.operate(&["ZADD", &key, &score, &member]);
    let came = Instant::now();
    let request = GetUserStatusRequest {
        app_id: app.id,
        user_ids: vec!["alice".to_owned()],
        ..GetUserStatusRequest::default()
    };
    let stored = rollcall.presence().get_user_status(request).await.expect("a status").into_inner().statuses;
    assert_eq!(stored[0].general, i32::from(GeneralStatus::Online), "a ghost");

    let ended = watcher.expect("alice", |status| status.general == General::Offline).await;
    eprintln!("a session that no gateway has was gone {:?} after it came", came.elapsed());
    assert!(ended.version > left.version, "{ended:?} after {left:?}");
    assert!(!timers(rollcall.engines()).iter().any(|(_, found, _)| *found == member));
    other.set("here").await.ok();
    ring.assert_nobody_left();
    assert!(rollcall.log().contains("a gateway has other sessions than the store"), "{}", rollcall.log());
    assert!(!rollcall.log().contains("ERROR"), "{}", rollcall.log());
}
