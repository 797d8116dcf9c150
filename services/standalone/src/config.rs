//! The configuration of the one process: a section for each service, for each engine, and for logs.

use std::{net::SocketAddr, time::Duration};

use rollcall_process::engines::{BusConfig, StoreConfig};
use rollcall_runtime::{
    config::{self, Profile, Validate, faults_of},
    ops, telemetry, tls,
};
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::{args::Args, error::Error};

/// What an operator may choose. There is no TLS: what the services say to each other does not leave the process's
/// machine.
///
/// The URLs of the services are not among it: they are in this process, and are told where the others listen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The gateway; clients connect to its `listen`.
    pub gateway: rollcall_gateway::Config,
    /// Presence; operators and backends connect to its `listen`.
    pub presence: rollcall_presence::Config,
    /// Subscription; operators and backends connect to its `listen`.
    pub subscription: rollcall_subscription::Config,
    /// The notifier; operators and backends connect to its `listen` for the feed of changes.
    pub notifier: rollcall_notifier::Config,
    /// The store.
    pub store: StoreConfig,
    /// The bus.
    pub bus: BusConfig,
    /// Where the process answers its operator's tools.
    pub ops: ops::Config,
    /// Logs.
    pub log: telemetry::Config,
}

impl Config {
    /// Returns the defaults of a profile.
    pub fn profile(profile: Profile) -> Self {
        let own = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let mut config = Self {
            gateway: rollcall_gateway::Config::profile(profile),
            presence: rollcall_presence::Config::profile(profile),
            subscription: rollcall_subscription::Config::profile(profile),
            notifier: rollcall_notifier::Config::profile(profile),
            store: StoreConfig::default(),
            bus: BusConfig::default(),
            ops: ops::Config::on_port(0),
            log: telemetry::Config::default(),
        };
        config.gateway.listen = own(7700);
        config.presence.listen = own(7701);
        config.subscription.listen = own(7702);
        config.notifier.listen = own(7703);
        // There is no other gateway to move to.
        config.gateway.drain = Duration::ZERO;
        config.connect("", "", "");
        config
    }

    /// Loads it as the command line says.
    pub(crate) fn load(args: &Args) -> Result<Self, Error> {
        let Args { shared, .. } = args;
        config::load(&Self::profile(shared.profile), shared.config.as_deref(), args.flags())
            .map_err(|error| rollcall_process::Error::Config(error).into())
    }

    /// Tells of gRPC that other machines reach. The services of the one process speak in clear text, over the loopback,
    /// and so does who calls them.
    pub(crate) fn warn_of_clear_text(&self) {
        let listens = [
            ("presence.listen", self.presence.listen),
            ("subscription.listen", self.subscription.listen),
            ("notifier.listen", self.notifier.listen),
        ];
        for (key, address) in listens {
            if tls::Config::default().fault_of_listen(key, address).is_some() {
                warn!(key, %address, "whoever reaches this address may call it, in clear text and unasked who they are");
            }
        }
    }

    /// Tells the services the URLs of the others.
    pub(crate) fn connect(
        &mut self,
        presence: impl Into<String>,
        subscription: impl Into<String>,
        notifier: impl Into<String>,
    ) {
        self.gateway.presence = presence.into();
        self.subscription.presence.clone_from(&self.gateway.presence);
        self.gateway.subscription = subscription.into();
        self.gateway.notifier = notifier.into();
    }

    /// Finds URLs of services that would be run here all the same.
    fn foreign_services(&self) -> impl Iterator<Item = String> {
        let gateway = &self.gateway;
        [
            ("gateway.presence", &gateway.presence),
            ("gateway.subscription", &gateway.subscription),
            ("gateway.notifier", &gateway.notifier),
            ("subscription.presence", &self.subscription.presence),
        ]
        .into_iter()
        .filter(|(_, url)| !url.is_empty())
        .map(|(key, url)| format!("{key}: {url:?}, expected none, for rollcall runs its own"))
    }

    /// Finds a store that lives here with a bus that does not, or the other way round: others on that bus would
    /// hear of states that they cannot read.
    fn unequal_engines(&self) -> Option<String> {
        (self.store.is_memory() != self.bus.is_memory()).then(|| {
            let (store, bus) = (&self.store.url, &self.bus.url);
            format!("bus.url: {bus} with store.url {store}, expected both in memory or neither")
        })
    }

    /// Finds an expiry that a gateway and presence do not agree on.
    fn unequal_expiry(&self) -> Option<String> {
        let (gateway, presence) = (self.gateway.expiry, self.presence.expiry);
        (gateway != presence)
            .then(|| format!("presence.expiry: {presence:?}, expected {gateway:?} as of the gateway"))
    }
}

impl Validate for Config {
    fn faults(&self) -> Vec<String> {
        // The gateway's own rules see it as it will be when the others listen.
        let mut connected = self.clone();
        connected.connect("http://127.0.0.1:1", "http://127.0.0.1:1", "http://127.0.0.1:1");
        self.foreign_services()
            .chain(faults_of("gateway", &connected.gateway))
            .chain(faults_of("presence", &self.presence))
            .chain(faults_of("subscription", &connected.subscription))
            .chain(faults_of("notifier", &self.notifier))
            .chain(faults_of("store", &self.store))
            .chain(faults_of("bus", &self.bus))
            .chain(faults_of("ops", &self.ops))
            .chain(faults_of("log", &self.log))
            .chain(self.unequal_engines())
            .chain(self.unequal_expiry())
            .collect()
    }
}

#[cfg(test)]
mod tests;
