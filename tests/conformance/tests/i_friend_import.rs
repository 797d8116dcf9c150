//! SPEC I: friends by `rollcallctl friend`, as an operator uses it.

use std::fs;

use rollcall_harness::{App, Process, Rollcall, eventually};
use serde_json::{Value, json};

/// Runs `rollcallctl friend`, and returns its exit code, output and errors.
async fn friend(rollcall: &Rollcall, app: &App, arguments: &[&str]) -> (i32, String, String) {
    let addresses = rollcall.addresses();
    let (scheme, certs) = match &addresses.certs {
        Some(certs) => ("https", certs.options()),
        None => ("http", Vec::new()),
    };
    let (url, app_id) = (format!("{scheme}://{}", addresses.subscription), app.id.to_string());
    let place = ["--subscription", &url, "--app-id", &app_id].into_iter();
    let words: Vec<&str> = ["friend"]
        .into_iter()
        .chain(arguments.iter().copied())
        .chain(place)
        .chain(certs.iter().map(String::as_str))
        .collect();
    let mut ctl: Process = rollcall.ctl("friend", &words);
    eventually("rollcallctl to end", async || ctl.ended().is_some()).await;
    let code = ctl.ended().and_then(|status| status.code()).expect("rollcallctl ends by itself");
    (code, ctl.output(), ctl.errors())
}

// SPEC I1
#[tokio::test]
async fn an_operator_adds_lists_and_removes_friends() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let alice = ["--user-id", "alice"];
    let added = friend(&rollcall, &app, &[&["add", "carol", "bo b"][..], &alice].concat()).await;
    assert_eq!(added, (0, "ADDED\ncarol\nbo b\n".to_owned(), String::new()));
    let json = ["--output", "json"];
    let again = friend(&rollcall, &app, &[&["add", "carol", "dave"][..], &alice, &json].concat()).await;
    assert_eq!(again.1, "{\"user_id\":\"alice\",\"added\":[\"dave\"]}\n");
    let refused = friend(&rollcall, &app, &[&["add", "alice"][..], &alice].concat()).await;
    assert!(refused.0 == 1 && refused.2.contains("(6017)"), "{refused:?}");
    let removed = friend(&rollcall, &app, &[&["remove", "dave", "nobody"][..], &alice].concat()).await;
    assert_eq!(removed, (0, "REMOVED\ndave\n".to_owned(), String::new()));
    let listed = friend(&rollcall, &app, &[&["list"][..], &alice].concat()).await;
    assert_eq!(listed, (0, "FRIEND\nbo b\ncarol\n".to_owned(), String::new()));
    let listed = friend(&rollcall, &app, &[&["list"][..], &alice, &json].concat()).await;
    let lines: Vec<Value> = listed.1.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let line = |friend: &str| json!({ "user_id": "alice", "friend_id": friend });
    assert_eq!(lines, [line("bo b"), line("carol")]);
}

// SPEC I1
#[tokio::test]
async fn a_file_of_edges_is_imported_and_those_that_are_refused_are_told_by_line() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    // More than two calls of 1,000, with something wrong in each.
    let mut lines: Vec<String> = (0..2_500).map(|n| format!("user {}\tfriend{n}", n % 50)).collect();
    "alone".clone_into(&mut lines[9]);
    "\tnobody".clone_into(&mut lines[1_499]);
    "me\tme".clone_into(&mut lines[2_499]);
    let file = rollcall.folder().join("edges.tsv");
    fs::write(&file, lines.join("\n")).unwrap();
    let file = file.display().to_string();

    let (code, output, errors) = friend(&rollcall, &app, &["import", &file, "--output", "json"]).await;
    assert_eq!(code, 1, "{errors}");
    assert!(errors.contains("3 of 2500 edges were refused"), "{errors}");
    let told: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let refused: Vec<_> = told[..3].iter().map(|line| (line["line"].clone(), line["code"].clone())).collect();
    assert_eq!(refused, [(json!(10), json!(6017)), (json!(1_500), json!(7003)), (json!(2_500), json!(6017))]);
    assert_eq!(told[3..], [json!({ "edges": 2_500, "added": 2_497, "known": 0, "refused": 3 })]);

    let (code, output, errors) = friend(&rollcall, &app, &["import", &file]).await;
    assert_eq!(code, 1, "{errors}");
    assert!(errors.contains("line 1500: user id is empty, expected 1 to 32 bytes (7003)"), "{errors}");
    assert_eq!(output, "edges         2500\nadded         0\nthere before  2497\nrefused       3\n");
    let listed = friend(&rollcall, &app, &["list", "--user-id", "user 7"]).await;
    assert_eq!(listed.1.lines().count(), 1 + 2_500 / 50, "{listed:?}");
}

// SPEC I1
#[tokio::test]
async fn an_import_without_a_file_an_app_or_a_server_says_so() {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let (code, _, errors) = friend(&rollcall, &app, &["import", "/nowhere"]).await;
    assert!(code == 1 && errors.contains("/nowhere") && errors.contains("an edge on each line"), "{errors}");
    let file = rollcall.folder().join("edge.csv");
    fs::write(&file, "alice,bob\n").unwrap();
    let file = file.display().to_string();
    let import = ["import", &file, "--format", "comma"];
    let mut unknown = app.clone();
    unknown.id = 999_999;
    let (code, _, errors) = friend(&rollcall, &unknown, &import).await;
    assert!(code == 1 && errors.contains("(70020)") && errors.contains("stopped at line 1"), "{errors}");
    let (code, output, errors) = friend(&rollcall, &app, &import).await;
    assert!(code == 0 && output.starts_with("edges         1\nadded         1\n"), "{output}{errors}");
}
