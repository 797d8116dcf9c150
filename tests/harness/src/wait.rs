//! Waiting for conditions. A test never asserts a time that a busy machine can miss: its limits are generous.

use std::{
    future::Future,
    time::{Duration, Instant},
};

/// The longest wait for anything that ought to happen, well above every delay that the system grants itself.
pub const PATIENCE: Duration = Duration::from_secs(30);

const PAUSE: Duration = Duration::from_millis(20);

/// Waits for `future`, and panics after [`PATIENCE`] with what was waited for.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(PATIENCE, future).await;
    outcome.unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain for {what}"))
}

/// Asks again and again until the answer is true, and panics after [`PATIENCE`] with what was waited for.
pub async fn eventually(what: &str, mut probe: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !probe().await {
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain for {what}");
        tokio::time::sleep(PAUSE).await;
    }
}
