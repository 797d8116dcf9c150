//! Tokens that run out: who is told, when, and when the connection closes.

use super::*;

/// Looks for what is due in every 100 ms from `from` to `to`, in ms, with a client that is heard all the time; returns
/// when the client was told, and when its connection was to close.
fn watch(hub: &Hub, handle: &SessionHandle, from: u64, to: u64) -> (Vec<u64>, Option<u64>) {
    let mut told = Vec::new();
    for now in (from..to).step_by(100) {
        handle.heard(Monotonic(now));
        hub.end_due(Monotonic(now));
        if handle.take_token_end() {
            told.push(now);
        }
        if let Some(code) = handle.closing() {
            assert_eq!(code, CloseCode::TokenExpired);
            return (told, Some(now));
        }
    }
    (told, None)
}

fn assert_soon(at: u64, end: u64) {
    assert!((end..=end + 300).contains(&at), "at {at}, expected {end} or a little later");
}

// SPEC H3
#[test]
fn a_client_is_told_once_when_its_token_runs_out_and_is_closed_after_the_grace() {
    for end in [1_000, 70_050, 500_000] {
        let hub = hub();
        let bob = login_until(&hub, "bob", Monotonic(end));
        let (told, closed) = watch(&hub, &bob, 0, end + 100_000);
        let [told] = told[..] else { panic!("told at {told:?}") };
        assert_soon(told, end);
        assert_soon(closed.unwrap(), end + 60_000);
        assert_eq!(ended(&hub), [(bob.counter, EndReason::Closed as i32)]);
    }
}

// SPEC H3
#[test]
fn a_new_token_puts_the_end_off_before_it_and_in_the_grace() {
    let hub = hub();
    let bob = login_until(&hub, "bob", Monotonic(10_000));
    hub.put_off_token_end(&bob, Monotonic(30_000), Monotonic(5_000));
    let (told, closed) = watch(&hub, &bob, 0, 40_000);
    assert!(told.len() == 1 && closed.is_none(), "{told:?} {closed:?}");
    assert_soon(told[0], 30_000);
    assert!(bob.token_ran_out(Monotonic(40_000)));

    hub.put_off_token_end(&bob, Monotonic(120_000), Monotonic(40_000));

    assert!(!bob.token_ran_out(Monotonic(40_000)));
    let (told, closed) = watch(&hub, &bob, 40_000, 200_000);
    assert!(told.len() == 1, "{told:?}");
    assert_soon(told[0], 120_000);
    assert_soon(closed.unwrap(), 180_000);
}

#[test]
fn a_token_that_runs_out_sooner_than_the_one_before_changes_nothing() {
    let hub = hub();
    let bob = login_until(&hub, "bob", Monotonic(10_000));
    hub.put_off_token_end(&bob, Monotonic(2_000), Monotonic(0));
    assert!(!bob.token_ran_out(Monotonic(9_999)));
    assert!(bob.token_ran_out(Monotonic(10_000)));
}

#[test]
fn who_is_told_by_a_call_is_not_told_again_by_the_timer() {
    let hub = hub();
    let bob = login_until(&hub, "bob", Monotonic(1_000));
    assert!(bob.token_ran_out(Monotonic(1_000)));
    assert!(bob.take_token_end());
    assert_eq!(watch(&hub, &bob, 1_000, 50_000), (vec![], None));
}

#[test]
fn the_end_of_a_token_costs_a_connection_8_bytes() {
    assert_eq!(size_of::<super::super::tokens::TokenEnd>(), 8);
}

fn ended(hub: &Hub) -> Vec<(u64, i32)> {
    let report = hub.report(&boot(BOOT, 0), EVERY, LEFT, seconds(0));
    let ended = report.request.ended.iter();
    ended.map(|ended| (ended.session.as_ref().unwrap().counter, ended.reason)).collect()
}
