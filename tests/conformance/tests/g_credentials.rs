//! SPEC G2: who may change apps, where a file names the credentials of operators.

use std::{fs, path::PathBuf};

use rollcall_harness::{Rollcall, eventually};
use rollcall_proto::{
    admin::v1::{
        AddTokenKeyRequest, CreateAppRequest, GetAppRequest, ListAuditEntriesRequest, ListTokenKeysRequest,
        RemoveTokenKeyRequest, UpdateAppRequest,
    },
    refusal,
};
use serde_json::Value;
use tonic::{Code, Request, Status};

const FILE: &str = "credentials";
const APP: u32 = 77;

/// The calls of the admin service, in the order in which this app can take them, with the access that each needs.
const CALLS: [(&str, &str); 7] = [
    ("create", "administer"),
    ("get", "read"),
    ("update", "operate"),
    ("add key", "administer"),
    ("list keys", "read"),
    ("remove key", "administer"),
    ("list audit", "read"),
];

/// What a credential allows, from the least.
const ACCESS: [&str; 3] = ["read", "operate", "administer"];

/// Starts it with a file of credentials in which there is none yet.
async fn guarded() -> Rollcall {
    let setting = format!("admin_credentials = \"{{folder}}/{FILE}\"");
    Rollcall::builder().file(FILE, "# none yet\n").setting("presence", &setting).start().await
}

fn file(rollcall: &Rollcall) -> PathBuf {
    rollcall.folder().join(FILE)
}

/// Makes a token by the command line; returns it with its line for the file.
async fn made(rollcall: &Rollcall, name: &str, access: &str) -> (String, String) {
    let line = ["admin-token", "--name", name, "--access", access, "--output", "json"];
    let mut ctl = rollcall.ctl(&format!("token-{name}"), &line);
    eventually("a token", async || ctl.ended().is_some()).await;
    let said: Value = serde_json::from_str(&ctl.output()).unwrap();
    let [token, line] = ["token", "line"].map(|key| said[key].as_str().unwrap().to_owned());
    (token, line)
}

/// Makes a call of the admin service with a token, or without.
async fn call(rollcall: &Rollcall, what: &str, token: Option<&str>) -> Result<(), Status> {
    fn request<T>(message: T, token: Option<&str>) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        request
    }
    let (mut admin, app_id, kid) = (rollcall.admin(), APP, "2026".to_owned());
    match what {
        "create" => {
            let message = CreateAppRequest { app_id, ..CreateAppRequest::default() };
            admin.create_app(request(message, token)).await.map(drop)
        }
        "get" => admin.get_app(request(GetAppRequest { app_id }, token)).await.map(drop),
        "update" => {
            let message = UpdateAppRequest { app_id, status: Some(true), ..UpdateAppRequest::default() };
            admin.update_app(request(message, token)).await.map(drop)
        }
        "add key" => {
            let message = AddTokenKeyRequest { app_id, kid, ..AddTokenKeyRequest::default() };
            admin.add_token_key(request(message, token)).await.map(drop)
        }
        "list keys" => admin.list_token_keys(request(ListTokenKeysRequest { app_id }, token)).await.map(drop),
        "remove key" => {
            let message = RemoveTokenKeyRequest { app_id, kid, ..RemoveTokenKeyRequest::default() };
            admin.remove_token_key(request(message, token)).await.map(drop)
        }
        "list audit" => {
            let message = ListAuditEntriesRequest { app_id, ..ListAuditEntriesRequest::default() };
            admin.list_audit_entries(request(message, token)).await.map(drop)
        }
        other => panic!("{other} is no call"),
    }
}

fn assert_unknown(ended: Result<(), Status>, what: &str) {
    let status = ended.expect_err(what);
    assert_eq!((status.code(), refusal::from_status(&status).code.number()), (Code::Unauthenticated, 6014));
    assert!(status.message().contains("expected `authorization: Bearer`"), "{what}: {status:?}");
}

/// Waits until a token is known, or no more.
async fn known(rollcall: &Rollcall, token: &str, expected: bool) {
    eventually(&format!("a token to be known: {expected}"), async || {
        let ended = call(rollcall, "get", Some(token)).await;
        ended.is_err_and(|status| status.code() == Code::Unauthenticated) != expected
    })
    .await;
}

// SPEC G2
#[tokio::test]
async fn a_credential_allows_what_its_access_says_and_its_name_is_in_the_audit_log() {
    let rollcall = guarded().await;
    for (what, _) in CALLS {
        assert_unknown(call(&rollcall, what, None).await, what);
        assert_unknown(call(&rollcall, what, Some("guessed")).await, what);
    }
    let [viewer, deploy, anna] = [("viewer", "read"), ("deploy", "operate"), ("anna", "administer")];
    let mut tokens = Vec::new();
    let mut lines = Vec::new();
    for (name, access) in [viewer, deploy, anna] {
        let (token, line) = made(&rollcall, name, access).await;
        tokens.push(token);
        lines.push(line);
    }
    fs::write(file(&rollcall), lines.join("\n")).unwrap();
    known(&rollcall, &tokens[2], true).await;

    for (what, needed) in CALLS {
        let needed = ACCESS.iter().position(|access| *access == needed).unwrap();
        // The least that is enough does it; those below are refused before it, and change nothing.
        for token in &tokens[..needed] {
            let status = call(&rollcall, what, Some(token)).await.unwrap_err();
            assert_eq!(status.code(), Code::PermissionDenied, "{what}: {status:?}");
            assert!(status.message().contains(&format!("expected {}", ACCESS[needed])), "{status:?}");
        }
        assert_unknown(call(&rollcall, what, None).await, what);
        call(&rollcall, what, Some(&tokens[needed])).await.expect(what);
        for token in &tokens[needed..] {
            if needed < 2 {
                call(&rollcall, what, Some(token)).await.expect(what);
            }
        }
    }

    let app = APP.to_string();
    let audit = ["app", "audit", "--app-id", &app, "--output", "json", "--admin-token", &tokens[0]];
    let mut ctl = rollcall.operate("audit", &audit);
    eventually("rollcallctl to end", async || ctl.ended().is_some()).await;
    let output = ctl.output();
    let log: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let who: Vec<&str> = log.iter().map(|entry| entry["who"].as_str().unwrap()).collect();
    assert_eq!(who, ["anna", "anna", "deploy", "anna"], "{}", ctl.errors());
    let shown = rollcall.log();
    assert!(tokens.iter().all(|token| !shown.contains(token)), "a token is in the log");
}

// SPEC G2
#[tokio::test]
async fn credentials_come_and_go_without_a_restart_and_a_faulty_file_leaves_those_before() {
    let rollcall = guarded().await;
    let (old, old_line) = made(&rollcall, "anna", "administer").await;
    let (new, new_line) = made(&rollcall, "anna", "administer").await;
    fs::write(file(&rollcall), &old_line).unwrap();
    known(&rollcall, &old, true).await;
    fs::write(file(&rollcall), format!("{old_line}\n{new_line}\n")).unwrap();
    known(&rollcall, &new, true).await;
    known(&rollcall, &old, true).await;
    fs::write(file(&rollcall), &new_line).unwrap();
    known(&rollcall, &old, false).await;

    fs::write(file(&rollcall), format!("{old_line}\nanna rule {new_line}\n")).unwrap();
    eventually("the fault to be told", async || {
        let log = rollcall.log();
        log.contains("credentials cannot be read again") && log.contains("line 2: 5 words")
    })
    .await;
    known(&rollcall, &new, true).await;
    known(&rollcall, &old, false).await;
}

// SPEC G2
#[tokio::test]
async fn the_command_line_shows_a_token_and_is_told_what_is_missing_without() {
    let rollcall = guarded().await;
    let (token, line) = made(&rollcall, "anna", "administer").await;
    let (viewer, viewer_line) = made(&rollcall, "viewer", "read").await;
    fs::write(file(&rollcall), format!("{line}\n{viewer_line}\n")).unwrap();
    known(&rollcall, &token, true).await;
    let create = ["app", "create", "--app-id", "78", "--output", "json"];
    for (name, more, code, said) in [
        ("without", &[][..], 1, "no credential is shown, expected `authorization: Bearer`"),
        ("unknown", &["--admin-token", "secret"], 1, "the credential is not known"),
        ("malformed", &["--admin-token", "sec\nret"], 2, "--admin-token is malformed"),
        ("less", &["--admin-token", &viewer], 1, "viewer has access read, expected administer"),
        ("right", &["--admin-token", &token], 0, ""),
    ] {
        let mut ctl = rollcall.operate(name, &[&create, more].concat());
        eventually(&format!("rollcallctl to end, {name}"), async || ctl.ended().is_some()).await;
        assert_eq!(ctl.ended().unwrap().code(), Some(code), "{name}: {}", ctl.errors());
        let errors = ctl.errors();
        assert!(errors.contains(said) && !errors.contains("sec"), "{name}: {errors}");
    }
    let kick = ["kick", "--app-id", "78", "--user-id", "bob", "--admin-token", &viewer];
    let mut ctl = rollcall.operate("kick", &kick);
    eventually("rollcallctl to end", async || ctl.ended().is_some()).await;
    assert_eq!(ctl.ended().unwrap().code(), Some(0), "{}", ctl.errors());
    eventually("the log to tell who kicked", async || {
        rollcall.log().lines().any(|line| line.contains("kicked a user") && line.contains("viewer"))
    })
    .await;
}
