//! Which clients are asked to move to another gateway: all before this one stops, and some after others while it is
//! cut off from presence (DESIGN sections 4 and 7).

use std::time::Duration;

use rollcall_runtime::{clock::Monotonic, rng};

use super::{Hub, SessionHandle};

/// How long a client may take to move once its time has come: two attempts of the SDK to connect, of 5 s each. One that
/// leaves later left for another reason.
const MOVE_LIMIT: Duration = Duration::from_secs(10);

impl Hub {
    /// Asks all clients to move, each after a time of its own, spread over `window`. Returns how many.
    pub(crate) fn drain(&self, window: Duration, now: Monotonic) -> u64 {
        let state = self.state.lock();
        ask(state.sessions.iter().flatten().map(|session| &*session.handle), window, now)
    }

    /// Asks one in `left` of the clients that were not asked since [`stop_asking`](Self::stop_asking), all of them if it
    /// is 1, as [`drain`](Self::drain) does. Returns how many.
    pub(crate) fn ask_to_move(&self, left: u32, window: Duration, now: Monotonic) -> u64 {
        let state = self.state.lock();
        let handles = state.sessions.iter().flatten().map(|session| &*session.handle);
        let unasked = handles.filter(|handle| !handle.was_asked_to_move());
        ask(unasked.step_by(left.max(1) as usize), window, now)
    }

    /// Asks nobody any more, not even those that were asked and have not been told: they stay.
    pub(crate) fn stop_asking(&self) {
        for session in self.state.lock().sessions.iter().flatten() {
            session.handle.withdraw_move();
        }
    }
}

fn ask<'a>(handles: impl Iterator<Item = &'a SessionHandle>, window: Duration, now: Monotonic) -> u64 {
    let mut asked = 0;
    for handle in handles {
        let after = rng::jitter(window);
        handle.order_move(after, now.plus(after).plus(MOVE_LIMIT));
        asked += 1;
    }
    asked
}
