//! The memory store: what every store must do, and what its own clock may do to it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use proptest::{collection::vec, prelude::*};
use rollcall_domain::{status::RecordVersion, time::Timestamp};

use super::*;
use crate::{
    contract::{
        Tested,
        commands::strategy::commands,
        given::{delete, key, put, tell},
        model,
    },
    port::Standing,
};

mod contract {
    //! The suite.

    crate::store_contract!(super::ticking());
}

/// Makes a store whose clock is one µs later at each reading.
fn ticking() -> MemoryStore {
    let now = AtomicU64::new(1_767_225_600_000_000);
    MemoryStore::new(Partitions::EMBEDDED, Arc::new(move || Timestamp(now.fetch_add(1, Ordering::Relaxed))))
}

/// Makes a store whose clock reads these times, in turn and again from the first.
fn reading(times: impl Into<Vec<u64>>) -> Tested {
    let (times, reading) = (times.into(), AtomicUsize::new(0));
    let clock = move || Timestamp(times[reading.fetch_add(1, Ordering::Relaxed) % times.len()]);
    Tested::new(MemoryStore::new(Partitions::EMBEDDED, Arc::new(clock)))
}

#[tokio::test]
async fn versions_are_times_while_the_clock_goes_forward() {
    let store = reading([1_000, 2_000, 3_000, 4_000]);

    let created = store.committed(put(key("a"), None, "one")).await.record;
    let changed = store.committed(put(key("a"), Some(created), "two")).await.record;
    let deleted = store.committed(delete(key("a"), Some(changed))).await.record;
    let again = store.committed(put(key("a"), None, "three")).await.record;

    assert_eq!([created, changed, deleted, again].map(|version| version.0), [1_000, 2_000, 3_000, 4_000]);
}

#[tokio::test]
async fn versions_count_while_the_clock_stands_still_or_is_behind() {
    for times in [[1_000; 4], [1_000, 1_000, 10, 0]] {
        let store = reading(times);

        let created = store.committed(put(key("a"), None, "one")).await.record;
        let changed = store.committed(put(key("a"), Some(created), "two")).await.record;
        let deleted = store.committed(delete(key("a"), Some(changed))).await.record;
        let again = store.committed(put(key("a"), None, "three")).await.record;

        assert_eq!([created, changed, deleted, again].map(|version| version.0), [1_000, 1_001, 1_002, 1_003]);
    }
}

#[tokio::test]
async fn a_version_is_never_0_even_at_the_epoch() {
    let store = reading([0]);

    let created = store.committed(put(key("a"), None, "one")).await.record;

    assert_eq!(created, RecordVersion(1));
}

#[tokio::test]
async fn an_entry_tells_when_it_was_committed() {
    let store = reading([1_000, 10]);

    let first = store.committed(tell(key("a"), None, "one")).await;
    let second = store.committed(tell(key("a"), Some(first.record), "two")).await;

    let times = [first, second].map(|committed| committed.entry.unwrap().at);
    assert_eq!(times, [Timestamp(1_000), Timestamp(10)]);
}

#[tokio::test]
async fn a_commit_is_in_time_at_its_last_moment_and_late_a_microsecond_after() {
    let store = reading([1_000, 1_001]);
    let commit = Commit { not_after: Some(Timestamp(1_000)), ..put(key("a"), None, "one") };

    let first = store.committed(commit.clone()).await;
    let late = store.outcome(Commit { expected: Some(first.record), ..commit }).await;

    assert_eq!(late, Outcome::Late);
}

#[tokio::test]
async fn the_time_of_a_death_does_not_move() {
    let store = reading([1_000, 2_000, 3_000]);
    let token = TokenHash([7; TokenHash::LENGTH]);
    store.open_lease(BootId(1), token).await.unwrap();

    store.kill_lease(BootId(1), Nonce(0)).await.unwrap();
    store.retire_lease(BootId(1), token).await.unwrap();

    assert_eq!(store.leases().await.unwrap()[0].standing, Standing::Dead(Timestamp(1_000)));
}

#[test]
fn each_store_has_an_epoch_of_its_own() {
    assert_ne!(ticking().epoch(), ticking().epoch());
}

#[tokio::test]
async fn the_store_tells_the_time_of_its_clock() {
    assert_eq!(reading([42]).now().await.unwrap(), Timestamp(42));
}

#[tokio::test]
async fn entries_lost_by_a_full_outbox_are_counted() {
    let store = ticking();
    let mut expected = None;
    for _ in 0..crate::port::OUTBOX_MAX + 2 {
        let Ok(Outcome::Committed(committed)) = store.commit(tell(key("a"), expected, "told")).await else {
            panic!("a full outbox never stops a commit");
        };
        expected = Some(committed.record);
    }

    assert_eq!(store.dropped_entries(), 2);
}

proptest! {
    // Times are from 1: commands name 0 as one that has passed.
    #[test]
    fn any_run_of_commands_agrees_with_the_model(commands in commands(), times in vec(1_u64..100, 1..8)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(model::agrees(reading(times), &commands));
    }
}
