//! Claims on the outbox.

use bytes::Bytes;
use rollcall_domain::status::StatusVersion;

use super::{
    Tested,
    given::{self, FAR, SESSIONS, delete, key, put, tell, timer},
};
use crate::{
    partition::Partition,
    port::{Commit, Committed, Entry, EntryHead, Key},
};

pub async fn a_new_store_has_empty_outboxes(store: Tested) {
    for partition in store.partitions().all() {
        assert_eq!(store.entries(partition).await, []);
        assert_eq!(store.head(partition).await, 0);
    }
}

pub async fn a_commit_without_an_entry_leaves_the_outbox_alone(store: Tested) {
    let committed = store.committed(Commit { new_status: true, ..put(key("a"), None, "one") }).await;

    let partition = store.partition_of(key("a"));
    assert_eq!(committed.entry, None);
    assert_eq!((store.sequences(partition).await, store.head(partition).await), (vec![], 0));
}

pub async fn an_entry_is_headed_by_the_versions_of_its_commit(store: Tested) {
    let (mut expected, mut previous) = (None, StatusVersion(0));
    for (sequence, new_status) in (1..).zip([false, true, true, false, true]) {
        let commit = Commit { new_status, ..tell(key("a"), expected, "body") };

        let committed = store.committed(commit).await;

        let found = entry(&committed);
        assert_eq!(found.sequence, sequence);
        assert_eq!(found.bytes, headed(&committed, previous, b"body"));
        (expected, previous) = (Some(committed.record), committed.status);
    }
}

pub async fn a_delete_tells_its_versions(store: Tested) {
    let created = store.committed(Commit { new_status: true, ..put(key("a"), None, "one") }).await;
    let gone = Commit {
        new_status: true,
        entry: Some(Bytes::from("gone")),
        ..delete(key("a"), Some(created.record))
    };

    let deleted = store.committed(gone).await;

    assert_eq!(entry(&deleted).bytes, headed(&deleted, created.status, b"gone"));
    assert!(deleted.status > created.status);
    let again = store.committed(tell(key("a"), None, "back")).await;
    assert_eq!(entry(&again).bytes, headed(&again, StatusVersion(0), b"back"));
}

pub async fn the_entry_in_the_outbox_is_the_one_that_was_committed(store: Tested) {
    let before = store.now().await.expect("the store has a clock");
    let first = store.committed(tell(key("a"), None, "one")).await;
    let second = store.committed(tell(key("a"), Some(first.record), "")).await;

    let partition = store.partition_of(key("a"));
    assert_eq!(store.entries(partition).await, [entry(&first), entry(&second)]);
    for found in [entry(&first), entry(&second)] {
        assert_eq!(found.partition, partition);
        assert!(found.at >= before, "{:?} is before {before:?}", found.at);
    }
}

pub async fn sequences_have_no_holes(store: Tested) {
    let users: [_; 3] = store.neighbours();
    let mut sequences = Vec::new();
    for round in 0..5 {
        for user in users {
            let key = Key::User(given::app(1), user);
            let expected = store.record(key).await.map(|record| record.version);
            // Neither a commit without an entry nor a conflict takes a number.
            let quiet = store.committed(put(key, expected, "quiet")).await.record;
            store.outcome(tell(key, expected, "conflict")).await;
            let commit = if round == 3 { delete(key, Some(quiet)) } else { put(key, Some(quiet), "changed") };
            let told = store.committed(Commit { entry: Some(Bytes::from("told")), ..commit }).await;
            sequences.push(entry(&told).sequence);
        }
    }

    assert_eq!(sequences, (1..=15).collect::<Vec<_>>());
    let partition = store.partition_of(Key::User(given::app(1), users[0]));
    assert_eq!((store.sequences(partition).await, store.head(partition).await), (sequences, 15));
}

pub async fn partitions_count_on_their_own(store: Tested) {
    let [here] = store.neighbours().map(|user| Key::User(given::app(1), user));
    let there = Key::User(given::app(1), store.stranger());

    let first = store.committed(tell(here, None, "one")).await;
    let other = store.committed(tell(there, None, "one")).await;
    let second = store.committed(tell(here, Some(first.record), "two")).await;

    assert_eq!([&first, &other, &second].map(|committed| entry(committed).sequence), [1, 1, 2]);
    let (here, there) = (store.partition_of(here), store.partition_of(there));
    assert_eq!((store.head(here).await, store.head(there).await), (2, 1));
    store.published(here, &[1]).await.expect("the store forgets entries");
    assert_eq!((store.sequences(here).await, store.sequences(there).await), (vec![2], vec![1]));
    let heads = store.heads().await.expect("the store tells heads");
    assert_eq!(heads.sequences.iter().sum::<u64>(), 3);
}

pub async fn heads_stay_when_entries_are_published(store: Tested) {
    let partition = tell_times(&store, 3).await;

    store.published(partition, &[1, 2, 3]).await.expect("the store forgets entries");

    assert_eq!((store.sequences(partition).await, store.head(partition).await), (vec![], 3));
    let last = store.record(key("a")).await.map(|record| record.version);
    let next = store.committed(tell(key("a"), last, "next")).await;
    assert_eq!(entry(&next).sequence, 4);
    assert_eq!(store.entries(partition).await, [entry(&next)]);
}

pub async fn unpublished_entries_are_listed_in_order_up_to_the_limit(store: Tested) {
    let partition = tell_times(&store, 12).await;

    for (limit, last) in [(0, 0), (1, 1), (5, 5), (12, 12), (100, 12)] {
        let entries = store.unpublished(partition, limit).await.expect("the store lists entries");
        let sequences: Vec<u64> = entries.iter().map(|entry| entry.sequence).collect();
        assert_eq!(sequences, (1..=last).collect::<Vec<_>>());
    }
}

pub async fn published_entries_go_and_the_others_stay(store: Tested) {
    let partition = tell_times(&store, 6).await;

    store.published(partition, &[5, 1, 2]).await.expect("the store forgets entries");

    assert_eq!(store.sequences(partition).await, [3, 4, 6]);
    assert_eq!(store.unpublished(partition, 1).await.expect("the store lists entries")[0].sequence, 3);
}

pub async fn publishing_again_or_what_never_was_is_no_error(store: Tested) {
    let partition = tell_times(&store, 2).await;

    for sequences in [&[1][..], &[1, 1], &[], &[0, 99, u64::MAX]] {
        store.published(partition, sequences).await.expect("unknown entries are no error");
    }

    assert_eq!((store.sequences(partition).await, store.head(partition).await), (vec![2], 2));
}

pub async fn a_partition_beyond_the_last_is_empty(store: Tested) {
    tell_times(&store, 1).await;
    let beyond = Partition(u16::MAX);
    let timer = timer(given::user("a"), 1, 10);

    assert_eq!(store.entries(beyond).await, []);
    store.published(beyond, &[1]).await.expect("unknown entries are no error");
    let missing = store.touch(beyond, &[timer]).await.expect("the store touches");
    assert_eq!(missing, [timer.id]);
    let due = store.due(beyond, SESSIONS, FAR, None, 10).await.expect("the store lists timers");
    assert_eq!(due, []);
}

/// Commits the record `a` that often, each time with an entry; returns its partition.
async fn tell_times(store: &Tested, times: usize) -> Partition {
    let mut expected = None;
    for _ in 0..times {
        expected = Some(store.committed(tell(key("a"), expected, "told")).await.record);
    }
    store.partition_of(key("a"))
}

fn entry(committed: &Committed) -> Entry {
    committed.entry.clone().expect("the commit had an entry")
}

fn headed(committed: &Committed, previous_status: StatusVersion, body: &[u8]) -> Vec<u8> {
    let head = EntryHead {
        sequence: entry(committed).sequence,
        record: committed.record,
        status: committed.status,
        previous_status,
    };
    [&head.encode()[..], body].concat()
}
