//! The binary as a script sees it: output, errors, exit codes. No server is needed.

use std::{
    net::TcpListener,
    process::{Command, Output},
};

const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn rollcallctl(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rollcallctl"));
    for name in
        ["URL", "ADMIN", "SUBSCRIPTION", "CA", "CERT", "CERT_KEY", "APP_ID", "USER_ID", "TOKEN", "KEY"]
    {
        command.env_remove(format!("ROLLCALL_{name}"));
    }
    command.args(args).output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is UTF-8")
}

/// An address on which nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it has an address").to_string()
}

#[test]
fn a_token_is_one_line_and_nothing_else() {
    let made = rollcallctl(&["token", "--app-id", "1", "--user-id", "alice", "--key", KEY]);
    assert!(made.status.success());
    assert_eq!(text(&made.stderr), "");
    let token = text(&made.stdout);
    assert_eq!(token.lines().count(), 1);
    assert_eq!(token.trim_end().split('.').count(), 3);
}

#[test]
fn wrong_usage_ends_with_2() {
    assert_eq!(rollcallctl(&["token"]).status.code(), Some(2));
    assert_eq!(rollcallctl(&["fly"]).status.code(), Some(2));
    assert_eq!(rollcallctl(&[]).status.code(), Some(2));
}

#[test]
fn a_malformed_key_ends_with_2_and_is_not_repeated() {
    let ended = rollcallctl(&["token", "--app-id", "1", "--user-id", "alice", "--key", "hunter2"]);
    assert_eq!(ended.status.code(), Some(2));
    let error = text(&ended.stderr);
    assert!(error.contains("expected the 64 hexadecimal digits") && !error.contains("hunter2"), "{error}");
}

#[test]
fn help_and_version_end_with_0() {
    assert!(text(&rollcallctl(&["--help"]).stdout).contains("Exit codes"));
    assert!(text(&rollcallctl(&["--version"]).stdout).starts_with("rollcallctl "));
}

#[test]
fn a_server_that_is_not_there_ends_with_3_and_one_line_that_names_it() {
    let address = nobody();
    let url = format!("ws://{address}/v1/connect");
    let user = ["--app-id", "1", "--user-id", "alice", "--token", "t", "--timeout", "300ms"];
    let ended = rollcallctl(&[["watch", "bob", "--url", &url].as_slice(), &user].concat());
    assert_eq!(ended.status.code(), Some(3));
    assert_eq!(text(&ended.stdout), "");
    let error = text(&ended.stderr);
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.contains(&address) && error.contains("(9508)") && error.contains("--url"), "{error}");

    let admin = format!("http://{address}");
    let ended = rollcallctl(&["app", "show", "--app-id", "1", "--admin", &admin]);
    assert_eq!(ended.status.code(), Some(3));
    let error = text(&ended.stderr);
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.contains(&admin) && error.contains("--admin"), "{error}");
}

#[test]
fn an_address_that_cannot_work_ends_with_1_at_once() {
    let user = ["--app-id", "1", "--user-id", "alice", "--token", "t"];
    let ended = rollcallctl(&[["status", "get", "bob", "--url", "nonsense"].as_slice(), &user].concat());
    assert_eq!(ended.status.code(), Some(1));
    assert!(text(&ended.stderr).contains("expected ws://host:port/v1/connect"));
}
