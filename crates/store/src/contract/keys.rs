//! Claims on reading, and on keys that must not be taken for one another.

use bytes::Bytes;
use rollcall_domain::{
    id::{AppId, UserId},
    status::RecordVersion,
};

use super::{
    Tested,
    given::{self, BOOT, app, key, put, timer},
};
use crate::port::{Commit, Key, Record, Timer, TimerChange, TimerId};

/// User ids that mean something in globs, hash tags, subjects or separators.
pub(super) const SYNTAX: [&str; 21] = [
    "a.b",
    "a",
    "b",
    "*",
    ">",
    "?",
    " ",
    "  ",
    "{}",
    "{",
    "}",
    "{p0000}",
    "{p0001}",
    "p0001",
    "a:b",
    "a/b",
    "$1",
    "\"",
    "\\",
    "01234567890123456789012345678901",
    "0123456789012345678901234567890",
];

pub async fn records_come_in_the_order_of_the_keys_with_repetitions(store: Tested) {
    for name in ["a", "b", "c", "d"] {
        store.committed(put(key(name), None, name)).await;
    }

    let names = ["d", "a", "none", "a", "c", "none", "b", "a"];
    let records = store.get(&names.map(key)).await.expect("the store reads");

    let expected = names.map(|name| (name != "none").then(|| Bytes::from(name)));
    assert_eq!(values(records), expected);
}

pub async fn no_keys_give_no_records(store: Tested) {
    assert_eq!(store.get(&[]).await.expect("the store reads"), []);
}

pub async fn five_hundred_keys_are_read_at_once(store: Tested) {
    let keys: Vec<Key> = (0..500).map(|n| key(&format!("user{n}"))).collect();
    for (n, key) in keys.iter().enumerate().filter(|(n, _)| n % 2 == 0) {
        store.committed(put(*key, None, n.to_string())).await;
    }

    let records = store.get(&keys).await.expect("the store reads");

    let expected: Vec<_> = (0..500).map(|n| (n % 2 == 0).then(|| Bytes::from(n.to_string()))).collect();
    assert_eq!(values(records), expected);
}

pub async fn kinds_of_records_are_apart(store: Tested) {
    let user = given::user("a");
    let of_user = [Key::User(app(1), user), Key::Subscriptions(app(1), user), Key::Friends(app(1), user)];
    assert_apart(&store, &[&of_user[..], &[Key::App(app(1))]].concat()).await;
}

pub async fn apps_with_the_same_user_id_are_apart(store: Tested) {
    let user = given::user("a");
    let apps = [1, 2, 10, 256, u32::MAX].map(app);
    assert_apart(&store, &apps.map(|app| Key::User(app, user))).await;
    assert_apart(&store, &apps.map(|app| Key::Subscriptions(app, user))).await;
    assert_apart(&store, &apps.map(|app| Key::Friends(app, user))).await;
    assert_apart(&store, &apps.map(Key::App)).await;
    assert_timers_apart(&store, &apps.map(|app| (app, user))).await;
}

pub async fn ids_that_look_like_syntax_are_apart(store: Tested) {
    let users = SYNTAX.map(given::user);
    assert_apart(&store, &users.map(|user| Key::User(app(1), user))).await;
    assert_apart(&store, &users.map(|user| Key::Subscriptions(app(1), user))).await;
    assert_apart(&store, &users.map(|user| Key::Friends(app(1), user))).await;
    assert_timers_apart(&store, &users.map(|user| (app(1), user))).await;
}

pub async fn app_and_user_do_not_run_into_each_other(store: Tested) {
    let pairs = [(1, "11"), (11, "1"), (1, "1"), (111, "1"), (1, "1:1"), (1, "1.1")];
    let pairs = pairs.map(|(id, name)| (app(id), given::user(name)));
    assert_apart(&store, &pairs.map(|(app, user)| Key::User(app, user))).await;
    assert_timers_apart(&store, &pairs).await;
}

pub async fn versions_are_those_of_the_records_and_none_is_0(store: Tested) {
    let mut expected = Vec::new();
    for name in ["a", "b", "c"] {
        let length = if name == "b" { 100_000 } else { 0 };
        expected.push(store.committed(put(key(name), None, "x".repeat(length))).await.record);
    }
    expected[1] = store.committed(put(key("b"), Some(expected[1]), "changed")).await.record;
    store.committed(given::delete(key("c"), Some(expected[2]))).await;

    let names = ["b", "none", "a", "c", "b"];
    let versions = store.versions(&names.map(key)).await.expect("the store reads");

    let none = RecordVersion::default();
    assert_eq!(versions, [expected[1], none, expected[0], none, expected[1]]);
    assert_eq!(store.versions(&[]).await.expect("the store reads"), []);
}

/// Creates a record for each key, each found absent before; then deletes each, and all others stay.
async fn assert_apart(store: &Tested, keys: &[Key]) {
    let mut versions = Vec::new();
    for (n, key) in keys.iter().enumerate() {
        versions.push(store.committed(put(*key, None, n.to_string())).await.record);
    }
    let mut expected: Vec<_> = (0..keys.len()).map(|n| Some(Bytes::from(n.to_string()))).collect();
    assert_eq!(values(store.get(keys).await.expect("the store reads")), expected);
    for (n, version) in versions.into_iter().enumerate() {
        store.committed(given::delete(keys[n], Some(version))).await;
        expected[n] = None;
        assert_eq!(values(store.get(keys).await.expect("the store reads")), expected);
    }
}

/// Sets a timer for each user, each with its own deadline, and touches each: none moves another.
async fn assert_timers_apart(store: &Tested, users: &[(AppId, UserId)]) {
    let timers: Vec<Timer> = (0..)
        .zip(users)
        .map(|(n, (app, user))| {
            let timer = timer(*user, 1, n);
            Timer { id: TimerId { app: *app, ..timer.id }, ..timer }
        })
        .collect();
    for timer in &timers {
        let timers = vec![TimerChange::Set(*timer)];
        store.committed(Commit { timers, ..put(user_of(timer), None, "armed") }).await;
    }
    for timer in &timers {
        let partition = store.partition_of(user_of(timer));
        let later = Timer { deadline: given::at(1000 + given::offset(timer.deadline)), ..*timer };
        assert_eq!(store.touch(partition, &[later]).await.expect("the store touches"), []);
        let held = store.timers(partition, BOOT).await;
        assert_eq!(held.iter().filter(|held| held.id == timer.id).collect::<Vec<_>>(), [&later]);
    }
}

fn user_of(timer: &Timer) -> Key {
    Key::User(timer.id.app, timer.id.user)
}

fn values(records: Vec<Option<Record>>) -> Vec<Option<Bytes>> {
    records.into_iter().map(|record| record.map(|record| record.value)).collect()
}
