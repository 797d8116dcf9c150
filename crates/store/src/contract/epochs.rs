//! Claims on the epoch of a store. That another one begins with a restart is told where an adapter can be restarted.

use super::{
    Tested,
    given::{delete, key, tell},
};

pub async fn an_epoch_stays_whatever_is_stored(store: Tested) {
    let epoch = store.epoch();
    let created = store.committed(tell(key("a"), None, "one")).await;
    store.committed(delete(key("a"), Some(created.record))).await;
    assert_eq!(store.epoch(), epoch);
}

pub async fn heads_are_those_of_the_epoch(store: Tested) {
    for _ in 0..3 {
        let heads = store.heads().await.expect("the store tells heads");
        assert_eq!(heads.epoch, store.epoch());
        assert_eq!(heads.sequences.len(), store.partitions().all().count());
    }
}
