//! SPEC G2: what the admin service promises to who changes an app.

use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use rollcall_harness::{Rollcall, eventually};
use rollcall_proto::{
    admin::v1::{
        AddTokenKeyRequest, AppCreated, AuditEntry, GetAppRequest, ListAuditEntriesRequest,
        RemoveTokenKeyRequest, SettingsChanged, TokenKey, UpdateAppRequest, audit_entry::Deed,
    },
    common::v1::{Edition, Limits, LoginPolicy},
    refusal,
};
use serde_json::{Value, json};
use tonic::{Code, Status};

fn number(status: &Status) -> (Code, i32) {
    (status.code(), refusal::from_status(status).code.number())
}

// SPEC G1, G2
#[tokio::test]
async fn a_change_upon_a_version_that_has_passed_is_refused_with_both_versions_and_changes_nothing() {
    let rollcall = Rollcall::start().await;
    let app_id = rollcall.app().await.id;
    let mut admin = rollcall.admin();
    let get = GetAppRequest { app_id };
    let seen = admin.get_app(get).await.unwrap().into_inner().app.unwrap().version;
    let upon = |expected_version, status| UpdateAppRequest {
        app_id,
        expected_version,
        status: Some(status),
        ..UpdateAppRequest::default()
    };
    let changed = admin.update_app(upon(seen, false)).await.unwrap().into_inner().app.unwrap();

    let kid = || "2026".to_owned();
    let add = |expected_version| AddTokenKeyRequest {
        app_id,
        kid: kid(),
        expected_version,
        ..AddTokenKeyRequest::default()
    };
    let remove = |kid: String, expected_version| RemoveTokenKeyRequest { app_id, kid, expected_version };
    let refused = [
        admin.update_app(upon(seen, true)).await.unwrap_err(),
        admin.add_token_key(add(seen)).await.unwrap_err(),
        admin.remove_token_key(remove("1".to_owned(), seen)).await.unwrap_err(),
    ];

    for status in refused {
        assert_eq!(number(&status), (Code::InvalidArgument, 6017));
        let versions = format!("has version {}, expected {seen}", changed.version);
        assert!(status.message().contains(&versions), "{status:?}");
    }
    assert_eq!(admin.get_app(get).await.unwrap().into_inner().app, Some(changed));

    // Each change tells the version upon which the next may be made.
    let added = admin.add_token_key(add(changed.version)).await.unwrap().into_inner().version;
    let removed = admin.remove_token_key(remove(kid(), added)).await.unwrap().into_inner().version;
    let last = admin.update_app(upon(removed, true)).await.unwrap().into_inner().app.unwrap();
    assert!(changed.version < added && added < removed && removed < last.version);
}

// SPEC G1, G2
#[tokio::test]
async fn of_changes_at_once_upon_one_version_exactly_one_is_made() {
    let rollcall = Rollcall::start().await;
    let app_id = rollcall.app().await.id;
    let mut admin = rollcall.admin();
    let seen = admin.get_app(GetAppRequest { app_id }).await.unwrap().into_inner().app.unwrap().version;

    let changes = (1..=8).map(|subscriptions| {
        let mut admin = admin.clone();
        let limits = Some(Limits { subscriptions, ..Limits::default() });
        let change =
            UpdateAppRequest { app_id, expected_version: seen, limits, ..UpdateAppRequest::default() };
        async move { admin.update_app(change).await }
    });
    let ended = join_all(changes).await;

    let made: Vec<_> = ended.iter().filter_map(|ended| ended.as_ref().ok()).collect();
    let [made] = made[..] else { panic!("{ended:?}") };
    let after = admin.get_app(GetAppRequest { app_id }).await.unwrap().into_inner().app;
    assert_eq!(after, made.get_ref().app);
}

// SPEC G2
#[tokio::test]
async fn the_command_line_changes_an_app_only_as_it_was_seen() {
    let rollcall = Rollcall::start().await;
    let app_id = rollcall.app().await.id;
    let mut admin = rollcall.admin();
    let seen = admin.get_app(GetAppRequest { app_id }).await.unwrap().into_inner().app.unwrap().version;
    let (app, seen) = (app_id.to_string(), seen.to_string());
    let set = ["app", "set", "--app-id", &app, "--status", "off", "--expected-version", &seen];

    for (name, code, said) in [("first", 0, ""), ("second", 1, &format!("expected {seen}")[..])] {
        let mut ctl = rollcall.operate(name, &set);
        eventually(&format!("rollcallctl to end, {name}"), async || ctl.ended().is_some()).await;
        assert_eq!(ctl.ended().unwrap().code(), Some(code), "{name}: {}", ctl.errors());
        assert!(ctl.errors().contains(said), "{name}: {}", ctl.errors());
    }
}

// SPEC G1, G2
#[tokio::test]
async fn the_command_line_sets_all_that_an_app_has_and_leaves_the_rest() {
    let rollcall = Rollcall::start().await;
    let app_id = rollcall.app().await.id;
    let mut admin = rollcall.admin();
    let app = app_id.to_string();
    let set = |changes: &'static str| {
        ["app", "set", "--app-id", &app]
            .into_iter()
            .chain(changes.split(' '))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let limits = "--limit-query-ids 5 --limit-subscribe-ids 4 --limit-subscriptions 3 --limit-window-calls 2 \
                  --limit-friends 1";
    let mut expected = admin.get_app(GetAppRequest { app_id }).await.unwrap().into_inner().app.unwrap();
    for changes in ["--edition standard", "--status off", "--friend-status on", "--login-policy dual", limits]
    {
        let words = set(changes);
        let mut ctl = rollcall.operate("set", &words.iter().map(String::as_str).collect::<Vec<_>>());
        eventually(&format!("rollcallctl to end, {changes}"), async || ctl.ended().is_some()).await;
        assert_eq!(ctl.ended().unwrap().code(), Some(0), "{changes}: {}", ctl.errors());
        match changes.split(' ').next().unwrap() {
            "--edition" => expected.edition = Edition::Standard as i32,
            "--status" => expected.status = false,
            "--friend-status" => expected.friend_status = true,
            "--login-policy" => expected.login_policy = LoginPolicy::Dual as i32,
            _ => {
                let (query_ids, subscribe_ids, subscriptions, window_calls, friends) = (5, 4, 3, 2, 1);
                expected.limits =
                    Some(Limits { query_ids, subscribe_ids, subscriptions, window_calls, friends });
            }
        }
        let read = admin.get_app(GetAppRequest { app_id }).await.unwrap().into_inner().app.unwrap();
        assert!(read.version > expected.version);
        expected.version = read.version;
        assert_eq!(read, expected, "{changes}");
    }
}

/// Reads all of the audit log of an app, by pages of this size.
async fn audit(rollcall: &Rollcall, app_id: u32, page_size: u32) -> Vec<AuditEntry> {
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListAuditEntriesRequest { app_id, page_size, page_token };
        let page = rollcall.admin().list_audit_entries(request).await.unwrap().into_inner();
        all.extend(page.entries);
        if page.next_page_token.is_empty() {
            return all;
        }
        page_token = page.next_page_token;
    }
}

// SPEC G2
#[tokio::test]
async fn each_change_of_an_app_is_in_its_audit_log_with_who_when_old_and_new_and_no_secret() {
    let rollcall = Rollcall::start().await;
    let started = micros();
    let app = rollcall.app().await;
    let (app_id, mut admin) = (app.id, rollcall.admin());
    let created = admin.get_app(GetAppRequest { app_id }).await.unwrap().into_inner().app.unwrap();
    let limits = Some(Limits { friends: 7, ..Limits::default() });
    let off = UpdateAppRequest { app_id, status: Some(false), limits, ..UpdateAppRequest::default() };
    let off = admin.update_app(off).await.unwrap().into_inner().app.unwrap();
    let kid = "2026".to_owned();
    let add = AddTokenKeyRequest { app_id, kid: kid.clone(), ..AddTokenKeyRequest::default() };
    let added = admin.add_token_key(add).await.unwrap().into_inner();
    let remove = RemoveTokenKeyRequest { app_id, kid, ..RemoveTokenKeyRequest::default() };
    let removed = admin.remove_token_key(remove).await.unwrap().into_inner();
    // None of these changes anything.
    let same = UpdateAppRequest { app_id, status: Some(false), ..UpdateAppRequest::default() };
    admin.update_app(same).await.unwrap();
    admin.update_app(UpdateAppRequest { login_policy: 9, ..same }).await.unwrap_err();

    let log = audit(&rollcall, app_id, 0).await;

    let key = |kid: &str| TokenKey {
        kid: kid.to_owned(),
        algorithm: "HS256".to_owned(),
        ed25519_public_key: Vec::new(),
    };
    let deeds: Vec<Deed> = log.iter().map(|entry| entry.deed.clone().unwrap()).collect();
    let first = AppCreated { app: Some(created), keys: vec![key("1")] };
    let expected = [
        Deed::KeyRemoved(key("2026")),
        Deed::KeyAdded(key("2026")),
        Deed::Changed(SettingsChanged { before: Some(created), after: Some(off) }),
        Deed::Created(first),
    ];
    assert_eq!(deeds, expected);
    let versions = [removed.version, added.version, off.version, created.version, 0];
    let caller = if rollcall.addresses().certs.is_some() { "certificate:operator" } else { "local" };
    for (at, entry) in log.iter().enumerate() {
        assert_eq!((entry.sequence, &entry.who[..]), (4 - at as u64, caller));
        assert_eq!((entry.version_after, entry.version_before), (versions[at], versions[at + 1]));
        assert!((started..=micros()).contains(&entry.at), "{entry:?}");
    }
    assert!(log.windows(2).all(|pair| pair[0].at >= pair[1].at));
    let shown = format!("{log:?}") + &rollcall.log();
    assert!(!shown.contains(&app.key) && !shown.contains(&added.token_key));
}

// SPEC G2, G3
#[tokio::test]
async fn an_audit_log_is_read_in_pages_and_by_the_command_line_and_is_of_one_app() {
    let rollcall = Rollcall::start().await;
    let (here, there) = (rollcall.app().await, rollcall.app().await);
    for subscriptions in 1..=30 {
        let limits = Some(Limits { subscriptions, ..Limits::default() });
        let change = UpdateAppRequest { app_id: here.id, limits, ..UpdateAppRequest::default() };
        rollcall.admin().update_app(change).await.unwrap();
    }

    let log = audit(&rollcall, here.id, 7).await;

    let sequences: Vec<u64> = log.iter().map(|entry| entry.sequence).collect();
    assert_eq!(sequences, (1..=31).rev().collect::<Vec<_>>());
    assert_eq!(log, audit(&rollcall, here.id, 100).await);
    assert_eq!(audit(&rollcall, there.id, 0).await.len(), 1);

    let app_id = here.id.to_string();
    let line = ["app", "audit", "--app-id", &app_id, "--limit", "30", "--output", "json"];
    let mut ctl = rollcall.operate("audit", &line);
    eventually("rollcallctl to end", async || ctl.ended().is_some()).await;
    assert_eq!(ctl.ended().unwrap().code(), Some(0), "{}", ctl.errors());
    let output = ctl.output();
    let shown: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(shown.len(), 30);
    assert_eq!((&shown[0]["sequence"], &shown[0]["deed"]), (&json!(31), &json!("changed")));
    let limit = |app: &Value| app["limits"]["subscriptions"].clone();
    assert_eq!((limit(&shown[0]["before"]), limit(&shown[0]["after"])), (json!(29), json!(30)));

    for (app_id, page_size, page_token, code) in
        [(here.id, 101, "", 6017), (here.id, 1, "x", 6017), (0, 1, "", 6017), (4_000_000_000, 1, "", 70020)]
    {
        let request = ListAuditEntriesRequest { app_id, page_size, page_token: page_token.to_owned() };
        let status = rollcall.admin().list_audit_entries(request).await.unwrap_err();
        assert_eq!(number(&status).1, code, "{status:?}");
    }
}

/// Returns the present time in microseconds since the Unix epoch. The store is on this machine.
fn micros() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap()
}
