//! SPEC G: what an app's configuration does.

use rollcall_conformance::{GRACE, alice_watching_bob, online, says};
use rollcall_harness::{Raw, Rollcall, Setup, eventually};
use rollcall_proto::{
    admin::v1::{CreateAppRequest, GetAppRequest, UpdateAppRequest},
    common::v1::{Edition, Limits, LoginPolicy},
    refusal,
};
use serde_json::json;

/// Waits until a query of another is answered with a code.
async fn takes_effect(session: &mut Raw, code: i32) {
    eventually(&format!("queries to be answered with {code}"), async || {
        session.query(&["bob"]).await.code == code
    })
    .await;
}

/// Checks an app whose setup has become `off`, on connected clients, and that `Setup::default` undoes it.
async fn stops_and_resumes(off: Setup, code: i32) {
    let rollcall = Rollcall::start().await;
    let app = rollcall.app().await;
    let (mut alice, mut bob) = alice_watching_bob(&app).await;
    let mut desk = app.session("alice", "desk").await;

    app.set(off).await;
    takes_effect(&mut alice, code).await;
    alice.take_unread();

    alice.subscribe(&["carol"]).await.refused(code);
    alice.unsubscribe(&["bob"]).await.refused(code);
    alice.unsubscribe(&[]).await.refused(code);
    alice.call(json!({ "listSubscriptions": {} })).await.refused(code);
    bob.set("unheard").await.ok();
    assert_eq!(alice.pushed_during(GRACE).await, [], "notifications of others stop");
    desk.set("heard by my own").await.ok();
    alice.expect("alice", says("heard by my own")).await;

    app.set(Setup::default()).await;
    takes_effect(&mut alice, 0).await;

    bob.set("heard again").await.ok();
    alice.expect("bob", says("heard again")).await;
    assert_eq!(alice.subscriptions().await, ["bob"], "subscriptions are kept");
}

// SPEC G1
#[tokio::test]
async fn switching_status_off_stops_others_for_connected_clients_and_on_resumes_them() {
    stops_and_resumes(Setup::switched_off(), 72001).await;
}

// SPEC G1
#[tokio::test]
async fn a_fall_to_standard_acts_like_switching_status_off() {
    stops_and_resumes(Setup { edition: Edition::Standard, ..Setup::default() }, 7013).await;
}

// SPEC G1
#[tokio::test]
async fn a_new_app_is_standard_with_status_off_one_session_a_user_and_the_greatest_limits() {
    let rollcall = Rollcall::start().await;
    let mut admin = rollcall.admin();
    let request = CreateAppRequest { app_id: 77, ..CreateAppRequest::default() };

    let created = admin.create_app(request).await.unwrap().into_inner();

    let settings = created.app.unwrap();
    assert_eq!((settings.app_id, settings.edition), (77, Edition::Standard as i32));
    assert_eq!((settings.status, settings.friend_status), (false, false));
    assert_eq!(
        settings.limits,
        Some(Limits {
            query_ids: 500,
            subscribe_ids: 100,
            subscriptions: 200,
            window_calls: 20,
            friends: 3_000
        })
    );
    assert_eq!(settings.login_policy(), LoginPolicy::Single);
    assert_eq!(created.token_key.len(), 64);
    let read = admin.get_app(GetAppRequest { app_id: 77 }).await.unwrap().into_inner();
    assert_eq!(read.app, Some(settings));
}

// SPEC G1
#[tokio::test]
async fn an_update_changes_what_it_names_and_leaves_the_rest() {
    let rollcall = Rollcall::start().await;
    let mut admin = rollcall.admin();
    let app = rollcall.app().await;
    let limits = Limits { subscriptions: 50, ..Limits::default() };
    let request = UpdateAppRequest { app_id: app.id, limits: Some(limits), ..UpdateAppRequest::default() };

    let updated = admin.update_app(request).await.unwrap().into_inner().app.unwrap();

    assert_eq!((updated.edition, updated.status), (Edition::Premium as i32, true));
    assert_eq!(
        updated.limits,
        Some(Limits {
            query_ids: 500,
            subscribe_ids: 100,
            subscriptions: 50,
            window_calls: 20,
            friends: 3_000
        })
    );
    let off = UpdateAppRequest { app_id: app.id, status: Some(false), ..UpdateAppRequest::default() };
    let after = admin.update_app(off).await.unwrap().into_inner().app.unwrap();
    assert!(!after.status && after.version > updated.version);
    assert_eq!((after.edition, after.limits), (updated.edition, updated.limits));
    let policy = LoginPolicy::Dual as i32;
    let dual = UpdateAppRequest { app_id: app.id, login_policy: policy, ..UpdateAppRequest::default() };
    let after = admin.update_app(dual).await.unwrap().into_inner().app.unwrap();
    assert_eq!((after.login_policy(), after.limits), (LoginPolicy::Dual, updated.limits));
    let on = UpdateAppRequest { app_id: app.id, friend_status: Some(true), ..UpdateAppRequest::default() };
    let after = admin.update_app(on).await.unwrap().into_inner().app.unwrap();
    assert_eq!((after.friend_status, after.status, after.login_policy()), (true, false, LoginPolicy::Dual));
}

// SPEC G1
#[tokio::test]
async fn a_wrong_call_of_the_admin_service_is_refused_with_its_code() {
    let rollcall = Rollcall::start().await;
    let mut admin = rollcall.admin();
    let app = rollcall.app().await;
    let number = |status: tonic::Status| (status.code(), refusal::from_status(&status).code.number());

    let again = CreateAppRequest { app_id: app.id, ..CreateAppRequest::default() };
    assert_eq!(number(admin.create_app(again).await.unwrap_err()), (tonic::Code::InvalidArgument, 6017));
    let zero = CreateAppRequest::default();
    assert_eq!(number(admin.create_app(zero).await.unwrap_err()), (tonic::Code::InvalidArgument, 6017));
    let limits = Some(Limits { query_ids: 501, ..Limits::default() });
    let request = UpdateAppRequest { app_id: app.id, limits, ..UpdateAppRequest::default() };
    assert_eq!(number(admin.update_app(request).await.unwrap_err()), (tonic::Code::InvalidArgument, 6017));
    let request = UpdateAppRequest { app_id: app.id, login_policy: 9, ..UpdateAppRequest::default() };
    assert_eq!(number(admin.update_app(request).await.unwrap_err()), (tonic::Code::InvalidArgument, 6017));
    let unknown = GetAppRequest { app_id: 4_000_000_000 };
    assert_eq!(number(admin.get_app(unknown).await.unwrap_err()), (tonic::Code::NotFound, 70020));
    let unknown = UpdateAppRequest { app_id: 4_000_000_000, ..UpdateAppRequest::default() };
    assert_eq!(number(admin.update_app(unknown).await.unwrap_err()), (tonic::Code::NotFound, 70020));
}

// SPEC G3
#[tokio::test]
async fn apps_do_not_see_each_other() {
    let rollcall = Rollcall::start().await;
    let (here, there) = (rollcall.app().await, rollcall.app().await);
    let mut alice_here = here.session("alice", "d").await;
    let mut alice_there = there.session("alice", "d").await;
    alice_here.subscribe(&["bob"]).await.ok();
    alice_here.expect_next("bob").await;

    let mut bob_there = there.session("bob", "d").await;
    bob_there.set("in the other app").await.ok();

    assert_eq!(alice_here.pushed_during(GRACE).await, []);
    assert_eq!(alice_here.status_of("bob").await.version, 0);
    assert!(online(&alice_there.status_of("bob").await));
    assert_eq!(alice_there.subscriptions().await, [""; 0]);
    // A switch of one app is none of the other's.
    there.set(Setup::switched_off()).await;
    takes_effect(&mut alice_there, 72001).await;
    alice_here.status_of("bob").await;
}
