//! The only source of randomness: what must not be guessed, and jitter.

use std::{fmt::Write as _, time::Duration};

use rand::Rng as _;

/// Draws a number that is not 0.
pub fn nonzero_u64() -> u64 {
    generator().random_range(1..=u64::MAX)
}

/// Draws 32 bytes: a key, or a token that nobody guesses.
pub fn key() -> [u8; 32] {
    generator().random()
}

/// Draws a [`key`], written as 64 hexadecimal digits.
pub fn hex_key() -> String {
    key().iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string never fails.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Draws a duration from zero to `limit`, each as likely.
pub fn jitter(limit: Duration) -> Duration {
    limit.mul_f64(generator().random())
}

/// A generator of cryptographic strength, seeded by the operating system.
#[expect(clippy::disallowed_methods, reason = "this is the adapter of randomness")]
fn generator() -> rand::rngs::ThreadRng {
    rand::rng()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_64_hexadecimal_digits_and_never_the_same() {
        let key = hex_key();
        assert_eq!(key.len(), 64);
        assert!(key.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()), "{key}");
        assert_ne!(key, hex_key());
    }

    #[test]
    fn jitter_stays_within_its_limit() {
        let limit = Duration::from_millis(100);
        assert!((0..1000).all(|_| jitter(limit) <= limit));
        assert_eq!(jitter(Duration::ZERO), Duration::ZERO);
    }
}
