//! Tests of expiry, over the memory store.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use rollcall_domain::{
    app::Edition,
    id::{Op, Platform},
    policy::LoginPolicy,
    user::Session,
};
use rollcall_store::{
    Commit, Key,
    port::{Nonce, TimerChange, Write},
};

use super::{looks::OVER_EVERY, *};
use crate::{
    fixture::{BOOT, EXPIRY, Fixture, GRACE, START, TOKEN, app, caller, seconds, session, text, user},
    service::Parts,
};

const INSTANT: Duration = Duration::from_micros(1);
const ONLINE: i32 = 1;
const OFFLINE: i32 = 2;

/// A timer without a session.
async fn leave_stray(fixture: &Fixture, name: &str, counter: u64) {
    let id = TimerId::of_session(app(), user(name), session(counter));
    let commit = Commit {
        key: Key::User(app(), user(name)),
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
}

// SPEC A11
#[tokio::test]
async fn a_moved_session_ends_at_its_deadline_and_never_before() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    fixture.move_away("alice", 1).await;
    fixture.advance(GRACE.saturating_sub(INSTANT));
    assert_eq!(fixture.parts.sweep.pass().await.ended, 0);
    assert_eq!(fixture.status("alice").await.0, ONLINE);
    fixture.advance(INSTANT);
    assert_eq!(fixture.parts.sweep.pass().await.ended, 1);
    assert_eq!(fixture.status("alice").await.0, OFFLINE);
    assert_eq!(fixture.parts.sweep.pass().await.ended, 0);
}

// SPEC A8
#[tokio::test]
async fn a_passed_deadline_of_a_live_gateway_ends_nobody_and_hides_no_moved_session_behind_it() {
    let fixture = Fixture::new().await;
    let Parts { sweep, reports, .. } = &fixture.parts;
    fixture.log_in("alice", 1, Platform::Web).await;
    fixture.advance(EXPIRY.saturating_sub(INSTANT));
    sweep.pass().await;
    assert_eq!(reports.overdue.reported(BOOT, Nonce(1)), []);
    fixture.advance(INSTANT);
    fixture.log_in("alice", 2, Platform::Mac).await;
    fixture.move_away("alice", 2).await;
    let before = fixture.store.reads.load(Ordering::SeqCst);
    for _ in 0..3 {
        assert_eq!(sweep.pass().await.ended, 0);
        let partition = fixture.store.partitions().of(app(), Some(&user("alice")));
        assert_eq!(reports.overdue.reported(BOOT, Nonce(1)), [partition]);
    }
    assert_eq!(fixture.store.reads.load(Ordering::SeqCst), before + 1, "looked at once");
    fixture.advance(GRACE);
    assert_eq!(sweep.pass().await.ended, 1);
    assert_eq!(fixture.timers("alice").await.len(), 1);
    fixture.advance(EXPIRY * 10);
    assert_eq!(sweep.pass().await.ended, 0);
    assert_eq!(fixture.status("alice").await.0, ONLINE);
}

// SPEC A7
#[tokio::test]
async fn a_session_that_is_heard_of_between_the_look_and_the_commit_lives_on() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    fixture.move_away("alice", 1).await;
    fixture.advance(GRACE);
    let id = TimerId::of_session(app(), user("alice"), session(1));
    let later = Timer { deadline: seconds(START).plus(EXPIRY * 2), id };
    *fixture.store.touched_after_due.lock() = Some(later);
    let swept = fixture.parts.sweep.pass().await;
    assert_eq!((swept.ended, swept.spared), (0, 1));
    assert_eq!(fixture.status("alice").await.0, ONLINE);
    assert_eq!(fixture.timers("alice").await, [later]);
}

// SPEC B3
#[tokio::test]
async fn all_due_sessions_of_a_user_end_in_one_change_that_clears_the_custom_status() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    fixture.log_in("alice", 2, Platform::Iphone).await;
    let trace = TraceParent::default();
    fixture
        .parts
        .sessions
        .set_self_status(&caller("alice", 1), &text(Op::NONE, "busy"), &trace)
        .await
        .unwrap();
    fixture.move_away("alice", 1).await;
    fixture.move_away("alice", 2).await;
    let before = fixture.outbox("alice").await.len();
    fixture.advance(GRACE);
    assert_eq!(fixture.parts.sweep.pass().await.ended, 2);
    let entries = fixture.outbox("alice").await;
    assert_eq!(entries.len(), before + 1);
    let last = entries.last().unwrap();
    assert_eq!((last.general, last.custom.as_str(), last.sessions.len()), (OFFLINE, "", 0));
    assert_eq!(last.ended.iter().map(|ended| ended.reason).collect::<Vec<_>>(), [2, 2]);
}

#[tokio::test]
async fn one_session_ends_while_another_of_the_user_lives_on() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    fixture.log_in("alice", 2, Platform::Web).await;
    fixture.move_away("alice", 1).await;
    fixture.advance(GRACE);
    assert_eq!(fixture.parts.sweep.pass().await.ended, 1);
    assert_eq!(fixture.status("alice").await.0, ONLINE);
    assert_eq!(fixture.timers("alice").await.len(), 1);
}

// SPEC A7
#[tokio::test]
async fn one_pass_ends_more_users_than_a_page_and_a_batch_hold() {
    let fixture = Fixture::new().await;
    let count = 20_000;
    let device = "d".parse().unwrap();
    for counter in 1..=count as u64 {
        let login = Session::new(Platform::Web, device, None);
        let group = LoginPolicy::Single.group(Edition::Premium, Platform::Web);
        let decide = |state: &UserState, now| {
            let decision = state.on_login(session(counter), login.clone(), group, GRACE, now)?;
            Ok(decision.map(|mut decision| {
                for session in decision.state.sessions.values_mut() {
                    session.moved = true;
                }
                decision
            }))
        };
        let user = user(&format!("user{counter}"));
        fixture.parts.sessions.users.apply(app(), &user, &TraceParent::default(), decide).await.unwrap();
    }
    let first = fixture.store.partitions().all().next().unwrap();
    let held = fixture
        .store
        .due(first, TimerSet::Sessions(BOOT), Timestamp(u64::MAX), None, count)
        .await
        .unwrap()
        .len();
    assert!(held > BATCH.max(PAGE), "{held}");
    fixture.advance(GRACE);
    let swept = fixture.parts.sweep.pass().await;
    assert_eq!((swept.ended, swept.spared, swept.strays), (count, 0, 0));
    assert!(swept.failed.is_none());
}

#[tokio::test]
async fn a_timer_without_a_session_is_removed_and_nobody_is_told() {
    let fixture = Fixture::new().await;
    leave_stray(&fixture, "alice", 9).await;
    let swept = fixture.parts.sweep.pass().await;
    assert_eq!((swept.ended, swept.strays), (0, 1));
    assert!(fixture.timers("alice").await.is_empty());
    assert!(fixture.outbox("alice").await.is_empty());
    assert_eq!(fixture.parts.sweep.pass().await.strays, 0);
}

#[tokio::test]
async fn a_session_that_ended_after_its_timer_was_read_is_no_stray() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    fixture.parts.sessions.logout(&caller("alice", 1), &TraceParent::default()).await.unwrap();
    let before = fixture.store.get(&[Key::User(app(), user("alice"))]).await.unwrap();
    let id = TimerId::of_session(app(), user("alice"), session(1));
    let due = vec![(Timer { deadline: seconds(START), id }, false)];
    let swept = fixture.parts.sweep.end(((app(), user("alice")), due), seconds(START)).await;
    assert_eq!((swept.ended, swept.spared, swept.strays), (0, 0, 0));
    assert_eq!(fixture.store.get(&[Key::User(app(), user("alice"))]).await.unwrap(), before);
}

#[tokio::test]
async fn a_stray_timer_goes_and_the_live_session_beside_it_stays() {
    let fixture = Fixture::new().await;
    leave_stray(&fixture, "alice", 9).await;
    let done = fixture.log_in("alice", 1, Platform::Web).await;
    assert_eq!(fixture.parts.sweep.pass().await.strays, 1);
    assert_eq!(fixture.status("alice").await, (ONLINE, String::new(), done.version.0));
    assert_eq!(fixture.timers("alice").await.len(), 1);
}

#[tokio::test]
async fn sessions_are_ended_when_the_store_is_back() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    fixture.log_in("bob", 2, Platform::Web).await;
    fixture.move_away("alice", 1).await;
    fixture.move_away("bob", 2).await;
    fixture.advance(GRACE);
    fixture.store.read_only.store(true, Ordering::SeqCst);
    let swept = fixture.parts.sweep.pass().await;
    assert_eq!(swept.failed.unwrap().1, 2);
    fixture.store.away.store(true, Ordering::SeqCst);
    assert!(fixture.parts.sweep.pass().await.failed.is_some());
    fixture.store.away.store(false, Ordering::SeqCst);
    fixture.store.read_only.store(false, Ordering::SeqCst);
    assert_eq!(fixture.parts.sweep.pass().await.ended, 2);
}

/// Declares the gateway of all sessions dead.
async fn kill(fixture: &Fixture) {
    assert!(fixture.store.kill_lease(BOOT, Nonce(0)).await.unwrap());
    fixture.parts.sweep.leases.look().await.unwrap();
}

// SPEC A11
#[tokio::test]
async fn the_sessions_of_a_dead_gateway_end_whatever_their_deadlines_and_in_one_change() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    fixture.log_in("alice", 2, Platform::Mac).await;
    assert_eq!(fixture.parts.sweep.pass().await.ended, 0);
    let before = fixture.outbox("alice").await.len();
    kill(&fixture).await;
    let swept = fixture.parts.sweep.pass().await;
    assert_eq!((swept.ended, swept.haunting), (2, BTreeSet::from([BOOT])));
    assert_eq!(fixture.status("alice").await.0, OFFLINE);
    assert_eq!(fixture.outbox("alice").await.len(), before + 1);
    assert!(fixture.timers("alice").await.is_empty());
}

#[tokio::test]
async fn a_dead_gateway_is_forgotten_a_while_after_nothing_of_it_is_left() {
    let fixture = Fixture::new().await;
    let sweep = &fixture.parts.sweep;
    fixture.log_in("alice", 1, Platform::Web).await;
    kill(&fixture).await;
    fixture.advance(FORGET_AFTER);
    assert_eq!(sweep.pass().await.ended, 1);
    // One whose login was under way.
    fixture.log_in("bob", 2, Platform::Web).await;
    fixture.advance(OVER_EVERY);
    assert_eq!(sweep.pass().await.ended, 1);
    assert_eq!(sweep.leases.look().await.unwrap().len(), 1, "something was left of it");
    fixture.advance(OVER_EVERY);
    sweep.pass().await;
    assert_eq!(sweep.leases.look().await.unwrap(), []);
}

// SPEC A11
#[tokio::test]
async fn what_a_gateway_left_behind_in_order_lives_until_its_deadline_and_what_came_after_it_ends_at_once() {
    let fixture = Fixture::new().await;
    let sweep = &fixture.parts.sweep;
    fixture.log_in("alice", 1, Platform::Web).await;
    fixture.move_away("alice", 1).await;
    assert!(sweep.leases.retire(BOOT, &TOKEN).await.is_ok());
    sweep.leases.look().await.unwrap();
    // One whose login was under way.
    fixture.log_in("bob", 2, Platform::Web).await;

    assert_eq!(sweep.pass().await.ended, 1);
    assert_eq!((fixture.status("alice").await.0, fixture.status("bob").await.0), (ONLINE, OFFLINE));
    fixture.advance(sweep.moved_grace.saturating_sub(INSTANT));
    assert_eq!(sweep.pass().await.ended, 0);
    fixture.advance(INSTANT);
    assert_eq!(sweep.pass().await.ended, 1);
    assert_eq!(fixture.status("alice").await.0, OFFLINE);
    fixture.advance(FORGET_AFTER);
    sweep.pass().await;
    assert_eq!(sweep.leases.look().await.unwrap(), []);
}

#[tokio::test]
async fn a_session_that_was_moved_ends_after_the_grace_although_a_look_came_before() {
    let fixture = Fixture::new().await;
    fixture.log_in("alice", 1, Platform::Web).await;
    assert_eq!(fixture.parts.sweep.pass().await.ended, 0);
    fixture.move_away("alice", 1).await;
    fixture.advance(GRACE.saturating_sub(INSTANT));
    assert_eq!(fixture.parts.sweep.pass().await.ended, 0);
    fixture.advance(INSTANT);
    assert_eq!(fixture.parts.sweep.pass().await.ended, 1);
}
