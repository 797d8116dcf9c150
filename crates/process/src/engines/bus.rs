//! Which bus, and how it is treated.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rollcall_bus::{
    Bus, MemoryBus,
    nats::{ConnectError, Identity, Limits, Login, NatsBus, Options, Tls},
};
use rollcall_runtime::{Clock, config::Validate, metrics::Registry, rng};
use serde::{Deserialize, Serialize};

use super::{MEMORY, Secret, metered::MeteredBus, open, opened};
use crate::Error;

/// Which bus, and how it is treated. Texts that are empty stand for none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BusConfig {
    /// `memory`, or `nats://[user:password@]host[:port]`, several with commas between.
    pub url: Secret,
    /// The user, where the URL names none.
    pub user: String,
    /// The file with the user's password, read at each attempt to connect.
    pub password_file: PathBuf,
    /// The authorities that may vouch for a server, in PEM; without them those of the system.
    pub authorities: PathBuf,
    /// The certificate that is shown to the server, in PEM.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// On how many servers each change is kept: 1 by default, or 3.
    pub replicas: u8,
}

/// What a process does with the bus.
#[derive(Debug, Clone, Copy)]
pub struct Role {
    /// Its name: what servers call it, and the last part of its inbox.
    pub name: &'static str,
    /// Whether it publishes changes, and so makes or checks the stream that captures them.
    pub publishes: bool,
}

impl Default for BusConfig {
    fn default() -> Self {
        Self {
            url: Secret::new(MEMORY),
            user: String::new(),
            password_file: PathBuf::new(),
            authorities: PathBuf::new(),
            certificate: PathBuf::new(),
            key: PathBuf::new(),
            replicas: 1,
        }
    }
}

impl BusConfig {
    /// Returns the default of a service that is a process of its own: a NATS server beside it.
    pub fn of_a_service() -> Self {
        Self { url: Secret::new("nats://127.0.0.1:4222"), ..Self::default() }
    }

    /// Says whether the bus is in this process's memory.
    pub fn is_memory(&self) -> bool {
        self.url.expose() == MEMORY
    }

    /// Opens the bus, with its calls counted in `metrics`. A server that does not answer yet is tried again for 30 s.
    pub async fn open(&self, role: Role, metrics: &Registry) -> Result<Arc<dyn Bus>, Error> {
        let bus = self.open_engine(role).await?;
        let kind = if self.is_memory() { MEMORY } else { "nats" };
        Ok(Arc::new(MeteredBus::new(bus, kind, metrics)))
    }

    async fn open_engine(&self, role: Role) -> Result<Arc<dyn Bus>, Error> {
        if self.is_memory() {
            opened("bus", "memory");
            return Ok(Arc::new(MemoryBus::new(Clock::store_clock())));
        }
        let options = self.options(role);
        let connect = async || NatsBus::connect(self.url.expose(), options.clone()).await;
        let bus = open("bus", connect, may_pass).await?;
        opened("bus", "nats");
        Ok(Arc::new(bus))
    }

    fn options(&self, role: Role) -> Options {
        let limits = Limits { replicas: self.replicas, ..Limits::default() };
        let login = (!self.user.is_empty())
            .then(|| Login { user: self.user.clone(), password_file: self.password_file.clone() });
        let identity =
            some(&self.certificate).map(|certificate| Identity { certificate, key: self.key.clone() });
        let authorities = some(&self.authorities);
        let is_encrypted = authorities.is_some() || identity.is_some();
        Options {
            name: format!("rollcall-{}", role.name),
            inbox: format!("_INBOX.{}", role.name),
            login,
            tls: is_encrypted.then_some(Tls { authorities, identity }),
            stream: role.publishes.then_some(limits),
            ..Options::new(Arc::new(rng::nonzero_u64))
        }
    }
}

fn some(path: &Path) -> Option<PathBuf> {
    (!path.as_os_str().is_empty()).then(|| path.to_owned())
}

/// Says whether another attempt may do better.
fn may_pass(error: &ConnectError) -> bool {
    !matches!(error, ConnectError::Url | ConnectError::TooOld(_))
}

impl Validate for BusConfig {
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let known = |url: &str| url.starts_with("nats://") || url.starts_with("tls://");
        if !self.is_memory() && !self.url.expose().split(',').all(known) {
            faults.push(format!("url: {}, expected memory or nats://[user:password@]host[:port]", self.url));
        }
        if self.user.is_empty() != (some(&self.password_file).is_none()) {
            faults.push("password_file: expected together with user, or neither".to_owned());
        }
        if some(&self.certificate).is_none() != some(&self.key).is_none() {
            faults.push("key: expected together with certificate, or neither".to_owned());
        }
        if ![1, 3, 5].contains(&self.replicas) {
            faults.push(format!("replicas: {}, expected 1, 3 or 5", self.replicas));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_faults_are_told_all_at_once() {
        assert_eq!(BusConfig::default().faults(), [""; 0]);
        assert_eq!(BusConfig::of_a_service().faults(), [""; 0]);
        let config = BusConfig {
            url: Secret::new("nats://one,redis://me:secret@two"),
            user: "gateway".to_owned(),
            key: "key.pem".into(),
            replicas: 2,
            ..BusConfig::default()
        };
        assert_eq!(
            config.faults(),
            [
                "url: nats://one,redis://me:***@two, expected memory or nats://[user:password@]host[:port]",
                "password_file: expected together with user, or neither",
                "key: expected together with certificate, or neither",
                "replicas: 2, expected 1, 3 or 5",
            ]
        );
    }
}
