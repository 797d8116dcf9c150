//! Tokens that run out, and new ones.

use rollcall_client::Code;
use rollcall_proto::{client::v1::client_frame::Call as Request, close::CloseCode};

use crate::server::{Ear, Heard, Peer, Server, alice};

const LOST: [Heard; 2] = [Heard::Disconnected(Code::Disconnected), Heard::Connecting];

/// Waits for a new token, and returns the id of the call.
async fn refreshed(peer: &mut Peer, token: &str) -> u32 {
    let (id, call) = peer.call().await;
    let Request::RefreshToken(refresh) = call else { panic!("expected a new token, got {call:?}") };
    assert_eq!(refresh.token, token);
    id
}

/// Accepts the login after a lost connection, and returns the token that it shows.
async fn comes_back(server: &Server, ear: &mut Ear) -> (String, Peer) {
    let mut peer = server.accept().await;
    let token = peer.expect_login(1).await.token;
    ear.hears(&LOST).await;
    ear.hears(&[Heard::Connected]).await;
    (token, peer)
}

// SPEC H3
#[tokio::test]
async fn a_token_that_runs_out_is_raised_once_and_ends_nothing_by_itself() {
    let server = Server::start();
    let (client, mut peer, mut ear) = alice(&server, server.config()).await;
    peer.end_token().await;
    ear.hears(&[Heard::SigExpired]).await;
    assert!(client.get_login_user().is_some());
    peer.close(CloseCode::TokenExpired).await;
    ear.hears(&[Heard::Disconnected(Code::SessionTokenExpired)]).await;
    assert_eq!(client.get_login_user(), None);
    server.stays_alone().await;
    ear.heard_nothing();
}

// SPEC H3
#[tokio::test]
async fn a_client_comes_back_with_the_newest_token_that_was_not_refused() {
    let server = Server::start();
    let (client, mut peer, mut ear) = alice(&server, server.config()).await;
    let (ended, ()) = tokio::join!(client.refresh_token("second"), async {
        let id = refreshed(&mut peer, "second").await;
        peer.ok(id, None).await;
    });
    ended.unwrap();
    let (ended, ()) = tokio::join!(client.refresh_token("third"), async {
        let id = refreshed(&mut peer, "third").await;
        peer.refuse(id, Code::BadToken).await;
    });
    assert_eq!(ended.unwrap_err().code, Code::BadToken);
    drop(peer);
    let (token, mut peer) = comes_back(&server, &mut ear).await;
    assert_eq!(token, "second");

    let (ended, ()) = tokio::join!(client.refresh_token("fourth"), async {
        refreshed(&mut peer, "fourth").await;
        drop(peer);
    });
    assert_eq!(ended.unwrap_err().code, Code::Disconnected);
    assert_eq!(comes_back(&server, &mut ear).await.0, "fourth");
}

// SPEC H3
#[tokio::test]
async fn a_new_token_that_comes_while_there_is_no_connection_is_shown_at_the_next_login() {
    let server = Server::start();
    let (client, peer, mut ear) = alice(&server, server.config()).await;
    drop(peer);
    ear.hears(&LOST).await;
    let mut peer = server.accept().await;
    let (id, call) = peer.call().await;
    let Request::Login(login) = call else { panic!("expected a login, got {call:?}") };
    assert_eq!(login.token, "token");

    assert_eq!(client.refresh_token("newer").await.unwrap_err().code, Code::Disconnected);
    // The older one has run out meanwhile, which is nobody's end.
    peer.refuse(id, Code::TokenExpired).await;

    let mut peer = server.accept().await;
    assert_eq!(peer.expect_login(2).await.token, "newer");
    ear.hears(&[Heard::Connected]).await;
    assert!(client.get_login_user().is_some());
}

// SPEC H3, H6
#[tokio::test]
async fn a_new_token_without_login_is_refused() {
    let client = rollcall_client::Client::new(Server::start().config());
    assert_eq!(client.refresh_token("newer").await.unwrap_err().code, Code::NotLoggedIn);
}
