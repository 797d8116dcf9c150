//! The endpoint for an operator's tools over real sockets.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::{net::SocketAddr, time::Duration};

use rollcall_runtime::{
    ops::{Config, Ops, Server},
    shutdown::CancellationToken,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Long enough for any machine, for a test that fails.
const LIMIT: Duration = Duration::from_mins(1);

fn start() -> (Server, Ops, CancellationToken) {
    let (ops, shutdown) = (Ops::default(), CancellationToken::new());
    let server = Server::start(&Config::on_port(0), ops.clone(), shutdown.clone()).unwrap();
    (server, ops, shutdown)
}

/// Returns the status line, the headers, and the body.
async fn ask(address: SocketAddr, method: &str, path: &str) -> (String, String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: ops\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    // To the end: the server keeps no connection open.
    tokio::time::timeout(LIMIT, stream.read_to_string(&mut reply)).await.unwrap().unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    let (status, headers) = head.split_once("\r\n").unwrap();
    (status.to_owned(), headers.to_owned(), body.to_owned())
}

async fn get(address: SocketAddr, path: &str) -> (String, String) {
    let (status, _, body) = ask(address, "GET", path).await;
    (status, body)
}

fn answer(status: &str, body: &str) -> (String, String) {
    (format!("HTTP/1.1 {status}"), body.to_owned())
}

#[tokio::test]
async fn a_process_is_live_always_and_ready_between_its_start_and_its_shutdown() {
    let (server, ops, shutdown) = start();
    let address = server.local_addr();
    let unready = "503 Service Unavailable";
    assert_eq!(get(address, "/livez").await, answer("200 OK", "ok\n"));
    assert_eq!(get(address, "/readyz").await, answer(unready, "process: starting\n"));

    let gateway = ops.readiness.part("gateway");
    gateway.not_ready("not registered with presence");
    assert_eq!(get(address, "/readyz").await, answer(unready, "gateway: not registered with presence\n"));
    gateway.ready();
    assert_eq!(get(address, "/readyz").await, answer("200 OK", "ready\n"));

    shutdown.cancel();
    assert_eq!(get(address, "/readyz").await, answer(unready, "process: stopping\n"));
    assert_eq!(get(address, "/livez").await, answer("200 OK", "ok\n"));
}

#[tokio::test]
async fn metrics_are_open_metrics_text() {
    let (server, ops, _) = start();
    ops.metrics.counter("rollcall_test_events", "Events").inc();
    let (status, headers, body) = ask(server.local_addr(), "GET", "/metrics").await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(headers.contains("application/openmetrics-text; version=1.0.0"), "{headers}");
    assert!(body.contains("\nrollcall_test_events_total 1\n") && body.ends_with("# EOF\n"), "{body}");
}

#[tokio::test]
async fn nothing_else_is_served() {
    let (server, _, _) = start();
    assert_eq!(get(server.local_addr(), "/").await.0, "HTTP/1.1 404 Not Found");
    for method in ["POST", "PUT", "DELETE"] {
        let (status, _, _) = ask(server.local_addr(), method, "/metrics").await;
        assert_eq!(status, "HTTP/1.1 405 Method Not Allowed", "{method}");
    }
}

#[tokio::test]
async fn a_client_that_sends_no_headers_is_cut() {
    let (server, _, _) = start();
    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    stream.write_all(b"GET /livez HTTP/1.1\r\n").await.unwrap();
    let mut reply = Vec::new();
    // Ends, in whatever way.
    let _ = tokio::time::timeout(LIMIT, stream.read_to_end(&mut reply)).await.unwrap();
    assert!(!reply.starts_with(b"HTTP/1.1 200"));
}
