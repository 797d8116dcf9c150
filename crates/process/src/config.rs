//! The configuration of a process that is one service: a section of its own, and those that all have.

use std::{fmt, marker::PhantomData, net::SocketAddr};

use rollcall_runtime::{
    config::{Profile, Validate, faults_of},
    ops, telemetry, tls,
};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, Error as _, MapAccess, Visitor},
    ser::SerializeStruct as _,
};

use crate::{
    Process,
    engines::{BusConfig, StoreSection},
};

/// What an operator may choose for a service.
pub trait Section: Serialize + DeserializeOwned + Validate + Send {
    /// Returns the defaults of a profile.
    fn profile(profile: Profile) -> Self;

    /// Lists where it listens for gRPC that is not for everyone, by key.
    fn listens(&self) -> Vec<(&'static str, SocketAddr)> {
        Vec::new()
    }

    /// Lists the URLs of the other services that it calls, by key, with commas between.
    fn urls(&self) -> Vec<(&'static str, &str)> {
        Vec::new()
    }
}

/// What an operator may choose for the process of a service. Its sections are named as the service, `store` if it has
/// one, `bus`, `tls`, `ops` and `log`; no others are taken.
pub(crate) struct Config<P: Process> {
    pub(crate) service: P::Config,
    pub(crate) store: P::Store,
    pub(crate) bus: BusConfig,
    pub(crate) tls: tls::Config,
    pub(crate) ops: ops::Config,
    pub(crate) log: telemetry::Config,
}

impl<P: Process> Config<P> {
    /// The names of the sections, in the order in which they are written.
    const SECTIONS: &'static [&'static str] = if P::Store::IS_SECTION {
        &[P::ROLE.name(), STORE, BUS, TLS, OPS, LOG]
    } else {
        &[P::ROLE.name(), BUS, TLS, OPS, LOG]
    };

    pub(crate) fn profile(profile: Profile) -> Self {
        Self {
            service: P::Config::profile(profile),
            store: P::Store::of_a_service(),
            bus: BusConfig::of_a_service(),
            tls: tls::Config::default(),
            ops: ops::Config::on_port(P::OPS_PORT),
            log: telemetry::Config::default(),
        }
    }

    /// Finds what would be spoken in clear text with other machines. Faulty certificates are told of alone.
    fn clear_text(&self) -> Vec<String> {
        if !self.tls.faults().is_empty() {
            return Vec::new();
        }
        let key = |key| format!("{}.{key}", P::ROLE.name());
        let (listens, urls) = (self.service.listens(), self.service.urls());
        let open =
            listens.into_iter().filter_map(|(name, listen)| self.tls.fault_of_listen(&key(name), listen));
        let dialled = urls.into_iter().flat_map(|(name, urls)| self.tls.faults_of_urls(&key(name), urls));
        open.chain(dialled).collect()
    }
}

const STORE: &str = "store";
const BUS: &str = "bus";
const TLS: &str = "tls";
const OPS: &str = "ops";
const LOG: &str = "log";

impl<P: Process> Validate for Config<P> {
    fn faults(&self) -> Vec<String> {
        faults_of(P::ROLE.name(), &self.service)
            .chain(faults_of(STORE, &self.store))
            .chain(faults_of(BUS, &self.bus))
            .chain(faults_of(TLS, &self.tls))
            .chain(self.clear_text())
            .chain(faults_of(OPS, &self.ops))
            .chain(faults_of(LOG, &self.log))
            .collect()
    }
}

// By hand: the name of the first section is the service's, and a derived `flatten` would take unknown sections.
impl<P: Process> Serialize for Config<P> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sections = serializer.serialize_struct("Config", Self::SECTIONS.len())?;
        sections.serialize_field(P::ROLE.name(), &self.service)?;
        if P::Store::IS_SECTION {
            sections.serialize_field(STORE, &self.store)?;
        }
        sections.serialize_field(BUS, &self.bus)?;
        sections.serialize_field(TLS, &self.tls)?;
        sections.serialize_field(OPS, &self.ops)?;
        sections.serialize_field(LOG, &self.log)?;
        sections.end()
    }
}

impl<'de, P: Process> Deserialize<'de> for Config<P> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct("Config", Self::SECTIONS, Sections(PhantomData))
    }
}

struct Sections<P>(PhantomData<P>);

impl<'de, P: Process> Visitor<'de> for Sections<P> {
    type Value = Config<P>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the sections {}", Config::<P>::SECTIONS.join(", "))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Config<P>, A::Error> {
        let (mut service, mut store, mut bus) = (None, None, None);
        let (mut tls, mut ops, mut log) = (None, None, None);
        while let Some(section) = map.next_key::<String>()? {
            match section.as_str() {
                name if name == P::ROLE.name() => service = Some(map.next_value()?),
                STORE if P::Store::IS_SECTION => store = Some(map.next_value()?),
                BUS => bus = Some(map.next_value()?),
                TLS => tls = Some(map.next_value()?),
                OPS => ops = Some(map.next_value()?),
                LOG => log = Some(map.next_value()?),
                other => return Err(A::Error::unknown_field(other, Config::<P>::SECTIONS)),
            }
        }
        let missing = A::Error::missing_field;
        Ok(Config {
            service: service.ok_or_else(|| missing(P::ROLE.name()))?,
            store: match store {
                None if P::Store::IS_SECTION => return Err(missing(STORE)),
                store => store.unwrap_or_else(P::Store::of_a_service),
            },
            bus: bus.ok_or_else(|| missing(BUS))?,
            tls: tls.ok_or_else(|| missing(TLS))?,
            ops: ops.ok_or_else(|| missing(OPS))?,
            log: log.ok_or_else(|| missing(LOG))?,
        })
    }
}

#[cfg(test)]
mod tests;
