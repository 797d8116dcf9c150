//! Claims on timers: only commits create, remove and shorten them, a touch moves them later.

use rollcall_domain::id::{BootId, SessionId, UserId};

use super::{
    Tested,
    given::{self, SESSIONS, arm, delete, put, timer},
};
use crate::port::{Commit, Key, Timer, TimerChange, TimerId};

pub async fn a_commit_sets_a_timer_earlier_and_later(store: Tested) {
    let user = given::user("a");
    let mut version = store.committed(arm(user, &[timer(user, 1, 50)])).await.record;

    for deadline in [20, 80, 80] {
        let timers = vec![TimerChange::Set(timer(user, 1, deadline))];
        version = store.committed(Commit { timers, ..put(of(user), Some(version), "moved") }).await.record;
        assert_eq!(store.deadlines(of(user)).await, [deadline]);
    }
}

pub async fn a_commit_removes_a_timer(store: Tested) {
    let user = given::user("a");
    let armed = store.committed(arm(user, &[timer(user, 1, 10), timer(user, 2, 20)])).await.record;

    let timers = vec![TimerChange::Remove(timer(user, 1, 0).id)];
    store.committed(Commit { timers, ..put(of(user), Some(armed), "ended") }).await;

    assert_eq!(store.deadlines(of(user)).await, [20]);
}

pub async fn removing_a_missing_timer_is_no_error(store: Tested) {
    let user = given::user("a");
    let armed = store.committed(arm(user, &[timer(user, 1, 10)])).await.record;

    let other_boot = SessionId { boot: BootId(7), counter: 1 };
    let timers = vec![
        TimerChange::Remove(timer(user, 2, 0).id),
        TimerChange::Remove(TimerId::of_session(given::app(1), user, other_boot)),
    ];
    store.committed(Commit { timers, ..put(of(user), Some(armed), "ended") }).await;

    assert_eq!(store.deadlines(of(user)).await, [10]);
}

pub async fn timer_changes_apply_in_order(store: Tested) {
    let user = given::user("a");
    let (first, second) = (timer(user, 1, 10), timer(user, 2, 20));
    let timers = vec![
        TimerChange::Set(first),
        TimerChange::Remove(first.id),
        TimerChange::Set(second),
        TimerChange::Remove(second.id),
        TimerChange::Set(Timer { deadline: given::at(30), ..second }),
    ];

    store.committed(Commit { timers, ..put(of(user), None, "armed") }).await;

    assert_eq!(store.deadlines(of(user)).await, [30]);
}

pub async fn a_delete_leaves_timers_alone(store: Tested) {
    let user = given::user("a");
    let armed = store.committed(arm(user, &[timer(user, 1, 10)])).await.record;

    store.committed(delete(of(user), Some(armed))).await;

    assert_eq!(store.deadlines(of(user)).await, [10]);
}

pub async fn a_touch_moves_timers_later(store: Tested) {
    let user = given::user("a");
    store.committed(arm(user, &[timer(user, 1, 10), timer(user, 2, 10), timer(user, 3, 10)])).await;

    let missing = touch(&store, &[timer(user, 1, 11), timer(user, 3, 30)]).await;

    assert_eq!(missing, []);
    assert_eq!(store.deadlines(of(user)).await, [10, 11, 30]);
}

pub async fn a_touch_never_moves_a_timer_earlier(store: Tested) {
    let user = given::user("a");
    store.committed(arm(user, &[timer(user, 1, 10), timer(user, 2, 10)])).await;

    let missing = touch(&store, &[timer(user, 1, 9), timer(user, 2, 10)]).await;

    assert_eq!(missing, []);
    assert_eq!(store.deadlines(of(user)).await, [10, 10]);
}

pub async fn a_touch_creates_nothing_and_names_the_missing(store: Tested) {
    let user = given::user("a");
    store.committed(arm(user, &[timer(user, 2, 10)])).await;

    let missing = touch(&store, &[timer(user, 3, 30), timer(user, 2, 20), timer(user, 1, 10)]).await;

    assert_eq!(missing, [timer(user, 3, 0).id, timer(user, 1, 0).id]);
    assert_eq!(store.deadlines(of(user)).await, [20]);
    assert_eq!(touch(&store, &[]).await, []);
}

pub async fn a_touch_does_not_revive_a_removed_timer(store: Tested) {
    let user = given::user("a");
    let armed = store.committed(arm(user, &[timer(user, 1, 10)])).await.record;
    let timers = vec![TimerChange::Remove(timer(user, 1, 0).id)];
    store.committed(Commit { timers, ..put(of(user), Some(armed), "ended") }).await;

    let missing = touch(&store, &[timer(user, 1, 20)]).await;

    assert_eq!(missing, [timer(user, 1, 0).id]);
    assert_eq!(store.timers(store.partition_of(of(user)), SESSIONS).await, []);
}

pub async fn a_touch_in_another_partition_misses(store: Tested) {
    let [user] = store.neighbours();
    store.committed(arm(user, &[timer(user, 1, 10)])).await;
    let elsewhere = store.partition_of(of(store.stranger()));

    let missing = store.touch(elsewhere, &[timer(user, 1, 20)]).await.expect("the store touches");

    assert_eq!(missing, [timer(user, 1, 0).id]);
    assert_eq!(store.deadlines(of(user)).await, [10]);
}

/// Touches timers of the user `a`.
async fn touch(store: &Tested, timers: &[Timer]) -> Vec<TimerId> {
    store.touch(store.partition_of(given::key("a")), timers).await.expect("the store touches")
}

fn of(user: UserId) -> Key {
    Key::User(given::app(1), user)
}
