//! What happens when the connection is lost, or is to stay closed.

use std::time::Duration;

use rollcall_client::{Client, Code};
use rollcall_proto::{client::v1::client_frame::Call as Request, close::CloseCode};

use crate::server::{Heard, Server, alice, log_in, shown, soon, status};

const LOST: [Heard; 2] = [Heard::Disconnected(Code::Disconnected), Heard::Connecting];

// SPEC L1
#[tokio::test]
async fn calls_in_flight_end_with_9508_and_the_client_logs_in_again_by_itself() {
    let server = Server::start();
    let (client, mut peer, mut ear) = alice(&server, server.config()).await;
    let lose = async {
        assert!(matches!(peer.call().await, (_, Request::GetUserStatus(_))));
        drop(peer);
        let mut peer = server.accept().await;
        (peer.expect_login(2).await, peer)
    };
    let (ended, (login, _peer)) = tokio::join!(client.get_user_status(&["bob"]), lose);
    assert_eq!(ended.unwrap_err().code, Code::Disconnected);
    assert_eq!((&*login.user_id, &*login.token, &*login.device_id), ("alice", "token", "desk"));
    ear.hears(&LOST).await;
    ear.hears(&[Heard::Connected]).await;
    assert_eq!(client.get_login_user().unwrap().as_str(), "alice");
}

// SPEC F6, B3
#[tokio::test]
async fn after_a_reconnect_only_differences_are_raised() {
    let server = Server::start();
    let (_client, mut peer, mut ear) = alice(&server, server.config()).await;
    peer.push(vec![status("alice", "lunch", 2), status("bob", "b", 3), status("carol", "c", 4)]).await;
    ear.hears(&[shown("alice", "lunch", 2), shown("bob", "b", 3), shown("carol", "c", 4)]).await;

    peer.close(CloseCode::GoingAway).await;
    let mut peer = server.accept_login(6).await;
    peer.push(vec![status("bob", "b", 3), status("carol", "", 7)]).await;
    ear.hears(&LOST).await;
    ear.hears(&[Heard::Connected, shown("alice", "", 6), shown("carol", "", 7)]).await;

    drop(peer);
    let mut peer = server.accept_login(6).await;
    peer.push(vec![status("carol", "", 7), status("bob", "b", 8), status("bob", "x", 9)]).await;
    ear.hears(&LOST).await;
    ear.hears(&[Heard::Connected, shown("bob", "x", 9)]).await;
}

// SPEC H4
#[tokio::test]
async fn a_kicked_client_does_not_come_back() {
    let server = Server::start();
    let (client, mut peer, mut ear) = alice(&server, server.config()).await;
    peer.kick().await;
    ear.hears(&[Heard::Kicked]).await;
    assert_eq!(client.get_login_user(), None);
    assert_eq!(client.set_self_status(None).await.unwrap_err().code, Code::NotLoggedIn);
    while peer.frame().await.is_some() {}
    server.stays_alone().await;
    ear.heard_nothing();
}

// SPEC H4
#[tokio::test]
async fn a_client_that_comes_back_says_since_when_and_a_login_by_the_user_does_not() {
    let server = Server::start();
    let client = Client::new(server.config());
    for round in 1..=2 {
        let user = async {
            let mut peer = server.accept().await;
            (peer.expect_login_at(1, 100 * round).await.resumes, peer)
        };
        let (ended, (resumes, peer)) = tokio::join!(log_in(&client), user);
        ended.unwrap();
        assert_eq!(resumes, 0, "the user logs in");
        drop(peer);
        for again in 0..2 {
            let mut peer = server.accept().await;
            let told = 100 * round + again;
            assert_eq!(peer.expect_login_at(1, told + 1).await.resumes, told);
        }
        let mut peer = server.accept().await;
        let (id, _) = peer.call().await;
        peer.refuse(id, Code::Kicked).await;
        eventually_logged_out(&client).await;
    }
}

async fn eventually_logged_out(client: &Client) {
    soon(async {
        while client.get_login_user().is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

// SPEC H5
#[tokio::test]
async fn a_client_whose_device_logged_in_again_does_not_come_back() {
    let server = Server::start();
    for code in [CloseCode::Replaced, CloseCode::MalformedFrame] {
        let (client, peer, mut ear) = alice(&server, server.config()).await;
        peer.close(code).await;
        ear.hears(&[Heard::Disconnected(Code::Disconnected)]).await;
        assert_eq!(client.get_login_user(), None);
        server.stays_alone().await;
        ear.heard_nothing();
    }
}

#[tokio::test]
async fn a_kick_that_only_the_close_code_tells_is_a_kick() {
    let server = Server::start();
    let (client, peer, mut ear) = alice(&server, server.config()).await;
    peer.close(CloseCode::Kicked).await;
    ear.hears(&[Heard::Kicked]).await;
    assert_eq!(client.get_login_user(), None);
}

#[tokio::test]
async fn a_refusal_for_the_token_ends_the_reconnecting() {
    let cases = [
        (Code::TokenExpired, Heard::SigExpired),
        (Code::SessionTokenExpired, Heard::SigExpired),
        (Code::BadToken, Heard::Disconnected(Code::BadToken)),
        (Code::TokenRevoked, Heard::Disconnected(Code::TokenRevoked)),
        (Code::Kicked, Heard::Kicked),
    ];
    for (code, expected) in cases {
        let server = Server::start();
        let (client, peer, mut ear) = alice(&server, server.config()).await;
        drop(peer);
        let mut peer = server.accept().await;
        let (id, _) = peer.call().await;
        peer.refuse(id, code).await;
        ear.hears(&LOST).await;
        ear.hears(&[expected]).await;
        assert_eq!(client.get_login_user(), None);
        server.stays_alone().await;

        let (ended, _peer) = tokio::join!(log_in(&client), server.accept_login(1));
        ended.unwrap();
    }
}

#[tokio::test]
async fn a_refusal_that_will_pass_is_tried_again() {
    let server = Server::start();
    let (client, peer, mut ear) = alice(&server, server.config()).await;
    drop(peer);
    for code in [Code::Timeout, Code::ServerTimeout, Code::Internal] {
        let mut peer = server.accept().await;
        let (id, _) = peer.call().await;
        peer.refuse(id, code).await;
        peer.close(CloseCode::TryAgain).await;
    }
    let _peer = server.accept_login(1).await;
    ear.hears(&LOST).await;
    ear.hears(&[Heard::Connected]).await;
    client.get_login_user().unwrap();
}

#[tokio::test]
async fn while_there_is_no_connection_calls_end_with_9508_and_logout_ends_the_reconnecting() {
    let server = Server::start();
    let (client, peer, mut ear) = alice(&server, server.config()).await;
    drop(peer);
    let mut peer = server.accept().await;
    peer.call().await; // the login, which is left unanswered
    ear.hears(&LOST).await;
    assert_eq!(client.set_self_status(None).await.unwrap_err().code, Code::Disconnected);
    assert_eq!(client.get_login_user().unwrap().as_str(), "alice");

    assert_eq!(client.logout().await.unwrap_err().code, Code::Disconnected);
    assert_eq!(client.get_login_user(), None);
    while peer.frame().await.is_some() {}
    server.stays_alone().await;
    ear.heard_nothing();
}

// SPEC A8
#[tokio::test]
async fn an_idle_client_heartbeats() {
    let server = Server::start();
    let (_client, mut peer, mut ear) = alice(&server, server.config()).await;
    for _ in 0..3 {
        let (id, call) = peer.call().await;
        assert!(matches!(call, Request::Ping(_)));
        peer.ok(id, None).await;
    }
    ear.heard_nothing();
}

#[tokio::test]
async fn a_server_that_falls_silent_is_left_for_another() {
    let server = Server::start();
    let (_client, _silent, mut ear) = alice(&server, server.config()).await;
    let _peer = server.accept_login(1).await;
    ear.hears(&LOST).await;
    ear.hears(&[Heard::Connected]).await;
}

#[tokio::test]
async fn a_server_that_takes_logins_and_drops_them_is_not_hammered() {
    let server = Server::start();
    let mut config = server.config();
    config.reconnect_base = Duration::from_millis(20);
    config.reconnect_max = Duration::from_hours(1);
    let (_client, peer, _ear) = alice(&server, config).await;
    drop(peer);
    let mut logins = 0_u32;
    let hammer = async {
        loop {
            drop(server.accept_login(1).await);
            logins += 1;
        }
    };
    // 20 ms double to 1 s in 6 steps; without back-off there would be a hundred logins in this time.
    let _ = tokio::time::timeout(Duration::from_secs(1), soon(hammer)).await;
    assert!(logins < 40, "{logins} logins");
}
