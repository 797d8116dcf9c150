//! The SDK's only access to time and chance; everything else takes them as arguments.

use rand::Rng as _;
use tokio::time::Instant;

/// Returns the present instant.
#[expect(clippy::disallowed_methods, reason = "this is the clock adapter")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Returns 64 random bits.
#[expect(clippy::disallowed_methods, reason = "this is the one place where the SDK draws chance")]
pub(crate) fn random() -> u64 {
    rand::rng().random()
}
