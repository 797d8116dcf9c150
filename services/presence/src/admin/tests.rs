//! Tests of the configuration of apps.

use rollcall_domain::app::Limits;

use super::*;
use crate::fixture::{Fixture, TEST, app, code};

fn other() -> AppId {
    AppId::new(8).unwrap()
}

// SPEC G1
#[tokio::test]
async fn a_new_app_is_standard_with_its_switch_off_one_session_a_user_and_the_greatest_limits() {
    let fixture = Fixture::new().await;
    let (created, key) = fixture.parts.admin.create(other(), "test", &Wish::default()).await.unwrap();
    let expected = Settings {
        edition: Edition::Standard,
        status: false,
        friend_status: false,
        limits: Limits::default(),
        login_policy: LoginPolicy::Single,
    };
    assert_eq!(created.settings, expected);
    assert_eq!(key.len(), 64);
    assert_eq!(fixture.parts.admin.get(other()).await.unwrap(), created);
}

#[tokio::test]
async fn an_app_that_exists_is_not_created_again_and_keeps_its_key() {
    let fixture = Fixture::new().await;
    let before = fixture.parts.admin.get(app()).await.unwrap();
    assert_eq!(
        code(fixture.parts.admin.create(app(), "test", &Wish::default()).await),
        Code::InvalidParameter
    );
    assert_eq!(fixture.parts.admin.get(app()).await.unwrap(), before);
}

#[tokio::test]
async fn an_app_that_was_never_created_is_unknown() {
    let fixture = Fixture::new().await;
    assert_eq!(code(fixture.parts.admin.get(other()).await), Code::AppUnknown);
    assert_eq!(code(fixture.parts.admin.update(other(), &TEST, &Wish::default()).await), Code::AppUnknown);
}

// SPEC G1
#[tokio::test]
async fn an_update_changes_what_it_names_and_the_version_with_it() {
    let fixture = Fixture::new().await;
    let admin = &fixture.parts.admin;
    let before = admin.get(app()).await.unwrap();
    let limits = common::Limits { subscriptions: 3, ..common::Limits::default() };
    let wish = Wish { status: Some(false), limits: Some(limits), ..Wish::default() };
    let after = admin.update(app(), &TEST, &wish).await.unwrap();
    let limits = Limits { subscriptions: 3, ..Limits::default() };
    assert_eq!(after.settings, Settings { limits, status: false, ..before.settings });
    assert_eq!(after.keys, before.keys);
    assert!(after.version > before.version);
    assert_eq!(admin.update(app(), &TEST, &Wish::default()).await.unwrap(), after);
}

#[tokio::test]
async fn a_limit_beyond_the_greatest_is_refused_and_changes_nothing() {
    let fixture = Fixture::new().await;
    let limits = Some(common::Limits { query_ids: 501, ..common::Limits::default() });
    let wish = Wish { limits, status: Some(false), ..Wish::default() };
    assert_eq!(code(fixture.parts.admin.update(app(), &TEST, &wish).await), Code::InvalidParameter);
    assert!(fixture.parts.admin.get(app()).await.unwrap().settings.status);
}

// SPEC H4
#[test]
fn a_login_policy_that_is_not_known_is_refused_and_0_is_absent() {
    assert_eq!(Wish::login_policy(0), Ok(None));
    assert_eq!(Wish::login_policy(2), Ok(Some(LoginPolicy::Dual)));
    for unknown in [5, -1] {
        assert_eq!(Wish::login_policy(unknown).unwrap_err().code, Code::InvalidParameter);
    }
}

#[test]
fn an_edition_that_is_not_known_is_refused_and_0_is_absent() {
    assert_eq!(Wish::edition(0), Ok(None));
    assert_eq!(Wish::edition(2), Ok(Some(Edition::Premium)));
    assert_eq!(Wish::edition(3).unwrap_err().code, Code::InvalidParameter);
}
