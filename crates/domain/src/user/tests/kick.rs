//! Kicks by the app, and the tokens that they revoke.

use super::*;
use crate::code::Code;

// SPEC H7, A4
#[test]
fn a_kick_ends_all_sessions_in_one_change_and_leaves_no_mark() {
    let state = login(&UserState::default(), 1, Platform::Iphone, "phone");
    let state = lost(&state, 1, 20);
    let state = login(&state, 2, Platform::Web, "one");
    let state = login(&state, 3, Platform::Mac, "two");
    let decision = state.on_kick(at(30));
    assert_eq!(decision.state.general(), General::Unlogined);
    assert_eq!(decision.change, Some(Change::Status));
    assert_eq!(decision.ended, [2, 3].map(|n| (session(n), EndReason::Kicked)));
    assert_eq!(decision.timers, [2, 3].map(|n| Timer::Remove(session(n))));
    assert_eq!(decision.state.ended, decision.ended);
    assert_eq!(decision.state.last_online_at, Some(at(30)));
}

// SPEC H7
#[test]
fn a_kick_of_who_is_not_here_revokes_and_tells_nobody() {
    let decision = UserState::default().on_kick(at(30));
    assert_eq!((decision.change, decision.ended.len()), (None, 0));
    assert_eq!(decision.state.revoked_until, Some(at(30)));
}

// SPEC H7
#[test]
fn tokens_issued_in_the_second_of_a_kick_or_before_are_revoked() {
    let kicked = UserState::default().on_kick(Timestamp(30_999_999)).state;
    let code = |state: &UserState, issued| state.check_token(issued).map_err(|refusal| refusal.code);
    for issued in [at(0), at(29), at(30), Timestamp(30_999_999)] {
        assert_eq!(code(&kicked, issued), Err(Code::TokenRevoked), "{issued:?}");
        assert_eq!(code(&UserState::default(), issued), Ok(()));
    }
    assert_eq!(code(&kicked, at(31)), Ok(()));
    let again = kicked.on_kick(at(10)).state;
    assert_eq!(code(&again, at(30)), Err(Code::TokenRevoked), "a clock that was set back revokes no less");
}

// SPEC H7
#[test]
fn a_session_that_the_app_kicked_cannot_be_asserted_even_when_the_reason_is_forgotten() {
    let state = login(&UserState::default(), 1, Platform::Web, "d");
    let kicked = UserState { ended: Vec::new(), ..state.on_kick(at(30)).state };
    let group = any(Platform::Web);
    let assert = |order| kicked.on_assert(&assertion(1, asserted("d", order)), group, at(410), at(31));
    assert_eq!(assert(at(30).0), Err(EndReason::Kicked));
    assert!(assert(at(30).0 + 1).unwrap().is_some(), "it logged in since");
}
