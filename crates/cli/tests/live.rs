//! The commands that stay connected, with signals, as processes of their own against a scripted server.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise, its helpers too")]

use std::{
    io::{BufRead as _, BufReader, Lines, Read as _},
    net::SocketAddr,
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    time::Duration,
};

use futures_util::{SinkExt as _, StreamExt as _};
use prost::Message as _;
use rollcall_proto::{
    client::v1::{
        self as wire, client_frame::Call as Request, reply::Result as Returned, server_frame::Event,
    },
    common::v1 as common,
    convert::SUBPROTOCOL_PROTOBUF,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{Request as HttpRequest, Response},
        http::HeaderValue,
    },
};

/// How long a test waits for what must happen; generous, since the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// A text that would clear the screen.
const NASTY: &str = "\u{1b}[2Jbusy";

/// Starts a server that tells what it is asked. A custom status "drop" makes it drop the connection once.
fn start_server() -> (SocketAddr, Receiver<Request>) {
    let (address_tx, address_rx) = sync_channel(1);
    let (asked_tx, asked_rx) = sync_channel(100);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            address_tx.send(listener.local_addr().unwrap()).unwrap();
            let mut has_dropped = false;
            while let Ok((stream, _)) = listener.accept().await {
                serve(stream, &asked_tx, &mut has_dropped).await;
            }
        });
    });
    (address_rx.recv_timeout(PATIENCE).unwrap(), asked_rx)
}

async fn serve(stream: TcpStream, asked: &SyncSender<Request>, has_dropped: &mut bool) {
    #[expect(clippy::result_large_err, reason = "the callback's type is the library's")]
    let choose = |_: &HttpRequest, mut response: Response| {
        let chosen = HeaderValue::from_static(SUBPROTOCOL_PROTOBUF);
        response.headers_mut().insert("sec-websocket-protocol", chosen);
        Ok(response)
    };
    let mut socket = accept_hdr_async(stream, choose).await.unwrap();
    while let Some(Ok(Message::Binary(bytes))) = socket.next().await {
        let frame = wire::ClientFrame::decode(bytes).unwrap();
        let call = frame.call.unwrap();
        let result = match &call {
            Request::Login(login) => Some(Returned::Login(wire::LoginResult {
                heartbeat_seconds: 50,
                status: Some(status(&login.user_id, "", 1)),
                subscriptions: Some(0),
                login_order: 1,
            })),
            Request::SetSelfStatus(set) => {
                let status = Some(status("alice", &set.custom, 2));
                Some(Returned::SetSelfStatus(wire::SetSelfStatusResult { status }))
            }
            Request::Subscribe(_) => Some(Returned::Subscribe(wire::SubscribeResult::default())),
            _ => None,
        };
        let reply = Event::Reply(wire::Reply { id: frame.id, result, ..wire::Reply::default() });
        socket.send(encode(reply)).await.unwrap();
        if matches!(call, Request::Subscribe(_)) {
            for version in [5, 6] {
                let statuses = vec![status("bob", NASTY, version), status("carol", "", version)];
                let push = Event::StatusChanged(wire::StatusChanged { statuses });
                socket.send(encode(push)).await.unwrap();
            }
        }
        let is_drop = matches!(&call, Request::SetSelfStatus(set) if set.custom == "drop");
        asked.send(call).unwrap();
        if is_drop && !*has_dropped {
            *has_dropped = true;
            return;
        }
    }
}

fn encode(event: Event) -> Message {
    Message::binary(wire::ServerFrame { event: Some(event) }.encode_to_vec())
}

fn status(user: &str, custom: &str, version: u64) -> common::UserStatus {
    common::UserStatus {
        user_id: user.to_owned(),
        general: common::GeneralStatus::Online as i32,
        custom: custom.to_owned(),
        version,
    }
}

/// A rollcallctl that runs; killed when the test ends early.
struct Running {
    child: Child,
    stdout: Option<Lines<BufReader<ChildStdout>>>,
}

impl Running {
    fn start(server: SocketAddr, args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rollcallctl"))
            .args(args)
            .args(["--app-id", "1", "--user-id", "alice", "--token", "t"])
            .args(["--url", &format!("ws://{server}/v1/connect")])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, stdout: Some(stdout) }
    }

    fn line(&mut self) -> String {
        self.stdout.as_mut().and_then(Iterator::next).expect("a line of output").unwrap()
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Waits for the end; returns the exit code, the rest of the output, and standard error.
    fn end(mut self) -> (Option<i32>, Vec<String>, String) {
        let rest = self.stdout.take().into_iter().flatten().map(Result::unwrap).collect();
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        (self.child.wait().unwrap().code(), rest, stderr)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for the server to be asked this, whatever else it is asked before.
fn expect(asked: &Receiver<Request>, what: impl Fn(&Request) -> bool) -> Request {
    loop {
        let call = asked.recv_timeout(PATIENCE).expect("the server is asked");
        if what(&call) {
            return call;
        }
    }
}

fn is_logout(call: &Request) -> bool {
    matches!(call, Request::Logout(_))
}

#[test]
fn watch_shows_a_table_in_which_nothing_steers_the_terminal_and_ends_at_a_signal_with_0() {
    for signal in ["INT", "TERM"] {
        let (server, asked) = start_server();
        let mut watch = Running::start(server, &["watch", "bob"]);
        assert!(watch.line().starts_with("TIME"));
        let row = watch.line();
        assert!(row.ends_with("bob   ONLINE     5                 \\u{1b}[2Jbusy"), "{row}");
        watch.line();
        watch.signal(signal);
        let (code, rest, stderr) = watch.end();
        assert_eq!((code, rest.len()), (Some(0), 0), "{stderr}");
        expect(&asked, is_logout);
    }
}

#[test]
fn watch_writes_json_and_ends_after_its_count() {
    let (server, asked) = start_server();
    let watch = Running::start(server, &["watch", "carol", "alice", "--output", "json", "--count", "2"]);
    let (code, lines, stderr) = watch.end();
    assert_eq!(code, Some(0), "{stderr}");
    // The own status comes first; it is not subscribed to.
    assert_eq!(
        lines,
        [
            r#"{"user_id":"alice","general":"ONLINE","custom":"","version":1}"#,
            r#"{"user_id":"carol","general":"ONLINE","custom":"","version":5}"#,
        ]
    );
    let subscribed = expect(&asked, |call| matches!(call, Request::Subscribe(_)));
    assert_eq!(subscribed, Request::Subscribe(wire::Subscribe { user_ids: vec!["carol".to_owned()] }));
    expect(&asked, is_logout);
}

#[test]
fn watch_that_sees_too_little_in_its_time_ends_with_3() {
    let (server, asked) = start_server();
    let watch = Running::start(server, &["watch", "dave", "--count", "1", "--for", "200ms"]);
    let (code, lines, stderr) = watch.end();
    assert_eq!((code, lines.len()), (Some(3), 0));
    assert!(stderr.contains("time ran out with 0 of 1 changes seen"), "{stderr}");
    expect(&asked, is_logout);
}

#[test]
fn watch_whose_reader_leaves_ends_with_0() {
    let (server, asked) = start_server();
    let mut watch = Running::start(server, &["watch", "bob", "--output", "json"]);
    drop(watch.stdout.take());
    let (code, _, stderr) = watch.end();
    assert_eq!(code, Some(0), "{stderr}");
    expect(&asked, is_logout);
}

#[test]
fn a_status_is_held_over_a_lost_connection_until_a_signal() {
    let (server, asked) = start_server();
    let mut hold = Running::start(server, &["status", "set", "drop", "--output", "json"]);
    let line = hold.line();
    assert_eq!(line, r#"{"user_id":"alice","general":"ONLINE","custom":"drop","version":2}"#);
    let is_set = |call: &Request| matches!(call, Request::SetSelfStatus(_));
    expect(&asked, is_set);
    expect(&asked, is_set); // again, after the reconnect
    hold.signal("INT");
    let (code, _, stderr) = hold.end();
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("connection lost") && stderr.contains("connected again"), "{stderr}");
    expect(&asked, is_logout);
}

#[test]
fn a_status_that_is_set_once_or_cleared_logs_out_at_once() {
    for (args, custom, clear_after_seconds) in [
        (["status", "set", "x", "--once"].as_slice(), "x", 0),
        (&["status", "set", "x", "--once", "--clear-after", "30m"], "x", 1_800),
        (&["status", "set", "--clear"], "", 0),
    ] {
        let (server, asked) = start_server();
        let (code, lines, stderr) = Running::start(server, args).end();
        assert_eq!((code, lines.len()), (Some(0), 2), "{stderr}");
        let set = expect(&asked, |call| matches!(call, Request::SetSelfStatus(_)));
        assert_eq!(
            set,
            Request::SetSelfStatus(wire::SetSelfStatus { custom: custom.to_owned(), clear_after_seconds })
        );
        expect(&asked, is_logout);
    }
}
