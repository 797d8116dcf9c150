//! The store port and its adapters: a partitioned record store with compare-and-set, session timers and an
//! outbox. It knows ids and bytes, nothing of what the bytes say.
//!
//! Start with [`port::Store`]. Every adapter passes the suite in `contract` (feature `contract`, for tests).

#[cfg(any(test, feature = "contract"))]
pub mod contract;
pub mod memory;
pub mod port;
pub mod redis;

pub use memory::MemoryStore;
pub use port::{Commit, Committed, Error, Key, Outcome, Record, Store};
pub use redis::RedisStore;
pub use rollcall_domain::partition::{self, Partition, Partitions};
