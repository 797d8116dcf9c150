//! The notifier as a process of its own.

use std::{collections::BTreeMap, net::SocketAddr};

use rollcall_process::{
    BoxError, Process, Settings,
    engines::{BusConfig, Role},
};
use rollcall_runtime::{
    Clock,
    config::{Profile, Validate, faults_of},
    ops::{self, Ops},
    shutdown::CancellationToken,
    telemetry,
};
use serde::{Deserialize, Serialize};

use crate::{Config, Service};

/// What the process does with the bus.
const ROLE: Role = Role { name: "notifier", publishes: false };

/// What an operator may choose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessConfig {
    /// The service.
    pub notifier: Config,
    /// The bus.
    pub bus: BusConfig,
    /// Where the process answers its operator's tools. `127.0.0.1:9703` by default.
    pub ops: ops::Config,
    /// Logs.
    pub log: telemetry::Config,
}

impl Settings for ProcessConfig {
    fn profile(profile: Profile) -> Self {
        Self {
            notifier: Config::profile(profile),
            bus: BusConfig::of_a_service(),
            ops: ops::Config::on_port(9703),
            log: telemetry::Config::default(),
        }
    }

    fn log(&self) -> &telemetry::Config {
        &self.log
    }

    fn ops(&self) -> &ops::Config {
        &self.ops
    }
}

impl Validate for ProcessConfig {
    fn faults(&self) -> Vec<String> {
        faults_of("notifier", &self.notifier)
            .chain(faults_of("bus", &self.bus))
            .chain(faults_of("ops", &self.ops))
            .chain(faults_of("log", &self.log))
            .collect()
    }
}

impl Process for Service {
    const NAME: &'static str = "rollcall-notifier";
    const ABOUT: &'static str =
        "Notifier of Rollcall: brings changes to the gateways that have interest in them";
    type Config = ProcessConfig;

    async fn bind(config: ProcessConfig, ops: &Ops) -> Result<Self, BoxError> {
        let bus = config.bus.open(ROLE, &ops.metrics).await?;
        Ok(Self::bind(&config.notifier, bus, Clock::new(), ops)?)
    }

    fn addresses(&self) -> BTreeMap<&'static str, SocketAddr> {
        BTreeMap::from([("grpc", self.local_addr())])
    }

    async fn run(self, shutdown: CancellationToken) -> Result<(), BoxError> {
        Ok(Self::run(self, shutdown).await?)
    }
}
