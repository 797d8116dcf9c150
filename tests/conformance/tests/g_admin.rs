//! SPEC G2: what the admin service promises to who changes an app.

use futures_util::future::join_all;
use rollcall_harness::{Rollcall, eventually};
use rollcall_proto::{
    admin::v1::{AddTokenKeyRequest, GetAppRequest, RemoveTokenKeyRequest, UpdateAppRequest},
    common::v1::Limits,
    refusal,
};
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
    assert_eq!(admin.get_app(get).await.unwrap().into_inner().app, Some(changed.clone()));

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
