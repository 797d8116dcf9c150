//! Claims on callers at the same time.

use rollcall_domain::status::RecordVersion;
use tokio::task::JoinSet;

use super::{
    Tested,
    given::{self, SESSIONS, arm, key, put, tell, timer},
};
use crate::port::{Commit, Committed, Key, Outcome, TimerChange};

/// Callers at the same time.
const CALLERS: usize = 8;

pub async fn of_commits_at_one_version_exactly_one_wins(store: Tested) {
    let mut version = store.committed(put(key("a"), None, "start")).await.record;
    for _ in 0..20 {
        version = race(&store, Some(version)).await;
    }
}

pub async fn of_creations_of_one_key_exactly_one_wins(store: Tested) {
    for _ in 0..20 {
        let version = race(&store, None).await;
        store.committed(given::delete(key("a"), Some(version))).await;
    }
}

pub async fn no_update_is_lost(store: Tested) {
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let store = store.clone();
        callers.spawn(async move {
            for _ in 0..10 {
                add_one(&store).await;
            }
        });
    }
    callers.join_all().await;

    assert_eq!(store.value(key("a")).await, Some((CALLERS * 10).to_string()));
}

pub async fn no_sequence_is_lost_or_given_twice(store: Tested) {
    let users: [_; CALLERS] = store.neighbours();
    let mut callers = JoinSet::new();
    for user in users {
        let store = store.clone();
        callers.spawn(async move {
            let mut entries = Vec::new();
            let mut expected = None;
            for _ in 0..20 {
                let commit = tell(Key::User(given::app(1), user), expected, "told");
                let Committed { record, entry, .. } = store.committed(commit).await;
                expected = Some(record);
                entries.push(entry.expect("the commit had an entry"));
            }
            assert!(entries.is_sorted_by(|a, b| a.sequence < b.sequence));
            entries
        });
    }
    let mut entries = callers.join_all().await.concat();
    entries.sort_by_key(|entry| entry.sequence);

    let all = (1..=CALLERS as u64 * 20).collect::<Vec<_>>();
    let partition = store.partition_of(Key::User(given::app(1), users[0]));
    assert_eq!(entries.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), all);
    assert_eq!(store.entries(partition).await, entries);
}

pub async fn a_removed_timer_stays_removed_under_touches(store: Tested) {
    let user = given::user("a");
    let partition = store.partition_of(key("a"));
    let mut version = None;
    for round in 0..20 {
        let armed = Commit { expected: version, ..arm(user, &[timer(user, round, 10)]) };
        let armed = store.committed(armed).await.record;

        let mut touches = JoinSet::new();
        for caller in 0..CALLERS as u64 {
            let store = store.clone();
            touches.spawn(async move {
                store.touch(partition, &[timer(user, round, 20 + caller)]).await.expect("the store touches")
            });
        }
        let timers = vec![TimerChange::Remove(timer(user, round, 0).id)];
        let removal = Commit { timers, ..put(key("a"), Some(armed), "ended") };
        version = Some(store.committed(removal).await.record);
        touches.join_all().await;

        assert_eq!(store.timers(partition, SESSIONS).await, []);
    }
}

// FAULT 4
pub async fn a_touch_and_an_end_that_is_guarded_against_it_never_both_win(store: Tested) {
    let user = given::user("a");
    let partition = store.partition_of(key("a"));
    let mut version = None;
    for round in 0..50 {
        let armed = Commit { expected: version, ..arm(user, &[timer(user, round, 10)]) };
        let armed = store.committed(armed).await.record;
        let end = Commit {
            timers: vec![TimerChange::Remove(timer(user, round, 0).id)],
            guards: vec![timer(user, round, 10)],
            ..put(key("a"), Some(armed), "ended")
        };

        // In the one call after the other, in the next the other way round.
        let touches = [timer(user, round, 20)];
        let touch = async { store.touch(partition, &touches).await.expect("the store touches") };
        let (missing, outcome) = if round % 2 == 0 {
            tokio::join!(touch, store.outcome(end))
        } else {
            let (outcome, missing) = tokio::join!(store.outcome(end), touch);
            (missing, outcome)
        };

        let left = store.timers(partition, SESSIONS).await;
        if let Outcome::Committed(committed) = outcome {
            assert_eq!((missing, left), (vec![timer(user, round, 0).id], vec![]), "it was over");
            version = Some(committed.record);
        } else {
            assert_eq!(outcome, Outcome::Guarded);
            assert_eq!((missing, left), (vec![], touches.to_vec()), "it lives on");
            let timers = vec![TimerChange::Remove(timer(user, round, 0).id)];
            version =
                Some(store.committed(Commit { timers, ..put(key("a"), Some(armed), "next") }).await.record);
        }
    }
}

/// Lets callers commit the record `a` at the same expected version; returns the version that won.
async fn race(store: &Tested, expected: Option<RecordVersion>) -> RecordVersion {
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let store = store.clone();
        callers.spawn(async move {
            let value = format!("caller {caller}");
            (store.outcome(put(key("a"), expected, value.clone())).await, value)
        });
    }
    let mut winners = callers.join_all().await;
    winners.retain(|(outcome, _)| *outcome != Outcome::Conflict);

    let [(Outcome::Committed(committed), value)] = &winners[..] else {
        panic!("expected one winner, found {winners:?}");
    };
    let record = store.record(key("a")).await.expect("the record is there");
    assert_eq!((record.version, &record.value[..]), (committed.record, value.as_bytes()));
    committed.record
}

/// Counts the number in the record `a` up by one, again while others come first.
async fn add_one(store: &Tested) {
    loop {
        let record = store.record(key("a")).await;
        let number: usize = record.as_ref().map_or(0, |record| {
            let text = str::from_utf8(&record.value).expect("the value is text");
            text.parse().expect("the value is a number")
        });
        let expected = record.map(|record| record.version);
        if store.outcome(put(key("a"), expected, (number + 1).to_string())).await != Outcome::Conflict {
            return;
        }
    }
}
