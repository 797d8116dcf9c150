//! Tests of the hub as stories: who is owed what, and what presence is told.

mod answers;
mod digests;
mod epochs;
mod friends;
mod memory;
mod moves;
mod reports;
mod resync;
mod tokens;

use rollcall_domain::{
    app::Edition,
    id::{DeviceId, UserId},
    status::{CustomStatus, General, Status, StatusVersion},
};
use rollcall_proto::{
    client::v1::{ServerFrame, server_frame::Event},
    common::v1 as common,
    event::v1::{Change, ChangeKind},
    gateway::v1::ReportResponse,
};
use tungstenite::Message;

use super::*;
use crate::boot::Boot;

const BOOT: u64 = 7;
const EXPIRY: Duration = Duration::from_secs(400);
const TOKEN_GRACE: Duration = Duration::from_secs(60);
const ENDS_KEPT: Duration = Duration::from_secs(60);
const EVERY: Duration = Duration::from_secs(100);
const LEFT: Duration = Duration::from_secs(120);

fn app() -> AppId {
    AppId::new(1).unwrap()
}

fn id(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn seconds(seconds: u64) -> Monotonic {
    Monotonic(seconds * 1000)
}

fn settings(status: bool) -> Settings {
    Settings { edition: Edition::Premium, status, ..Settings::default() }
}

fn hub() -> Hub {
    let hub = Hub::new(EXPIRY, TOKEN_GRACE, ENDS_KEPT, Duration::from_millis(100), seconds(0));
    hub.set_settings(app(), settings(true), 1);
    hub
}

fn login(hub: &Hub, user: &str) -> Arc<SessionHandle> {
    login_until(hub, user, Monotonic(u64::MAX))
}

/// Logs in with a token that runs out at `token_end`.
fn login_until(hub: &Hub, user: &str, token_end: Monotonic) -> Arc<SessionHandle> {
    let key = (app(), id(user));
    let handle =
        hub.add_session(key, hub.begin_login().counter, record(), Codec::Json, seconds(0), token_end);
    hub.apply_list(&handle.key, 1, &[]);
    handle
}

fn record() -> LoginRecord {
    LoginRecord { platform: 7, device: DeviceId::new("d").unwrap(), order: 5, place: 3, bare_since: 0 }
}

fn boot(id: u64, former: u64) -> Boot {
    Boot { id, token: vec![1; 32], former, partitions: None }
}

fn online(text: &str) -> Status {
    Status { general: General::Online, custom: CustomStatus::new(text).unwrap() }
}

fn show(hub: &Hub, user: &str, text: &str, version: u64) {
    hub.merge(app(), vec![(id(user), online(text), StatusVersion(version))], None);
}

/// Takes all that a session is owed, as (user, version).
fn taken(hub: &Hub, handle: &SessionHandle) -> Vec<(String, u64)> {
    let mut all = Vec::new();
    while let Some(message) = hub.take_output(handle, false) {
        let Message::Text(text) = message else { panic!("expected JSON") };
        let frame: ServerFrame = serde_json::from_str(&text).unwrap();
        let Some(Event::StatusChanged(changed)) = frame.event else { panic!("expected statuses") };
        assert!(changed.statuses.len() <= 100);
        all.extend(changed.statuses.into_iter().map(|status| (status.user_id, status.version)));
    }
    all.sort();
    all
}

fn owed(entries: &[(&str, u64)]) -> Vec<(String, u64)> {
    entries.iter().map(|(user, version)| ((*user).to_owned(), *version)).collect()
}

// SPEC F4
#[test]
fn an_older_or_equal_version_is_owed_to_nobody() {
    let hub = hub();
    let watcher = login(&hub, "w");
    hub.apply_list(&watcher.key, 2, &[id("t")]);
    show(&hub, "t", "five", 5);
    assert_eq!(taken(&hub, &watcher), owed(&[("t", 5)]));
    show(&hub, "t", "five again", 5);
    show(&hub, "t", "four", 4);
    assert_eq!(taken(&hub, &watcher), []);
}

// SPEC F5
#[test]
fn a_slow_session_skips_states_and_never_the_last_at_one_mark_a_user() {
    let hub = hub();
    let watcher = login(&hub, "w");
    hub.apply_list(&watcher.key, 2, &[id("t"), id("u")]);
    for version in 1..1000 {
        show(&hub, "t", "x", version);
        show(&hub, "u", "x", version);
    }
    assert_eq!(taken(&hub, &watcher), owed(&[("t", 999), ("u", 999)]));
}

// SPEC F1
#[test]
fn more_than_100_statuses_come_in_several_frames() {
    let hub = hub();
    let watcher = login(&hub, "w");
    let targets: Vec<UserId> = (0..200).map(|n| id(&format!("t{n}"))).collect();
    hub.apply_list(&watcher.key, 2, &targets);
    for n in 0..200 {
        show(&hub, &format!("t{n}"), "", 1);
    }
    assert_eq!(taken(&hub, &watcher).len(), 200);
}

// SPEC D4
#[test]
fn every_session_of_a_user_hears_of_its_subscriptions_present_and_future() {
    let hub = hub();
    let first = login(&hub, "w");
    hub.apply_list(&first.key, 2, &[id("t")]);
    show(&hub, "t", "", 1);
    let second = login(&hub, "w");
    assert_eq!(taken(&hub, &first), owed(&[("t", 1)]));
    assert_eq!(taken(&hub, &second), owed(&[("t", 1)]));
}

// SPEC E2
#[test]
fn what_was_owed_of_a_user_goes_with_the_unsubscribe() {
    let hub = hub();
    let watcher = login(&hub, "w");
    hub.apply_list(&watcher.key, 2, &[id("t"), id("u")]);
    show(&hub, "t", "", 1);
    hub.begin_list_command(&watcher.key);
    let delta = ListDelta { previous: 2, version: 3, added: vec![], removed: vec![id("t")] };
    assert!(!hub.end_list_command(&watcher.key, Some(&delta)));
    assert_eq!(taken(&hub, &watcher), []);
    show(&hub, "t", "", 2);
    assert_eq!(taken(&hub, &watcher), []);
}

// SPEC E2, F5
#[test]
fn what_was_owed_of_others_stays_theirs_when_a_target_goes() {
    let hub = hub();
    let watcher = login(&hub, "w");
    hub.apply_list(&watcher.key, 2, &[id("t"), id("u"), id("v")]);
    for user in ["t", "u", "v"] {
        show(&hub, user, "", 1);
    }
    assert_eq!(taken(&hub, &watcher).len(), 3);
    show(&hub, "t", "", 2);
    show(&hub, "u", "", 2);
    // The last target takes the place of the one that goes.
    hub.apply_list(&watcher.key, 3, &[id("u"), id("v")]);
    assert_eq!(taken(&hub, &watcher), owed(&[("u", 2)]));
    show(&hub, "v", "", 2);
    hub.apply_list(&watcher.key, 4, &[id("v")]);
    assert_eq!(taken(&hub, &watcher), owed(&[("v", 2)]));
}

// SPEC B5
#[test]
fn the_session_that_set_its_status_hears_of_it_by_the_reply_alone() {
    let hub = hub();
    let caller = login(&hub, "a");
    let other = login(&hub, "a");
    hub.merge_own(&caller, online("busy"), StatusVersion(5));
    assert_eq!(taken(&hub, &caller), []);
    assert_eq!(taken(&hub, &other), owed(&[("a", 5)]));
    // The event of a later change overtakes the reply of an older one.
    show(&hub, "a", "later", 7);
    hub.merge_own(&caller, online("older"), StatusVersion(6));
    assert_eq!(taken(&hub, &caller), owed(&[("a", 7)]));
}

// SPEC B5
#[test]
fn the_own_status_can_be_held_back_until_its_reply() {
    let hub = hub();
    let caller = login(&hub, "a");
    hub.apply_list(&caller.key, 2, &[id("t")]);
    show(&hub, "a", "busy", 5);
    show(&hub, "t", "", 1);
    assert!(hub.take_output(&caller, true).is_some(), "others are not held back");
    assert!(hub.take_output(&caller, true).is_none());
    hub.merge_own(&caller, online("busy"), StatusVersion(5));
    assert_eq!(taken(&hub, &caller), []);
}

// SPEC G1
#[test]
fn while_the_switch_is_off_only_the_own_status_is_told_and_the_rest_after() {
    let hub = hub();
    let watcher = login(&hub, "w");
    hub.apply_list(&watcher.key, 2, &[id("t")]);
    hub.set_settings(app(), settings(false), 2);
    show(&hub, "t", "", 1);
    show(&hub, "w", "", 1);
    assert_eq!(taken(&hub, &watcher), owed(&[("w", 1)]));
    hub.set_settings(app(), settings(true), 1);
    assert_eq!(taken(&hub, &watcher), [], "older settings change nothing");
    hub.set_settings(app(), settings(true), 3);
    assert_eq!(taken(&hub, &watcher), owed(&[("t", 1)]));
}

#[test]
fn a_command_that_follows_the_list_held_needs_no_read_and_any_other_does() {
    let hub = hub();
    let watcher = login(&hub, "w");
    let delta = |previous, version, added: &str| ListDelta {
        previous,
        version,
        added: vec![id(added)],
        removed: vec![],
    };
    hub.begin_list_command(&watcher.key);
    assert!(!hub.end_list_command(&watcher.key, Some(&delta(1, 2, "t"))));
    hub.begin_list_command(&watcher.key);
    assert!(hub.end_list_command(&watcher.key, Some(&delta(3, 4, "u"))), "version 3 came from elsewhere");
    hub.apply_list(&watcher.key, 4, &[id("t"), id("v"), id("u")]);
    assert_eq!(hub.list_length(&watcher.key), Some(3));
}

#[test]
fn news_of_a_list_wait_while_a_command_on_it_is_on_its_way() {
    let hub = hub();
    let watcher = login(&hub, "w");
    let news = |version| Change {
        kind: ChangeKind::List as i32,
        app_id: 1,
        user_id: "w".to_owned(),
        record_version: version,
        ..Change::default()
    };
    hub.begin_list_command(&watcher.key);
    assert_eq!(hub.apply_change(&news(2), BOOT), None);
    let delta = ListDelta { previous: 1, version: 2, added: vec![id("t")], removed: vec![] };
    assert!(!hub.end_list_command(&watcher.key, Some(&delta)), "the news were of this command");
    assert_eq!(hub.apply_change(&news(2), BOOT), None);
    assert_eq!(hub.apply_change(&news(3), BOOT), Some(ToRead::List(watcher.key)));
}

// SPEC H5
#[test]
fn a_session_that_a_change_names_as_ended_is_told_to_close() {
    let hub = hub();
    let (kicked, replaced, other) = (login(&hub, "a"), login(&hub, "a"), login(&hub, "a"));
    let ended = |counter, boot, reason: common::SessionEndReason| common::EndedSession {
        session: Some(common::SessionId { boot, counter }),
        reason: reason as i32,
    };
    let change = Change {
        kind: ChangeKind::Sessions as i32,
        app_id: 1,
        user_id: "a".to_owned(),
        general: 1,
        ended: vec![
            ended(kicked.counter, BOOT, common::SessionEndReason::Kicked),
            ended(replaced.counter, BOOT, common::SessionEndReason::Replaced),
            ended(other.counter, BOOT + 1, common::SessionEndReason::Kicked),
        ],
        ..Change::default()
    };
    hub.apply_change(&change, BOOT);
    assert_eq!(kicked.closing(), Some(CloseCode::Kicked));
    assert_eq!(replaced.closing(), Some(CloseCode::Replaced));
    assert_eq!(other.closing(), None);
}

// SPEC A7
#[test]
fn a_client_silent_for_the_expiry_is_ended_and_never_before() {
    let hub = hub();
    let silent = login(&hub, "s");
    let beating = login(&hub, "b");
    beating.heard(seconds(390));
    for now in 1..=400 {
        hub.end_due(seconds(now));
        assert_eq!(silent.closing(), None, "at {now} s");
    }
    hub.end_due(Monotonic(400_200));
    assert_eq!(silent.closing(), Some(CloseCode::HeartbeatTimeout));
    hub.end_due(seconds(789));
    assert_eq!(beating.closing(), None);
    hub.end_due(seconds(791));
    assert_eq!(beating.closing(), Some(CloseCode::HeartbeatTimeout));
    let report = hub.report(&boot(BOOT, 0), EVERY, LEFT, seconds(791));
    let reasons: Vec<i32> = report.request.ended.iter().map(|ended| ended.reason).collect();
    assert_eq!(reasons, [EndReason::Timeout as i32; 2]);
}

// FAULT 2
#[test]
fn nothing_is_left_when_the_last_session_has_gone() {
    let hub = hub();
    let (a, b) = (login(&hub, "a"), login(&hub, "b"));
    hub.apply_list(&a.key, 2, &[id("b"), id("c")]);
    hub.apply_list(&b.key, 2, &[id("a")]);
    assert_eq!(hub.counts(), (2, 3));
    hub.remove_session(&a, EndReason::Logout);
    assert_eq!(hub.counts(), (1, 2), "a is still watched by b");
    hub.remove_session(&b, EndReason::Logout);
    assert_eq!(hub.counts(), (0, 0));
}

#[test]
fn a_list_read_before_its_newest_change_is_read_again() {
    let hub = hub();
    let (key, never) = ((app(), id("w")), Monotonic(u64::MAX));
    let watcher = hub.add_session(key, hub.begin_login().counter, record(), Codec::Json, seconds(0), never);
    hub.begin_list_command(&watcher.key);
    let delta = ListDelta { previous: 1, version: 2, added: vec![id("t")], removed: vec![] };
    assert!(!hub.end_list_command(&watcher.key, Some(&delta)), "the first read is still on its way");
    assert!(!hub.apply_list(&watcher.key, 1, &[]), "it came before the change");
    assert!(hub.apply_list(&watcher.key, 2, &[id("t")]));
}

// SPEC D7
#[test]
fn a_read_from_before_the_interest_began_anew_does_not_count() {
    let hub = hub();
    let watcher = login(&hub, "w");
    hub.apply_list(&watcher.key, 2, &[id("t")]);
    let (users, era) = hub.unsynced(&watcher.key);
    assert_eq!(users, [id("w"), id("t")]);
    hub.apply_list(&watcher.key, 3, &[]);
    hub.apply_list(&watcher.key, 4, &[id("t")]);
    let read = ["w", "t"].map(|user| (id(user), online(""), StatusVersion(1))).to_vec();
    hub.merge(app(), read.clone(), Some(era));
    let (users, era) = hub.unsynced(&watcher.key);
    assert_eq!(users, [id("t")], "the interest in t began after the read did");
    hub.merge(app(), read, Some(era));
    assert_eq!(hub.unsynced(&watcher.key).0, []);
}

#[test]
fn a_pause_of_ours_is_nobodys_silence() {
    let hub = hub();
    let alice = login(&hub, "alice");
    hub.excuse(Duration::from_secs(300), seconds(350));
    hub.end_due(seconds(650));
    assert_eq!(alice.closing(), None);
    hub.excuse(Duration::from_secs(10_000), seconds(660));
    hub.end_due(seconds(1060));
    assert_eq!(alice.closing(), None, "heard at the end of the pause at the latest");
    hub.end_due(seconds(1061));
    assert_eq!(alice.closing(), Some(CloseCode::HeartbeatTimeout));
}

// SPEC A11
