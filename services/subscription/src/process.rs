//! Subscription as a process of its own.

use std::{collections::BTreeMap, net::SocketAddr};

use rollcall_process::{
    BoxError, Process, Settings,
    engines::{BusConfig, Role, StoreConfig},
};
use rollcall_runtime::{
    Clock,
    config::{Profile, Validate, faults_of},
    shutdown::CancellationToken,
    telemetry,
};
use serde::{Deserialize, Serialize};

use crate::{Config, Service};

/// What the process does with the bus.
const ROLE: Role = Role { name: "subscription", publishes: true };

/// What an operator may choose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessConfig {
    /// The service.
    pub subscription: Config,
    /// The store.
    pub store: StoreConfig,
    /// The bus.
    pub bus: BusConfig,
    /// Logs.
    pub log: telemetry::Config,
}

impl Settings for ProcessConfig {
    fn profile(profile: Profile) -> Self {
        Self {
            subscription: Config::profile(profile),
            store: StoreConfig::of_a_service(),
            bus: BusConfig::of_a_service(),
            log: telemetry::Config::default(),
        }
    }

    fn log(&self) -> &telemetry::Config {
        &self.log
    }
}

impl Validate for ProcessConfig {
    fn faults(&self) -> Vec<String> {
        faults_of("subscription", &self.subscription)
            .chain(faults_of("store", &self.store))
            .chain(faults_of("bus", &self.bus))
            .chain(faults_of("log", &self.log))
            .collect()
    }
}

impl Process for Service {
    const NAME: &'static str = "rollcall-subscription";
    const ABOUT: &'static str = "Subscription of Rollcall: subscription lists";
    type Config = ProcessConfig;

    async fn bind(config: ProcessConfig) -> Result<Self, BoxError> {
        let (store, bus) = (config.store.open().await?, config.bus.open(ROLE).await?);
        Ok(Self::bind(&config.subscription, store, bus, Clock::new())?)
    }

    fn addresses(&self) -> BTreeMap<&'static str, SocketAddr> {
        BTreeMap::from([("grpc", self.local_addr())])
    }

    async fn run(self, shutdown: CancellationToken) -> Result<(), BoxError> {
        Ok(Self::run(self, shutdown).await?)
    }
}
