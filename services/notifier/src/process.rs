//! The notifier as a process of its own.

use std::{collections::BTreeMap, net::SocketAddr};

use rollcall_process::{BoxError, Process, Provided, Section, engines::NoStore};
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
}

impl Process for Service {
    const ROLE: Role = Role::Notifier;
    const BINARY: &'static str = "rollcall-notifier";
    const ABOUT: &'static str =
        "Notifier of Rollcall: brings changes to the gateways that have interest in them";
    const OPS_PORT: u16 = 9703;
    const PUBLISHES: bool = false;
    type Config = Config;
    type Store = NoStore;

    fn bind(config: Config, provided: Provided<'_, Self>) -> Result<Self, BoxError> {
        Ok(Self::bind(&config, provided.bus, Clock::new(), provided.ops)?.secured(provided.tls))
    }

    fn addresses(&self) -> BTreeMap<&'static str, SocketAddr> {
        BTreeMap::from([("grpc", self.local_addr())])
    }

    async fn run(self, shutdown: CancellationToken) -> Result<(), BoxError> {
        Ok(Self::run(self, shutdown).await?)
    }
}
