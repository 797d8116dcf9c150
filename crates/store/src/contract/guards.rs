//! Claims on guards: a commit that ends sessions must not apply when a heartbeat came first.

use bytes::Bytes;
use rollcall_domain::{
    id::{BootId, SessionId, UserId},
    status::RecordVersion,
};

use super::{
    Tested,
    given::{self, arm, delete, put, tell, timer},
};
use crate::port::{Commit, Key, Outcome, Timer, TimerChange, TimerId, Write};

pub async fn a_timer_due_later_than_its_guard_stops_the_commit(store: Tested) {
    let (user, armed) = armed(&store, &[11]).await;

    assert_eq!(store.outcome(guarded(user, armed, &[timer(user, 1, 10)])).await, Outcome::Guarded);

    assert_eq!(store.value(of(user)).await.as_deref(), Some("armed"));
}

pub async fn a_timer_due_exactly_at_its_guard_or_earlier_passes(store: Tested) {
    let (user, armed) = armed(&store, &[10]).await;

    let first = store.committed(guarded(user, armed, &[timer(user, 1, 10)])).await;
    store.committed(guarded(user, first.record, &[timer(user, 1, 11)])).await;

    assert_eq!(store.value(of(user)).await.as_deref(), Some("ended"));
}

pub async fn a_guard_of_a_missing_timer_passes(store: Tested) {
    let (user, armed) = armed(&store, &[10]).await;
    let other_login = timer(user, 2, 0);
    let session = SessionId { boot: BootId(7), counter: 1 };
    let other_boot = Timer { id: TimerId::of_session(given::app(1), user, session), ..timer(user, 1, 0) };

    store.committed(guarded(user, armed, &[other_login, other_boot])).await;

    assert_eq!(store.value(of(user)).await.as_deref(), Some("ended"));
}

pub async fn one_guard_of_many_stops_the_commit(store: Tested) {
    let (user, armed) = armed(&store, &[10, 20, 30]).await;

    for late in 1..=3 {
        let deadline = |counter| if counter == late { counter * 10 - 1 } else { counter * 10 };
        let guards = [1, 2, 3].map(|counter| timer(user, counter, deadline(counter)));
        assert_eq!(store.outcome(guarded(user, armed, &guards)).await, Outcome::Guarded);
    }

    let guards = [1, 2, 3].map(|counter| timer(user, counter, counter * 10));
    store.committed(guarded(user, armed, &guards)).await;
}

pub async fn a_guarded_commit_changes_nothing(store: Tested) {
    let (user, armed) = armed(&store, &[10, 20]).await;
    let before = store.state(of(user)).await;

    let timers = vec![
        TimerChange::Set(timer(user, 1, 99)),
        TimerChange::Remove(timer(user, 2, 0).id),
        TimerChange::Set(timer(user, 3, 10)),
    ];
    for write in [Write::Put(Bytes::from("two")), Write::Delete] {
        let guards = vec![timer(user, 1, 10), timer(user, 2, 19)];
        let commit = tell(of(user), Some(armed), "two");
        let commit = Commit { write, new_status: true, timers: timers.clone(), guards, ..commit };
        assert_eq!(store.outcome(commit).await, Outcome::Guarded);
    }

    assert_eq!(store.state(of(user)).await, before);
    let next = store.committed(tell(of(user), Some(armed), "three")).await;
    assert_eq!(next.entry.map(|entry| entry.sequence), Some(1));
}

pub async fn guards_see_the_timers_before_the_commit(store: Tested) {
    let (user, armed) = armed(&store, &[10]).await;

    let removed = vec![TimerChange::Remove(timer(user, 1, 0).id)];
    let commit = Commit { timers: removed, ..guarded(user, armed, &[timer(user, 1, 9)]) };
    assert_eq!(store.outcome(commit).await, Outcome::Guarded);

    let moved = vec![TimerChange::Set(timer(user, 1, 20))];
    store.committed(Commit { timers: moved, ..guarded(user, armed, &[timer(user, 1, 10)]) }).await;
    assert_eq!(store.deadlines(of(user)).await, [20]);
}

pub async fn a_touch_holds_a_guard(store: Tested) {
    let (user, armed) = armed(&store, &[10]).await;

    store.touch(store.partition_of(of(user)), &[timer(user, 1, 11)]).await.expect("the store touches");

    assert_eq!(store.outcome(guarded(user, armed, &[timer(user, 1, 10)])).await, Outcome::Guarded);
}

pub async fn a_conflict_is_said_before_a_guard(store: Tested) {
    let (user, armed) = armed(&store, &[10]).await;
    let guard = timer(user, 1, 9);

    let wrong = RecordVersion(armed.0 + 1);
    assert_eq!(store.outcome(guarded(user, wrong, &[guard])).await, Outcome::Conflict);
    let commit = Commit { guards: vec![guard], ..delete(of(user), None) };
    assert_eq!(store.outcome(commit).await, Outcome::Conflict);
}

/// Creates a user with timers 1, 2, … at these offsets; returns the record's version.
async fn armed(store: &Tested, offsets: &[u64]) -> (UserId, RecordVersion) {
    let user = given::user("a");
    let timers: Vec<Timer> =
        (1..).zip(offsets).map(|(counter, offset)| timer(user, counter, *offset)).collect();
    (user, store.committed(arm(user, &timers)).await.record)
}

fn guarded(user: UserId, expected: RecordVersion, guards: &[Timer]) -> Commit {
    Commit { guards: guards.to_vec(), ..put(of(user), Some(expected), "ended") }
}

fn of(user: UserId) -> Key {
    Key::User(given::app(1), user)
}
