//! Custom statuses that clear by themselves.

use super::*;

/// Sets `text` at second 10, as command `op` of session 1.
fn set(state: &UserState, op: u64, text: &str, clear_at: Option<u64>) -> Option<Decision> {
    let text = CustomStatus::new(text).unwrap();
    state.on_set_custom(session(1), Op(op), text, clear_at.map(at), at(10)).unwrap()
}

fn online() -> UserState {
    login(&UserState::default(), 1, Platform::Web, "browser")
}

// SPEC B6
#[test]
fn a_custom_status_clears_at_its_time_in_one_change_and_never_before() {
    let busy = set(&online(), 1, "busy", Some(100)).unwrap();
    assert_eq!(busy.timers, [Timer::SetClear(at(100))]);

    assert_eq!(busy.state.on_clear_due(Timestamp(at(100).0 - 1)), None);
    let cleared = busy.state.on_clear_due(at(100)).unwrap();

    assert_eq!((cleared.change, cleared.timers), (Some(Change::Status), vec![Timer::RemoveClear]));
    assert_eq!(cleared.state.status(), online().status());
    assert_eq!(cleared.state.on_clear_due(at(200)), None);
}

// SPEC B6
#[test]
fn a_later_set_replaces_the_time_whatever_its_text() {
    let busy = set(&online(), 1, "busy", Some(100)).unwrap().state;

    let equal = set(&busy, 2, "busy", Some(50)).unwrap();
    assert_eq!((equal.change, equal.timers), (None, vec![Timer::SetClear(at(50))]));
    let other = set(&busy, 2, "still busy", Some(200)).unwrap();
    assert_eq!((other.change, other.timers), (Some(Change::Status), vec![Timer::SetClear(at(200))]));
    assert_eq!(other.state.on_clear_due(at(199)), None);
    for text in ["busy", "still busy"] {
        let lasting = set(&busy, 2, text, None).unwrap();
        assert_eq!((lasting.state.clear_at, lasting.timers), (None, vec![Timer::RemoveClear]));
        assert_eq!(lasting.state.on_clear_due(at(1_000)), None);
    }
}

// SPEC B6
#[test]
fn without_a_number_an_equal_text_with_another_time_is_a_set_and_with_the_same_it_is_none() {
    let busy = set(&online(), 0, "busy", Some(100)).unwrap().state;
    assert_eq!(set(&busy, 0, "busy", Some(100)), None);
    assert_eq!(set(&busy, 0, "busy", Some(101)).unwrap().timers, [Timer::SetClear(at(101))]);
}

// SPEC B6
#[test]
fn a_copy_of_a_set_moves_no_time() {
    let busy = set(&online(), 1, "busy", Some(100)).unwrap().state;
    let lasting = set(&busy, 2, "busy", None).unwrap().state;
    assert_eq!(set(&lasting, 1, "busy", Some(100)), None);
}

// SPEC B6
#[test]
fn an_empty_custom_status_has_no_time() {
    let empty = set(&online(), 1, "", Some(100)).unwrap();
    assert_eq!((empty.state.clear_at, empty.change, empty.timers), (None, None, Vec::new()));
    let busy = set(&online(), 1, "busy", Some(100)).unwrap().state;
    let cleared = set(&busy, 2, "", Some(200)).unwrap();
    assert_eq!((cleared.state.clear_at, cleared.timers), (None, vec![Timer::RemoveClear]));
}

// SPEC B3, B6
#[test]
fn leaving_online_takes_the_time_along() {
    let busy = set(&online(), 1, "busy", Some(100)).unwrap().state;
    let lost = busy.on_connection_lost(session(1), EndReason::Closed, at(20)).unwrap();
    assert_eq!(lost.state.clear_at, None);
    assert_eq!(lost.timers, [Timer::Remove(session(1)), Timer::RemoveClear]);
}
