//! The gateway: client connections, watchers, last shown statuses.
//!
//! Clients speak frames over a WebSocket (`edge`, `connection`, `codec`). What connections share is the
//! `hub`: who is here, who watches whom, the last shown status of each. Changes come from a notifier
//! (`link`, `interest`), decisions from presence and subscription (`backend`, `attach`), and presence is told
//! who was heard (`reports`). Nothing here decides what a status is; nothing here is kept when it stops.
//!
//! Start with [`Service`], then `connection.rs` and `hub.rs`.

mod attach;
mod backend;
mod codec;
mod config;
mod connection;
mod edge;
mod error;
mod hub;
mod interest;
mod link;
mod metrics;
mod process;
mod reports;
mod service;
mod trace;

use std::sync::{Arc, OnceLock};

use rollcall_domain::id::{BootId, SessionId};
use rollcall_runtime::clock::Clock;

use self::{backend::Backend, hub::Hub, metrics::Metrics};
pub use self::{config::Config, error::Error, process::ProcessConfig, service::Service};

/// What the parts of a gateway share.
#[derive(Debug)]
struct Gateway {
    config: Config,
    clock: Clock,
    hub: Hub,
    backend: Backend,
    metrics: Metrics,
    /// The boot id, once presence has given it.
    boot: OnceLock<u64>,
}

impl Gateway {
    fn new(config: Config, clock: Clock, backend: Backend, metrics: Metrics) -> Arc<Self> {
        let hub = Hub::new(config.expiry, service::TICK, clock.monotonic());
        Arc::new(Self { config, clock, hub, backend, metrics, boot: OnceLock::new() })
    }

    /// Says whether presence knows this gateway.
    fn is_ready(&self) -> bool {
        self.boot.get().is_some()
    }

    /// Returns the boot id; 0 before registration, when no client is served.
    fn boot(&self) -> u64 {
        self.boot.get().copied().unwrap_or_default()
    }

    /// Makes the id of a login here.
    fn session(&self, counter: u64) -> SessionId {
        SessionId { boot: BootId(self.boot()), counter }
    }
}
