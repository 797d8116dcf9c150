//! What happens to leases on a server.

use rollcall_domain::id::BootId;

use super::given::{Served, options};
use crate::{
    RedisStore,
    port::{Lease, Nonce, Opening, Renewal, Standing, Store as _, TokenHash},
    redis::keys,
};

const BOOT: BootId = BootId(0xb007);
const TOKEN: TokenHash = TokenHash([7; TokenHash::LENGTH]);

#[tokio::test]
async fn a_verdict_over_one_connection_is_known_over_another() {
    let one = Served::start().await;
    let other = RedisStore::connect(&one.server.url(), options()).await.unwrap();
    one.open_lease(BOOT, TOKEN).await.unwrap();
    assert_eq!(other.renew_lease(BOOT, TOKEN, Nonce(1)).await.unwrap(), Renewal::Live);

    assert!(!one.kill_lease(BOOT, Nonce(0)).await.unwrap());
    assert!(one.kill_lease(BOOT, Nonce(1)).await.unwrap());

    assert!(!other.kill_lease(BOOT, Nonce(1)).await.unwrap());
    assert_eq!(other.renew_lease(BOOT, TOKEN, Nonce(2)).await.unwrap(), Renewal::Dead);
    assert_eq!(other.leases().await.unwrap(), one.leases().await.unwrap());
}

#[tokio::test]
async fn the_time_of_a_death_does_not_move() {
    let store = Served::start().await;
    store.open_lease(BOOT, TOKEN).await.unwrap();
    store.retire_lease(BOOT, TOKEN).await.unwrap();
    let dead = store.leases().await.unwrap();

    store.retire_lease(BOOT, TOKEN).await.unwrap();

    assert_eq!(store.leases().await.unwrap(), dead);
}

// FAULT 19
#[tokio::test]
async fn leases_that_are_not_ours_stop_no_others() {
    let store = Served::start().await;
    store.open_lease(BOOT, TOKEN).await.unwrap();
    let short = BootId(1);
    for (name, value) in [(keys::lease(short), "short"), ("poison".to_owned(), "")] {
        store.server.operate(&["HSET", keys::LEASES, &name, value]);
    }

    assert_eq!(
        store.leases().await.unwrap(),
        [Lease { boot: BOOT, nonce: Nonce(0), standing: Standing::Live }]
    );
    assert_eq!(store.renew_lease(BOOT, TOKEN, Nonce(1)).await.unwrap(), Renewal::Live);
    assert_eq!(store.open_lease(short, TOKEN).await.unwrap(), Opening::Taken);
    assert_eq!(store.renew_lease(short, TOKEN, Nonce(1)).await.unwrap(), Renewal::Dead);
    assert!(store.retire_lease(short, TOKEN).await.unwrap());
    assert!(!store.kill_lease(short, Nonce(0)).await.unwrap());
    assert!(!store.forget_lease(short).await.unwrap());
}

// FAULT 13
#[tokio::test]
async fn a_full_server_renews_no_lease_and_kills_none() {
    let store = Served::start().await;
    store.open_lease(BOOT, TOKEN).await.unwrap();
    store.server.operate(&["CONFIG", "SET", "maxmemory", "1"]);

    store.renew_lease(BOOT, TOKEN, Nonce(1)).await.unwrap_err();
    store.kill_lease(BOOT, Nonce(0)).await.unwrap_err();

    store.server.operate(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(
        store.leases().await.unwrap(),
        [Lease { boot: BOOT, nonce: Nonce(0), standing: Standing::Live }]
    );
    assert_eq!(store.renew_lease(BOOT, TOKEN, Nonce(1)).await.unwrap(), Renewal::Live);
}
