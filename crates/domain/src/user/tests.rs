//! Tests of the user's state machine, as stories and against a reference model.

mod clear;
mod kick;

use std::time::Duration;

use super::*;
use crate::{
    app::Edition,
    id::BootId,
    policy::{Group, LoginPolicy},
    status::General,
};

mod logins;
mod model;
mod sets;

const EXPIRY: Duration = Duration::from_secs(400);

fn session(counter: u64) -> SessionId {
    SessionId { boot: BootId(1), counter }
}

fn device(name: &str) -> DeviceId {
    DeviceId::new(name).unwrap()
}

fn at(seconds: u64) -> Timestamp {
    Timestamp(seconds * 1_000_000)
}

/// Each platform alone, with more sessions than one user may have: for tests that are not about policies.
fn any(platform: Platform) -> Group {
    Group { limit: usize::MAX, ..LoginPolicy::Multi.group(Edition::Premium, platform) }
}

fn of(platform: Platform, name: &str) -> Session {
    Session::new(platform, device(name), None)
}

/// Decides upon a login of its own that no policy keeps out.
fn try_login(state: &UserState, counter: u64, platform: Platform, name: &str, now: u64) -> Option<Decision> {
    state.on_login(session(counter), of(platform, name), any(platform), EXPIRY, at(now)).unwrap()
}

/// Logs in and gives the session its order, as the commit does.
fn login(state: &UserState, counter: u64, platform: Platform, name: &str) -> UserState {
    let decision = try_login(state, counter, platform, name, counter).unwrap();
    let mut after = decision.state;
    after.sessions.get_mut(&session(counter)).unwrap().order = Some(RecordVersion(counter));
    after
}

fn lost(state: &UserState, counter: u64, now: u64) -> UserState {
    state.on_connection_lost(session(counter), EndReason::Closed, at(now)).unwrap().state
}

// SPEC A10
#[test]
fn a_user_who_never_logged_in_is_unlogined() {
    assert_eq!(UserState::default().general(), General::Unlogined);
}

// SPEC A2
#[test]
fn a_login_makes_online_and_sets_the_deadline() {
    let decision = try_login(&UserState::default(), 1, Platform::Web, "d", 10).unwrap();
    assert_eq!(decision.state.general(), General::Online);
    assert_eq!(decision.change, Some(Change::Status));
    assert_eq!(decision.timers, [Timer::Set(session(1), at(410))]);
}

// SPEC A3
#[test]
fn losing_the_last_session_of_a_platform_leaves_a_mark_until_that_platform_logs_in() {
    let state = login(&UserState::default(), 1, Platform::Web, "d");
    let state = lost(&state, 1, 20);
    assert_eq!(state.general(), General::Offline);
    assert_eq!(state.marks[&Platform::Web], at(20));
    assert_eq!(state.last_online_at, Some(at(20)));
    let state = login(&state, 2, Platform::Web, "d");
    assert!(state.marks.is_empty());
}

// SPEC A3
#[test]
fn a_mark_of_one_platform_survives_the_logout_of_another() {
    let state = login(&UserState::default(), 1, Platform::Iphone, "phone");
    let state = login(&state, 2, Platform::Web, "browser");
    let state = lost(&state, 1, 20);
    assert_eq!(state.general(), General::Online);
    let state = state.on_logout(session(2), at(30)).unwrap().state;
    assert_eq!(state.general(), General::Offline);
}

// SPEC A3
#[test]
fn a_logout_on_a_platform_removes_its_mark() {
    let state = login(&UserState::default(), 1, Platform::Web, "one");
    let state = login(&state, 2, Platform::Web, "two");
    let state = lost(&state, 1, 20);
    assert!(state.marks.is_empty(), "another session of the platform is alive");
    let state = state.on_logout(session(2), at(30)).unwrap().state;
    assert_eq!(state.general(), General::Unlogined);
}

// SPEC A5
#[test]
fn a_late_close_of_an_older_session_changes_no_status() {
    let state = login(&UserState::default(), 1, Platform::Web, "d");
    let state = login(&state, 2, Platform::Web, "d");
    assert_eq!(state.ended, [(session(1), EndReason::Replaced)]);
    let decision = state.on_connection_lost(session(1), EndReason::Closed, at(30)).unwrap();
    assert_eq!(decision.change, None);
    assert_eq!(decision.state.general(), General::Online);
    assert!(decision.state.ended.is_empty(), "the report lets us forget");
    assert_eq!(decision.state.on_connection_lost(session(1), EndReason::Closed, at(31)), None);
}

// SPEC B3
#[test]
fn leaving_online_clears_the_custom_status_in_the_same_change() {
    let online = login(&UserState::default(), 1, Platform::Web, "d");
    let text = CustomStatus::new("busy").unwrap();
    let busy = online.on_set_custom(session(1), Op::NONE, text, None, at(2)).unwrap().unwrap().state;
    for decision in [
        busy.on_logout(session(1), at(3)),
        busy.on_connection_lost(session(1), EndReason::Closed, at(3)),
        busy.on_sessions_due(&[session(1)], &[], at(3)),
    ] {
        let decision = decision.unwrap();
        assert!(decision.state.custom.is_empty());
        assert_eq!(decision.change, Some(Change::Status));
        assert_eq!(decision.timers, [Timer::Remove(session(1))]);
    }
}

// SPEC B5
#[test]
fn an_equal_text_is_no_change_and_a_foreign_session_is_refused() {
    let state = login(&UserState::default(), 1, Platform::Web, "d");
    let text = CustomStatus::new("busy").unwrap();
    let busy = state.on_set_custom(session(1), Op::NONE, text.clone(), None, at(2)).unwrap().unwrap();
    assert_eq!(busy.change, Some(Change::Status));
    assert_eq!(busy.state.on_set_custom(session(1), Op::NONE, text.clone(), None, at(3)), Ok(None));
    assert!(busy.state.on_set_custom(session(9), Op::NONE, text, None, at(3)).is_err());
}

/// Sets a text as command `op` of a session, and gives the state after it.
fn set(state: &UserState, session: SessionId, op: u64, text: &str) -> UserState {
    let text = CustomStatus::new(text).unwrap();
    let decision = state.on_set_custom(session, Op(op), text, None, at(op)).unwrap();
    decision.map_or_else(|| state.clone(), |decision| decision.state)
}

// FAULT 25
#[test]
fn a_copy_of_a_set_changes_nothing_whoever_has_set_since() {
    let state = login(&UserState::default(), 1, Platform::Web, "one");
    let state = login(&state, 2, Platform::Mac, "two");
    let state = set(&state, session(1), 1, "first");
    let state = set(&state, session(1), 3, "third");
    assert_eq!(set(&state, session(1), 2, "second"), state, "overtaken on its way");
    let state = set(&state, session(2), 1, "of the other session");
    assert_eq!(state.custom.as_str(), "of the other session", "each session counts for itself");
    assert_eq!(set(&state, session(1), 3, "third"), state);
    assert_eq!(set(&state, session(1), 4, "fourth").custom.as_str(), "fourth");
}

// FAULT 25
#[test]
fn a_set_of_an_equal_text_is_told_to_nobody_and_overtakes_the_older_ones_all_the_same() {
    let state = set(&login(&UserState::default(), 1, Platform::Web, "d"), session(1), 1, "busy");
    let equal = state.on_set_custom(session(1), Op(3), state.custom.clone(), None, at(9)).unwrap().unwrap();
    assert_eq!((equal.change, &equal.timers, &equal.ended), (None, &Vec::new(), &Vec::new()));
    assert_eq!(equal.state.status(), state.status());
    assert_eq!(set(&equal.state, session(1), 2, "late"), equal.state);
}

// SPEC H5
#[test]
fn the_same_device_replaces_its_session_without_a_change_of_status() {
    let state = login(&UserState::default(), 1, Platform::Web, "d");
    let decision = try_login(&state, 2, Platform::Web, "d", 5).unwrap();
    assert_eq!(decision.change, Some(Change::Sessions));
    assert_eq!(decision.ended, [(session(1), EndReason::Replaced)]);
    assert_eq!(decision.timers, [Timer::Remove(session(1)), Timer::Set(session(2), at(405))]);
    let other_platform = try_login(&state, 3, Platform::Mac, "d", 5).unwrap();
    assert!(other_platform.ended.is_empty());
}

// SPEC H5
#[test]
fn the_33rd_login_kicks_the_oldest() {
    let mut state = UserState::default();
    // Counters fall while orders rise: it is the order that counts.
    for n in 1..=32 {
        state = login(&state, 100 - n, Platform::Web, &format!("d{n}"));
        state.sessions.get_mut(&session(100 - n)).unwrap().order = Some(RecordVersion(n));
    }
    let decision = try_login(&state, 200, Platform::Mac, "d", 5).unwrap();
    assert_eq!(decision.ended, [(session(99), EndReason::Kicked)]);
    assert_eq!(decision.state.sessions.len(), SESSIONS_MAX);
}

// SPEC A11
#[test]
fn a_moved_session_lives_on_for_the_grace_and_a_late_move_of_an_ended_one_changes_nothing() {
    let state = login(&UserState::default(), 1, Platform::Web, "d");
    let grace = Duration::from_secs(30);
    let decision = state.on_connection_moved(session(1), grace, at(50)).unwrap();
    assert_eq!((decision.state.status(), decision.change), (state.status(), None));
    assert!(decision.state.sessions[&session(1)].moved);
    assert_eq!(decision.timers, [Timer::Set(session(1), at(80))]);
    assert_eq!(decision.state.on_connection_moved(session(1), grace, at(60)), None, "told again");
    let state = login(&decision.state, 2, Platform::Web, "d");
    let decision = state.on_connection_moved(session(1), grace, at(60)).unwrap();
    assert_eq!((decision.change, decision.timers), (None, Vec::new()));
}

// SPEC A11
#[test]
fn a_lost_gateway_ends_its_sessions_in_one_change_that_leaves_marks() {
    let state = login(&UserState::default(), 1, Platform::Web, "one");
    let state = login(&state, 2, Platform::Mac, "two");
    let decision = state.on_sessions_due(&[], &[session(1), session(2)], at(90)).unwrap();
    assert_eq!(decision.state.general(), General::Offline);
    assert_eq!((decision.change, decision.ended), (Some(Change::Status), Vec::new()));
    assert!(decision.state.ended.is_empty(), "nobody is left to hear why");
}

fn asserted(name: &str, order: u64) -> Session {
    Session { order: Some(RecordVersion(order)), ..of(Platform::Web, name) }
}

fn reborn(counter: u64) -> SessionId {
    SessionId { boot: BootId(2), counter }
}

/// Asserts session 1, or another one of its former boot, under the id of a new boot.
fn assertion(former: u64, login: Session) -> Assertion {
    Assertion { session: reborn(1), former: session(former), login, last_set: None }
}

// SPEC A11
#[test]
fn an_asserted_session_is_held_again_with_its_own_deadline_and_order() {
    let gone = lost(&login(&UserState::default(), 1, Platform::Web, "d"), 1, 20);
    let decision = gone
        .on_assert(&assertion(1, asserted("d", 1)), any(Platform::Web), at(410), at(30))
        .unwrap()
        .unwrap();
    assert_eq!(decision.state.general(), General::Online);
    assert_eq!(decision.state.sessions[&reborn(1)], asserted("d", 1));
    assert_eq!(decision.timers, [Timer::Set(reborn(1), at(410))]);
    let again =
        decision.state.on_assert(&assertion(1, asserted("d", 1)), any(Platform::Web), at(420), at(40));
    assert_eq!(again, Ok(None));
}

// SPEC A11
#[test]
fn a_session_asserted_before_its_former_boot_was_swept_has_not_ended() {
    let state = login(&UserState::default(), 1, Platform::Web, "d");
    let decision = state
        .on_assert(&assertion(1, asserted("d", 1)), any(Platform::Web), at(410), at(30))
        .unwrap()
        .unwrap();
    assert_eq!(decision.change, Some(Change::Sessions));
    assert_eq!((decision.ended, decision.state.ended), (Vec::new(), Vec::new()));
    assert_eq!(decision.timers, [Timer::Remove(session(1)), Timer::Set(reborn(1), at(410))]);
}

// SPEC A11
#[test]
fn the_sets_of_an_asserted_session_are_counted_anew_and_go_on() {
    let state = set(&login(&UserState::default(), 1, Platform::Web, "d"), session(1), 5, "before");
    let decision = state
        .on_assert(&assertion(1, asserted("d", 1)), any(Platform::Web), at(410), at(30))
        .unwrap()
        .unwrap();
    assert_eq!(decision.state.sessions[&reborn(1)].last_op, Op::NONE);
    assert_eq!(decision.state.custom.as_str(), "before");
    let after = set(&decision.state, reborn(1), 6, "after");
    assert_eq!((after.custom.as_str(), after.sessions[&reborn(1)].last_op), ("after", Op(6)));
    let copy = after.on_set_custom(session(1), Op(5), CustomStatus::default(), None, at(40));
    assert_eq!(copy.unwrap_err().code, crate::code::Code::NotLoggedIn);
}

// SPEC A5, H5
#[test]
fn a_session_that_is_over_for_its_client_cannot_be_asserted() {
    let state = login(&UserState::default(), 1, Platform::Web, "d");
    let replaced = login(&state, 2, Platform::Web, "d");
    let assert = |state: &UserState| {
        state.on_assert(&assertion(1, asserted("d", 1)), any(Platform::Web), at(410), at(30))
    };
    assert_eq!(assert(&replaced), Err(EndReason::Replaced));
    let forgotten = UserState { ended: Vec::new(), ..replaced };
    assert_eq!(assert(&forgotten), Err(EndReason::Replaced), "its device has logged in since");
    let kicked = UserState { ended: vec![(session(1), EndReason::Kicked)], ..UserState::default() };
    assert_eq!(assert(&kicked), Err(EndReason::Kicked));
    let expired = UserState { ended: vec![(session(1), EndReason::Timeout)], ..UserState::default() };
    assert!(assert(&expired).unwrap().is_some(), "it was heard of after all");
}

#[test]
fn a_repeated_login_of_one_session_changes_nothing() {
    let state = login(&UserState::default(), 1, Platform::Web, "d");
    assert_eq!(try_login(&state, 1, Platform::Web, "d", 9), None);
}

#[test]
fn expiry_ends_all_due_sessions_in_one_decision_and_remembers_why() {
    let state = login(&UserState::default(), 1, Platform::Web, "one");
    let state = login(&state, 2, Platform::Mac, "two");
    let decision = state.on_sessions_due(&[session(1), session(2), session(7)], &[], at(500)).unwrap();
    assert_eq!(decision.state.general(), General::Offline);
    assert_eq!(decision.ended, [1, 2].map(|n| (session(n), EndReason::Timeout)));
    assert_eq!(decision.state.ended, decision.ended);
    assert_eq!(state.on_sessions_due(&[session(7)], &[], at(500)), None);
}

#[test]
fn no_more_than_32_ended_sessions_are_remembered_and_the_oldest_go() {
    let mut state = UserState::default();
    for n in 1..=40 {
        state = login(&state, n, Platform::Web, "same");
    }
    assert_eq!(state.ended.len(), ENDED_MAX);
    assert_eq!(state.ended[0].0, session(8));
}
