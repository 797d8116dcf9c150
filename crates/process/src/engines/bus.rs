//! Which bus, and how it is treated.

use std::sync::Arc;

use rollcall_bus::{Bus, MemoryBus};
use rollcall_runtime::{config::Validate, metrics::Registry};
use serde::{Deserialize, Serialize};

use super::{MEMORY, Secret, metered::MeteredBus, opened};
use crate::Error;

/// Which bus, and how it is treated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BusConfig {
    /// `memory`: within this process.
    pub url: Secret,
}

impl Default for BusConfig {
    fn default() -> Self {
        Self { url: Secret::new(MEMORY) }
    }
}

impl BusConfig {
    /// Returns the default of a service that is a process of its own: a NATS server beside it.
    pub fn of_a_service() -> Self {
        Self { url: Secret::new("nats://127.0.0.1:4222") }
    }

    /// Says whether the bus is in this process's memory.
    pub fn is_memory(&self) -> bool {
        self.url.expose() == MEMORY
    }

    /// Opens the bus, with its calls counted in `metrics`.
    #[expect(clippy::unused_async, reason = "a bus that is not in memory is connected to")]
    pub async fn open(&self, metrics: &Registry) -> Result<Arc<dyn Bus>, Error> {
        opened("bus", "memory");
        Ok(Arc::new(MeteredBus::new(Arc::new(MemoryBus::new()), MEMORY, metrics)))
    }
}

impl Validate for BusConfig {
    fn faults(&self) -> Vec<String> {
        if self.is_memory() { Vec::new() } else { vec![format!("url: {}, expected memory", self.url)] }
    }
}
