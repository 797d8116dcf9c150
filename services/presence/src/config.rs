//! The configuration of presence.

use std::{net::SocketAddr, time::Duration};

use rollcall_runtime::config::{Profile, Validate};
use serde::{Deserialize, Serialize};

/// What an operator may choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where presence is reached by gRPC; port 0 takes any that is free. `127.0.0.1:7701` by default.
    pub listen: SocketAddr,
    /// How long after its last heartbeat a session ends (SPEC A7). 400 s by default, at least 1 s. Equal to the
    /// gateways'.
    #[serde(with = "humantime_serde")]
    pub expiry: Duration,
    /// The time between two looks for passed deadlines. 500 ms by default, 10 ms to 10 s.
    #[serde(with = "humantime_serde")]
    pub sweep_every: Duration,
    /// The age from which outbox entries are published again by the relay. 1 s by default, 100 ms to 60 s.
    #[serde(with = "humantime_serde")]
    pub relay_after: Duration,
}

impl Config {
    /// Returns the defaults of a profile.
    pub fn profile(profile: Profile) -> Self {
        let defaults = Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7701)),
            expiry: Duration::from_secs(400),
            sweep_every: Duration::from_millis(500),
            relay_after: Duration::from_secs(1),
        };
        match profile {
            Profile::Default => defaults,
            Profile::Fast => {
                Self { expiry: Duration::from_secs(8), sweep_every: Duration::from_millis(100), ..defaults }
            }
        }
    }
}

impl Validate for Config {
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.expiry < Duration::from_secs(1) {
            faults.push(format!("expiry: {:?}, expected at least 1s", self.expiry));
        }
        for (key, value, least, most) in [
            ("sweep_every", self.sweep_every, Duration::from_millis(10), Duration::from_secs(10)),
            ("relay_after", self.relay_after, Duration::from_millis(100), Duration::from_secs(60)),
        ] {
            if !(least..=most).contains(&value) {
                faults.push(format!("{key}: {value:?}, expected {least:?} to {most:?}"));
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_profiles_are_valid() {
        for profile in [Profile::Default, Profile::Fast] {
            assert_eq!(Config::profile(profile).faults(), Vec::<String>::new());
        }
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let config = Config {
            expiry: Duration::ZERO,
            sweep_every: Duration::ZERO,
            relay_after: Duration::from_secs(61),
            ..Config::profile(Profile::Default)
        };
        assert_eq!(
            config.faults(),
            [
                "expiry: 0ns, expected at least 1s",
                "sweep_every: 0ns, expected 10ms to 10s",
                "relay_after: 61s, expected 100ms to 60s",
            ]
        );
    }
}
