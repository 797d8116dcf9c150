//! When to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};
pub use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{info, warn};

use crate::error::Error;

/// Returns a token that SIGINT or SIGTERM cancels. A second one ends the process at once, with 128 and the
/// number of the signal as its exit code.
pub fn on_signal() -> Result<CancellationToken, Error> {
    let listen = |kind| signal(kind).map_err(Error::Signal);
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let token = CancellationToken::new();
    let cancel = token.clone();
    tokio::spawn(async move {
        let first = received(&mut interrupt, &mut terminate).await;
        info!(signal = first.as_raw_value(), "stopping, a second signal stops at once");
        cancel.cancel();
        let second = received(&mut interrupt, &mut terminate).await;
        warn!(signal = second.as_raw_value(), "stopped at once");
        std::process::exit(128 + second.as_raw_value());
    });
    Ok(token)
}

async fn received(interrupt: &mut Signal, terminate: &mut Signal) -> SignalKind {
    tokio::select! {
        _ = interrupt.recv() => SignalKind::interrupt(),
        _ = terminate.recv() => SignalKind::terminate(),
    }
}
