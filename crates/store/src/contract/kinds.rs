//! Claims on the kinds of timers: of a session, of a custom status, of a subscription list.

use rollcall_domain::id::{SessionId, UserId};

use super::{
    Tested,
    given::{self, BOOT, SETS, app, at, put},
};
use crate::port::{Commit, Key, Outcome, Timer, TimerChange, TimerId, TimerKind};

/// The kinds of a user's timers, in the order of their sets in [`SETS`].
const KINDS: [TimerKind; 3] =
    [TimerKind::Session(SessionId { boot: BOOT, counter: 1 }), TimerKind::Clear, TimerKind::Idle];

pub async fn timers_of_each_kind_are_in_a_set_of_their_own(store: Tested) {
    let users: [UserId; 2] = store.neighbours();
    for user in users {
        set_all(&store, user, 10).await;
    }

    for (set, kind) in SETS.into_iter().zip(KINDS) {
        let mut listed = store.timers(store.partition_of(of(users[0])), set).await;
        listed.sort_unstable();
        let mut expected = users.map(|user| timer(user, kind, 10));
        expected.sort_unstable();
        assert_eq!(listed, expected, "{set:?}");
        assert_eq!(store.timers(store.partition_of(of(store.stranger())), set).await, []);
    }
}

pub async fn a_commit_sets_and_removes_timers_of_each_kind(store: Tested) {
    let user = given::user("a");
    set_all(&store, user, 10).await;
    set_all(&store, user, 5).await;
    assert_eq!(deadlines(&store, user).await, [vec![5], vec![5], vec![5]]);

    for (gone, kind) in KINDS.into_iter().enumerate() {
        let id = timer(user, kind, 0).id;
        change(&store, user, vec![TimerChange::Remove(id)]).await;
        let left = deadlines(&store, user).await;
        let expected: [Vec<u64>; 3] =
            std::array::from_fn(|place| if place <= gone { Vec::new() } else { vec![5] });
        assert_eq!(left, expected);
    }
}

pub async fn a_touch_moves_timers_of_each_kind_later_and_creates_none(store: Tested) {
    let user = given::user("a");
    let (here, all) = (store.partition_of(of(user)), |offset| KINDS.map(|kind| timer(user, kind, offset)));
    let missing = store.touch(here, &all(20)).await.expect("the store touches");
    assert_eq!(missing, all(0).map(|timer| timer.id));
    set_all(&store, user, 10).await;

    for offset in [20, 15] {
        assert_eq!(store.touch(here, &all(offset)).await.expect("the store touches"), []);
        assert_eq!(deadlines(&store, user).await, [vec![20], vec![20], vec![20]]);
    }
}

pub async fn a_guard_of_each_kind_stops_the_commit_while_its_timer_is_due_later(store: Tested) {
    let user = given::user("a");
    set_all(&store, user, 10).await;
    let version = store.record(of(user)).await.map(|record| record.version);

    for kind in KINDS {
        let guards = vec![timer(user, kind, 9)];
        let commit = Commit { guards, ..put(of(user), version, "ended") };
        assert_eq!(store.outcome(commit).await, Outcome::Guarded, "{kind:?}");
    }
    let guards = KINDS.map(|kind| timer(user, kind, 10)).to_vec();
    store.committed(Commit { guards, ..put(of(user), version, "ended") }).await;
}

fn timer(user: UserId, kind: TimerKind, offset: u64) -> Timer {
    Timer { deadline: at(offset), id: TimerId { app: app(1), user, kind } }
}

async fn set_all(store: &Tested, user: UserId, offset: u64) {
    change(store, user, KINDS.map(|kind| TimerChange::Set(timer(user, kind, offset))).to_vec()).await;
}

async fn change(store: &Tested, user: UserId, timers: Vec<TimerChange>) {
    let expected = store.record(of(user)).await.map(|record| record.version);
    store.committed(Commit { timers, ..put(of(user), expected, "armed") }).await;
}

/// Lists the deadlines in each set, as offsets.
async fn deadlines(store: &Tested, user: UserId) -> [Vec<u64>; 3] {
    let mut all = SETS.map(|_| Vec::new());
    for (set, found) in SETS.into_iter().zip(&mut all) {
        let timers = store.timers(store.partition_of(of(user)), set).await;
        found.extend(timers.iter().map(|timer| given::offset(timer.deadline)));
    }
    all
}

fn of(user: UserId) -> Key {
    Key::User(app(1), user)
}
