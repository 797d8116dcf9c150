//! Claims on the last moment of a commit: what its caller gave up must not be applied later.

use std::time::Duration;

use bytes::Bytes;
use rollcall_domain::{id::UserId, status::RecordVersion, time::Timestamp};

use super::{
    Tested,
    given::{self, FAR, arm, delete, put, tell, timer},
};
use crate::port::{Commit, Key, Outcome, TimerChange, Write};

pub async fn a_commit_that_comes_in_time_is_applied(store: Tested) {
    let now = store.now().await.expect("the store has a clock");
    let mut expected = None;

    for last in [now.plus(Duration::from_secs(600)), FAR, Timestamp(u64::MAX)] {
        let commit = Commit { not_after: Some(last), ..put(given::key("a"), expected, "in time") };
        expected = Some(store.committed(commit).await.record);
    }
}

pub async fn a_commit_that_comes_after_its_time_is_late(store: Tested) {
    let (user, armed) = armed(&store).await;
    let now = store.now().await.expect("the store has a clock");

    for last in [now.minus(Duration::from_micros(1)), now.minus(Duration::from_secs(1)), Timestamp(0)] {
        let commit = Commit { not_after: Some(last), ..put(of(user), Some(armed), "late") };
        assert_eq!(store.outcome(commit).await, Outcome::Late, "{last:?} after {now:?}");
    }

    assert_eq!(store.value(of(user)).await.as_deref(), Some("armed"));
}

pub async fn a_late_commit_changes_nothing(store: Tested) {
    let (user, armed) = armed(&store).await;
    let before = store.state(of(user)).await;

    let timers = vec![
        TimerChange::Set(timer(user, 1, 99)),
        TimerChange::Remove(timer(user, 2, 0).id),
        TimerChange::Set(timer(user, 3, 10)),
    ];
    for write in [Write::Put(Bytes::from("two")), Write::Delete] {
        let commit = tell(of(user), Some(armed), "two");
        let commit = Commit { write, new_status: true, timers: timers.clone(), ..late(commit) };
        assert_eq!(store.outcome(commit).await, Outcome::Late);
    }

    assert_eq!(store.state(of(user)).await, before);
    let next = store.committed(tell(of(user), Some(armed), "three")).await;
    assert_eq!(next.entry.map(|entry| entry.sequence), Some(1));
}

pub async fn a_late_commit_creates_no_record(store: Tested) {
    assert_eq!(store.outcome(late(tell(given::key("a"), None, "one"))).await, Outcome::Late);

    assert_eq!(store.record(given::key("a")).await, None);
    assert_eq!(store.sequences(store.partition_of(given::key("a"))).await, []);
}

pub async fn late_is_said_before_a_conflict_and_a_guard(store: Tested) {
    let (user, armed) = armed(&store).await;

    let wrong = RecordVersion(armed.0 + 1);
    assert_eq!(store.outcome(late(put(of(user), Some(wrong), "two"))).await, Outcome::Late);
    assert_eq!(store.outcome(late(put(of(user), None, "two"))).await, Outcome::Late);
    assert_eq!(store.outcome(late(delete(given::key("b"), Some(wrong)))).await, Outcome::Late);
    let guarded = Commit { guards: vec![timer(user, 1, 9)], ..put(of(user), Some(armed), "two") };
    assert_eq!(store.outcome(late(guarded)).await, Outcome::Late);
}

/// Creates a user with two timers; returns the record's version.
async fn armed(store: &Tested) -> (UserId, RecordVersion) {
    let user = given::user("a");
    (user, store.committed(arm(user, &[timer(user, 1, 10), timer(user, 2, 20)])).await.record)
}

/// Makes of a commit one whose time has passed.
fn late(commit: Commit) -> Commit {
    Commit { not_after: Some(Timestamp(1)), ..commit }
}

fn of(user: UserId) -> Key {
    Key::User(given::app(1), user)
}
