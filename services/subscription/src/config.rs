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
}

impl Config {
    /// Returns the defaults of a profile; subscription's are the same in all.
    pub fn profile(_: Profile) -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 7702)), window: Duration::from_secs(5) }
    }
}

impl Validate for Config {
    fn faults(&self) -> Vec<String> {
        let (least, most) = (Duration::from_millis(100), Duration::from_secs(3600));
        let fault = || format!("window: {:?}, expected {least:?} to {most:?}", self.window);
        (!(least..=most).contains(&self.window)).then(fault).into_iter().collect()
    }
}
