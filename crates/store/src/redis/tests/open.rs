//! Opening a store, and what its user may do.

use std::{sync::Arc, time::Duration};

use redis::{IntoConnectionInfo as _, RedisResult, Value};
use rollcall_testkit::RedisServer;

use super::given::{Served, options};
use crate::{
    RedisStore,
    contract::given::{key, put},
    partition::Partitions,
    port::{Outcome, Store as _},
    redis::{ConnectError, Options},
};

// FAULT 28
#[tokio::test]
async fn a_store_with_another_number_of_partitions_is_refused() {
    let store = Served::start().await;

    let other = Options { partitions: Partitions::REDIS, ..options() };
    let refused = RedisStore::connect(&store.server.url(), other).await.err().unwrap();

    assert!(matches!(refused, ConnectError::Partitions { stored: 16, configured: 256 }), "{refused:?}");
    let text = refused.to_string();
    assert!(text.starts_with("store has 16 partitions, but 256 are configured"), "{text}");
}

#[tokio::test]
async fn a_store_is_opened_again_with_what_it_had() {
    let first = Served::start().await;
    first.commit(put(key("a"), None, "one")).await.unwrap();

    let second = RedisStore::connect(&first.server.url(), options()).await.unwrap();

    let record = second.get(&[key("a")]).await.unwrap().remove(0).unwrap();
    assert_eq!(record.value, "one");
    let replaced = second.commit(put(key("a"), Some(record.version), "two")).await.unwrap();
    assert!(matches!(replaced, Outcome::Committed(_)), "{replaced:?}");
}

#[tokio::test]
async fn a_url_that_cannot_be_read_is_told_without_its_password() {
    let refused = RedisStore::connect("nowhere://rollcall:secret@host", options()).await.err().unwrap();

    assert!(matches!(refused, ConnectError::Url(_)), "{refused:?}");
    assert!(!format!("{refused} {refused:?}").contains("secret"), "{refused:?}");
}

#[tokio::test]
async fn a_server_that_is_away_or_refuses_the_user_is_told() {
    let server = RedisServer::start();
    let stranger = format!("redis://rollcall:wrong@127.0.0.1:{}", server.port());
    let refused = RedisStore::connect(&stranger, options()).await.err().unwrap();
    assert!(matches!(refused, ConnectError::Refused(_)), "{refused:?}");

    let url = server.url();
    drop(server);
    let refused = RedisStore::connect(&url, options()).await.err().unwrap();
    assert!(matches!(refused, ConnectError::Refused(_)), "{refused:?}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_waited_for_no_longer_than_is_granted() {
    let server = RedisServer::start();
    server.pause();

    let connect_timeout = Duration::from_millis(100);
    let options = Options { connect_timeout, ..options() };
    let refused = RedisStore::connect(&server.url(), options).await.err().unwrap();

    assert!(matches!(refused, ConnectError::Silent(limit) if limit == connect_timeout), "{refused:?}");
}

#[tokio::test]
async fn a_replica_is_refused() {
    let server = RedisServer::start();
    server.operate(&["REPLICAOF", "127.0.0.1", "1"]);

    let refused = RedisStore::connect(&server.url(), options()).await.err().unwrap();

    assert!(matches!(&refused, ConnectError::NotMaster(role) if role == "slave"), "{refused:?}");
}

#[tokio::test]
async fn the_user_may_do_nothing_else() {
    let store = Served::start().await;
    let info = store.server.url().into_connection_info().unwrap();
    let login = info.redis_settings().clone().set_skip_set_lib_name();
    let client = redis::Client::open(info.set_redis_settings(login)).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();

    let forbidden: [&[&str]; 14] = [
        &["FLUSHALL"],
        &["CONFIG", "GET", "*"],
        &["KEYS", "*"],
        &["SCAN", "0"],
        &["ACL", "LIST"],
        &["SHUTDOWN"],
        &["EVAL", "return 1", "0"],
        &["SCRIPT", "FLUSH"],
        &["MONITOR"],
        &["PUBLISH", "{p0000}", "x"],
        &["GET", "elsewhere"],
        &["SET", "elsewhere", "x"],
        &["HGETALL", "elsewhere"],
        &["HKEYS", "{p0000}leases"],
    ];
    for command in forbidden {
        let mut packed = redis::cmd(command[0]);
        packed.arg(&command[1..]);
        let reply: RedisResult<Value> = packed.query_async(&mut connection).await;
        let error = reply.expect_err(&command.join(" "));
        assert_eq!(error.code(), Some("NOPERM"), "{command:?}: {error}");
    }
}

#[tokio::test]
async fn two_who_open_an_empty_store_at_once_agree_on_its_partitions() {
    let server = Arc::new(RedisServer::start());
    let open = async |partitions| {
        let options = Options { partitions, ..options() };
        RedisStore::connect(&server.url(), options).await.is_ok()
    };

    let opened = tokio::join!(open(Partitions::REDIS), open(Partitions::EMBEDDED));

    assert!(opened.0 != opened.1, "{opened:?}");
}
