//! Last sets that sessions are asserted with, over the memory store.

use rollcall_domain::id::Platform;
use rollcall_proto::gateway::v1::{ReportRequest, ReportResponse, SessionRef};

use super::*;
use crate::{
    fixture::{BOOT, Fixture, START, TOKEN, caller, seconds, text},
    sessions::Stored,
};

async fn send(fixture: &Fixture, asserted: Vec<AssertedSession>) -> ReportResponse {
    let report = ReportRequest { boot: BOOT.0, token: TOKEN.to_vec(), asserted, ..ReportRequest::default() };
    fixture.parts.reports.handle(report, &TraceParent::default()).await.unwrap()
}

/// Asserts a session of alice whose login came first of all.
fn asserted(counter: u64, last_set: wire::LastSet) -> AssertedSession {
    let user_id = "alice".to_owned();
    AssertedSession {
        session: Some(SessionRef { app_id: 7, user_id, counter }),
        platform: Platform::Web as i32,
        device_id: format!("device{counter}"),
        login_order: counter,
        last_set: Some(last_set),
        ..AssertedSession::default()
    }
}

fn last(custom: &str, version: u64) -> wire::LastSet {
    wire::LastSet { op: 3, custom: custom.to_owned(), clear_at: 0, version }
}

async fn set(fixture: &Fixture, counter: u64, op: u64, custom: &str) -> Stored {
    let (caller, set) = (caller("alice", counter), text(Op(op), custom));
    fixture.parts.sessions.set_self_status(&caller, &set, &TraceParent::default()).await.unwrap()
}

fn now(fixture: &Fixture) -> u64 {
    fixture.store.clock.load(std::sync::atomic::Ordering::SeqCst)
}

// FAULT 11, SPEC B5
#[tokio::test]
async fn of_lost_sets_the_newer_stands_above_its_version_in_whatever_order_sessions_are_asserted() {
    for order in [[1, 2], [2, 1]] {
        let fixture = Fixture::new().await;
        // Ahead of the store, whose clock is behind that of the one before.
        let ahead = now(&fixture) + 60_000_000;
        for counter in order {
            send(&fixture, vec![asserted(counter, last(&format!("set {counter}"), ahead + counter))]).await;
        }
        let (general, custom, version) = fixture.status("alice").await;
        assert_eq!((general, custom.as_str()), (1, "set 2"), "{order:?}");
        assert!(version > ahead + 2, "{version} above {ahead}");
        assert_eq!(fixture.parts.reports.metrics.lost.put_back.get(), if order == [1, 2] { 2 } else { 1 });
    }
}

// FAULT 11
#[tokio::test]
async fn a_set_that_was_answered_comes_back_by_its_version_and_one_that_is_stored_changes_nothing() {
    let fixture = Fixture::new().await;
    let order = fixture.log_in("alice", 1, Platform::Web).await.order.0;
    let stored = set(&fixture, 1, 1, "kept").await;
    let version = stored.set.unwrap().0;
    assert!(version > order && version == stored.version.0);
    let before = fixture.outbox("alice").await.len();

    send(&fixture, vec![AssertedSession { login_order: order, ..asserted(1, last("kept", version)) }]).await;
    assert_eq!(fixture.status("alice").await, (1, "kept".to_owned(), version));
    assert_eq!(fixture.outbox("alice").await.len(), before);

    send(&fixture, vec![asserted(1, last("lost", version + 1))]).await;
    assert_eq!(fixture.status("alice").await.1, "lost");
    // The command of that number, on its way since before, is a copy.
    assert_eq!(set(&fixture, 1, 3, "late").await.status.custom.as_str(), "lost");
}

// FAULT 11, SPEC B6
#[tokio::test]
async fn a_set_that_comes_back_clears_at_its_time() {
    let fixture = Fixture::new().await;
    let at = seconds(START + 5);
    let set = wire::LastSet { clear_at: at.0, ..last("brief", now(&fixture)) };
    send(&fixture, vec![asserted(1, set)]).await;
    assert_eq!(fixture.status("alice").await.1, "brief");
    fixture.advance(Duration::from_secs(5));
    assert_eq!(fixture.parts.clears.pass().await.cleared, 1);
    assert_eq!(fixture.status("alice").await.1, "");
}

#[tokio::test]
async fn a_set_of_a_version_that_was_given_to_nobody_or_that_cannot_be_read_does_not_come_back() {
    let fixture = Fixture::new().await;
    let far = now(&fixture) + 2 * 24 * 3_600_000_000;
    for version in [0, far, u64::MAX] {
        send(&fixture, vec![asserted(1, last("made up", version))]).await;
        assert_eq!(fixture.status("alice").await.1, "", "{version}");
    }
    send(&fixture, vec![asserted(2, last(&"x".repeat(101), now(&fixture)))]).await;
    assert_eq!(fixture.parts.reports.metrics.malformed.get(), 1);
    assert!(fixture.status("alice").await.2 < far);
}

// FAULT 11, SPEC B3
#[tokio::test]
async fn a_login_that_finds_no_custom_status_is_told_since_when() {
    let fixture = Fixture::new().await;
    assert_eq!(
        fixture.log_in("alice", 1, Platform::Web).await.bare_since,
        None,
        "nothing is known of before"
    );
    fixture.parts.sessions.logout(&caller("alice", 1), &TraceParent::default()).await.unwrap();
    let left = fixture.outbox("alice").await.last().unwrap().record_version;
    assert_eq!(fixture.log_in("alice", 2, Platform::Web).await.bare_since, Some(RecordVersion(left)));
    set(&fixture, 2, 1, "busy").await;
    assert_eq!(fixture.log_in("alice", 3, Platform::Mac).await.bare_since, None, "there is one");
}
