//! Tokens that run out in a session (SPEC H3). The wheel that looks for silence looks for them too, so that a
//! connection pays for its token with 8 bytes.
//!
//! Invariants: a client is told of each end once, and not of one that a new token has put off; the end only moves on,
//! so the wheel never looks too late.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use rollcall_runtime::clock::Monotonic;

use super::{Hub, SessionHandle};

/// The grain of an end; it is rounded up, never down.
const GRAIN_MS: u64 = 100;
/// The end of a token that outlives the gateway: more than 13 years from its start.
const NEVER: u32 = u32::MAX;

/// What a client knows of the end of its token.
const VALID: u8 = 0;
const TO_TELL: u8 = 1;
const TOLD: u8 = 2;

/// When the token of a session runs out, and whether the client was told.
#[derive(Debug)]
pub(super) struct TokenEnd {
    at: AtomicU32,
    known: AtomicU8,
}

impl TokenEnd {
    pub(super) fn new(at: Monotonic) -> Self {
        Self { at: AtomicU32::new(grains(at)), known: AtomicU8::new(VALID) }
    }

    /// Returns when the token runs out.
    pub(super) fn at(&self) -> Monotonic {
        match self.at.load(Ordering::Acquire) {
            NEVER => Monotonic(u64::MAX),
            grains => Monotonic(u64::from(grains) * GRAIN_MS),
        }
    }

    fn put_off(&self, at: Monotonic, now: Monotonic) {
        self.at.fetch_max(grains(at), Ordering::AcqRel);
        if now < self.at() {
            self.known.store(VALID, Ordering::Release);
        }
    }
}

fn grains(at: Monotonic) -> u32 {
    u32::try_from(at.0.div_ceil(GRAIN_MS)).unwrap_or(NEVER)
}

impl SessionHandle {
    /// Says whether the token has run out; the client is told of it, once.
    pub(crate) fn token_ran_out(&self, now: Monotonic) -> bool {
        let is_out = now >= self.token.at();
        let known = &self.token.known;
        if is_out && known.compare_exchange(VALID, TO_TELL, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.wake();
        }
        is_out
    }

    /// Takes what the client is to be told: that its token has run out.
    pub(crate) fn take_token_end(&self) -> bool {
        self.token.known.compare_exchange(TO_TELL, TOLD, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

impl Hub {
    /// Notes that a client has shown a token that runs out at `at`. The token that runs out last counts.
    pub(crate) fn put_off_token_end(&self, handle: &SessionHandle, at: Monotonic, now: Monotonic) {
        // Whoever looks for ends holds the lock too, and so does not tell of one that has just been put off.
        let _state = self.state.lock();
        handle.token.put_off(at, now);
    }
}
