//! How a first login ends.

use std::time::Duration;

use rollcall_client::{Client, Code, Config, General, Platform};
use rollcall_proto::client::v1::client_frame::Call as Request;

use crate::server::{Ear, Heard, Server, alice, log_in, shown, status};

#[tokio::test]
async fn a_login_carries_app_user_token_and_device() {
    let server = Server::start();
    let client = Client::new(server.config());
    let serve = async {
        let mut peer = server.accept().await;
        (peer.expect_login(1).await, peer)
    };
    let (info, (login, _peer)) = tokio::join!(log_in(&client), serve);
    assert_eq!(info.unwrap().status.user_id.as_str(), "alice");
    assert_eq!((login.app_id, &*login.user_id, &*login.token), (7, "alice", "token"));
    assert_eq!((login.platform, &*login.device_id), (Platform::Linux as i32, "desk"));
    assert_eq!(client.get_login_user().unwrap().as_str(), "alice");
}

#[tokio::test]
async fn a_refusal_ends_the_login_with_its_code_and_the_client_may_log_in_again() {
    let server = Server::start();
    let client = Client::new(server.config());
    let mut ear = Ear::of(&client);
    let serve = async {
        let mut peer = server.accept().await;
        let (id, _) = peer.call().await;
        peer.refuse(id, Code::BadToken).await;
    };
    let (ended, ()) = tokio::join!(log_in(&client), serve);
    assert_eq!(ended.unwrap_err().code, Code::BadToken);
    assert_eq!(client.get_login_user(), None);
    ear.hears(&[Heard::Connecting, Heard::Disconnected(Code::BadToken)]).await;

    let (ended, _peer) = tokio::join!(log_in(&client), server.accept_login(1));
    ended.unwrap();
    ear.hears(&[Heard::Connecting, Heard::Connected, shown("alice", "", 1)]).await;
}

#[tokio::test]
async fn a_login_that_finds_no_server_ends_with_9508() {
    let mut config = Server::start().config(); // nobody listens any more
    config.call_timeout = Duration::from_millis(300);
    let client = Client::new(config);
    assert_eq!(log_in(&client).await.unwrap_err().code, Code::Disconnected);
    assert_eq!(client.get_login_user(), None);
}

#[tokio::test]
async fn a_login_that_is_not_answered_ends_with_6012() {
    let server = Server::start();
    let mut config = server.config();
    config.call_timeout = Duration::from_secs(1);
    let client = Client::new(config);
    let serve = async {
        let mut peer = server.accept().await;
        while peer.frame().await.is_some() {}
    };
    let (ended, ()) = tokio::join!(log_in(&client), serve);
    assert_eq!(ended.unwrap_err().code, Code::Timeout);
}

#[tokio::test]
async fn a_login_outlives_a_server_that_goes_away_before_it_answers() {
    let server = Server::start();
    let client = Client::new(server.config());
    let serve = async {
        drop(server.accept().await);
        server.accept().await.call().await;
        server.accept_login(1).await
    };
    let (ended, _peer) = tokio::join!(log_in(&client), serve);
    ended.unwrap();
}

#[tokio::test]
async fn an_address_that_cannot_work_ends_the_login_at_once_with_6017() {
    for url in ["", "nonsense", "http://127.0.0.1:1/v1/connect", "wss://127.0.0.1:1/v1/connect"] {
        let config = Config::new(url, Platform::Web, "tab".parse().unwrap());
        let error = log_in(&Client::new(config)).await.unwrap_err();
        assert_eq!(error.code, Code::InvalidParameter, "{url}: {error}");
        assert!(error.description.contains("expected ws://"), "{error}");
    }
}

#[tokio::test]
async fn a_second_login_is_refused_while_somebody_is_logged_in() {
    let server = Server::start();
    let (client, _peer, _ear) = alice(&server, server.config()).await;
    assert_eq!(client.login(7, "bob", "token").await.unwrap_err().code, Code::InvalidParameter);
    assert_eq!(client.get_login_user().unwrap().as_str(), "alice");
}

#[tokio::test]
async fn a_login_that_is_given_up_leaves_no_connection() {
    let server = Server::start();
    let client = Client::new(server.config());
    let serve = async {
        let mut peer = server.accept().await;
        assert!(matches!(peer.call().await, (_, Request::Login(_))));
        peer
    };
    let mut peer = tokio::select! {
        _ = log_in(&client) => panic!("nobody answered"),
        peer = serve => peer,
    };
    assert_eq!(peer.frame().await, None);
    assert_eq!(client.get_login_user(), None);
    server.stays_alone().await;
}

#[tokio::test]
async fn the_end_of_the_last_handle_closes_the_connection() {
    let server = Server::start();
    let (client, mut peer, mut ear) = alice(&server, server.config()).await;
    let other = client.clone();
    drop(client);
    other.get_login_user().unwrap();
    drop(other);
    while peer.frame().await.is_some() {}
    server.stays_alone().await;
    ear.heard_nothing();
}

// SPEC A1
#[tokio::test]
async fn who_starts_without_a_server_is_logged_in_and_unknown_until_there_is_one() {
    let server = Server::start();
    let client = Client::new(server.config());
    let mut ear = Ear::of(&client);
    let unknown = |user: &str| {
        let status = client.shown_status(user).unwrap();
        (status.general, status.custom.as_str(), status.version) == (General::Unknown, "", 0)
    };

    client.start(7, "alice", "token").await.unwrap();

    assert_eq!(client.get_login_user().unwrap().as_str(), "alice");
    assert!(unknown("alice") && unknown("bob"));
    let refused = client.set_self_status(Some("here")).await.unwrap_err();
    assert_eq!(refused.code, Code::Disconnected);

    drop(server.accept().await);
    let mut peer = server.accept_login(3).await;
    peer.push(vec![status("bob", "away", 5)]).await;
    ear.hears(&[Heard::Connecting, Heard::Connected, shown("alice", "", 3), shown("bob", "away", 5)]).await;
    let bob = client.shown_status("bob").unwrap();
    assert_eq!((bob.general, bob.custom.as_str(), bob.version), (General::Online, "away", 5));
    assert!(unknown("carol"));
}

#[tokio::test]
async fn who_is_refused_after_a_start_is_logged_out_and_hears_why() {
    for (code, heard) in
        [(Code::BadToken, Heard::Disconnected(Code::BadToken)), (Code::TokenExpired, Heard::SigExpired)]
    {
        let server = Server::start();
        let client = Client::new(server.config());
        let mut ear = Ear::of(&client);
        client.start(7, "alice", "token").await.unwrap();
        let mut peer = server.accept().await;
        let (id, _) = peer.call().await;
        peer.refuse(id, code).await;
        ear.hears(&[Heard::Connecting, heard]).await;
        assert_eq!(client.get_login_user(), None);
        assert_eq!(client.set_self_status(None).await.unwrap_err().code, Code::NotLoggedIn);
    }
}

#[tokio::test]
async fn a_start_that_cannot_be_changes_nothing() {
    let server = Server::start();
    let client = Client::new(server.config());
    assert_eq!(client.start(7, "", "token").await.unwrap_err().code, Code::BadUserId);
    assert_eq!(client.shown_status("").unwrap_err().code, Code::BadUserId);
    assert_eq!(client.get_login_user(), None);
    client.start(7, "alice", "token").await.unwrap();
    assert_eq!(client.start(7, "bob", "token").await.unwrap_err().code, Code::InvalidParameter);
    assert_eq!(log_in(&client).await.unwrap_err().code, Code::InvalidParameter);
    assert_eq!(client.get_login_user().unwrap().as_str(), "alice");
    // Without a server there is nobody to tell, and nobody is logged in all the same.
    assert_eq!(client.logout().await.unwrap_err().code, Code::Disconnected);
    assert_eq!(client.get_login_user(), None);
}
