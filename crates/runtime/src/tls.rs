//! Mutual TLS between processes: each shows a certificate that names its role, and trusts one authority.
//!
//! Whoever that authority has signed is let in, as the role that the certificate names; so the authority should sign
//! nothing else. A server is trusted only as the role that is dialled. TLS is 1.3, and no session is resumed: each
//! connection is checked anew. Start with [`Config`] and [`Tls`]; who may call what stands in `rollcall_proto::role`.

mod clear;
mod files;
mod peer;

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::RwLock;
use rollcall_proto::role::Role;
use serde::{Deserialize, Serialize};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tracing::{info, warn};

use crate::{config::Validate, error::Error};
use files::Files;
pub(crate) use peer::Peer;

/// How often it is looked whether the files have changed. Certificates are renewed days before they end.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Which certificates a process shows and trusts. Paths that are empty stand for none; without any, gRPC is in clear
/// text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whether to speak in clear text with other machines too. Only where something else protects that, as a mesh does.
    pub off: bool,
    /// The certificates of the authority that signs those of all processes, in PEM.
    pub ca: PathBuf,
    /// The certificate of this process, in PEM, with those between it and the authority after it.
    pub certificate: PathBuf,
    /// Its key, in PEM.
    pub key: PathBuf,
}

impl Config {
    /// Says whether TLS is spoken.
    pub fn is_on(&self) -> bool {
        self.paths().iter().all(|(_, path)| !path.as_os_str().is_empty())
    }

    fn paths(&self) -> [(&'static str, &PathBuf); 3] {
        [("ca", &self.ca), ("certificate", &self.certificate), ("key", &self.key)]
    }
}

impl Validate for Config {
    fn faults(&self) -> Vec<String> {
        let (empty, set): (Vec<_>, Vec<_>) =
            self.paths().into_iter().partition(|(_, path)| path.as_os_str().is_empty());
        let mut faults = Vec::new();
        if let ([(first, _), ..], false) = (&empty[..], set.is_empty()) {
            faults.push(format!("{first}: empty, expected all of ca, certificate and key, or none of them"));
        }
        if self.off && !set.is_empty() {
            faults.push("off: true beside certificates, expected one or the other".to_owned());
        }
        faults
    }
}

/// How a process makes and takes connections: with certificates, or in clear text. Clones are the same.
#[derive(Clone, Default)]
pub struct Tls(Option<Arc<Shared>>);

struct Shared {
    role: Role,
    config: Config,
    files: RwLock<Files>,
}

impl Tls {
    /// Speaks in clear text.
    pub fn off() -> Self {
        Self(None)
    }

    /// Reads the files, if any are configured, for a process of this role. They are read again when they change; new
    /// connections are made with what they hold then. Must be called within the runtime.
    ///
    /// Fails if a file cannot be read or does not hold what it should, and if peers would not accept the certificate.
    pub fn load(config: &Config, role: Role) -> Result<Self, Error> {
        if config.off {
            warn!(
                "tls.off: gRPC is in clear text with other machines too, and takes calls of whoever reaches it"
            );
        }
        if !config.is_on() {
            return Ok(Self::off());
        }
        let files = RwLock::new(Files::read(config, role)?);
        let shared = Arc::new(Shared { role, config: config.clone(), files });
        info!(%role, certificate = %config.certificate.display(), "mutual TLS is on");
        tokio::spawn(keep_fresh(Arc::downgrade(&shared)));
        Ok(Self(Some(shared)))
    }

    /// Says whether TLS is spoken.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Reads the files again, and says whether certificates have changed. After an error all is as before.
    pub fn reload(&self) -> Result<bool, Error> {
        self.0.as_ref().map_or(Ok(false), |shared| shared.reload())
    }

    /// Returns what takes connections.
    pub(crate) fn acceptor(&self) -> Option<TlsAcceptor> {
        self.0.as_ref().map(|shared| Arc::clone(&shared.files.read().server).into())
    }

    /// Returns what makes connections.
    pub(crate) fn connector(&self) -> Option<TlsConnector> {
        self.0.as_ref().map(|shared| Arc::clone(&shared.files.read().client).into())
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = self.0.as_ref().map(|shared| shared.role);
        f.debug_struct("Tls").field("role", &role).finish_non_exhaustive()
    }
}

impl Shared {
    fn reload(&self) -> Result<bool, Error> {
        let files = Files::read(&self.config, self.role)?;
        let mut held = self.files.write();
        let changed = !files.same_certificates(&held);
        if changed {
            *held = files;
        }
        Ok(changed)
    }
}

/// Reads the files again and again, as long as someone uses what they hold.
async fn keep_fresh(shared: Weak<Shared>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(shared) = shared.upgrade() else { return };
        let (role, certificate) = (shared.role, shared.config.certificate.clone());
        match tokio::task::spawn_blocking(move || shared.reload()).await {
            Ok(Ok(false)) => {}
            Ok(Ok(true)) => {
                info!(%role, certificate = %certificate.display(), "took new certificates, for new connections");
            }
            Ok(Err(error)) => warn!(%error, "certificates cannot be read again, going on with those before"),
            // The process ends.
            Err(_) => return,
        }
    }
}
