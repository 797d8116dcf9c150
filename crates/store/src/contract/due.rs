//! Claims on the listing of due timers.

use std::collections::BTreeSet;

use rollcall_domain::id::{BootId, SessionId, UserId};

use super::{
    Tested,
    given::{self, BOOT, FAR, SESSIONS, at, offset, put, timer},
};
use crate::port::{Commit, Key, Timer, TimerChange, TimerId, TimerSet};

pub async fn due_timers_come_earliest_first(store: Tested) {
    let [a, b, c] = store.neighbours();
    let timers = [timer(a, 1, 30), timer(a, 2, 10), timer(b, 3, 20), timer(c, 1, 0), timer(c, 2, 40)];
    arm_all(&store, &timers).await;

    let deadlines = store.deadlines(of(a)).await;

    assert_eq!(deadlines, [0, 10, 20, 30, 40]);
}

pub async fn until_is_inclusive(store: Tested) {
    let user = given::user("a");
    arm_all(&store, &[timer(user, 1, 10), timer(user, 2, 20), timer(user, 3, 30)]).await;

    for (until, expected) in [(9, &[][..]), (10, &[10]), (19, &[10]), (20, &[10, 20]), (99, &[10, 20, 30])] {
        let due = store.due(store.partition_of(of(user)), SESSIONS, at(until), None, 100).await;
        let due: Vec<u64> =
            due.expect("the store lists timers").iter().map(|timer| offset(timer.deadline)).collect();
        assert_eq!(due, expected, "until {until}");
    }
}

pub async fn deadlines_are_exact_to_the_microsecond(store: Tested) {
    let user = given::user("a");
    let timers = [timer(user, 1, 123_456_789_012_345), timer(user, 2, 123_456_789_012_346)];
    arm_all(&store, &timers).await;

    assert_eq!(store.timers(store.partition_of(of(user)), SESSIONS).await, timers);
}

pub async fn timers_of_other_boots_are_not_due(store: Tested) {
    let user = given::user("a");
    let ours = timer(user, 1, 10);
    let boots = [BootId(BOOT.0 + 1), BootId(1), BootId(u64::MAX)];
    let theirs = boots.map(|boot| {
        let session = SessionId { boot, counter: 1 };
        Timer { id: TimerId::of_session(ours.id.app, user, session), ..ours }
    });
    arm_all(&store, &[&theirs[..], &[ours]].concat()).await;

    let partition = store.partition_of(of(user));
    assert_eq!(store.timers(partition, SESSIONS).await, [ours]);
    for (boot, timer) in boots.into_iter().zip(theirs) {
        assert_eq!(store.timers(partition, TimerSet::Sessions(boot)).await, [timer]);
    }
    assert_eq!(store.timers(partition, TimerSet::Sessions(BootId(BOOT.0 + 2))).await, []);
}

pub async fn timers_of_other_partitions_are_not_due(store: Tested) {
    let ([here], there) = (store.neighbours(), store.stranger());
    arm_all(&store, &[timer(here, 1, 10), timer(there, 1, 20)]).await;

    assert_eq!(store.deadlines(of(here)).await, [10]);
    assert_eq!(store.deadlines(of(there)).await, [20]);
}

pub async fn the_limit_cuts_the_latest(store: Tested) {
    let user = given::user("a");
    arm_all(&store, &[timer(user, 1, 30), timer(user, 2, 10), timer(user, 3, 20)]).await;

    for (limit, expected) in [(0, &[][..]), (1, &[10]), (2, &[10, 20]), (3, &[10, 20, 30])] {
        let due = store.due(store.partition_of(of(user)), SESSIONS, FAR, None, limit).await;
        let due: Vec<u64> =
            due.expect("the store lists timers").iter().map(|timer| offset(timer.deadline)).collect();
        assert_eq!(due, expected);
    }
}

pub async fn pages_show_every_timer_once_though_deadlines_tie(store: Tested) {
    let users: [_; 4] = store.neighbours();
    let timers = ties(&users);
    arm_all(&store, &timers).await;

    for limit in [1, 2, 5, 7, 100] {
        let seen = pages(&store, of(users[0]), limit, |_| false).await;
        assert!(seen.is_sorted_by_key(|timer| timer.deadline));
        assert_eq!(seen.len(), timers.len(), "pages of {limit}");
        assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), timers.iter().copied().collect());
    }
}

pub async fn pages_go_on_behind_timers_that_went(store: Tested) {
    let users: [_; 4] = store.neighbours();
    let timers = ties(&users);
    arm_all(&store, &timers).await;

    let seen = pages(&store, of(users[0]), 3, |_| true).await;

    assert_eq!(seen.len(), timers.len());
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), timers.into_iter().collect());
    assert_eq!(store.deadlines(of(users[0])).await, []);
}

/// Lists all timers of a partition page by page, and removes those of a page before the next is read where
/// `removes` says so.
async fn pages(store: &Tested, key: Key, limit: usize, removes: impl Fn(&Timer) -> bool) -> Vec<Timer> {
    let mut seen: Vec<Timer> = Vec::new();
    loop {
        let after = seen.last().copied();
        let page = store.due(store.partition_of(key), SESSIONS, FAR, after, limit).await;
        let page = page.expect("the store lists timers");
        assert!(page.len() <= limit, "{} timers on a page of {limit}", page.len());
        for timer in page.iter().filter(|timer| removes(timer)) {
            change(store, TimerChange::Remove(timer.id), timer.id.user).await;
        }
        if page.is_empty() {
            return seen;
        }
        seen.extend(page);
        assert!(seen.len() <= 100, "pages come without end: {seen:?}");
    }
}

/// Twenty timers at three deadlines.
fn ties(users: &[UserId]) -> Vec<Timer> {
    let timers = users.iter().flat_map(|user| (1..=5).map(|counter| timer(*user, counter, counter / 2)));
    timers.collect()
}

async fn arm_all(store: &Tested, timers: &[Timer]) {
    for timer in timers {
        change(store, TimerChange::Set(*timer), timer.id.user).await;
    }
}

async fn change(store: &Tested, change: TimerChange, user: UserId) {
    let expected = store.record(of(user)).await.map(|record| record.version);
    store.committed(Commit { timers: vec![change], ..put(of(user), expected, "armed") }).await;
}

fn of(user: UserId) -> Key {
    Key::User(given::app(1), user)
}
