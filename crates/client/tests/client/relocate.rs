//! What happens when the server is about to stop.

use rollcall_client::Config;
use rollcall_proto::client::v1::client_frame::Call as Request;

use crate::server::{PATIENCE, Server, alice, shown, soon, status};

// SPEC A11
#[tokio::test]
async fn the_new_session_is_opened_before_the_old_connection_is_left_and_listeners_hear_nothing() {
    let server = Server::start();
    let (client, mut old, mut ear) = alice(&server, server.config()).await;
    old.push(vec![status("bob", "b", 3)]).await;
    ear.hears(&[shown("bob", "b", 3)]).await;

    let serve = async {
        let (id, call) = old.call().await;
        assert!(matches!(call, Request::Unsubscribe(_)));
        old.drain(0).await;
        old.ok(id, None).await;
        let mut new = server.accept().await;
        assert_eq!(new.expect_login(4).await.resumes, 1, "it kicks no newer login");
        assert!(soon(old.frame()).await.is_none(), "the old connection is left without a word");
        new
    };
    let (ended, mut new) = tokio::join!(client.unsubscribe_user_status(&["carol"]), serve);
    ended.unwrap();

    new.push(vec![status("bob", "b", 3), status("bob", "c", 5)]).await;
    ear.hears(&[shown("bob", "c", 5)]).await;
    assert_eq!(client.get_login_user().unwrap().as_str(), "alice");
}

// SPEC A11
#[tokio::test]
async fn the_old_connection_serves_on_until_another_server_takes_the_client() {
    let server = Server::start();
    let (client, mut old, mut ear) = alice(&server, server.config()).await;
    old.drain(0).await;
    drop(server.accept().await);

    let serve = async {
        let (id, _) = old.call().await;
        old.ok(id, None).await;
    };
    let (ended, ()) = tokio::join!(client.unsubscribe_user_status(&["bob"]), serve);
    ended.unwrap();

    let mut new = server.accept_login(1).await;
    new.push(vec![status("carol", "c", 2)]).await;
    ear.hears(&[shown("carol", "c", 2)]).await;
}

// SPEC A7, SPEC A11
#[tokio::test]
async fn a_client_that_tries_to_move_goes_on_heartbeating() {
    let server = Server::start();
    // One attempt to move lasts for the whole test: nobody answers it.
    let config = Config { connect_timeout: PATIENCE, ..server.config() };
    let (_client, mut old, _ear) = alice(&server, config).await;
    old.drain(0).await;
    for _ in 0..2 {
        let (id, call) = old.call().await;
        assert!(matches!(call, Request::Ping(_)), "{call:?}");
        old.ok(id, None).await;
    }
}

// SPEC A11
#[tokio::test]
async fn a_server_that_stops_during_the_move_is_not_missed() {
    let server = Server::start();
    let (_client, mut old, mut ear) = alice(&server, server.config()).await;
    old.drain(0).await;
    let mut new = server.accept().await;
    drop(old);
    new.expect_login(1).await;
    new.push(vec![status("carol", "c", 2)]).await;
    ear.hears(&[shown("carol", "c", 2)]).await;
}
