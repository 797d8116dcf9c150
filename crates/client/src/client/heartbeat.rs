//! When to say "still here", and when to give a silent server up.

use std::time::Duration;

use tokio::time::Instant;

/// Least silence after which a server counts as dead: with an interval of a second or two, a busy machine is
/// silent for longer than two intervals now and then.
const MIN_SILENCE: Duration = Duration::from_secs(5);

/// What to do next, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beat {
    /// Send a ping: nothing else was sent for an interval.
    Ping(Instant),
    /// Drop the connection: nothing was received for two intervals, though each ping is answered.
    Dead(Instant),
}

impl Beat {
    pub(super) fn at(self) -> Instant {
        match self {
            Self::Ping(at) | Self::Dead(at) => at,
        }
    }
}

/// The interval that the server told at login.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heartbeat {
    interval: Duration,
}

impl Heartbeat {
    /// Takes the interval in seconds; 0 counts as 1.
    pub(super) fn new(seconds: u32) -> Self {
        Self { interval: Duration::from_secs(seconds.max(1).into()) }
    }

    /// Returns what comes first, given when a frame was last sent and last received.
    pub(super) fn next(self, last_sent: Instant, last_heard: Instant) -> Beat {
        let ping = last_sent + self.interval;
        let dead = last_heard + (self.interval * 2).max(MIN_SILENCE);
        if ping < dead { Beat::Ping(ping) } else { Beat::Dead(dead) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_ping_is_due_an_interval_after_the_last_frame_sent() {
        let start = crate::clock::now();
        let heartbeat = Heartbeat::new(50);
        assert_eq!(heartbeat.next(start, start), Beat::Ping(start + seconds(50)));
        assert_eq!(heartbeat.next(start + seconds(30), start), Beat::Ping(start + seconds(80)));
    }

    #[test]
    fn a_server_silent_for_two_intervals_is_dead_whatever_was_sent() {
        let start = crate::clock::now();
        let heartbeat = Heartbeat::new(50);
        assert_eq!(heartbeat.next(start + seconds(50), start), Beat::Dead(start + seconds(100)));
        assert_eq!(heartbeat.next(start + seconds(99), start), Beat::Dead(start + seconds(100)));
    }

    #[test]
    fn a_short_interval_still_grants_the_server_some_seconds() {
        let start = crate::clock::now();
        let heartbeat = Heartbeat::new(0);
        assert_eq!(heartbeat.next(start + seconds(3), start), Beat::Ping(start + seconds(4)));
        assert_eq!(heartbeat.next(start + seconds(4), start), Beat::Dead(start + MIN_SILENCE));
    }
}
