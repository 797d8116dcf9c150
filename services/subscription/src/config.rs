//! The configuration of subscription.

use std::net::SocketAddr;

use rollcall_runtime::config::{Profile, Validate};
use serde::{Deserialize, Serialize};

/// What an operator may choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where subscription is reached by gRPC; port 0 takes any that is free. `127.0.0.1:7702` by default.
    pub listen: SocketAddr,
}

impl Config {
    /// Returns the defaults of a profile; subscription's are the same in all.
    pub fn profile(_: Profile) -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 7702)) }
    }
}

impl Validate for Config {
    fn faults(&self) -> Vec<String> {
        Vec::new()
    }
}
