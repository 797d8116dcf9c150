//! The configuration of presence.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use rollcall_runtime::config::{Profile, Validate};
use serde::{Deserialize, Serialize};

/// What an operator may choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where presence is reached by gRPC; port 0 takes any that is free. `127.0.0.1:7701` by default.
    pub listen: SocketAddr,
    /// The file of credentials of the admin service, which is read again when it changes. Empty by default: then whoever
    /// may call the admin service may do all of it.
    pub admin_credentials: PathBuf,
    /// How long after its last heartbeat a session ends (SPEC A7). 400 s by default, at least 1 s. Equal to the
    /// gateways'.
    #[serde(with = "humantime_serde")]
    pub expiry: Duration,
    /// The time between two looks for passed deadlines. 500 ms by default, 10 ms to 10 s.
    #[serde(with = "humantime_serde")]
    pub sweep_every: Duration,
    /// For how long a gateway may go without a report before it is dead, and its users OFFLINE (SPEC A11). 36 s by
    /// default, at least three times `listening`.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
    /// How long ago the last sign of the bus may be for time to count against a gateway. 4 s by default, 100 ms to
    /// 60 s.
    #[serde(with = "humantime_serde")]
    pub listening: Duration,
    /// How long a session lives on whose connection its gateway closed (SPEC A11). 30 s by default, at most the
    /// expiry.
    #[serde(with = "humantime_serde")]
    pub moved_grace: Duration,
    /// How long after its deadline a session ends at the earliest of which its gateway, which lives and is asked, says
    /// nothing. 10 s by default, 2 s to 1 h.
    #[serde(with = "humantime_serde")]
    pub answer_within: Duration,
    /// How long after the store is found in a new epoch nobody is judged at most, while gateways tell what it may have
    /// lost. 20 s by default, 1 s to 60 s.
    #[serde(with = "humantime_serde")]
    pub epoch_wait: Duration,
    /// The span in which a user may make as many queries of others as the app's limit says (SPEC C4). 5 s by default,
    /// 100 ms to 1 h.
    #[serde(with = "humantime_serde")]
    pub window: Duration,
    /// The age from which outbox entries are published again by the relay. 1 s by default, 100 ms to 60 s.
    #[serde(with = "humantime_serde")]
    pub relay_after: Duration,
    /// The time between two looks for such entries: for those that a process left which was killed before it could
    /// publish them. Each look costs the store a command for each of its partitions. 5 s by default, 100 ms to 60 s.
    #[serde(with = "humantime_serde")]
    pub relay_every: Duration,
}

impl Config {
    /// Returns the defaults of a profile.
    pub fn profile(profile: Profile) -> Self {
        let defaults = Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7701)),
            admin_credentials: PathBuf::new(),
            expiry: Duration::from_secs(400),
            sweep_every: Duration::from_millis(500),
            lease: Duration::from_secs(36),
            listening: Duration::from_secs(4),
            moved_grace: Duration::from_secs(30),
            answer_within: Duration::from_secs(10),
            epoch_wait: Duration::from_secs(20),
            window: Duration::from_secs(5),
            relay_after: Duration::from_secs(1),
            relay_every: Duration::from_secs(5),
        };
        match profile {
            Profile::Default => defaults,
            Profile::Fast => Self {
                expiry: Duration::from_secs(8),
                sweep_every: Duration::from_millis(100),
                lease: Duration::from_secs(5),
                listening: Duration::from_secs(1),
                moved_grace: Duration::from_secs(5),
                answer_within: Duration::from_secs(2),
                epoch_wait: Duration::from_secs(3),
                ..defaults
            },
        }
    }
}

impl Validate for Config {
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.expiry < Duration::from_secs(1) {
            faults.push(format!("expiry: {:?}, expected at least 1s", self.expiry));
        }
        if self.lease < self.listening * 3 {
            let least = self.listening * 3;
            faults
                .push(format!("lease: {:?}, expected at least {least:?}, three times listening", self.lease));
        }
        if self.moved_grace > self.expiry {
            let most = self.expiry;
            faults.push(format!("moved_grace: {:?}, expected at most the expiry {most:?}", self.moved_grace));
        }
        for (key, value, least, most) in [
            ("listening", self.listening, Duration::from_millis(100), Duration::from_secs(60)),
            ("sweep_every", self.sweep_every, Duration::from_millis(10), Duration::from_secs(10)),
            ("answer_within", self.answer_within, Duration::from_secs(2), Duration::from_secs(3600)),
            ("epoch_wait", self.epoch_wait, Duration::from_secs(1), Duration::from_secs(60)),
            ("window", self.window, Duration::from_millis(100), Duration::from_secs(3600)),
            ("relay_after", self.relay_after, Duration::from_millis(100), Duration::from_secs(60)),
            ("relay_every", self.relay_every, Duration::from_millis(100), Duration::from_secs(60)),
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
            listening: Duration::from_secs(20),
            ..Config::profile(Profile::Default)
        };
        assert_eq!(
            config.faults(),
            [
                "expiry: 0ns, expected at least 1s",
                "lease: 36s, expected at least 60s, three times listening",
                "moved_grace: 30s, expected at most the expiry 0ns",
                "sweep_every: 0ns, expected 10ms to 10s",
                "relay_after: 61s, expected 100ms to 60s",
            ]
        );
    }
}
