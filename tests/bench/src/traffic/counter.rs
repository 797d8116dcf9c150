//! Reads what the servers and the services count.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use rollcall_harness::{Engines, Metrics, Rollcall};
use rollcall_testkit::{NatsTraffic, RedisTraffic};
use tokio::time::Instant;

use super::carried::Carried;

/// The series that counts calls to the store, up to the operation.
const STORE_CALLS: &str = "rollcall_store_operation_seconds_count{operation=\"";
/// How often the processor time of a reading is measured; the least counts.
const LOOKS: usize = 10;

/// Counts what a cluster carries.
pub(super) struct Counter<'a> {
    engines: &'a Engines,
    ops: Vec<String>,
    /// The processor time of Redis that one reading takes.
    reading: Duration,
}

/// A reading.
pub(super) struct Reading {
    at: Instant,
    redis: RedisTraffic,
    nats: NatsTraffic,
    store_calls: BTreeMap<String, u64>,
}

/// What was carried in a stretch of time.
#[derive(Debug, Default)]
pub(super) struct Window {
    pub(super) seconds: f64,
    pub(super) carried: Carried,
}

impl Window {
    /// Joins stretches of time to one.
    pub(super) fn joined(pieces: &[Self]) -> Self {
        Self {
            seconds: pieces.iter().map(|piece| piece.seconds).sum(),
            carried: Carried::sum(pieces.iter().map(|piece| (1.0, &piece.carried))),
        }
    }
}

impl<'a> Counter<'a> {
    /// Makes a counter, which first finds out what it takes to count.
    pub(super) async fn new(rollcall: &'a mut Rollcall) -> Self {
        let ops = rollcall.ops().map(str::to_owned).collect();
        let engines = &*rollcall.engines();
        let mut counter = Self { engines, ops, reading: Duration::ZERO };
        // Something else may be carried in between: the least is the reading alone.
        let mut looks = Vec::with_capacity(LOOKS);
        for _ in 0..LOOKS {
            let first = counter.engines.redis.traffic();
            looks.push(counter.engines.redis.traffic().cpu.saturating_sub(first.cpu));
            // What waits meanwhile is not to be carried at once with the next look.
            tokio::task::yield_now().await;
        }
        counter.reading = looks.into_iter().min().unwrap_or_default();
        counter
    }

    /// Reads what has been counted up to now.
    pub(super) async fn read(&self) -> Reading {
        let (redis, nats) = (self.engines.redis.traffic(), self.engines.nats.traffic());
        let at = Instant::now();
        let metrics = join_all(self.ops.iter().map(|address| Metrics::read(address))).await;
        let mut store_calls = BTreeMap::new();
        for one in &metrics {
            for series in one.series() {
                let operation = series.strip_prefix(STORE_CALLS).and_then(|rest| rest.strip_suffix("\"}"));
                if let Some(operation) = operation {
                    *store_calls.entry(operation.to_owned()).or_default() += one.of(series);
                }
            }
        }
        Reading { at, redis, nats, store_calls }
    }

    /// Returns what was carried between two readings, without what it takes to read.
    pub(super) fn between(&self, begun: &Reading, ended: &Reading) -> Window {
        let carried =
            |reading: &Reading| Carried::new(&reading.redis, reading.nats, reading.store_calls.clone());
        let mut carried = Carried::sum([(1.0, &carried(ended)), (-1.0, &carried(begun))]);
        carried.redis_cpu_us -= self.reading.as_secs_f64() * 1e6;
        Window { seconds: (ended.at - begun.at).as_secs_f64(), carried }
    }
}
