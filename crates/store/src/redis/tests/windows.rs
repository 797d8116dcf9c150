//! What is Redis's own of windows: they go by themselves, and poison stops nobody.

use std::time::Duration;

use rollcall_domain::id::{AppId, UserId};

use super::given::Served;
use crate::port::{Store as _, Window, WindowKind};

const KEY: &str = "q:1:5:alice";
const HOUR: Duration = Duration::from_secs(3600);

fn window() -> Window {
    let (app, user) = (AppId::new(1).unwrap(), UserId::new("alice").unwrap());
    Window { app, user, kind: WindowKind::Query }
}

/// Finds the key of the window.
fn key(store: &Served) -> String {
    let partition = store.partitions().of(window().app, Some(&window().user));
    format!("{{p{:04}}}{KEY}", partition.0)
}

#[tokio::test]
async fn a_window_is_kept_as_long_as_its_last_call_counts_in_8_bytes_a_call() {
    let store = Served::start().await;
    for _ in 0..25 {
        store.window(&window(), 20, HOUR).await.unwrap();
    }
    assert_eq!(store.server.operate(&["STRLEN", &key(&store)]), "160");
    let left: u64 = store.server.operate(&["PTTL", &key(&store)]).parse().unwrap();
    assert!((3_500_000..=3_600_000).contains(&left), "{left} ms");
}

// FAULT 11
#[tokio::test]
async fn calls_that_a_failover_has_put_into_the_future_block_nobody() {
    let store = Served::start().await;
    let later = store.now().await.unwrap().plus(HOUR).0.to_le_bytes();
    let held = [later; 20].concat();
    store.server.operate(&[b"SET", key(&store).as_bytes(), &held]);
    assert_eq!(store.window(&window(), 20, HOUR).await.unwrap().retry_after, None);
}

// FAULT 19
#[tokio::test]
async fn a_window_that_cannot_be_read_counts_as_empty() {
    let store = Served::start().await;
    store.server.operate(&["SET", &key(&store), "no times"]);
    store.server.operate(&["APPEND", &key(&store), "!"]);
    assert_eq!(store.window(&window(), 1, HOUR).await.unwrap().retry_after, None);
    assert!(store.window(&window(), 1, HOUR).await.unwrap().retry_after.is_some());
}
