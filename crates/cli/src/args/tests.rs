//! What the command line takes and what it refuses.

use clap::{CommandFactory as _, error::ErrorKind};

use super::*;

const USER: [&str; 6] = ["--app-id", "1", "--user-id", "bob", "--token", "t"];

fn parse(line: &[&str]) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(["rollcallctl"].iter().chain(line))
}

fn parse_as_user(line: &[&str]) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(["rollcallctl"].iter().chain(line).chain(&USER))
}

fn refused(result: Result<Cli, clap::Error>) -> ErrorKind {
    let error = result.unwrap_err();
    assert_eq!(error.exit_code(), 2);
    error.kind()
}

#[test]
fn the_command_line_has_no_contradiction() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_has_a_help_with_examples() {
    let lines = [
        "app create",
        "app show",
        "app set",
        "app key",
        "kick",
        "friend add",
        "friend remove",
        "friend list",
        "friend import",
        "certs",
        "token",
        "status get",
        "status set",
        "subscribe",
        "watch",
    ];
    for line in lines.iter().copied().chain([""]) {
        let words: Vec<&str> = line.split_whitespace().chain(["--help"]).collect();
        let error = parse(&words).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DisplayHelp);
        assert!(error.to_string().contains("Examples"), "{line}");
    }
}

#[test]
fn the_help_tells_the_exit_codes() {
    let help = parse(&["--help"]).unwrap_err().to_string();
    for code in ["0  done", "1  refused", "2  wrong usage", "3  the server cannot be reached"] {
        assert!(help.contains(code), "{code}");
    }
}

#[test]
fn a_user_is_who_the_options_say_on_a_device_of_its_own() {
    let cli = parse_as_user(&["status", "get", "alice", "bob"]).unwrap();
    let Command::Status(Status::Get(args)) = cli.command else { panic!("expected status get") };
    let shown = format!("{args:?}");
    assert!(shown.contains(r#"ids: ["alice", "bob"]"#), "{shown}");
    assert!(shown.contains("ws://127.0.0.1:7700/v1/connect"), "{shown}");
    assert!(shown.contains("device_id: None"), "{shown}");
}

#[test]
fn a_status_is_a_text_or_cleared_and_held_or_not() {
    parse_as_user(&["status", "set", "x"]).unwrap();
    parse_as_user(&["status", "set", "x", "--for", "30s"]).unwrap();
    parse_as_user(&["status", "set", "--clear", "--once"]).unwrap();
    assert_eq!(refused(parse_as_user(&["status", "set"])), ErrorKind::MissingRequiredArgument);
    assert_eq!(refused(parse_as_user(&["status", "set", "x", "--clear"])), ErrorKind::ArgumentConflict);
    assert_eq!(
        refused(parse_as_user(&["status", "set", "x", "--once", "--for", "1s"])),
        ErrorKind::ArgumentConflict
    );
}

#[test]
fn a_change_of_an_app_names_what_changes() {
    parse(&["app", "set", "--app-id", "1", "--status", "off"]).unwrap();
    parse(&["app", "set", "--app-id", "1", "--edition", "premium", "--limit-query-ids", "5"]).unwrap();
    assert_eq!(refused(parse(&["app", "set", "--app-id", "1"])), ErrorKind::MissingRequiredArgument);
    assert_eq!(
        refused(parse(&["app", "set", "--app-id", "1", "--limit-subscriptions", "201"])),
        ErrorKind::ValueValidation
    );
}

#[test]
fn wrong_usage_is_refused_before_anything_is_asked_of_a_server() {
    let key = "0".repeat(64);
    for line in [
        vec!["token", "--app-id", "1", "--user-id", "a\tb", "--key", &key],
        vec!["token", "--app-id", "one", "--user-id", "alice", "--key", &key],
        vec!["app", "create", "--app-id", "1", "--edition", "gold"],
    ] {
        refused(parse(&line));
    }
    for line in [
        ["watch", "alice", "--count", "0"],
        ["watch", "alice", "--for", "soon"],
        ["watch", "alice", "--platform", "TOASTER"],
        ["watch", "alice", "--device-id", "has space"],
    ] {
        refused(parse_as_user(&line));
    }
    refused(parse_as_user(&["subscribe"]));
}
