//! The gateway as a process of its own.

use std::{collections::BTreeMap, net::SocketAddr};

use rollcall_process::{BoxError, Process, Provided, Section, engines::NoStore};
use rollcall_proto::role::Role;
use rollcall_runtime::{Clock, config::Profile, shutdown::CancellationToken};

use crate::{Config, Service};

impl Section for Config {
    fn profile(profile: Profile) -> Self {
        Self::profile(profile)
    }

    fn urls(&self) -> Vec<(&'static str, &str)> {
        vec![("presence", &self.presence), ("subscription", &self.subscription), ("notifier", &self.notifier)]
    }
}

impl Process for Service {
    const ROLE: Role = Role::Gateway;
    const BINARY: &'static str = "rollcall-gateway";
    const ABOUT: &'static str = "Gateway of Rollcall: client connections, watchers, last shown statuses";
    const OPS_PORT: u16 = 9700;
    const PUBLISHES: bool = false;
    type Config = Config;
    type Store = NoStore;

    fn bind(config: Config, provided: Provided<'_, Self>) -> Result<Self, BoxError> {
        Ok(Self::bind(config, &provided.tls, provided.bus, Clock::new(), provided.ops)?)
    }

    fn addresses(&self) -> BTreeMap<&'static str, SocketAddr> {
        BTreeMap::from([("client", self.local_addr()), ("grpc", self.health_addr())])
    }

    async fn run(self, shutdown: CancellationToken) -> Result<(), BoxError> {
        Ok(Self::run(self, shutdown).await?)
    }
}
