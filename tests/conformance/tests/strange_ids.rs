//! User ids that look like something else, and ids out of bounds.

use std::time::Duration;

use rollcall_conformance::{borrowed, online, says, unlogined};
use rollcall_harness::Rollcall;

// ATTACK X10
#[tokio::test]
async fn strange_ids_name_one_user_of_one_app_each() {
    let longest = "~".repeat(32);
    let strange = [
        "a.b",
        "a",
        "b",
        "*",
        ">",
        "a.*",
        "a.>",
        "$SYS.>",
        " ",
        "  ",
        "a b",
        "{}",
        "{p0001}",
        "{p0001}:a",
        "a:b",
        "a/b",
        "..",
        "%00",
        "%0d%0a",
        "\\r\\n",
        "\\0",
        "';--",
        "\"",
        "0",
        "-1",
        "null",
        "__proto__",
        "<b>",
        &longest,
    ];
    let rollcall = Rollcall::start().await;
    let (here, there) = (rollcall.app().await, rollcall.app().await);
    let mut watchers = Vec::new();
    for app in [&here, &there] {
        let mut watcher = app.session("watcher", "d").await;
        watcher.subscribe(&strange).await.ok();
        assert_eq!(watcher.subscriptions().await, strange);
        watchers.push(watcher);
    }

    // Every one of them says its own name, in one app only.
    let mut sessions = Vec::new();
    for id in &strange {
        let mut session = here.session(id, "d").await;
        session.set(&format!("I am {id}")).await.ok();
        sessions.push(session);
    }

    let [watcher_here, watcher_there] = &mut watchers[..] else { panic!("two watchers") };
    for id in &strange {
        watcher_here.expect(id, says(&format!("I am {id}"))).await;
    }
    let read = watcher_here.query(&strange).await.ok().statuses();
    for (status, id) in read.iter().zip(&strange) {
        assert_eq!(status.user_id.as_str(), *id);
        assert!(online(status) && says(&format!("I am {id}"))(status), "{status:?}");
    }
    assert_eq!(read.len(), strange.len());
    for status in watcher_there.query(&strange).await.ok().statuses() {
        assert!(unlogined(&status) && status.version == 0, "{status:?}");
    }
    let heard_there = watcher_there.pushed_during(Duration::from_millis(500)).await;
    assert!(heard_there.iter().all(unlogined), "{heard_there:?}");
}

// ATTACK X10
#[tokio::test]
async fn ids_out_of_bounds_are_refused_by_every_call() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let mut bob = app.session("bob", "d").await;
    bob.subscribe(&["alice"]).await.ok();
    let (long, kilobyte) = ("x".repeat(33), "x".repeat(1024));
    let wrong =
        ["", "a\0", "\r\n", "a\r\nPING", "\t", "\u{7f}", "é", "한", "a\u{200b}", "\u{1b}", &long, &kilobyte];
    let wrong: Vec<String> = wrong.iter().map(|id| (*id).to_owned()).collect();

    for id in borrowed(&wrong) {
        bob.subscribe(&[id]).await.refused(7003);
        bob.subscribe(&["carol", id]).await.refused(7003);
        bob.unsubscribe(&["alice", id]).await.refused(7003);
        bob.query(&[id]).await.refused(6003);
        let reply = bob.query(&["alice", id]).await.ok();
        assert_eq!(reply.failures(), [(id.to_owned(), 7003)]);
    }

    assert_eq!(bob.subscriptions().await, ["alice"]);
}
