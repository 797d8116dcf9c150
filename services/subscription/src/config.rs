//! The configuration of subscription.

use std::{net::SocketAddr, time::Duration};

use rollcall_runtime::config::{Profile, Validate};
use serde::{Deserialize, Serialize};

/// What an operator may choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where subscription is reached by gRPC; port 0 takes any that is free. `127.0.0.1:7702` by default.
    pub listen: SocketAddr,
    /// The span in which a user may subscribe, and unsubscribe, as often as the app's limit says (SPEC D1, E1). 5 s by
    /// default, 100 ms to 1 h.
    #[serde(with = "humantime_serde")]
    pub window: Duration,
    /// The URLs of the instances of presence, with commas between. `http://127.0.0.1:7701` by default.
    pub presence: String,
    /// How long after its user was ONLINE last a list goes (SPEC D5). 24 h by default, 1 s to 365 days.
    #[serde(with = "humantime_serde")]
    pub idle_after: Duration,
    /// The time between two looks for lists that are to go. Each costs the store a command for each of its partitions.
    /// 60 s by default, 100 ms to 1 h.
    #[serde(with = "humantime_serde")]
    pub idle_every: Duration,
}

impl Config {
    /// Returns the defaults of a profile.
    pub fn profile(profile: Profile) -> Self {
        let defaults = Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7702)),
            window: Duration::from_secs(5),
            presence: "http://127.0.0.1:7701".to_owned(),
            idle_after: Duration::from_hours(24),
            idle_every: Duration::from_secs(60),
        };
        match profile {
            Profile::Default => defaults,
            Profile::Fast => {
                Self { idle_after: Duration::from_secs(10), idle_every: Duration::from_secs(1), ..defaults }
            }
        }
    }
}

impl Validate for Config {
    fn faults(&self) -> Vec<String> {
        let (short, hour) = (Duration::from_millis(100), Duration::from_hours(1));
        let (second, year) = (Duration::from_secs(1), Duration::from_hours(365 * 24));
        [
            ("window", self.window, short, hour),
            ("idle_after", self.idle_after, second, year),
            ("idle_every", self.idle_every, short, hour),
        ]
        .into_iter()
        .filter(|(_, value, least, most)| !(least..=most).contains(&value))
        .map(|(key, value, least, most)| format!("{key}: {value:?}, expected {least:?} to {most:?}"))
        .collect()
    }
}
