//! The command line's only access to time and chance.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::Rng as _;

/// Returns the time since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "this is the clock adapter")]
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Returns 32 random bytes: a token that nobody guesses.
#[expect(clippy::disallowed_methods, reason = "this is the one place that draws chance")]
pub(crate) fn random_key() -> [u8; 32] {
    rand::rng().random()
}

/// Returns 64 random bits.
#[expect(clippy::disallowed_methods, reason = "this is the one place that draws chance")]
pub(crate) fn random() -> u64 {
    rand::rng().random()
}
