//! What a user, a list, friends and a lease cost the server, against the budget of the design. A lease has none there,
//! for there are few: its own stands here, so that a change is noticed.
//!
//! The server's own count of all its memory is taken, before and after: unlike `MEMORY USAGE`, which is printed
//! for comparison, it includes the tables of keys.

use std::sync::Arc;

use bytes::Bytes;
use rollcall_domain::id::{BootId, SessionId, UserId};
use tokio::task::JoinSet;

use super::given::Served;
use crate::{
    contract::given::{app, at, put, user},
    port::{
        Commit, Key, LEASES_MAX, Nonce, Opening, Outcome, Renewal, Store as _, Timer, TimerChange, TimerId,
        TimerSet, TokenHash, Write,
    },
    redis::keys,
};

/// How many users are measured: beyond a thousand for each set of timers, so that these have the form, and the
/// cost, of large ones.
const USERS: usize = 20_000;

/// The bytes of a user's record: one session (boot 9, counter 4, platform 2, device named by a UUID 38, order 9,
/// frame 2), a custom status of 20 bytes behind two, and since which version it is that.
const USER_RECORD: usize = 64 + 22 + 9;

/// How many lists are measured, and how many entries they have: 1 to the greatest number, each as often.
const LISTS: usize = 4_000;
const ENTRIES: usize = 200;

/// How many users with friends are measured, and how many friends they have: 1 to the greatest number, evenly.
const BEFRIENDED: usize = 400;
const FRIENDS: usize = 3_000;

/// The bytes of an entry: an id of 10 bytes behind two.
const ENTRY: usize = 12;

/// Bytes for an online user: record and timer.
const USER_BUDGET: usize = 350;

/// Bytes for a packed list, and more for each entry.
const LIST_BUDGET: usize = 170;
const ENTRY_BUDGET: usize = 13;

/// Bytes for a lease.
const LEASE_BUDGET: usize = 200;

#[tokio::test]
async fn an_online_user_costs_no_more_than_its_budget() {
    let store = Arc::new(Served::start().await);
    let before = used(&store);

    commit_all(&store, (0..USERS).map(online)).await;

    let cost = (used(&store) - before) / USERS;
    let key = Key::User(app(1), named(0));
    let partition = key.partition(store.partitions());
    let (record, timers) = (keys::record(partition, &key), keys::timers(partition, TimerSet::Sessions(BOOT)));
    let count: usize = store.server.operate(&["ZCARD", &timers]).parse().unwrap();
    let timer = usage(&store, &timers) / count;
    println!("an online user costs {cost} bytes; record {}, timer {timer}", usage(&store, &record));
    assert!(cost <= USER_BUDGET, "an online user costs {cost} bytes, at most {USER_BUDGET} are allowed");
}

#[tokio::test]
async fn a_packed_list_costs_no_more_than_its_budget() {
    let store = Arc::new(Served::start().await);
    let before = used(&store);

    commit_all(&store, (0..LISTS).map(list)).await;

    let cost = (used(&store) - before) / LISTS;
    let budget = LIST_BUDGET + ENTRY_BUDGET * (1 + ENTRIES) / 2;
    let longest = Key::Subscriptions(app(1), named(ENTRIES - 1));
    let longest = usage(&store, &keys::record(longest.partition(store.partitions()), &longest));
    println!("a list costs {cost} bytes on average of 1 to {ENTRIES} entries; the longest {longest}");
    assert!(cost <= budget, "a list costs {cost} bytes on average, at most {budget} are allowed");
}

#[tokio::test]
async fn the_friends_of_a_user_cost_no_more_than_the_budget_of_a_list() {
    let store = Arc::new(Served::start().await);
    let before = used(&store);

    commit_all(&store, (0..BEFRIENDED).map(friends)).await;

    let cost = (used(&store) - before) / BEFRIENDED;
    let entries = (0..BEFRIENDED).map(friends_of).sum::<usize>() / BEFRIENDED;
    let budget = LIST_BUDGET + ENTRY_BUDGET * entries;
    let most = Key::Friends(app(1), named(BEFRIENDED - 1));
    let most = usage(&store, &keys::record(most.partition(store.partitions()), &most));
    println!("{entries} friends on average cost {cost} bytes; {FRIENDS} cost {most}");
    assert!(cost <= budget, "{entries} friends cost {cost} bytes, at most {budget} are allowed");
}

#[tokio::test]
async fn a_lease_costs_no_more_than_its_budget() {
    let store = Served::start().await;
    let token = TokenHash([7; TokenHash::LENGTH]);
    // So many that the hash has the form, and the cost, of a large one.
    let before = used(&store);

    for n in 1..=LEASES_MAX as u64 {
        // As long a name as a boot has.
        let boot = BootId(BOOT.0 + n);
        assert_eq!(store.open_lease(boot, token).await.unwrap(), Opening::Opened);
        assert_eq!(store.renew_lease(boot, token, Nonce(n)).await.unwrap(), Renewal::Live);
    }

    let cost = (used(&store) - before) / LEASES_MAX;
    println!("a lease costs {cost} bytes; of all, {}", usage(&store, keys::LEASES));
    assert!(cost <= LEASE_BUDGET, "a lease costs {cost} bytes, at most {LEASE_BUDGET} are allowed");
}

/// The boot of all sessions.
const BOOT: BootId = BootId(0x1234_5678_9abc_def0);

fn online(n: usize) -> Commit {
    let user = named(n);
    let session = SessionId { boot: BOOT, counter: n as u64 + 1 };
    let timer = Timer { deadline: at(n as u64 * 977), id: TimerId::of_session(app(1), user, session) };
    Commit { timers: vec![TimerChange::Set(timer)], ..write(Key::User(app(1), user), USER_RECORD) }
}

fn list(n: usize) -> Commit {
    write(Key::Subscriptions(app(1), named(n)), (1 + n % ENTRIES) * ENTRY)
}

fn friends(n: usize) -> Commit {
    write(Key::Friends(app(1), named(n)), friends_of(n) * ENTRY)
}

/// Returns how many friends a user has.
fn friends_of(n: usize) -> usize {
    (1 + n) * FRIENDS / BEFRIENDED
}

fn write(key: Key, length: usize) -> Commit {
    Commit { write: Write::Put(Bytes::from(vec![7; length])), ..put(key, None, "") }
}

/// Names a user with 10 bytes.
fn named(n: usize) -> UserId {
    user(&format!("user{n:06}"))
}

async fn commit_all(store: &Arc<Served>, commits: impl Iterator<Item = Commit>) {
    let mut running = JoinSet::new();
    for commit in commits {
        let store = Arc::clone(store);
        running.spawn(async move { store.commit(commit).await });
        if running.len() >= 200 {
            let done = running.join_next().await;
            assert!(matches!(done, Some(Ok(Ok(Outcome::Committed(_))))), "expected a commit, found {done:?}");
        }
    }
    for done in running.join_all().await {
        assert!(matches!(done, Ok(Outcome::Committed(_))), "expected a commit, found {done:?}");
    }
}

/// Asks the server what a key costs.
fn usage(store: &Served, key: &str) -> usize {
    store.server.operate(&["MEMORY", "USAGE", key, "SAMPLES", "0"]).parse().expect("the key is there")
}

/// Reads how many bytes the server has allocated for data and what serves it.
fn used(store: &Served) -> usize {
    let stats = store.server.operate(&["INFO", "memory"]);
    let field = |name: &str| {
        let line = stats.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|number| number.trim().parse::<usize>().ok()).expect("the server tells its memory")
    };
    field("used_memory:") - field("mem_clients_normal:")
}
