//! Opening a bus.

use std::{fs, time::Duration};

use rollcall_testkit::NatsServer;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
};

use super::given::options;
use crate::{
    NatsBus,
    contract::status,
    nats::{ConnectError, Login, Options},
    port::Bus as _,
};

#[tokio::test]
async fn a_url_that_cannot_be_read_is_told_without_its_password() {
    for url in ["nowhere://node:secret@host", "nats://node:secret@:4222", "nats://node:secret@a b", ""] {
        let refused = NatsBus::connect(url, options("node")).await.err().unwrap();
        assert!(matches!(refused, ConnectError::Url), "{url}: {refused:?}");
        assert!(!format!("{refused} {refused:?}").contains("secret"), "{refused:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_away_or_refuses_the_user_is_told() {
    let server = NatsServer::start();
    let stranger = format!("nats://node:wrong@127.0.0.1:{}", server.port());
    let refused = NatsBus::connect(&stranger, options("node")).await.err().unwrap();
    assert!(matches!(refused, ConnectError::Refused(_)), "{refused:?}");
    assert!(!format!("{refused} {refused:?}").contains("wrong"), "{refused:?}");

    let url = server.url("node");
    drop(server);
    let refused = NatsBus::connect(&url, options("node")).await.err().unwrap();
    assert!(matches!(refused, ConnectError::Refused(_)), "{refused:?}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_waited_for_no_longer_than_is_granted() {
    let server = NatsServer::start();
    server.pause();

    let connect_timeout = Duration::from_millis(100);
    let options = Options { connect_timeout, ..options("node") };
    let refused = NatsBus::connect(&server.url("node"), options).await.err().unwrap();

    let timed_out = refused.to_string().contains("timed out");
    assert!(timed_out || matches!(refused, ConnectError::Silent(_)), "{refused:?}");
}

#[tokio::test]
async fn one_of_several_servers_is_enough() {
    let server = NatsServer::start();
    let away = "nats://node:secret@127.0.0.1:1";
    for url in [format!("{away}, {}", server.url("node")), format!("{}, {away}", server.url("node"))] {
        let bus = NatsBus::connect(&url, options("node")).await.unwrap();
        bus.publish(status(1, "kept")).await.unwrap();
    }
}

#[tokio::test]
async fn a_password_is_read_from_its_file() {
    let server = NatsServer::start_with("", &[("password", " secret\n")]);
    let login = Login { user: "presence".to_owned(), password_file: server.file("password") };
    let with_file = Options { login: Some(login.clone()), ..options("presence") };
    let url = format!("nats://127.0.0.1:{}", server.port());

    let bus = NatsBus::connect(&url, with_file.clone()).await.unwrap();
    bus.publish(status(1, "kept")).await.unwrap();

    fs::remove_file(&login.password_file).unwrap();
    let refused = NatsBus::connect(&url, with_file).await.err().unwrap();
    assert!(
        matches!(&refused, ConnectError::Password { path, .. } if *path == login.password_file),
        "{refused:?}"
    );
}

#[tokio::test]
async fn an_old_server_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let info = br#"INFO {"server_id":"x","version":"2.9.25","headers":true,"max_payload":1048576}"#;
        stream.write_all(&[&info[..], b"\r\n"].concat()).await.unwrap();
        let (reader, mut writer) = stream.split();
        let mut lines = BufReader::new(reader).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if line == "PING" {
                writer.write_all(b"PONG\r\n").await.unwrap();
            }
        }
    });

    let refused = NatsBus::connect(&format!("nats://127.0.0.1:{port}"), options("node")).await.err().unwrap();

    assert!(matches!(&refused, ConnectError::TooOld(version) if version == "2.9.25"), "{refused:?}");
    assert_eq!(refused.to_string(), "bus server has version 2.9.25, expected 2.10 or later");
}
