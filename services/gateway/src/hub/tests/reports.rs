//! What presence is told of sessions: who was heard, who has ended, who is to be held again.

use futures_util::FutureExt as _;

use super::*;

#[test]
fn a_heard_session_is_reported_once_in_its_interval_and_with_its_age() {
    let hub = hub();
    let handle = login(&hub, "a");
    let heard = |now| {
        let report = hub.report(&boot(BOOT, 0), EVERY, LEFT, seconds(now));
        hub.reported(&report, &ReportResponse::default(), seconds(now));
        report.request.heard.iter().map(|heard| heard.age_ms).collect::<Vec<_>>()
    };
    handle.heard(seconds(50));
    assert_eq!(heard(60), [0; 0], "told at login");
    assert_eq!(heard(100), [50_000]);
    assert_eq!(heard(250), [0; 0], "not heard since");
    handle.heard(seconds(260));
    assert_eq!(heard(261), [1_000]);
}

#[test]
fn a_client_that_was_silent_for_so_long_that_it_soon_expires_is_reported_at_once() {
    let hub = hub();
    let handle = login(&hub, "a");
    let told_at_once = |now| {
        hub.heard(&handle, LEFT, seconds(now));
        hub.to_report.notified().now_or_never().is_some()
    };
    assert!(!told_at_once(50));
    assert!(!told_at_once(330), "120 s are left");
    assert!(told_at_once(611), "119 s are left");
    assert!(!told_at_once(612));
    assert!(told_at_once(1_011));
    let report = hub.report(&boot(BOOT, 0), EVERY, LEFT, seconds(1_011));
    assert_eq!(report.request.heard.len(), 1);
}

#[test]
fn an_end_is_reported_until_it_is_settled() {
    let hub = hub();
    let handle = login(&hub, "a");
    hub.remove_session(&handle, EndReason::Closed);
    let unanswered = hub.report(&boot(BOOT, 0), EVERY, LEFT, seconds(1));
    let report = hub.report(&boot(BOOT, 0), EVERY, LEFT, seconds(2));
    assert_eq!(unanswered.request.ended, report.request.ended);
    let unsettled = vec![session_ref(&handle.key, handle.counter)];
    hub.reported(&report, &ReportResponse { unsettled, ..ReportResponse::default() }, seconds(2));
    let report = hub.report(&boot(BOOT, 0), EVERY, LEFT, seconds(3));
    assert_eq!(report.request.ended.len(), 1);
    hub.reported(&report, &ReportResponse::default(), seconds(3));
    assert_eq!(hub.report(&boot(BOOT, 0), EVERY, LEFT, seconds(4)).request.ended, []);
}

#[test]
fn under_a_new_boot_all_sessions_are_asserted_until_a_report_is_answered() {
    let hub = hub();
    let alice = login(&hub, "alice");
    let bob = login(&hub, "bob");
    hub.assert_all();
    hub.remove_session(&bob, EndReason::Closed);
    for _ in 0..2 {
        let report = hub.report(&boot(8, BOOT), EVERY, LEFT, seconds(50));
        let asserted = &report.request.asserted;
        assert_eq!(asserted.len(), 1);
        assert_eq!(asserted[0].session, Some(session_ref(&alice.key, alice.counter)));
        assert_eq!((asserted[0].age_ms, asserted[0].former_boot), (50_000, BOOT));
        assert_eq!((asserted[0].login_order, asserted[0].place, asserted[0].device_id.as_str()), (5, 3, "d"));
    }
    let report = hub.report(&boot(8, BOOT), EVERY, LEFT, seconds(50));
    hub.reported(&report, &ReportResponse::default(), seconds(51));
    assert!(hub.report(&boot(8, BOOT), EVERY, LEFT, seconds(52)).request.asserted.is_empty());
}

#[test]
fn a_gateway_takes_its_leave_when_nothing_is_left_to_tell() {
    let hub = hub();
    let alice = login(&hub, "alice");
    assert!(hub.last_report(&boot(BOOT, 0)).is_none(), "somebody is here");
    hub.remove_session(&alice, EndReason::Moved);
    assert!(hub.last_report(&boot(BOOT, 0)).is_none(), "an end is not told yet");
    let report = hub.report(&boot(BOOT, 0), EVERY, LEFT, seconds(1));
    hub.reported(&report, &ReportResponse::default(), seconds(1));
    assert!(hub.last_report(&boot(0, 0)).is_none(), "presence does not know it");
    assert!(hub.last_report(&boot(BOOT, 0)).unwrap().request.leaving);
}

#[test]
fn who_logs_out_while_being_asserted_is_told_of_once_more() {
    let hub = hub();
    let (asserted, plain) = (login(&hub, "alice"), login(&hub, "bob"));
    hub.assert_session(&asserted.key, asserted.counter);
    let report = hub.report(&boot(BOOT, 0), EVERY, LEFT, seconds(1));
    asserted.leave();
    // Answered after the logout was stored: the session may be held again by now.
    hub.reported(&report, &ReportResponse::default(), seconds(1));
    hub.remove_session(&asserted, EndReason::Logout);
    hub.remove_session(&plain, EndReason::Logout);
    let ended = hub.report(&boot(BOOT, 0), EVERY, LEFT, seconds(2)).request.ended;
    let session = Some(session_ref(&asserted.key, asserted.counter));
    assert_eq!(ended, [EndedConnection { session, reason: EndReason::Logout as i32 }]);
}
