//! Claims on compare-and-set.

use bytes::Bytes;
use rollcall_domain::status::RecordVersion;

use super::{
    Tested,
    given::{self, arm, delete, key, put, tell, timer},
};
use crate::port::{Commit, Key, Outcome, TimerChange, Write};

pub async fn a_record_is_created_where_none_is_expected(store: Tested) {
    let committed = store.committed(put(key("a"), None, "one")).await;

    let record = store.record(key("a")).await.expect("the record is there");
    assert_eq!((record.version, record.status), (committed.record, committed.status));
    assert_eq!(record.value, "one");
}

pub async fn a_record_is_not_created_over_another(store: Tested) {
    store.committed(put(key("a"), None, "one")).await;

    assert_eq!(store.outcome(put(key("a"), None, "two")).await, Outcome::Conflict);

    assert_eq!(store.value(key("a")).await.as_deref(), Some("one"));
}

pub async fn a_record_is_replaced_at_the_expected_version(store: Tested) {
    let first = store.committed(put(key("a"), None, "one")).await;

    let second = store.committed(put(key("a"), Some(first.record), "two")).await;

    let record = store.record(key("a")).await.expect("the record is there");
    assert_eq!((record.version, &record.value[..]), (second.record, &b"two"[..]));
}

pub async fn a_version_that_is_not_the_expected_one_conflicts(store: Tested) {
    let first = store.committed(put(key("a"), None, "one")).await.record;
    let second = store.committed(put(key("a"), Some(first), "two")).await.record;

    for wrong in [first, RecordVersion(second.0 - 1), RecordVersion(second.0 + 1), RecordVersion(0)] {
        assert_eq!(store.outcome(put(key("a"), Some(wrong), "three")).await, Outcome::Conflict);
        assert_eq!(store.outcome(delete(key("a"), Some(wrong))).await, Outcome::Conflict);
    }

    assert_eq!(store.value(key("a")).await.as_deref(), Some("two"));
}

pub async fn a_version_of_an_absent_record_conflicts(store: Tested) {
    let other = store.committed(put(key("b"), None, "one")).await.record;

    for version in [other, RecordVersion(0), RecordVersion(1)] {
        assert_eq!(store.outcome(put(key("a"), Some(version), "two")).await, Outcome::Conflict);
        assert_eq!(store.outcome(delete(key("a"), Some(version))).await, Outcome::Conflict);
    }

    assert_eq!(store.record(key("a")).await, None);
}

pub async fn a_deleted_record_is_absent(store: Tested) {
    let created = store.committed(put(key("a"), None, "one")).await;

    let deleted = store.committed(delete(key("a"), Some(created.record))).await;

    assert_eq!(store.record(key("a")).await, None);
    for version in [created.record, deleted.record] {
        assert_eq!(store.outcome(put(key("a"), Some(version), "two")).await, Outcome::Conflict);
    }
    store.committed(put(key("a"), None, "three")).await;
    assert_eq!(store.value(key("a")).await.as_deref(), Some("three"));
}

pub async fn a_delete_where_nothing_is_changes_no_record(store: Tested) {
    store.committed(delete(key("a"), None)).await;

    assert_eq!(store.record(key("a")).await, None);
}

pub async fn a_conflict_changes_nothing(store: Tested) {
    let user = given::user("a");
    let key = Key::User(given::app(1), user);
    let armed = arm(user, &[timer(user, 1, 10), timer(user, 2, 10)]);
    let first = store.committed(Commit { entry: Some(Bytes::from("told")), ..armed }).await.record;
    let before = store.state(key).await;

    let changes = vec![
        TimerChange::Set(timer(user, 1, 99)),
        TimerChange::Remove(timer(user, 2, 0).id),
        TimerChange::Set(timer(user, 3, 10)),
    ];
    for expected in [None, Some(RecordVersion(first.0 + 1))] {
        for write in [Write::Put(Bytes::from("two")), Write::Delete] {
            let commit = tell(key, expected, "two");
            let commit = Commit { write, new_status: true, timers: changes.clone(), ..commit };
            assert_eq!(store.outcome(commit).await, Outcome::Conflict);
        }
    }

    assert_eq!(store.state(key).await, before);
    let next = store.committed(tell(key, Some(first), "three")).await;
    assert_eq!(next.entry.map(|entry| entry.sequence), Some(2));
}

pub async fn an_empty_value_is_not_an_absent_record(store: Tested) {
    let committed = store.committed(put(key("a"), None, "")).await;

    let record = store.record(key("a")).await.expect("the record is there");
    assert_eq!((record.version, record.value.len()), (committed.record, 0));
    assert_eq!(store.outcome(put(key("a"), None, "two")).await, Outcome::Conflict);
}

pub async fn a_value_is_kept_byte_for_byte(store: Tested) {
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let long = every_byte.repeat(256);
    for (name, value) in [("a", every_byte), ("b", long)] {
        let write = Write::Put(Bytes::from(value.clone()));
        let entry = Some(Bytes::from(value.clone()));
        let committed = store.committed(Commit { write, entry, ..put(key(name), None, "") }).await;

        let record = store.record(key(name)).await.expect("the record is there");
        assert_eq!(record.value, value);
        let entries = store.entries(store.partition_of(key(name))).await;
        assert_eq!(entries.last(), committed.entry.as_ref());
        assert!(entries.last().is_some_and(|entry| entry.bytes.ends_with(&value)));
    }
}
