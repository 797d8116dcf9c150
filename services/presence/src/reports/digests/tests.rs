//! Tests of digests and lists, over the memory store.

use rollcall_domain::id::Platform;
use rollcall_proto::gateway::v1::{self as wire, AssertedSession, EndedConnection, ReportResponse};
use rollcall_store::{
    Commit, Key, Store as _,
    port::{TimerChange, Write},
};

use super::*;
use crate::fixture::{BOOT, Fixture, TOKEN, app, seconds, session, user};

const MOVED: i32 = 6;

fn of(name: &str, counter: u64) -> SessionRef {
    SessionRef { app_id: 7, user_id: name.to_owned(), counter }
}

/// The partition of a user.
fn place(fixture: &Fixture, name: &str) -> u32 {
    fixture.parts.reports.store.partitions().of(app(), Some(&user(name))).0.into()
}

/// The digest of a user's partition with these sessions of theirs.
fn digest(fixture: &Fixture, name: &str, counters: &[u64]) -> wire::SessionDigest {
    let mut digest = SessionDigest::default();
    for counter in counters {
        digest.add(app(), &user(name), *counter);
    }
    wire::SessionDigest { partition: place(fixture, name), sessions: digest.sessions, sum: digest.sum }
}

/// The list of a user's partition with these sessions of theirs.
fn list(fixture: &Fixture, name: &str, upto: u64, counters: &[u64]) -> SessionList {
    let sessions = counters.iter().map(|counter| of(name, *counter)).collect();
    SessionList { partition: place(fixture, name), upto, sessions, ending: Vec::new() }
}

async fn send(fixture: &Fixture, report: ReportRequest) -> ReportResponse {
    let store_epoch = fixture.store.epoch().get();
    send_as(fixture, ReportRequest { store_epoch, ..report }).await
}

/// Sends a report of a gateway that knows the epoch in it.
async fn send_as(fixture: &Fixture, report: ReportRequest) -> ReportResponse {
    let report = ReportRequest { boot: BOOT.0, token: TOKEN.to_vec(), ..report };
    fixture.parts.reports.handle(report, &TraceParent::default()).await.unwrap()
}

async fn tell(fixture: &Fixture, list: SessionList) -> ReportResponse {
    send(fixture, ReportRequest { lists: vec![list], ..ReportRequest::default() }).await
}

/// Loses the timer of a session behind the back of all who serve it.
async fn lose_timer(fixture: &Fixture, name: &str, counter: u64) {
    let key = Key::User(app(), user(name));
    let record = fixture.store.get(&[key]).await.unwrap().remove(0).unwrap();
    let lost = Commit {
        key,
        expected: Some(record.version),
        write: Write::Put(record.value),
        new_status: false,
        floor: record.version,
        not_after: None,
        timers: vec![TimerChange::Remove(TimerId::of_session(app(), user(name), session(counter)))],
        guards: Vec::new(),
        entry: None,
    };
    fixture.store.commit(lost).await.unwrap();
}

#[tokio::test]
async fn a_list_is_asked_for_where_a_digest_differs_from_the_timers_and_nowhere_else() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    fixture.log_in("alice", 2, Platform::Linux).await;
    let asked = async |digests: Vec<wire::SessionDigest>| {
        send(&fixture, ReportRequest { digests, ..ReportRequest::default() }).await.list
    };
    let empty = (place(&fixture, "alice") + 1) % 16;
    let other = wire::SessionDigest { partition: empty, sessions: 0, sum: 0 };
    assert_eq!(asked(vec![digest(&fixture, "alice", &[1, 2]), other]).await, [0; 0]);
    for counters in [&[1][..], &[1, 2, 3], &[1, 3], &[]] {
        let differs = digest(&fixture, "alice", counters);
        assert_eq!(asked(vec![other, differs]).await, [place(&fixture, "alice")], "{counters:?}");
    }
    let nowhere = wire::SessionDigest { partition: 16, sessions: 1, sum: 1 };
    assert_eq!(asked(vec![nowhere]).await, [0; 0]);
}

// SPEC A2
#[tokio::test]
async fn a_session_that_its_gateway_does_not_have_ends_as_a_lost_connection() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    let reply = tell(&fixture, list(&fixture, "alice", 1, &[])).await;
    assert_eq!((reply.list, reply.missing), (vec![], vec![]));
    assert_eq!(fixture.status("alice").await.0, 2);
    assert!(fixture.timers("alice").await.is_empty());
    let counted = fixture.outbox("alice").await.len();
    tell(&fixture, list(&fixture, "alice", 1, &[])).await;
    assert_eq!(fixture.outbox("alice").await.len(), counted, "twice is once");
}

// SPEC A5
#[tokio::test]
async fn an_old_list_ends_no_session_that_began_after_it() {
    let fixture = Fixture::new().await;
    let old = list(&fixture, "alice", 4, &[]);
    fixture.log_in("alice", 5, Platform::Web).await;
    let reply = tell(&fixture, old).await;
    assert_eq!(fixture.status("alice").await.0, 1);
    assert_eq!(reply.list, [0; 0], "there is nothing to settle");
}

// SPEC A11
#[tokio::test]
async fn a_session_that_moved_or_whose_end_is_on_its_way_is_left_alone() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    let ending = SessionList { ending: vec![1], ..list(&fixture, "alice", 1, &[]) };
    tell(&fixture, ending).await;
    assert_eq!(fixture.status("alice").await.0, 1);
    let moved = EndedConnection { session: Some(of("alice", 1)), reason: MOVED };
    let lists = vec![list(&fixture, "alice", 1, &[])];
    send(&fixture, ReportRequest { ended: vec![moved], lists, ..ReportRequest::default() }).await;
    assert_eq!(fixture.status("alice").await.0, 1);
    assert_eq!(fixture.timers("alice").await.len(), 1);
}

// SPEC A2
#[tokio::test]
async fn what_is_over_ends_only_after_what_is_missing_is_held_again() {
    let fixture = Fixture::new().await;
    fixture.log_in_on("alice", 1, Platform::Web, "old").await;
    let told = list(&fixture, "alice", 2, &[2]);
    let reply = tell(&fixture, told.clone()).await;
    assert_eq!((reply.missing, reply.list), (vec![of("alice", 2)], vec![place(&fixture, "alice")]));
    assert_eq!(fixture.timers("alice").await.len(), 1, "nothing ended");

    let asserted = AssertedSession {
        session: Some(of("alice", 2)),
        platform: Platform::Linux as i32,
        device_id: "new".to_owned(),
        login_order: seconds(1_000_000).0,
        ..AssertedSession::default()
    };
    let report = ReportRequest { asserted: vec![asserted], lists: vec![told], ..ReportRequest::default() };
    assert_eq!(send(&fixture, report).await.list, [0; 0]);
    assert_eq!(
        fixture.timers("alice").await.iter().filter_map(|timer| timer.id.session()).collect::<Vec<_>>(),
        [session(2)]
    );
    let shown: Vec<_> = fixture.outbox("alice").await.iter().map(|change| change.general).collect();
    assert!(!shown.contains(&2), "never OFFLINE in between: {shown:?}");
}

// SPEC A7
#[tokio::test]
async fn a_session_that_is_held_and_has_lost_its_timer_gets_it_again_when_it_is_asserted() {
    let fixture = Fixture::new().await;
    let order = fixture.log_in_on("alice", 1, Platform::Web, "d").await.order.0;
    let deadline = fixture.timers("alice").await[0].deadline;
    lose_timer(&fixture, "alice", 1).await;
    let reply = tell(&fixture, list(&fixture, "alice", 1, &[1])).await;
    assert_eq!(reply.missing, [of("alice", 1)]);
    let asserted = AssertedSession {
        session: Some(of("alice", 1)),
        platform: Platform::Web as i32,
        device_id: "d".to_owned(),
        login_order: order,
        ..AssertedSession::default()
    };
    let lists = vec![list(&fixture, "alice", 1, &[1])];
    let reply =
        send(&fixture, ReportRequest { asserted: vec![asserted], lists, ..ReportRequest::default() }).await;
    assert_eq!((reply.missing, reply.list), (vec![], vec![]));
    assert_eq!(fixture.timers("alice").await[0].deadline, deadline);
    assert_eq!(fixture.status("alice").await.0, 1);
}

#[tokio::test]
async fn a_list_with_a_part_that_cannot_be_read_or_is_of_another_partition_ends_nobody() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    let whole = list(&fixture, "alice", 1, &[]);
    let elsewhere =
        (0..99).map(|n| format!("u{n}")).find(|name| place(&fixture, name) != whole.partition).unwrap();
    let bad = [
        SessionList { sessions: vec![of("\n", 9)], ..whole.clone() },
        SessionList { sessions: vec![of(&elsewhere, 9)], ..whole.clone() },
        SessionList { ending: (2..=1_026).collect(), ..whole.clone() },
        SessionList { partition: 16, ..whole.clone() },
    ];
    for bad in bad {
        tell(&fixture, bad).await;
        assert_eq!(fixture.status("alice").await.0, 1);
    }
    tell(&fixture, whole).await;
    assert_eq!(fixture.status("alice").await.0, 2);
}

// FAULT 11
#[tokio::test]
async fn in_a_quiet_time_nobody_ends_by_a_list_and_it_is_asked_for_again() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    *fixture.store.epoch.lock() = rollcall_domain::epoch::Epoch::new(77);
    let reply = tell(&fixture, list(&fixture, "alice", 1, &[])).await;
    assert_eq!(fixture.status("alice").await.0, 1);
    assert_eq!(reply.list, [place(&fixture, "alice")]);
}

// FAULT 11
#[tokio::test]
async fn a_list_of_a_gateway_that_does_not_know_the_epoch_ends_nobody_and_is_asked_for_again() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    let lists = vec![list(&fixture, "alice", 1, &[])];
    let reply = send_as(&fixture, ReportRequest { lists, ..ReportRequest::default() }).await;
    assert_eq!(fixture.status("alice").await.0, 1);
    assert_eq!(reply.list, [place(&fixture, "alice")]);
}

#[tokio::test]
async fn what_cannot_be_ended_now_is_asked_for_again() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    fixture.store.read_only.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(tell(&fixture, list(&fixture, "alice", 1, &[])).await.list, [place(&fixture, "alice")]);
    fixture.store.read_only.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(tell(&fixture, list(&fixture, "alice", 1, &[])).await.list, [0; 0]);
    assert_eq!(fixture.status("alice").await.0, 2);
}
