//! Subscription as a process of its own.

use std::{collections::BTreeMap, net::SocketAddr};

use rollcall_process::{BoxError, Process, Provided, Section, engines::StoreConfig};
use rollcall_proto::role::Role;
use rollcall_runtime::{Clock, config::Profile, shutdown::CancellationToken};

use crate::{Config, Service};

impl Section for Config {
    fn profile(profile: Profile) -> Self {
        Self::profile(profile)
    }

    fn listens(&self) -> Vec<(&'static str, SocketAddr)> {
        vec![("listen", self.listen)]
    }

    fn urls(&self) -> Vec<(&'static str, &str)> {
        vec![("presence", &self.presence)]
    }
}

impl Process for Service {
    const ROLE: Role = Role::Subscription;
    const BINARY: &'static str = "rollcall-subscription";
    const ABOUT: &'static str = "Subscription of Rollcall: subscription lists and friends";
    const OPS_PORT: u16 = 9702;
    const PUBLISHES: bool = true;
    type Config = Config;
    type Store = StoreConfig;

    fn bind(config: Config, provided: Provided<'_, Self>) -> Result<Self, BoxError> {
        Ok(Self::bind(&config, &provided.tls, provided.store, provided.bus, Clock::new(), provided.ops)?)
    }

    fn addresses(&self) -> BTreeMap<&'static str, SocketAddr> {
        BTreeMap::from([("grpc", self.local_addr())])
    }

    async fn run(self, shutdown: CancellationToken) -> Result<(), BoxError> {
        Ok(Self::run(self, shutdown).await?)
    }
}
