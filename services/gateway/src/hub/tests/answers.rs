//! What presence is answered about sessions whose deadlines have passed there.

use rollcall_proto::gateway::v1::{Answer, SessionRef, answer::Fate};

use super::*;

fn answers(hub: &Hub, now: u64) -> Vec<Answer> {
    hub.report(&boot(BOOT, 0), EVERY, LEFT, seconds(now)).request.answers
}

fn fates(hub: &Hub, now: u64) -> Vec<Option<Fate>> {
    answers(hub, now).into_iter().map(|answer| answer.fate).collect()
}

fn question(handle: &SessionHandle) -> SessionRef {
    session_ref(&handle.key, handle.counter)
}

#[test]
fn a_question_is_answered_anew_in_each_report_until_a_reply_comes() {
    let hub = hub();
    let alice = login(&hub, "alice");
    alice.heard(seconds(50));
    assert_eq!(answers(&hub, 60), []);
    assert!(hub.asked(&[question(&alice)], &[]), "worth a report at once");
    assert!(!hub.report(&boot(BOOT, 0), EVERY, LEFT, seconds(60)).is_empty());
    assert_eq!(fates(&hub, 60), [Some(Fate::LiveAgeMs(10_000))]);
    alice.heard(seconds(61));
    let answered = answers(&hub, 62);
    assert_eq!(answered, [Answer { session: Some(question(&alice)), fate: Some(Fate::LiveAgeMs(1_000)) }]);
    assert!(!hub.asked(&[question(&alice)], &answered), "asked again, answered at the usual pace");
    assert_eq!(answers(&hub, 64).len(), 1);
    assert!(!hub.asked(&[], &answered));
    assert_eq!(answers(&hub, 66), []);
}

#[test]
fn how_a_session_ended_is_told_for_a_while_and_then_it_is_not_known() {
    let hub = hub();
    let users = ["silent", "closed", "moved", "out", "here"].map(|user| login(&hub, user));
    for handle in &users[1..] {
        handle.heard(seconds(399));
    }
    hub.end_due(seconds(401));
    hub.asked(&[question(&users[0])], &[]);
    assert_eq!(
        fates(&hub, 401),
        [Some(Fate::Ended(EndReason::Timeout as i32))],
        "its connection is still open"
    );
    hub.remove_session(&users[0], EndReason::Closed);
    for (handle, reason) in users[1..].iter().zip([EndReason::Closed, EndReason::Moved, EndReason::Logout]) {
        hub.remove_session(handle, reason);
    }
    let counter = hub.begin_login().counter;
    hub.report_lost(users[0].key, counter);

    let mut questions: Vec<_> = users.iter().map(|handle| question(handle)).collect();
    questions.push(session_ref(&users[0].key, counter));
    questions.push(session_ref(&users[4].key, counter + 1));
    questions.push(SessionRef::default());
    hub.asked(&questions, &[]);
    let ended = |reason: EndReason| Some(Fate::Ended(reason as i32));
    let here = Some(Fate::LiveAgeMs(3_000));
    let [timeout, closed] = [EndReason::Timeout, EndReason::Closed].map(ended);
    let [moved, logout] = [EndReason::Moved, EndReason::Logout].map(ended);
    assert_eq!(fates(&hub, 402), [timeout, closed, moved, logout, here, closed, None, None]);
    hub.end_due(seconds(461));
    let here = Some(Fate::LiveAgeMs(62_000));
    assert_eq!(fates(&hub, 461), [None, None, None, None, here, None, None, None]);
}

#[test]
fn no_more_questions_are_taken_than_a_reply_may_have_and_those_of_a_former_boot_are_dropped() {
    let hub = hub();
    let alice = login(&hub, "alice");
    let questions: Vec<_> = (0..600).map(|counter| session_ref(&alice.key, counter)).collect();
    hub.asked(&questions, &[]);
    assert_eq!(answers(&hub, 1).len(), 512);
    hub.assert_all();
    assert_eq!(answers(&hub, 1), []);
}
