//! Tests of questions and answers, over the memory store.

use std::{sync::atomic::Ordering, time::Duration};

use rollcall_domain::{id::Platform, user::EndReason};
use rollcall_proto::gateway::v1::{ReportRequest, ReportResponse};
use rollcall_store::Store as _;

use super::*;
use crate::fixture::{BOOT, EXPIRY, Fixture, GRACE, TOKEN, app, session, user};

const ONLINE: i32 = 1;
const OFFLINE: i32 = 2;
const UNLOGINED: i32 = 3;
/// Enough after a deadline to be asked about.
const SECOND: Duration = Duration::from_secs(1);

fn of(name: &str, counter: u64) -> SessionRef {
    SessionRef { app_id: 7, user_id: name.to_owned(), counter }
}

fn answer(session: SessionRef, fate: Option<Fate>) -> Answer {
    Answer { session: Some(session), fate }
}

async fn send(fixture: &Fixture, report: ReportRequest) -> ReportResponse {
    let report = ReportRequest { boot: BOOT.0, token: TOKEN.to_vec(), ..report };
    fixture.parts.reports.handle(report, &TraceParent::default()).await.unwrap()
}

/// Sends a report with answers, and returns the questions of the reply.
async fn report(fixture: &Fixture, nonce: u64, answers: Vec<Answer>) -> Vec<SessionRef> {
    send(fixture, ReportRequest { nonce, answers, ..ReportRequest::default() }).await.questions
}

/// Logs alice in, and lets her deadline pass.
async fn overdue() -> Fixture {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    assert_eq!(report(&fixture, 1, Vec::new()).await, []);
    fixture.advance(EXPIRY + SECOND);
    assert_eq!(fixture.parts.sweep.pass().await.ended, 0);
    fixture
}

// SPEC A8
#[tokio::test]
async fn a_session_whose_gateway_answers_that_it_lives_has_the_deadline_that_its_client_earned() {
    let fixture = overdue().await;
    assert_eq!(report(&fixture, 2, Vec::new()).await, [of("alice", 1)]);
    let live = answer(of("alice", 1), Some(Fate::LiveAgeMs(5_000)));
    assert_eq!(report(&fixture, 3, vec![live]).await, []);
    let now = fixture.store.now().await.unwrap();
    assert_eq!(fixture.timers("alice").await[0].deadline, now.minus(Duration::from_secs(5)).plus(EXPIRY));
    assert_eq!(fixture.status("alice").await.0, ONLINE);
}

// SPEC A8
#[tokio::test]
async fn a_store_that_was_away_for_longer_than_deadlines_ends_nobody_whose_gateway_lives() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    fixture.store.away.store(true, Ordering::SeqCst);
    fixture.advance(EXPIRY * 3);
    assert!(fixture.parts.sweep.pass().await.failed.is_some());
    fixture.store.away.store(false, Ordering::SeqCst);
    assert_eq!(fixture.parts.sweep.pass().await.ended, 0);
    // Reports of others that know nothing of her, at first.
    for nonce in 1..=3 {
        assert_eq!(report(&fixture, nonce, Vec::new()).await, [of("alice", 1)]);
    }
    let heard = vec![HeardSession { session: Some(of("alice", 1)), age_ms: 1_000 }];
    let reply = send(&fixture, ReportRequest { nonce: 4, heard, ..ReportRequest::default() }).await;
    assert_eq!((reply.questions, reply.missing), (Vec::new(), Vec::new()));
    assert_eq!(fixture.status("alice").await.0, ONLINE);
}

// SPEC A6, SPEC A11
#[tokio::test]
async fn a_session_whose_gateway_answers_how_it_ended_ends_so() {
    let closed = (EndReason::Closed, OFFLINE);
    for (reason, general) in [closed, (EndReason::Timeout, OFFLINE), (EndReason::Logout, UNLOGINED)] {
        let fixture = overdue().await;
        report(&fixture, 2, Vec::new()).await;
        let ended = answer(of("alice", 1), Some(Fate::Ended(reason as i32)));
        assert_eq!(report(&fixture, 3, vec![ended]).await, []);
        assert_eq!(fixture.status("alice").await.0, general, "{reason:?}");
        assert!(fixture.timers("alice").await.is_empty());
    }
}

// SPEC A11
#[tokio::test]
async fn a_session_that_moved_has_its_grace_and_is_not_asked_about() {
    let fixture = overdue().await;
    report(&fixture, 2, Vec::new()).await;
    let moved = answer(of("alice", 1), Some(Fate::Ended(EndReason::Moved as i32)));
    for nonce in 3..5 {
        // Told again, it has no further grace.
        assert_eq!(report(&fixture, nonce, vec![moved.clone()]).await, []);
        assert_eq!(fixture.status("alice").await.0, ONLINE);
        fixture.advance(GRACE / 2);
    }
    assert_eq!(fixture.parts.sweep.pass().await.ended, 1);
    fixture.advance(SECOND);
    assert_eq!(report(&fixture, 5, Vec::new()).await, []);
    assert_eq!(fixture.status("alice").await.0, OFFLINE);
}

#[tokio::test]
async fn a_session_that_its_gateway_does_not_know_ends_unless_it_was_heard_of_since() {
    let fixture = overdue().await;
    fixture.log_in("bob", 2, Platform::Web).await;
    let unknown =
        ["alice", "bob"].into_iter().zip(1..).map(|(name, counter)| answer(of(name, counter), None));
    assert_eq!(report(&fixture, 2, unknown.collect()).await, []);
    assert_eq!((fixture.status("alice").await.0, fixture.status("bob").await.0), (OFFLINE, ONLINE));
}

// SPEC A7
#[tokio::test]
async fn a_session_of_which_a_gateway_that_lives_says_nothing_ends_in_one_change_with_the_reason() {
    let fixture = overdue().await;
    fixture.log_in("alice", 2, Platform::Mac).await;
    fixture.advance(EXPIRY + SECOND);
    fixture.parts.sweep.pass().await;
    let before = fixture.outbox("alice").await.len();
    for nonce in 2..5 {
        assert_eq!(report(&fixture, nonce, Vec::new()).await.len(), 2);
        // The same once more is no other report.
        assert_eq!(report(&fixture, nonce, Vec::new()).await.len(), 2);
    }
    fixture.advance(Duration::from_secs(8));
    assert_eq!(
        report(&fixture, 5, Vec::new()).await,
        [of("alice", 2)],
        "9 s after the deadline of the second"
    );
    fixture.advance(SECOND);
    assert_eq!(report(&fixture, 6, Vec::new()).await, []);
    assert_eq!(fixture.status("alice").await.0, OFFLINE);
    let told = &fixture.outbox("alice").await[before..];
    let ended: Vec<_> = told.iter().flat_map(|change| &change.ended).map(|ended| ended.reason).collect();
    assert_eq!(
        (told.len(), ended),
        (2, vec![2, 2, 2]),
        "each change names who ended and is not reported yet"
    );
}

#[tokio::test]
async fn a_reply_has_a_bounded_number_of_questions_and_those_left_out_have_their_turn() {
    let fixture = Fixture::new().await;
    let count = 1_000;
    for counter in 1..=count {
        fixture.log_in(&format!("user{counter}"), counter, Platform::Web).await;
    }
    fixture.advance(EXPIRY + SECOND);
    fixture.parts.sweep.pass().await;
    let mut questions = Vec::new();
    let mut answered = 0;
    for nonce in 1..10 {
        let live = |question: SessionRef| answer(question, Some(Fate::LiveAgeMs(0)));
        answered += questions.len();
        questions = report(&fixture, nonce, questions.drain(..).map(live).collect()).await;
        assert!(questions.len() <= QUESTIONS_MAX, "{}", questions.len());
    }
    assert_eq!((answered as u64, fixture.parts.sweep.pass().await.ended), (count, 0));
}

#[tokio::test]
async fn who_takes_its_leave_is_not_asked_and_answers_that_cannot_be_read_are_skipped() {
    let fixture = overdue().await;
    let absent = Answer { session: None, fate: None };
    let malformed = [None, Some(Fate::LiveAgeMs(0)), Some(Fate::Ended(1))];
    let malformed = malformed.into_iter().map(|fate| answer(of("\n", 1), fate));
    let kicked = answer(of("alice", 1), Some(Fate::Ended(EndReason::Kicked as i32)));
    let answers = malformed.chain([absent, kicked]).collect();
    assert_eq!(report(&fixture, 2, answers).await, [of("alice", 1)]);
    let leaving = ReportRequest { nonce: 3, leaving: true, ..ReportRequest::default() };
    assert_eq!(send(&fixture, leaving).await.questions, []);
    assert_eq!(fixture.status("alice").await.0, ONLINE);
}

#[tokio::test]
async fn a_session_that_is_heard_of_between_the_verdict_and_its_commit_lives_on() {
    let fixture = overdue().await;
    for nonce in 2..5 {
        report(&fixture, nonce, Vec::new()).await;
    }
    fixture.advance(Duration::from_secs(10));
    let later = Timer {
        deadline: fixture.store.now().await.unwrap().plus(EXPIRY),
        id: TimerId::of_session(app(), user("alice"), session(1)),
    };
    *fixture.store.touched_after_due.lock() = Some(later);
    assert_eq!(report(&fixture, 5, Vec::new()).await, []);
    assert_eq!(fixture.status("alice").await.0, ONLINE);
    assert_eq!(fixture.timers("alice").await, [later]);
}
