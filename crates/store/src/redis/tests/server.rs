//! What happens to a server while the store is open.

use std::time::Duration;

use rollcall_testkit::{Direction, Fault, Proxy, RedisServer};

use super::given::{Served, options};
use crate::{
    RedisStore,
    contract::given::{BOOT, FAR, SESSIONS, arm, at, key, put, tell, timer, user},
    port::{Commit, Committed, Error, Outcome, Store as _, Timer, TimerChange},
    redis::Options,
};

/// How long anything that ought to happen may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Options with which a store soon gives a silent server up. A busy machine may be as silent.
fn impatient() -> Options {
    Options { response_timeout: Duration::from_millis(300), ..hasty() }
}

/// Options with which a store soon connects again.
fn hasty() -> Options {
    Options { backoff_max: Duration::from_millis(200), ..options() }
}

#[tokio::test]
async fn flushed_scripts_are_loaded_again() {
    let store = Served::start().await;
    let first = committed(&store, tell(key("a"), None, "one")).await;

    store.server.operate(&["SCRIPT", "FLUSH"]);
    let second = committed(&store, tell(key("a"), Some(first.record), "two")).await;

    assert_eq!(second.entry.map(|entry| entry.sequence), Some(2));
    store.server.operate(&["SCRIPT", "FLUSH"]);
    let partition = key("a").partition(store.partitions());
    assert_eq!(store.due(partition, SESSIONS, FAR, None, 10).await.unwrap(), []);
}

// FAULT 11
#[tokio::test]
async fn an_epoch_stays_over_connections_and_another_begins_with_each_start_and_each_promotion() {
    let mut store = Served::on(RedisServer::start(), hasty()).await;
    let first = store.epoch();
    store.server.operate(&["CLIENT", "KILL", "TYPE", "normal"]);
    eventually("the store answers", async || store.now().await.is_ok()).await;
    assert_eq!((store.epoch(), store.heads().await.unwrap().epoch), (first, first));

    store.server.kill();
    store.server.restart();
    // Known as soon as anything is answered, without asking for it.
    eventually("the store answers", async || store.now().await.is_ok()).await;
    let second = store.epoch();
    assert_ne!(second, first);
    assert_eq!(store.heads().await.unwrap().epoch, second);

    // The connection stays, and heads tell.
    store.server.operate(&["REPLICAOF", "127.0.0.1", "1"]);
    store.server.operate(&["REPLICAOF", "NO", "ONE"]);
    eventually("heads tell of it", async || {
        store.heads().await.is_ok_and(|heads| heads.epoch != second && heads.epoch == store.epoch())
    })
    .await;
    assert_ne!(store.epoch(), first);
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_killed_server() {
    let mut store = Served::on(RedisServer::start_durable(), options()).await;
    let owner = user("a");
    let armed = Commit { new_status: true, ..arm(owner, &[timer(owner, 1, 10)]) };
    let first = committed(&store, armed).await;
    let second = committed(&store, tell(key("a"), Some(first.record), "two")).await;

    store.server.kill();
    store.commit(tell(key("a"), Some(second.record), "lost")).await.unwrap_err();
    store.server.restart();

    eventually("the record is read", async || store.get(&[key("a")]).await.is_ok()).await;
    let record = store.get(&[key("a")]).await.unwrap().remove(0).unwrap();
    assert_eq!(
        (record.version, record.status, &record.value[..]),
        (second.record, first.status, &b"two"[..])
    );
    let partition = key("a").partition(store.partitions());
    assert_eq!(store.due(partition, SESSIONS, FAR, None, 10).await.unwrap(), [timer(owner, 1, 10)]);
    assert_eq!(store.unpublished(partition, 10).await.unwrap(), [second.entry.unwrap()]);
    let third = committed(&store, tell(key("a"), Some(second.record), "three")).await;
    assert!(third.record > second.record);
    assert_eq!(third.entry.map(|entry| entry.sequence), Some(2));
}

#[tokio::test]
async fn a_silent_server_is_given_up_and_found_again() {
    let store = Served::on(RedisServer::start(), impatient()).await;

    store.server.pause();
    for _ in 0..2 * impatient().timeouts_before_rebuild {
        let reply = tokio::time::timeout(PATIENCE, store.now()).await.expect("every wait is bounded");
        assert!(matches!(reply, Err(Error::Unavailable(_))), "{reply:?}");
    }
    store.server.resume();

    eventually("the store answers", async || store.now().await.is_ok()).await;
    eventually("the store commits", async || store.commit(put(key("b"), None, "one")).await.is_ok()).await;
}

#[tokio::test]
async fn a_connection_whose_peer_is_gone_without_a_word_is_given_up() {
    let (store, proxy, _server) = behind_a_proxy(impatient()).await;
    eventually("the store answers", async || store.now().await.is_ok()).await;
    let connections = proxy.connections();

    proxy.vanish();
    for _ in 0..impatient().timeouts_before_rebuild {
        assert_eq!(proxy.connections(), connections, "one late reply is no reason to dial");
        store.now().await.unwrap_err();
    }

    eventually("another connection is made", async || store.now().await.is_ok()).await;
    assert!(proxy.connections() > connections);
}

#[tokio::test]
async fn a_connection_that_is_reset_is_built_anew() {
    let (store, proxy, _server) = behind_a_proxy(hasty()).await;
    for count in 1..4 {
        proxy.reset();
        eventually("the store answers", async || store.now().await.is_ok()).await;
        eventually("another connection is made", async || {
            // A call may have been answered before the reset was seen.
            store.now().await.is_ok() && proxy.connections() > count
        })
        .await;
    }
}

#[tokio::test]
async fn a_server_that_lets_everybody_in_and_answers_nobody_is_found_again() {
    let (store, proxy, _server) = behind_a_proxy(impatient()).await;
    let connections = proxy.connections();

    proxy.set(Direction::Down, Fault::Drop);
    eventually("it is dialed in vain", async || {
        let reply = tokio::time::timeout(PATIENCE, store.now()).await.expect("every wait is bounded");
        assert!(matches!(reply, Err(Error::Unavailable(_))), "{reply:?}");
        proxy.connections() > connections
    })
    .await;
    proxy.set(Direction::Down, Fault::Nothing);

    eventually("the store answers", async || store.now().await.is_ok()).await;
}

#[tokio::test]
async fn closed_connections_are_built_anew() {
    let store = Served::start().await;
    for _ in 0..3 {
        store.server.operate(&["CLIENT", "KILL", "TYPE", "normal"]);
        eventually("the store answers", async || store.now().await.is_ok()).await;
    }
}

#[tokio::test]
async fn a_server_that_becomes_a_replica_is_left_until_it_is_a_master_again() {
    let store = Served::on(RedisServer::start(), hasty()).await;
    let first = committed(&store, put(key("a"), None, "one")).await;

    store.server.operate(&["REPLICAOF", "127.0.0.1", "1"]);
    let refused = store.commit(put(key("a"), Some(first.record), "two")).await.unwrap_err();
    assert!(refused.to_string().to_lowercase().contains("read"), "{refused}");
    eventually("reads are refused too", async || {
        store.now().await.is_err_and(|error| error.to_string().contains("expected a master"))
    })
    .await;
    store.server.operate(&["REPLICAOF", "NO", "ONE"]);

    eventually("the store answers", async || store.now().await.is_ok()).await;
    committed(&store, put(key("a"), Some(first.record), "two")).await;
}

// FAULT 13
#[tokio::test]
async fn a_full_server_refuses_a_commit_whole_and_recovers() {
    let store = Served::start().await;
    let owner = user("a");
    let first = committed(&store, arm(owner, &[timer(owner, 1, 10)])).await;
    let timers = vec![TimerChange::Remove(timer(owner, 1, 0).id), TimerChange::Set(timer(owner, 2, 20))];
    let second = Commit { timers, ..tell(key("a"), Some(first.record), "two") };

    store.server.operate(&["CONFIG", "SET", "maxmemory", "1"]);
    let refused = store.commit(second.clone()).await.unwrap_err();

    assert!(refused.to_string().contains("maxmemory"), "{refused}");
    assert_eq!(store.get(&[key("a")]).await.unwrap().remove(0).unwrap().version, first.record);
    let partition = key("a").partition(store.partitions());
    assert_eq!(store.due(partition, SESSIONS, FAR, None, 10).await.unwrap(), [timer(owner, 1, 10)]);
    assert_eq!(store.heads().await.unwrap().sequences.iter().sum::<u64>(), 0);
    // A connection that is built anew still serves reads.
    store.server.operate(&["CLIENT", "KILL", "TYPE", "normal"]);
    eventually("the store answers", async || store.now().await.is_ok()).await;

    store.server.operate(&["CONFIG", "SET", "maxmemory", "0"]);
    committed(&store, second).await;
}

// FAULT 28
#[tokio::test]
async fn a_server_that_comes_back_with_another_number_of_partitions_is_not_used() {
    let store = Served::on(RedisServer::start(), hasty()).await;

    store.server.operate(&["SET", "{p0000}partitions", "8"]);
    store.server.operate(&["CLIENT", "KILL", "TYPE", "normal"]);

    eventually("the store says why", async || {
        store.now().await.is_err_and(|error| error.to_string().contains("store has 8 partitions, but 16"))
    })
    .await;
}

// FAULT 19
#[tokio::test]
async fn what_is_not_ours_stops_nothing_else() {
    let store = Served::start().await;
    let owner = user("a");
    committed(&store, arm(owner, &[timer(owner, 1, 10), timer(owner, 2, 30)])).await;
    let partition = key("a").partition(store.partitions());
    let key_of_timers = format!("{{p{:04}}}timers:{:x}", partition.0, BOOT.0);
    store.server.operate(&["ZADD", &key_of_timers, &at(20).0.to_string(), "poison"]);

    let due = store.due(partition, SESSIONS, FAR, None, 10).await.unwrap();
    assert_eq!(due, [timer(owner, 1, 10), timer(owner, 2, 30)]);

    let name = format!("{{p{:04}}}u:1:1:b", key("b").partition(store.partitions()).0);
    store.server.operate(&["SET", &name, "short"]);
    store.get(&[key("b")]).await.unwrap_err();
    assert!(store.get(&[key("a")]).await.unwrap()[0].is_some());
    assert_eq!(store.commit(put(key("b"), None, "one")).await.unwrap(), Outcome::Conflict);
}

#[tokio::test]
async fn the_oldest_entries_of_a_full_outbox_go_and_are_counted() {
    let store = Served::on(RedisServer::start(), Options { outbox_max: 3, ..options() }).await;
    let mut expected = None;
    for _ in 0..5 {
        expected = Some(committed(&store, tell(key("a"), expected, "told")).await.record);
    }

    let partition = key("a").partition(store.partitions());
    let left = store.unpublished(partition, 10).await.unwrap();
    assert_eq!(left.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [3, 4, 5]);
    assert_eq!(store.dropped_entries(), 2);
    assert_eq!(store.heads().await.unwrap().sequences[usize::from(partition.0)], 5);
}

#[tokio::test]
async fn a_deadline_without_end_is_far_away() {
    let store = Served::start().await;
    let owner = user("a");
    let endless = Timer { deadline: rollcall_domain::time::Timestamp(u64::MAX), ..timer(owner, 1, 0) };
    let first = committed(&store, arm(owner, &[endless])).await;

    let guarded = Commit { guards: vec![timer(owner, 1, 10)], ..put(key("a"), Some(first.record), "two") };
    assert_eq!(store.commit(guarded).await.unwrap(), Outcome::Guarded);
    let passed = Commit { guards: vec![endless], ..put(key("a"), Some(first.record), "two") };
    committed(&store, passed).await;
}

/// Makes a store on a server that is reached through a proxy.
async fn behind_a_proxy(options: Options) -> (RedisStore, Proxy, RedisServer) {
    let server = RedisServer::start();
    let proxy = Proxy::start(&format!("127.0.0.1:{}", server.port()));
    let store = RedisStore::connect(&proxy.through(&server.url()), options).await.unwrap();
    (store, proxy, server)
}

async fn committed(store: &Served, commit: Commit) -> Committed {
    match store.commit(commit).await {
        Ok(Outcome::Committed(committed)) => committed,
        other => panic!("expected a commit, found {other:?}"),
    }
}

/// Asks again and again until the answer is true.
async fn eventually(what: &str, probe: impl AsyncFn() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !probe().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain: {what}"));
}
