//! How calls end, and what they raise.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use rollcall_client::Code;
use rollcall_proto::client::v1::{self as wire, client_frame::Call as Request, reply::Result as Returned};

use crate::server::{Heard, Server, alice, set_result, shown, soon, status};

// SPEC L1
#[tokio::test]
async fn a_call_that_is_not_answered_ends_with_6012_and_the_next_one_is_served() {
    let server = Server::start();
    let mut config = server.config();
    // Long enough for the calls that are answered.
    config.call_timeout = Duration::from_secs(3);
    let (client, mut peer, mut ear) = alice(&server, config).await;

    let (ended, (late, _)) = tokio::join!(client.set_self_status(Some("late")), peer.call());
    assert_eq!(ended.unwrap_err().code, Code::Timeout);

    // The late reply answers nobody, but what it says is true.
    peer.ok(late, set_result(status("alice", "late", 2))).await;
    ear.hears(&[shown("alice", "late", 2)]).await;

    let serve = async {
        loop {
            let (id, call) = peer.call().await;
            if matches!(call, Request::SetSelfStatus(_)) {
                return peer.ok(id, set_result(status("alice", "next", 3))).await;
            }
        }
    };
    let (ended, ()) = tokio::join!(client.set_self_status(Some("next")), serve);
    assert_eq!(ended.unwrap().version, 3);
}

// SPEC B5
#[tokio::test]
async fn setting_an_equal_text_is_heard_again_and_a_push_of_the_same_version_is_not() {
    let server = Server::start();
    let (client, mut peer, mut ear) = alice(&server, server.config()).await;
    for _ in 0..2 {
        let serve = async {
            let (id, call) = peer.call().await;
            let (custom, clear_after_seconds) = ("lunch".to_owned(), 0);
            assert_eq!(call, Request::SetSelfStatus(wire::SetSelfStatus { custom, clear_after_seconds }));
            peer.ok(id, set_result(status("alice", "lunch", 2))).await;
            peer.push(vec![status("alice", "lunch", 2)]).await;
        };
        let (stored, ()) = tokio::join!(client.set_self_status(Some("lunch")), serve);
        assert_eq!(stored.unwrap().custom, "lunch");
        ear.hears(&[shown("alice", "lunch", 2)]).await;
    }
    peer.push(vec![status("alice", "tea", 3)]).await;
    ear.hears(&[shown("alice", "tea", 3)]).await;
}

// SPEC F4
#[tokio::test]
async fn subscribing_anew_and_coming_back_after_an_eviction_start_anew() {
    let server = Server::start();
    let (client, mut peer, mut ear) = alice(&server, server.config()).await;
    let statuses = || vec![status("bob", "", 5), status("carol", "", 6), status("dave", "", 7)];
    peer.push(statuses()).await;
    ear.hears(&[shown("bob", "", 5), shown("carol", "", 6), shown("dave", "", 7)]).await;

    let serve = async {
        let (id, _) = peer.call().await;
        peer.ok(id, None).await;
        let (id, _) = peer.call().await;
        let evicted = vec!["carol".to_owned()];
        peer.ok(id, Returned::Subscribe(wire::SubscribeResult { evicted })).await;
        peer.push(statuses()).await;
    };
    let calls = async {
        client.unsubscribe_user_status(&["bob"]).await.unwrap();
        client.subscribe_user_status(&["bob"]).await.unwrap()
    };
    let (subscribed, ()) = tokio::join!(calls, serve);
    assert_eq!(subscribed.evicted, ["carol".parse().unwrap()]);
    ear.hears(&[shown("bob", "", 5), shown("carol", "", 6)]).await;

    let serve = async {
        let (id, call) = peer.call().await;
        assert_eq!(call, Request::Unsubscribe(wire::Unsubscribe { user_ids: vec![] }));
        peer.ok(id, None).await;
        peer.push(statuses()).await;
    };
    let (ended, ()) = tokio::join!(client.unsubscribe_user_status::<&str>(&[]), serve);
    ended.unwrap();
    ear.hears(&[shown("bob", "", 5), shown("carol", "", 6), shown("dave", "", 7)]).await;
}

#[tokio::test]
async fn many_calls_at_once_take_turns_and_are_all_answered() {
    const CALLS: usize = 300;
    let server = Server::start();
    let (client, mut peer, _ear) = alice(&server, server.config()).await;
    let calls = (0..CALLS).map(|n| {
        let client = client.clone();
        async move { client.set_self_status(Some(&n.to_string())).await }
    });
    let serve = async {
        // Each time as many as may be in flight, answered from the last to the first.
        let mut served = BTreeSet::new();
        while served.len() < CALLS {
            let mut batch = Vec::new();
            while batch.len() < 64.min(CALLS - served.len()) {
                if let (id, Request::SetSelfStatus(set)) = peer.call().await {
                    batch.push((id, set.custom));
                }
            }
            for (id, custom) in batch.into_iter().rev() {
                peer.ok(id, set_result(status("alice", &custom, 2))).await;
                served.insert(custom);
            }
        }
    };
    let (answers, ()) = tokio::join!(join_all(calls), serve);
    for (n, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.unwrap().custom, n.to_string());
    }
}

#[tokio::test]
async fn a_server_that_writes_before_it_reads_and_a_client_that_calls_do_not_wait_for_each_other() {
    // Both ways more than the buffers of two sockets hold.
    const CALLS: usize = 400;
    const PUSHES: u64 = 400;
    let server = Server::start();
    let (client, mut peer, mut ear) = alice(&server, server.config()).await;
    let text = "x".repeat(60_000);
    let calls = (0..CALLS).map(|_| client.set_self_status(Some(&text)));
    let serve = async {
        for version in 0..PUSHES {
            peer.push(vec![status("bob", &text, version)]).await;
        }
        let mut answered = 0;
        while answered < CALLS {
            if let (id, Request::SetSelfStatus(_)) = peer.call().await {
                peer.refuse(id, Code::InvalidParameter).await;
                answered += 1;
            }
        }
    };
    let (answers, ()) = tokio::join!(join_all(calls), serve);
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap_err().code == Code::InvalidParameter));
    ear.hears_at_last(&shown("bob", &text, PUSHES - 1)).await;
}

// SPEC L1
#[tokio::test]
async fn calls_without_login_end_with_6014() {
    let server = Server::start();
    let client = rollcall_client::Client::new(server.config());
    assert_eq!(client.get_login_user(), None);
    assert_eq!(client.set_self_status(None).await.unwrap_err().code, Code::NotLoggedIn);
    assert_eq!(client.get_user_status(&["bob"]).await.unwrap_err().code, Code::NotLoggedIn);
    assert_eq!(client.subscribe_user_status(&["bob"]).await.unwrap_err().code, Code::NotLoggedIn);
    assert_eq!(client.unsubscribe_user_status(&["bob"]).await.unwrap_err().code, Code::NotLoggedIn);
    assert_eq!(client.list_subscriptions().await.unwrap_err().code, Code::NotLoggedIn);
    assert_eq!(client.logout().await.unwrap_err().code, Code::NotLoggedIn);
    server.stays_alone().await;
}

#[tokio::test]
async fn a_call_longer_than_the_server_takes_is_refused_here_and_the_connection_lives() {
    let server = Server::start();
    let (client, mut peer, mut ear) = alice(&server, server.config()).await;
    let text = "x".repeat(70_000);
    assert_eq!(client.set_self_status(Some(&text)).await.unwrap_err().code, Code::InvalidParameter);
    peer.push(vec![status("bob", "", 1)]).await;
    ear.hears(&[shown("bob", "", 1)]).await;
}

#[tokio::test]
async fn a_frame_of_a_later_version_is_passed_over() {
    let server = Server::start();
    let (_client, mut peer, mut ear) = alice(&server, server.config()).await;
    let mut future = status("bob", "", 1);
    future.general = 9;
    let malformed = status("\n", "", 2);
    peer.push(vec![malformed, future]).await;
    ear.hears(&[shown("bob", "", 1)]).await;
}

// SPEC H6, L3
#[tokio::test]
async fn logout_replies_when_the_server_did_and_then_nobody_is_logged_in() {
    let server = Server::start();
    let (client, mut peer, mut ear) = alice(&server, server.config()).await;
    assert_eq!(client.get_login_user(), Some("alice".parse().unwrap()));
    let serve = async {
        loop {
            let (id, call) = peer.call().await;
            if call == Request::Logout(wire::Logout {}) {
                peer.push(vec![status("alice", "", 9)]).await;
                peer.ok(id, None).await;
                return soon(peer.frame()).await;
            }
        }
    };
    let (ended, after) = tokio::join!(client.logout(), serve);
    ended.unwrap();
    assert_eq!(after, None);
    assert_eq!(client.get_login_user(), None);
    assert_eq!(client.set_self_status(None).await.unwrap_err().code, Code::NotLoggedIn);
    server.stays_alone().await;
    ear.heard_nothing();
}

#[tokio::test]
async fn a_call_in_flight_at_a_kick_ends_with_6208() {
    let server = Server::start();
    let (client, mut peer, mut ear) = alice(&server, server.config()).await;
    let serve = async {
        peer.call().await;
        peer.kick().await;
    };
    let (ended, ()) = tokio::join!(client.set_self_status(Some("x")), serve);
    assert_eq!(ended.unwrap_err().code, Code::Kicked);
    assert_eq!(client.get_login_user(), None);
    ear.hears(&[Heard::Kicked]).await;
}
