//! Tests of clearing, over the memory store.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use rollcall_domain::{
    id::{Op, Platform},
    status::CustomStatus,
    user::Session,
};
use rollcall_store::{
    Commit, Key,
    port::{TimerChange, TimerKind, Write},
};

use super::*;
use crate::{
    fixture::{Fixture, START, app, caller, seconds, session, user},
    sessions::Set,
};

const ONLINE: i32 = 1;
const INSTANT: Duration = Duration::from_micros(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Sets alice's custom status, as command `op` of her session 1, to clear after so long.
async fn set(fixture: &Fixture, op: u64, text: &str, clear_after: Option<Duration>) {
    let now = fixture.store.now().await.unwrap();
    let set = Set { op: Op(op), text: text.to_owned(), clear_at: clear_after.map(|after| now.plus(after)) };
    let trace = TraceParent::default();
    fixture.parts.sessions.set_self_status(&caller("alice", 1), &set, &trace).await.unwrap();
}

async fn cleared(fixture: &Fixture) -> usize {
    let pass = fixture.parts.clears.pass().await;
    assert!(pass.failed.is_none(), "{pass:?}");
    pass.cleared
}

async fn timers(fixture: &Fixture) -> Vec<Timer> {
    let partition = fixture.store.partitions().of(app(), Some(&user("alice")));
    fixture.store.due(partition, TimerSet::Clear, Timestamp(u64::MAX), None, 10).await.unwrap()
}

/// Makes another instance over the same store, which has not looked at it yet.
fn another(fixture: &Fixture) -> Clears {
    let clears = &fixture.parts.clears;
    Clears {
        users: clears.users.clone(),
        store: fixture.store.clone(),
        every: MINUTE,
        looks: ClearLooks::new(fixture.store.partitions()),
        quiet: clears.quiet.clone(),
        metrics: clears.metrics.clone(),
    }
}

// SPEC B6
#[tokio::test]
async fn a_custom_status_clears_at_its_time_and_never_before_in_one_change() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    set(&fixture, 1, "at lunch", Some(MINUTE)).await;
    let told = fixture.outbox("alice").await.len();
    let (_, text, version) = fixture.status("alice").await;
    assert_eq!(text, "at lunch");

    fixture.advance(MINUTE.saturating_sub(INSTANT));
    assert_eq!(cleared(&fixture).await, 0);
    fixture.advance(INSTANT);
    assert_eq!(cleared(&fixture).await, 1);

    let after = fixture.status("alice").await;
    assert_eq!((after.0, after.1.as_str()), (ONLINE, ""));
    assert!(after.2 > version);
    let entries = fixture.outbox("alice").await;
    assert_eq!(entries.len(), told + 1);
    let last = entries.last().unwrap();
    assert_eq!((last.general, last.custom.as_str(), last.status_version), (ONLINE, "", after.2));
    assert_eq!(timers(&fixture).await, []);
    fixture.advance(MINUTE);
    assert_eq!(cleared(&fixture).await, 0);
}

// SPEC B6
#[tokio::test]
async fn a_later_set_replaces_the_time_and_an_equal_text_makes_no_version() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    set(&fixture, 1, "busy", Some(MINUTE)).await;
    let before = fixture.status("alice").await;
    let told = fixture.outbox("alice").await.len();
    set(&fixture, 2, "busy", Some(MINUTE * 3)).await;
    assert_eq!((fixture.status("alice").await, fixture.outbox("alice").await.len()), (before, told));

    fixture.advance(MINUTE * 2);
    assert_eq!(cleared(&fixture).await, 0);
    set(&fixture, 3, "busy", None).await;
    fixture.advance(MINUTE * 2);
    assert_eq!(cleared(&fixture).await, 0);
    assert_eq!(fixture.status("alice").await.1, "busy");
    assert_eq!(timers(&fixture).await, []);
}

// SPEC B3, B6
#[tokio::test]
async fn who_leaves_and_comes_back_has_no_time_left_from_before() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    set(&fixture, 1, "busy", Some(MINUTE)).await;
    let trace = TraceParent::default();
    fixture.parts.sessions.logout(&caller("alice", 1), &trace).await.unwrap();
    assert_eq!(timers(&fixture).await, []);
    fixture.log_in("alice", 1, Platform::Web).await;
    set(&fixture, 1, "free", None).await;
    fixture.advance(MINUTE);
    assert_eq!(cleared(&fixture).await, 0);
    assert_eq!(fixture.status("alice").await.1, "free");
}

// SPEC B6
#[tokio::test]
async fn an_instance_that_starts_clears_what_another_one_stored_and_it_is_cleared_once() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    set(&fixture, 1, "busy", Some(MINUTE)).await;
    fixture.advance(MINUTE);
    assert_eq!(another(&fixture).pass().await.cleared, 1);
    assert_eq!(cleared(&fixture).await, 0);
}

// SPEC B6
#[tokio::test]
async fn what_an_instance_stored_itself_it_clears_in_time_although_it_has_just_looked() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    assert_eq!(cleared(&fixture).await, 0);
    set(&fixture, 1, "busy", Some(Duration::from_secs(1))).await;
    fixture.advance(Duration::from_secs(1));
    assert_eq!(cleared(&fixture).await, 1);
}

// SPEC B6
#[tokio::test]
async fn what_an_instance_that_died_had_stored_is_found_by_another_a_while_later() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    let other = another(&fixture);
    assert_eq!(other.pass().await.cleared, 0);
    set(&fixture, 1, "busy", Some(Duration::from_secs(1))).await;
    fixture.advance(LOOK_EVERY);
    assert_eq!(other.pass().await.cleared, 1);
}

#[tokio::test]
async fn what_is_noted_while_a_partition_is_read_is_looked_at_in_time() {
    let partitions = Partitions::EMBEDDED;
    let (looks, one) = (ClearLooks::new(partitions), partitions.all().next().unwrap());
    assert!(looks.begin(one, seconds(100)), "never looked at");
    looks.note(one, seconds(105));
    looks.note(one, seconds(107));
    assert!(!looks.begin(one, seconds(104)));
    assert!(looks.begin(one, seconds(105)));
    assert!(!looks.begin(one, seconds(114)));
    assert!(looks.begin(one, seconds(115)), "in any case after a while");
}

// SPEC B6
#[tokio::test]
async fn one_pass_clears_more_than_a_page_holds() {
    let fixture = Fixture::new().await;
    let count = fixture.store.partitions().all().count() * (PAGE + 100);
    let (trace, login) = (TraceParent::default(), Session::new(Platform::Web, "d".parse().unwrap(), None));
    let custom = CustomStatus::new("busy").unwrap();
    for n in 0..count {
        let decide = |_: &UserState, now: Timestamp| {
            let sessions = [(session(1), login.clone())].into();
            let (custom, clear_at) = (custom.clone(), Some(now));
            let state = UserState { sessions, custom, clear_at, ..UserState::default() };
            let timers = vec![user::Timer::SetClear(now)];
            Ok(Some(Decision {
                state,
                timers,
                change: Some(Change::Status),
                floor: RecordVersion(0),
                ended: Vec::new(),
            }))
        };
        let name = user(&format!("user{n}"));
        fixture.parts.clears.users.apply(app(), &name, &trace, decide).await.unwrap();
    }
    assert_eq!(cleared(&fixture).await, count);
}

#[tokio::test]
async fn statuses_are_cleared_when_the_store_is_back() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    set(&fixture, 1, "busy", Some(MINUTE)).await;
    fixture.advance(MINUTE);
    for away in [&fixture.store.read_only, &fixture.store.away] {
        away.store(true, Ordering::SeqCst);
        let pass = fixture.parts.clears.pass().await;
        assert_eq!((pass.cleared, pass.failed.map(|(_, count)| count)), (0, Some(1)));
        away.store(false, Ordering::SeqCst);
    }
    assert_eq!(cleared(&fixture).await, 1);
}

#[tokio::test]
async fn a_timer_of_which_the_record_says_nothing_is_removed_and_nobody_is_told() {
    let fixture = Fixture::new().await;
    let id = TimerId { app: app(), user: user("alice"), kind: TimerKind::Clear };
    let commit = Commit {
        key: Key::User(app(), user("alice")),
        expected: None,
        write: Write::Put(Bytes::new()),
        new_status: false,
        floor: RecordVersion(0),
        not_after: None,
        timers: vec![TimerChange::Set(Timer { deadline: seconds(START), id })],
        guards: Vec::new(),
        entry: None,
    };
    fixture.store.commit(commit).await.unwrap();
    assert_eq!(cleared(&fixture).await, 0);
    assert_eq!(timers(&fixture).await, []);
    assert!(fixture.outbox("alice").await.is_empty());
}
