//! Versions while the server's clock is behind those it gave before.

use rollcall_domain::status::RecordVersion;

use super::given::{Served, options};
use crate::{
    contract::given::{delete, key, put},
    port::{Commit, Committed, Outcome, Store as _},
    redis::Options,
};

/// A version of the year 2200.
const FUTURE: u64 = 7_258_118_400_000_000;

#[tokio::test]
async fn versions_go_on_by_up_to_a_thousand_while_the_clock_is_behind() {
    for (draw, step) in [(0, 0), (999, 999), (1_000, 0), (u64::MAX, u64::MAX % 1_000)] {
        let options = Options { random: std::sync::Arc::new(move || draw), ..options() };
        let store = Served::on(rollcall_testkit::RedisServer::start(), options).await;
        let held = in_the_future(&store).await;

        let next = committed(&store, Commit { new_status: true, ..put(key("a"), Some(held), "two") }).await;

        assert_eq!(next.record, RecordVersion(FUTURE + 1 + step), "draw {draw}");
        assert_eq!(next.status.0, next.record.0);
    }
}

#[tokio::test]
async fn versions_of_a_record_that_was_deleted_do_not_come_again_while_the_clock_is_behind() {
    let store = Served::start().await;
    let held = in_the_future(&store).await;
    let deleted = committed(&store, delete(key("a"), Some(held))).await;
    assert!(deleted.record > held);

    let again = committed(&store, put(key("a"), None, "three")).await;

    assert!(again.record > deleted.record, "{again:?} after {deleted:?}");
}

/// Makes a record as a server with another clock may have left it.
async fn in_the_future(store: &Served) -> RecordVersion {
    let name = format!("{{p{:04}}}u:1:1:a", key("a").partition(store.partitions()).0);
    let head = [FUTURE.to_le_bytes(), 0_u64.to_le_bytes()].concat();
    store.server.operate(&[b"SET", name.as_bytes(), &head]);
    let record = store.get(&[key("a")]).await.unwrap().remove(0).unwrap();
    assert_eq!(record.version, RecordVersion(FUTURE));
    record.version
}

async fn committed(store: &Served, commit: Commit) -> Committed {
    match store.commit(commit).await {
        Ok(Outcome::Committed(committed)) => committed,
        other => panic!("expected a commit, found {other:?}"),
    }
}
