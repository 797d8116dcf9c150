//! Who is asked to move, and what a leave after that counts as.

use super::*;

const SLICE: Duration = Duration::from_secs(2);

/// Counts those that are told to move now, and checks that they are given no longer than a slice.
fn told(handles: &[Arc<SessionHandle>]) -> usize {
    let told: Vec<u32> = handles.iter().filter_map(|handle| handle.take_draining()).collect();
    assert!(told.iter().all(|after_ms| *after_ms <= 2_000), "{told:?}");
    told.len()
}

#[test]
fn slices_ask_everybody_once_and_as_many_each_as_the_others() {
    let hub = hub();
    let handles: Vec<_> = (0..100).map(|number| login(&hub, &format!("user{number}"))).collect();
    for left in (1..=10).rev() {
        assert_eq!(hub.ask_to_move(left, SLICE, seconds(20)), 10);
        assert_eq!(told(&handles), 10, "with {left} slices left");
    }
    assert_eq!(hub.ask_to_move(1, SLICE, seconds(40)), 0, "all were asked");
}

#[test]
fn fewer_clients_than_slices_are_all_asked_and_who_logs_in_meanwhile_too() {
    let hub = hub();
    let mut handles = vec![login(&hub, "alice"), login(&hub, "bob")];
    assert_eq!(hub.ask_to_move(10, SLICE, seconds(20)), 1);
    handles.push(login(&hub, "carol"));
    let asked: u64 = (1..10).rev().map(|left| hub.ask_to_move(left, SLICE, seconds(20))).sum();
    assert_eq!((asked, told(&handles)), (2, 3));
}

#[test]
fn who_was_not_told_when_it_is_over_stays_and_is_asked_again_the_next_time() {
    let hub = hub();
    let (told, untold) = (login(&hub, "told"), login(&hub, "untold"));
    hub.ask_to_move(1, SLICE, seconds(20));
    assert!(told.take_draining().is_some());
    hub.stop_asking();
    assert_eq!((told.take_draining(), untold.take_draining()), (None, None));
    assert!(told.is_moving(seconds(21)) && !untold.is_moving(seconds(21)));
    assert_eq!(hub.ask_to_move(1, SLICE, seconds(100)), 2);
}

// SPEC A6, SPEC A11
#[test]
fn who_leaves_soon_after_being_asked_moves_and_who_leaves_later_or_unasked_does_not() {
    let hub = hub();
    let (asked, unasked) = (login(&hub, "asked"), login(&hub, "unasked"));
    assert_eq!(hub.ask_to_move(2, SLICE, seconds(20)), 1);
    let (asked, unasked) = if asked.take_draining().is_some() { (asked, unasked) } else { (unasked, asked) };
    assert!(asked.is_moving(seconds(29)) && !unasked.is_moving(seconds(29)));
    assert!(!asked.is_moving(seconds(33)), "after 2 s and 10 s it is gone for another reason");
}
