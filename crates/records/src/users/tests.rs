//! Tests of decisions on users, over the memory store.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt as _, future::join_all};
use prost::Message as _;
use rollcall_domain::{
    code::Code,
    id::{BootId, Op},
    status::CustomStatus,
    user::{EndReason, SESSIONS_MAX},
};
use rollcall_proto::{
    common::v1::GeneralStatus,
    event::v1::{Change as Entry, ChangeKind},
};
use rollcall_store::{
    Commit, Outcome,
    port::{TimerSet, Write},
};

use super::*;
use crate::fixture::{EXPIRY, Fixture, app, login, session, user};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

async fn log_in(fixture: &Fixture, counter: u64) -> Applied {
    let trace = TraceParent::parse(TRACE);
    let decide = |state: &UserState, now| Ok(login(state, counter, now));
    fixture.users.apply(app(), &user("alice"), &trace, decide).await.unwrap()
}

async fn keep(fixture: &Fixture) -> Applied {
    let trace = TraceParent::default();
    fixture.users.apply(app(), &user("alice"), &trace, |_, _| Ok(None)).await.unwrap()
}

/// Reads the outbox of alice's partition.
async fn outbox(fixture: &Fixture) -> Vec<Entry> {
    let partition = fixture.store.partitions().of(app(), Some(&user("alice")));
    let entries = fixture.store.unpublished(partition, 100).await.unwrap();
    entries.into_iter().map(|entry| Entry::decode(entry.bytes).unwrap()).collect()
}

async fn due(fixture: &Fixture) -> Vec<Timer> {
    let partition = fixture.store.partitions().of(app(), Some(&user("alice")));
    fixture.store.due(partition, TimerSet::Sessions(BootId(1)), Timestamp(u64::MAX), None, 100).await.unwrap()
}

#[tokio::test]
async fn a_decision_is_committed_with_its_timer_and_an_entry_of_head_and_body() {
    let fixture = Fixture::new();
    let applied = log_in(&fixture, 1).await;
    assert_eq!(applied.changed, Some(Change::Status));
    assert_eq!(
        due(&fixture).await,
        [Timer {
            deadline: Timestamp(1_000_000_000).plus(EXPIRY),
            id: TimerId::of_session(app(), user("alice"), session(1)),
        }]
    );
    let [entry] = outbox(&fixture).await.try_into().unwrap();
    assert_eq!(
        entry,
        Entry {
            sequence: 1,
            record_version: applied.record_version.0,
            status_version: applied.status_version.0,
            previous_status_version: 0,
            kind: ChangeKind::Status.into(),
            app_id: 7,
            user_id: "alice".to_owned(),
            general: GeneralStatus::Online.into(),
            custom: String::new(),
            sessions: vec![rollcall_proto::convert::session_to_wire(session(1))],
            ended: Vec::new(),
            traceparent: TRACE.to_owned(),
            custom_version: 1,
        }
    );
}

#[tokio::test]
async fn the_order_of_a_login_is_the_version_of_its_commit_for_ever() {
    let fixture = Fixture::new();
    let first = log_in(&fixture, 1).await;
    fixture.advance(Duration::from_secs(1));
    let second = log_in(&fixture, 2).await;
    assert_eq!(second.state.sessions[&session(2)].order, Some(second.record_version));
    let orders: Vec<_> = keep(&fixture).await.state.sessions.values().map(|session| session.order).collect();
    assert_eq!(orders, [Some(first.record_version), Some(second.record_version)]);
    assert!(first.record_version < second.record_version);
}

#[tokio::test]
async fn a_second_session_is_told_without_a_new_status_version() {
    let fixture = Fixture::new();
    let first = log_in(&fixture, 1).await;
    let second = log_in(&fixture, 2).await;
    assert_eq!(second.changed, Some(Change::Sessions));
    assert_eq!(second.status_version, first.status_version);
    let entry = outbox(&fixture).await.remove(1);
    assert_eq!(entry.kind(), ChangeKind::Sessions);
    assert_eq!(entry.status_version, first.status_version.0);
    assert_eq!(entry.previous_status_version, first.status_version.0);
    assert_eq!(entry.sessions.len(), 2);
}

#[tokio::test]
async fn no_decision_is_no_commit() {
    let fixture = Fixture::new();
    let first = log_in(&fixture, 1).await;
    let again = log_in(&fixture, 1).await;
    assert_eq!(again.record_version, first.record_version);
    assert_eq!(again.changed, None);
    assert_eq!(outbox(&fixture).await.len(), 1);
}

#[tokio::test]
async fn a_user_nobody_wrote_has_no_versions() {
    let kept = keep(&Fixture::new()).await;
    assert_eq!((kept.record_version.0, kept.status_version.0), (0, 0));
    assert_eq!(kept.state, UserState::default());
}

#[tokio::test]
async fn a_session_that_we_ended_is_told_with_its_reason_and_forgetting_it_is_told_to_nobody() {
    let fixture = Fixture::new();
    log_in(&fixture, 1).await;
    let trace = TraceParent::default();
    let expire = |state: &UserState, now| Ok(state.on_sessions_due(&[session(1)], &[], now));
    fixture.users.apply(app(), &user("alice"), &trace, expire).await.unwrap();
    let entry = outbox(&fixture).await.remove(1);
    assert_eq!(entry.ended.len(), 1);
    assert_eq!(entry.ended[0].reason, i32::from(EndReason::Timeout as u8));
    assert!(due(&fixture).await.is_empty());

    let report = |state: &UserState, now| Ok(state.on_connection_lost(session(1), EndReason::Closed, now));
    let applied = fixture.users.apply(app(), &user("alice"), &trace, report).await.unwrap();
    assert!(applied.state.ended.is_empty());
    assert_eq!(applied.changed, None);
    assert_eq!(outbox(&fixture).await.len(), 2);
}

#[tokio::test]
async fn a_touch_after_the_sweep_looked_saves_the_session() {
    let fixture = Fixture::new();
    log_in(&fixture, 1).await;
    fixture.advance(EXPIRY);
    let [mut guard] = due(&fixture).await.try_into().unwrap();
    let touched = Timer { deadline: guard.deadline.plus(Duration::from_secs(1)), ..guard };
    let partition = fixture.store.partitions().of(app(), Some(&user("alice")));
    fixture.store.touch(partition, &[touched]).await.unwrap();

    let trace = TraceParent::default();
    let expire = |state: &UserState, now| Ok(state.on_sessions_due(&[session(1)], &[], now));
    let applied = fixture.users.apply_guarded(app(), &user("alice"), &trace, &[guard], expire).await.unwrap();
    assert_eq!(applied, None);
    assert_eq!(keep(&fixture).await.state.sessions.len(), 1);

    guard.deadline = touched.deadline;
    let applied = fixture.users.apply_guarded(app(), &user("alice"), &trace, &[guard], expire).await.unwrap();
    assert!(applied.unwrap().state.sessions.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_logins_of_one_user_are_all_kept() {
    let fixture = std::sync::Arc::new(Fixture::new());
    let logins = (1..=SESSIONS_MAX as u64).map(|counter| {
        let fixture = fixture.clone();
        tokio::spawn(async move { log_in(&fixture, counter).await })
    });
    for applied in join_all(logins).await {
        applied.unwrap();
    }
    assert_eq!(keep(&fixture).await.state.sessions.len(), SESSIONS_MAX);
}

#[tokio::test]
async fn a_record_that_others_change_without_end_is_given_up() {
    let fixture = Fixture::new();
    let mut expected = None;
    let interfere = |state: &UserState, now| {
        let value = codec::user::encode(&UserState::default());
        let commit = Commit {
            key: Key::User(app(), user("alice")),
            expected,
            write: Write::Put(value),
            new_status: false,
            floor: RecordVersion(0),
            not_after: None,
            timers: Vec::new(),
            guards: Vec::new(),
            entry: None,
        };
        let outcome = fixture.store.commit(commit).now_or_never().unwrap().unwrap();
        let Outcome::Committed(committed) = outcome else { panic!("{outcome:?}") };
        expected = Some(committed.record);
        Ok(login(state, 1, now))
    };
    let trace = TraceParent::default();
    let error = fixture.users.apply(app(), &user("alice"), &trace, interfere).await.unwrap_err();
    assert!(matches!(error, Error::Contended { attempts: commit::ATTEMPTS }), "{error}");
    assert_eq!(error.refusal().code, Code::ServerTimeout);
}

async fn raise(fixture: &Fixture, shown: u64) -> Applied {
    let trace = TraceParent::default();
    fixture.users.raise(app(), &user("alice"), &trace, StatusVersion(shown), || Ok(())).await.unwrap()
}

// FAULT 11
#[tokio::test]
async fn a_status_that_was_shown_with_a_later_version_gets_one_above_once_and_stays_what_it_is() {
    let fixture = Fixture::new();
    let before = log_in(&fixture, 1).await;
    let shown = before.status_version.0 + 1_000_000;

    let raised = raise(&fixture, shown).await;
    assert!(raised.status_version.0 > shown, "{raised:?}");
    assert_eq!((&raised.state, raised.changed), (&before.state, Some(Change::Status)));
    let told = outbox(&fixture).await.pop().unwrap();
    assert_eq!((told.kind(), told.status_version), (ChangeKind::Status, raised.status_version.0));
    assert_eq!(told.previous_status_version, before.status_version.0);

    for shown in [shown, raised.status_version.0, 0] {
        let again = raise(&fixture, shown).await;
        assert_eq!((again.status_version, again.changed), (raised.status_version, None));
    }
    assert_eq!(outbox(&fixture).await.len(), 2);
}

// FAULT 11
#[tokio::test]
async fn a_user_whose_record_is_lost_is_raised_too() {
    let fixture = Fixture::new();
    let raised = raise(&fixture, 5_000_000_000).await;
    assert!(raised.status_version.0 > 5_000_000_000, "{raised:?}");
    assert_eq!(raised.state, UserState::default());
}

#[tokio::test]
async fn a_change_tells_since_when_the_custom_status_is_what_it_is() {
    let fixture = Fixture::new();
    log_in(&fixture, 1).await;
    let trace = TraceParent::default();
    let busy = CustomStatus::new("busy").unwrap();
    let set = |state: &UserState, now| state.on_set_custom(session(1), Op::NONE, busy.clone(), None, now);
    let set = fixture.users.apply(app(), &user("alice"), &trace, set).await.unwrap();
    assert_eq!(set.state.version_of_set(&busy, None), Some(set.record_version));
    log_in(&fixture, 2).await;
    let told: Vec<_> = outbox(&fixture).await.iter().map(|entry| entry.custom_version).collect();
    assert_eq!(told, [1, 0, set.record_version.0]);
}

#[tokio::test]
async fn a_refusal_changes_nothing() {
    let fixture = Fixture::new();
    let busy = CustomStatus::new("busy").unwrap();
    let set = |state: &UserState, now| state.on_set_custom(session(1), Op::NONE, busy.clone(), None, now);
    let trace = TraceParent::default();
    let error = fixture.users.apply(app(), &user("alice"), &trace, set).await.unwrap_err();
    assert_eq!(error.refusal().code, Code::NotLoggedIn);
    assert!(outbox(&fixture).await.is_empty());
}

#[tokio::test]
async fn a_record_that_cannot_be_read_fails_its_own_place_only() {
    let fixture = Fixture::new();
    let commit = Commit {
        key: Key::User(app(), user("broken")),
        expected: None,
        write: Write::Put(Bytes::from_static(b"\xff")),
        new_status: false,
        floor: RecordVersion(0),
        not_after: None,
        timers: Vec::new(),
        guards: Vec::new(),
        entry: None,
    };
    fixture.store.commit(commit).await.unwrap();
    let applied = log_in(&fixture, 1).await;
    let ids = [user("alice"), user("broken"), user("nobody")];
    let [alice, broken, nobody] = fixture.users.states(app(), &ids).await.unwrap().try_into().unwrap();
    assert_eq!(alice.unwrap(), (applied.state, applied.status_version));
    assert_eq!(broken.unwrap_err().refusal().code, Code::Internal);
    assert_eq!(nobody.unwrap(), (UserState::default(), StatusVersion(0)));
}
