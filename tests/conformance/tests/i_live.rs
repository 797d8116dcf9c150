//! SPEC I2: friends come and go while users are connected, whichever call made it and on whichever gateway they are.

use std::time::{Duration, Instant};

use rollcall_conformance::{online, says};
use rollcall_harness::{App, Raw, Rollcall, Setup, eventually};
use rollcall_proto::{
    common::v1::Edition,
    subscription::v1::{FriendEdge, ImportFriendsRequest},
};

async fn import(app: &App, user: &str, friend: &str) {
    let edges = vec![FriendEdge { user_id: user.to_owned(), friend_id: friend.to_owned() }];
    let request = ImportFriendsRequest { app_id: app.id, edges };
    let results = app.friends().import_friends(request).await.unwrap().into_inner().results;
    assert!(results[0].added, "{results:?}");
}

/// Waits until sessions hear of bob no more: two of his changes are passed over by each, and those of carol after them
/// are not.
async fn stop_hearing(sessions: &mut [Raw], bob: &mut Raw, carol: &mut Raw) {
    let mut round = 0;
    for session in sessions {
        let mut passed_over = 0;
        eventually("a session to stop hearing of bob", async || {
            round += 1;
            let text = round.to_string();
            bob.set(&text).await.ok();
            tokio::time::sleep(Duration::from_millis(100)).await;
            carol.set(&text).await.ok();
            let mut heard = Vec::new();
            loop {
                let status = session.next_status().await;
                if status.user_id.as_str() == "carol" && says(&text)(&status) {
                    break;
                }
                heard.push(status);
            }
            let of_bob = heard.iter().any(|status| status.user_id.as_str() == "bob");
            passed_over = if of_bob { 0 } else { passed_over + 1 };
            passed_over == 2
        })
        .await;
    }
}

// SPEC I2
#[tokio::test]
async fn an_edge_that_is_added_imported_or_removed_takes_effect_for_every_session() {
    let rollcall = Rollcall::start().await;
    let setup = Setup { edition: Edition::Standard, friend_status: true, ..Setup::default() };
    let app = rollcall.app_with(setup).await;
    app.befriend("alice", &["carol"]).await;
    let mut sessions = [app.session("alice", "d").await, app.session_on("PLATFORM_MAC", "alice", "d").await];
    let mut bob = app.session("bob", "d").await;
    let mut carol = app.session("carol", "d").await;
    for session in &mut sessions {
        session.expect("carol", online).await;
    }

    for imported in [false, true] {
        let begun = Instant::now();
        if imported {
            import(&app, "alice", "bob").await;
        } else {
            app.befriend("alice", &["bob"]).await;
        }
        for session in &mut sessions {
            session.expect("bob", online).await;
        }
        println!("imported: {imported}, heard of after {:?}", begun.elapsed());
        bob.set("as a friend").await.ok();
        for session in &mut sessions {
            session.expect("bob", says("as a friend")).await;
        }

        let begun = Instant::now();
        app.unfriend("alice", &["bob"]).await;
        stop_hearing(&mut sessions, &mut bob, &mut carol).await;
        println!("heard of no more at most {:?} after the removal", begun.elapsed());
        for session in &mut sessions {
            session.forget(&["bob"]);
        }
    }
}
