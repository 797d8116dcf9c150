//! Claims on record and status versions.

use rollcall_domain::status::{RecordVersion, StatusVersion};

use super::{
    Tested,
    given::{delete, key, put},
};
use crate::port::Commit;

pub async fn record_versions_increase_over_commits_deletes_and_re_creations(store: Tested) {
    let mut last = RecordVersion(0);
    for _ in 0..20 {
        let created = store.committed(put(key("a"), None, "one")).await.record;
        let changed = store.committed(put(key("a"), Some(created), "two")).await.record;
        let deleted = store.committed(delete(key("a"), Some(changed))).await.record;
        let versions = [last, created, changed, deleted];
        assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
        last = deleted;
    }
}

pub async fn status_versions_increase_over_deletes_and_re_creations(store: Tested) {
    let mut last = StatusVersion(0);
    for _ in 0..20 {
        let created = store.committed(status(put(key("a"), None, "one"))).await;
        let changed = store.committed(status(put(key("a"), Some(created.record), "two"))).await;
        let deleted = store.committed(status(delete(key("a"), Some(changed.record)))).await;
        let versions = [last, created.status, changed.status, deleted.status];
        assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
        last = deleted.status;
    }
}

pub async fn a_status_version_moves_only_with_a_new_status(store: Tested) {
    let created = store.committed(put(key("a"), None, "one")).await;
    assert_eq!(created.status, StatusVersion(0));

    let first = store.committed(status(put(key("a"), Some(created.record), "two"))).await;
    assert!(first.status > created.status);

    let same = store.committed(put(key("a"), Some(first.record), "three")).await;
    assert_eq!(same.status, first.status);
    let record = store.record(key("a")).await.expect("the record is there");
    assert_eq!((record.version, record.status), (same.record, first.status));

    let second = store.committed(status(put(key("a"), Some(same.record), "three"))).await;
    assert!(second.status > first.status);

    let gone = store.committed(delete(key("a"), Some(second.record))).await;
    assert_eq!(gone.status, second.status);
}

pub async fn a_new_status_version_is_the_record_version_of_its_commit(store: Tested) {
    let mut expected = None;
    for _ in 0..5 {
        let quiet = store.committed(put(key("a"), expected, "one")).await;
        let loud = store.committed(status(put(key("a"), Some(quiet.record), "two"))).await;
        assert_eq!(loud.status.0, loud.record.0);
        expected = Some(loud.record);
    }
}

pub async fn a_record_that_was_created_again_has_no_status_version_of_before(store: Tested) {
    let created = store.committed(status(put(key("a"), None, "one"))).await;
    store.committed(delete(key("a"), Some(created.record))).await;

    let again = store.committed(put(key("a"), None, "two")).await;

    assert_eq!(again.status, StatusVersion(0));
}

pub async fn versions_are_not_behind_the_clock_of_the_store(store: Tested) {
    let before = store.now().await.expect("the store has a clock");

    let committed = store.committed(status(put(key("a"), None, "one"))).await;

    assert!(committed.record.0 >= before.0, "{committed:?} is behind {before:?}");
}

pub async fn versions_are_above_the_floor_of_their_commit(store: Tested) {
    let mut floor = store.committed(put(key("a"), None, "one")).await.record;
    let mut expected = Some(floor);
    for _ in 0..5 {
        // Far ahead of any clock, as of one that was wrong.
        floor.0 += 1_000_000_000_000;
        let above = store.committed(status(Commit { floor, ..put(key("a"), expected, "two") })).await;
        assert!(above.record > floor && above.status.0 == above.record.0, "{above:?} above {floor:?}");
        let next = store.committed(status(put(key("a"), Some(above.record), "three"))).await;
        assert!(next.status > above.status, "{next:?} after {above:?}");
        expected = Some(next.record);
    }
}

pub async fn a_floor_that_was_passed_changes_nothing(store: Tested) {
    let first = store.committed(put(key("a"), None, "one")).await.record;
    let before = store.now().await.expect("the store has a clock");

    let floor = RecordVersion(first.0 - 1);
    let second = store.committed(Commit { floor, ..put(key("a"), Some(first), "two") }).await.record;

    assert!(second > first && second.0 >= before.0, "{second:?} after {first:?}");
}

pub async fn a_record_is_created_above_a_floor_and_gone_below_none(store: Tested) {
    let now = store.now().await.expect("the store has a clock");
    let floor = RecordVersion(now.0 + 1_000_000_000_000);
    let created = store.committed(status(Commit { floor, ..put(key("a"), None, "one") })).await;
    assert!(created.status.0 > floor.0, "{created:?} above {floor:?}");

    store.committed(delete(key("a"), Some(created.record))).await;
    let again = store.committed(status(put(key("a"), None, "two"))).await;
    assert!(again.status > created.status, "{again:?} after {created:?}");
}

fn status(commit: Commit) -> Commit {
    Commit { new_status: true, ..commit }
}
