//! The engines behind the ports, chosen by URL.

mod bus;
mod metered;
mod secret;
mod store;

pub use bus::{BusConfig, Role};
pub use secret::Secret;
pub use store::{NoStore, StoreConfig, StoreSection};

use std::time::Duration;

use rollcall_runtime::rng;
use tracing::{info, warn};

use crate::Error;

/// The URL that chooses an engine in this process's memory.
pub const MEMORY: &str = "memory";

/// How long an engine is waited for at start; one that comes up beside us is given time.
const OPEN_LIMIT: Duration = Duration::from_secs(30);
/// The first pause before another attempt; it doubles with each.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
/// The longest pause between two attempts.
const PAUSE_MOST: Duration = Duration::from_secs(2);

/// Connects to an engine, again and again while `passes` says that the failure may pass, for 30 s at most.
async fn open<T, E>(
    engine: &'static str,
    connect: impl AsyncFn() -> Result<T, E>,
    passes: impl Fn(&E) -> bool,
) -> Result<T, Error>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let mut waited = Duration::ZERO;
    let mut pause = PAUSE_FIRST;
    loop {
        let error = match connect().await {
            Ok(opened) => return Ok(opened),
            Err(error) => error,
        };
        if !passes(&error) || waited >= OPEN_LIMIT {
            return Err(Error::Engine { engine, source: Box::new(error) });
        }
        warn!(engine, %error, "could not connect, trying again");
        let jittered = pause / 2 + rng::jitter(pause / 2);
        tokio::time::sleep(jittered).await;
        waited += jittered;
        pause = (pause * 2).min(PAUSE_MOST);
    }
}

fn opened(engine: &'static str, kind: &'static str) {
    info!(engine, kind, "opened");
}
