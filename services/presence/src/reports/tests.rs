//! Tests of reports, over the memory store.

use std::sync::atomic::Ordering;

use rollcall_domain::id::Platform;
use rollcall_proto::gateway::v1::AssertedSession;
use rollcall_store::port::{Nonce, Standing};

use super::*;
use crate::{
    admin::Wish,
    fixture::{BOOT, EXPIRY, Fixture, START, TEST, TOKEN, app, seconds},
};

const CLOSED: i32 = 1;
const TIMEOUT: i32 = 2;
const REPLACED: i32 = 5;
const MOVED: i32 = 6;

fn of(name: &str, counter: u64) -> SessionRef {
    SessionRef { app_id: 7, user_id: name.to_owned(), counter }
}

fn heard(name: &str, counter: u64, age_ms: u64) -> HeardSession {
    HeardSession { session: Some(of(name, counter)), age_ms }
}

fn ended(name: &str, counter: u64, reason: i32) -> EndedConnection {
    EndedConnection { session: Some(of(name, counter)), reason }
}

async fn send(fixture: &Fixture, report: ReportRequest) -> Result<ReportResponse, Failure> {
    let report = ReportRequest { boot: BOOT.0, token: TOKEN.to_vec(), ..report };
    fixture.parts.reports.handle(report, &TraceParent::default()).await
}

/// The answer to a report that leaves nothing to tell but the time.
fn settled(fixture: &Fixture) -> ReportResponse {
    let store_now = fixture.store.clock.load(Ordering::SeqCst);
    ReportResponse { store_now, store_epoch: fixture.store.epoch().get(), ..ReportResponse::default() }
}

async fn report(fixture: &Fixture, heard: &[HeardSession], ended: &[EndedConnection]) -> ReportResponse {
    let request = ReportRequest { heard: heard.to_vec(), ended: ended.to_vec(), ..ReportRequest::default() };
    send(fixture, request).await.unwrap()
}

// SPEC A7
#[tokio::test]
async fn a_deadline_is_the_expiry_after_the_client_was_heard_however_late_the_report_is() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    fixture.advance(Duration::from_secs(300));
    assert_eq!(report(&fixture, &[heard("alice", 1, 50_000)], &[]).await, settled(&fixture));
    let deadline = fixture.timers("alice").await[0].deadline;
    assert_eq!(deadline, seconds(START + 300 - 50).plus(EXPIRY));

    for age_ms in [60_000, 10_000_000, u64::MAX] {
        report(&fixture, &[heard("alice", 1, age_ms)], &[]).await;
        assert_eq!(fixture.timers("alice").await[0].deadline, deadline);
    }
}

#[tokio::test]
async fn heard_sessions_that_presence_does_not_hold_are_named_and_not_made() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    let heard = [heard("alice", 1, 0), heard("alice", 2, 0), heard("bob", 3, 0)];
    let mut missing = report(&fixture, &heard, &[]).await.missing;
    missing.sort_by_key(|session| session.counter);
    assert_eq!(missing, [of("alice", 2), of("bob", 3)]);
    assert_eq!(fixture.timers("alice").await.len(), 1);
    assert!(fixture.timers("bob").await.is_empty());
}

// SPEC A6
#[tokio::test]
async fn a_closed_connection_makes_offline_at_once() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    assert_eq!(report(&fixture, &[], &[ended("alice", 1, CLOSED)]).await, settled(&fixture));
    assert_eq!(fixture.status("alice").await.0, 2);
    assert!(fixture.timers("alice").await.is_empty());
}

// SPEC A5
#[tokio::test]
async fn a_late_close_of_a_replaced_session_touches_nobody() {
    let fixture = Fixture::new().await;
    fixture.log_in_on("alice", 1, Platform::Web, "d").await;
    fixture.log_in_on("alice", 2, Platform::Web, "d").await;
    let before = fixture.status("alice").await;
    let entries = fixture.outbox("alice").await.len();
    report(&fixture, &[], &[ended("alice", 1, CLOSED)]).await;
    assert_eq!(fixture.status("alice").await, before);
    assert_eq!(fixture.outbox("alice").await.len(), entries);
}

#[tokio::test]
async fn a_late_heartbeat_does_not_revive_a_closed_session() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    report(&fixture, &[], &[ended("alice", 1, TIMEOUT)]).await;
    let missing = report(&fixture, &[heard("alice", 1, 0)], &[]).await.missing;
    assert_eq!(missing, [of("alice", 1)]);
    assert_eq!(fixture.status("alice").await.0, 2);
}

#[tokio::test]
async fn many_sessions_of_one_user_end_in_one_report_and_a_report_twice_is_a_report_once() {
    let fixture = Fixture::new().await;
    let native = Platform::ALL.into_iter().filter(|platform| *platform != Platform::Web);
    let platforms = native.flat_map(|platform| [platform; 3]).chain([Platform::Web; 10]);
    for (counter, platform) in (1..).zip(platforms) {
        fixture.log_in("alice", counter, platform).await;
    }
    let all: Vec<_> = (1..=28).map(|counter| ended("alice", counter, CLOSED)).collect();
    for _ in 0..2 {
        assert_eq!(report(&fixture, &[], &all).await, settled(&fixture));
        assert_eq!(fixture.status("alice").await.0, 2);
    }
    assert_eq!(fixture.outbox("alice").await.len(), 28 + 28);
}

#[tokio::test]
async fn reasons_that_are_not_a_gateways_to_tell_and_malformed_parts_are_skipped() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    let mut skipped: Vec<_> = [0, 4, 5, 99].map(|reason| ended("alice", 1, reason)).into();
    skipped.push(ended("", 1, CLOSED));
    skipped.push(EndedConnection { session: None, reason: CLOSED });
    let heard = [heard("\n", 1, 0), HeardSession { session: None, age_ms: 0 }];
    assert_eq!(report(&fixture, &heard, &skipped).await, settled(&fixture));
    assert_eq!(fixture.status("alice").await.0, 1);
}

#[tokio::test]
async fn a_report_that_names_no_boot_or_shows_another_token_is_not_taken() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    let closed = ReportRequest { ended: vec![ended("alice", 1, CLOSED)], ..ReportRequest::default() };
    let take = async |report| fixture.parts.reports.handle(report, &TraceParent::default()).await;
    let no_boot = take(closed.clone()).await.unwrap_err();
    assert!(matches!(no_boot, Failure::NoBoot), "{no_boot}");
    let forged = take(ReportRequest { boot: BOOT.0, token: vec![8; 32], ..closed }).await.unwrap_err();
    assert!(matches!(forged, Failure::WrongToken), "{forged}");
    assert_eq!(fixture.status("alice").await.0, 1);
}

// SPEC A11
#[tokio::test]
async fn a_dead_boot_is_told_so_and_nothing_of_its_report_is_stored() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    let nonced = |nonce| ReportRequest { nonce, ..ReportRequest::default() };
    assert!(!send(&fixture, nonced(5)).await.unwrap().dead);
    assert!(!fixture.store.kill_lease(BOOT, Nonce(4)).await.unwrap(), "a report came since");
    assert!(fixture.store.kill_lease(BOOT, Nonce(5)).await.unwrap());
    let closed =
        ReportRequest { nonce: 6, ended: vec![ended("alice", 1, CLOSED)], ..ReportRequest::default() };
    let dead = send(&fixture, closed).await.unwrap();
    let store_epoch = fixture.store.epoch().get();
    assert_eq!(dead, ReportResponse { dead: true, store_epoch, ..ReportResponse::default() });
    assert_eq!(fixture.status("alice").await.0, 1);
}

// SPEC A11
#[tokio::test]
async fn a_moved_session_stays_online_for_the_grace() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    let before = fixture.outbox("alice").await.len();
    assert_eq!(report(&fixture, &[], &[ended("alice", 1, MOVED)]).await, settled(&fixture));
    assert_eq!(fixture.status("alice").await.0, 1);
    assert_eq!(fixture.timers("alice").await[0].deadline, seconds(START + 30));
    assert_eq!(fixture.outbox("alice").await.len(), before, "nobody is told");
}

fn asserted(name: &str, counter: u64, login_order: u64) -> AssertedSession {
    AssertedSession {
        session: Some(of(name, counter)),
        platform: Platform::Web as i32,
        device_id: format!("device{counter}"),
        login_order,
        place: 0,
        age_ms: 50_000,
        former_boot: 0,
        last_set: None,
    }
}

// SPEC A11
#[tokio::test]
async fn asserted_sessions_are_held_again_unless_they_are_over_for_their_clients() {
    let fixture = Fixture::new().await;
    let order = fixture.log_in("alice", 1, Platform::Web).await.order.0;
    report(&fixture, &[], &[ended("alice", 1, TIMEOUT)]).await;
    let replaced = fixture.log_in_on("bob", 2, Platform::Web, "device2").await.order.0;
    fixture.log_in_on("bob", 3, Platform::Web, "device2").await;
    fixture.advance(Duration::from_secs(100));

    let asserted = vec![asserted("alice", 1, order), asserted("bob", 2, replaced), asserted("\n", 4, 1)];
    let request = ReportRequest { asserted, ..ReportRequest::default() };
    for _ in 0..2 {
        let superseded = send(&fixture, request.clone()).await.unwrap().superseded;
        assert_eq!(superseded, [ended("bob", 2, REPLACED)]);
        assert_eq!(fixture.status("alice").await.0, 1);
    }
    assert_eq!(fixture.timers("alice").await[0].deadline, seconds(START + 100 - 50).plus(EXPIRY));
}

#[tokio::test]
async fn what_cannot_be_stored_is_left_unanswered_or_named_as_unsettled() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    fixture.store.read_only.store(true, Ordering::SeqCst);
    let closed = [ended("alice", 1, CLOSED)];
    assert_eq!(report(&fixture, &[], &closed).await.unsettled, [of("alice", 1)]);
    fixture.store.away.store(true, Ordering::SeqCst);
    let failure = send(&fixture, ReportRequest::default()).await.unwrap_err();
    assert!(matches!(failure, Failure::Store(_)), "{failure}");

    fixture.store.away.store(false, Ordering::SeqCst);
    fixture.store.read_only.store(false, Ordering::SeqCst);
    assert_eq!(report(&fixture, &[], &closed).await, settled(&fixture));
    assert_eq!(fixture.status("alice").await.0, 2);
}

// SPEC G1
#[tokio::test]
async fn settings_newer_than_the_gateways_are_told() {
    let fixture = Fixture::new().await;
    let version = fixture.parts.admin.get(app()).await.unwrap().version.0;
    let ask = |version| ReportRequest {
        apps: vec![AppVersion { app_id: 7, version }, AppVersion { app_id: 8, version: 0 }],
        ..ReportRequest::default()
    };
    assert!(send(&fixture, ask(version)).await.unwrap().apps.is_empty());
    let wish = Wish { status: Some(false), ..Wish::default() };
    let updated = fixture.parts.admin.update(app(), &TEST, &wish).await.unwrap();
    let apps = send(&fixture, ask(version)).await.unwrap().apps;
    assert_eq!(apps, [convert::settings_to_wire(app(), &updated.settings, updated.version.0)]);
}

// SPEC A11
#[tokio::test]
async fn a_gateway_has_left_once_all_that_it_told_is_stored() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    let leaving =
        ReportRequest { ended: vec![ended("alice", 1, CLOSED)], leaving: true, ..ReportRequest::default() };
    let stands = async || fixture.store.leases().await.unwrap()[0].standing;
    fixture.store.read_only.store(true, Ordering::SeqCst);
    assert_eq!(send(&fixture, leaving.clone()).await.unwrap().unsettled, [of("alice", 1)]);
    assert_eq!(stands().await, Standing::Live);

    fixture.store.read_only.store(false, Ordering::SeqCst);
    assert!(!send(&fixture, leaving.clone()).await.unwrap().dead);
    assert!(matches!(stands().await, Standing::Retired(_)));
    assert!(send(&fixture, leaving).await.unwrap().dead, "it does not live again");
}
