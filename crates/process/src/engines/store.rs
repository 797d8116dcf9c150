//! Which store, and how it is treated.

use std::{sync::Arc, time::Duration};

use rollcall_runtime::{Clock, config::Validate, metrics::Registry, rng};
use rollcall_store::{
    MemoryStore, Partitions, Store,
    redis::{ConnectError, Options, RedisStore},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{MEMORY, Secret, metered::MeteredStore, open, opened};
use crate::Error;

/// Which store, and how it is treated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// `memory`, or `redis://[user[:password]@]host[:port]`. In memory, state lives as long as the process.
    pub url: Secret,
    /// How many partitions the store has, fixed when it is first used; 0 stands for 256 on Redis, 16 in memory.
    pub partitions: u16,
    /// How long a call waits for its reply. 1 s by default, 10 ms to 30 s.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { url: Secret::new(MEMORY), partitions: 0, timeout: Duration::from_secs(1) }
    }
}

/// What a service may have for a store, which decides whether its configuration has a section for it.
pub trait StoreSection: Serialize + DeserializeOwned + Validate + Send {
    /// Whether there is a section.
    const IS_SECTION: bool;
    /// The store.
    type Opened;

    /// Returns the default of a service that is a process of its own.
    fn of_a_service() -> Self;

    /// Opens the store, with its calls counted in `metrics`.
    fn open(&self, metrics: &Registry) -> impl Future<Output = Result<Self::Opened, Error>>;
}

/// A Redis server beside the process by default.
impl StoreSection for StoreConfig {
    const IS_SECTION: bool = true;
    type Opened = Arc<dyn Store>;

    fn of_a_service() -> Self {
        Self { url: Secret::new("redis://127.0.0.1:6379"), ..Self::default() }
    }

    async fn open(&self, metrics: &Registry) -> Result<Arc<dyn Store>, Error> {
        Self::open(self, metrics).await
    }
}

/// Of a service that has no store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoStore;

impl StoreSection for NoStore {
    const IS_SECTION: bool = false;
    type Opened = ();

    fn of_a_service() -> Self {
        Self
    }

    async fn open(&self, _: &Registry) -> Result<(), Error> {
        Ok(())
    }
}

impl Validate for NoStore {
    fn faults(&self) -> Vec<String> {
        Vec::new()
    }
}

impl StoreConfig {
    /// Says whether the store is in this process's memory.
    pub fn is_memory(&self) -> bool {
        self.url.expose() == MEMORY
    }

    /// Opens the store, with its calls counted in `metrics`. A server that does not answer yet is tried again for
    /// 30 s.
    pub async fn open(&self, metrics: &Registry) -> Result<Arc<dyn Store>, Error> {
        let store = self.open_engine().await?;
        let kind = if self.is_memory() { MEMORY } else { "redis" };
        Ok(Arc::new(MeteredStore::new(store, kind, metrics)))
    }

    async fn open_engine(&self) -> Result<Arc<dyn Store>, Error> {
        if self.is_memory() {
            let partitions = Partitions::new(self.partitions).unwrap_or(Partitions::EMBEDDED);
            opened("store", "memory");
            return Ok(Arc::new(MemoryStore::new(partitions, Clock::store_clock())));
        }
        let defaults = Options::new(Arc::new(rng::nonzero_u64));
        let options = Options {
            partitions: Partitions::new(self.partitions).unwrap_or(defaults.partitions),
            response_timeout: self.timeout,
            ..defaults
        };
        let connect = async || RedisStore::connect(self.url.expose(), options.clone()).await;
        let store = open("store", connect, may_pass).await?;
        opened("store", "redis");
        Ok(Arc::new(store))
    }
}

/// Says whether another attempt may do better.
fn may_pass(error: &ConnectError) -> bool {
    !matches!(error, ConnectError::Url(_) | ConnectError::Partitions { .. })
}

impl Validate for StoreConfig {
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if !self.is_memory() && !self.url.expose().starts_with("redis://") {
            faults.push(format!("url: {}, expected memory or redis://[user:password@]host[:port]", self.url));
        }
        let (least, most) = (Duration::from_millis(10), Duration::from_secs(30));
        if !(least..=most).contains(&self.timeout) {
            faults.push(format!("timeout: {:?}, expected {least:?} to {most:?}", self.timeout));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_faults_are_told_all_at_once() {
        assert_eq!(StoreConfig::default().faults(), [""; 0]);
        let config = StoreConfig {
            url: Secret::new("http://me:secret@host"),
            timeout: Duration::ZERO,
            ..StoreConfig::default()
        };
        assert_eq!(
            config.faults(),
            [
                "url: http://me:***@host, expected memory or redis://[user:password@]host[:port]",
                "timeout: 0ns, expected 10ms to 30s",
            ]
        );
    }

    #[tokio::test]
    async fn a_store_in_memory_has_the_partitions_that_were_asked_for() {
        let open = async |partitions| {
            let config = StoreConfig { partitions, ..StoreConfig::default() };
            config.open(&Registry::default()).await.unwrap().partitions().count()
        };
        assert_eq!((open(0).await, open(3).await), (16, 3));
    }
}
