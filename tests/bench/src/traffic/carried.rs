//! What was carried, and what the scripts of the store have of it.

use std::collections::BTreeMap;

use rollcall_testkit::{NatsTraffic, RedisTraffic};
use serde::Serialize;

/// Commands that scripts call, and services send only as they connect, or as gateways catch up.
const IN_SCRIPTS: [&str; 15] = [
    "del", "get", "getrange", "hdel", "hget", "hlen", "hset", "set", "xadd", "xlen", "xtrim", "zcount",
    "zrange", "zrem", "zscore",
];

/// What Redis and NATS carried, all of it or what one of something costs. Fractions are what a share comes to.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Carried {
    /// Commands that services sent to Redis, by name in small letters.
    pub redis_sent: BTreeMap<String, f64>,
    /// Commands that Redis ran in scripts.
    pub redis_in_scripts: f64,
    /// Bytes to Redis.
    pub redis_bytes_in: f64,
    /// Bytes from Redis.
    pub redis_bytes_out: f64,
    /// Processor time of Redis.
    pub redis_cpu_us: f64,
    /// Messages to NATS.
    pub nats_messages_in: f64,
    /// Messages from NATS, one for each receiver; the acknowledgments of its stream are among them.
    pub nats_messages_out: f64,
    /// Bytes to NATS: headers and payloads.
    pub nats_bytes_in: f64,
    /// Bytes from NATS: headers and payloads.
    pub nats_bytes_out: f64,
    /// Calls to the store, by operation, as the services count them. They say what the commands are for.
    pub store_calls: BTreeMap<String, f64>,
}

impl Carried {
    /// Makes it of what the servers and the services counted.
    ///
    /// Redis counts a command that a script calls as it counts one that is sent. Of most names it is one or the other.
    /// `TIME` and `ZADD` are both: a `TIME` is sent for each call `now` to the store, and a `ZADD` with each `ZMSCORE`;
    /// the others are of scripts.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    pub(super) fn new(redis: &RedisTraffic, nats: NatsTraffic, store_calls: BTreeMap<String, u64>) -> Self {
        let calls = |name: &str| redis.calls.get(name).copied().unwrap_or_default() as f64;
        let store_calls: BTreeMap<String, f64> =
            store_calls.into_iter().map(|(operation, count)| (operation, count as f64)).collect();
        let sent = |name: &str| match name {
            "time" => store_calls.get("now").copied().unwrap_or_default(),
            "zadd" => calls("zmscore"),
            name => calls(name),
        };
        let names = redis.calls.keys().filter(|name| !IN_SCRIPTS.contains(&name.as_str()));
        let redis_sent: BTreeMap<String, f64> = names.map(|name| (name.clone(), sent(name))).collect();
        let all: u64 = redis.calls.values().sum();
        Self {
            redis_in_scripts: all as f64 - redis_sent.values().sum::<f64>(),
            redis_sent,
            redis_bytes_in: redis.bytes_in as f64,
            redis_bytes_out: redis.bytes_out as f64,
            redis_cpu_us: redis.cpu.as_secs_f64() * 1e6,
            nats_messages_in: nats.messages_in as f64,
            nats_messages_out: nats.messages_out as f64,
            nats_bytes_in: nats.bytes_in as f64,
            nats_bytes_out: nats.bytes_out as f64,
            store_calls,
        }
    }

    /// Returns how many commands were sent to Redis.
    pub fn redis_commands(&self) -> f64 {
        self.redis_sent.values().sum()
    }

    /// Returns how many commands of a name were sent to Redis.
    pub fn sent(&self, name: &str) -> f64 {
        self.redis_sent.get(name).copied().unwrap_or_default()
    }

    /// Adds up so many times each.
    pub(super) fn sum<'a>(parts: impl IntoIterator<Item = (f64, &'a Self)>) -> Self {
        let mut all = Self::default();
        for (times, part) in parts {
            let add = |all: &mut BTreeMap<String, f64>, part: &BTreeMap<String, f64>| {
                for (name, count) in part {
                    *all.entry(name.clone()).or_default() += times * count;
                }
            };
            add(&mut all.redis_sent, &part.redis_sent);
            add(&mut all.store_calls, &part.store_calls);
            all.redis_in_scripts += times * part.redis_in_scripts;
            all.redis_bytes_in += times * part.redis_bytes_in;
            all.redis_bytes_out += times * part.redis_bytes_out;
            all.redis_cpu_us += times * part.redis_cpu_us;
            all.nats_messages_in += times * part.nats_messages_in;
            all.nats_messages_out += times * part.nats_messages_out;
            all.nats_bytes_in += times * part.nats_bytes_in;
            all.nats_bytes_out += times * part.nats_bytes_out;
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path, time::Duration};

    use super::*;

    fn redis(calls: &[(&str, u64)]) -> RedisTraffic {
        let calls = calls.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        RedisTraffic { calls, bytes_in: 100, bytes_out: 10, cpu: Duration::from_millis(1) }
    }

    const NATS: NatsTraffic = NatsTraffic { messages_in: 1, messages_out: 2, bytes_in: 3, bytes_out: 4 };

    #[test]
    fn commands_in_scripts_are_not_taken_for_sent_ones() {
        let redis = redis(&[
            ("evalsha", 10),
            ("getrange", 10),
            ("time", 14),
            ("zadd", 7),
            ("zmscore", 3),
            ("mget", 4),
        ]);
        let carried = Carried::new(&redis, NATS, [("now".to_owned(), 4)].into());
        let sent = ["evalsha", "getrange", "time", "zadd", "zmscore", "mget"].map(|name| carried.sent(name));
        assert_eq!(format!("{sent:?}"), "[10.0, 0.0, 4.0, 3.0, 3.0, 4.0]");
        assert_eq!((carried.redis_commands(), carried.redis_in_scripts), (24.0, 24.0));
    }

    #[test]
    fn parts_add_up_name_by_name() {
        let one = |name| Carried::new(&redis(&[(name, 4)]), NATS, BTreeMap::new());
        let sum = Carried::sum([(0.5, &one("evalsha")), (2.0, &one("mget")), (-1.0, &one("mget"))]);
        assert_eq!((sum.sent("evalsha"), sum.sent("mget"), sum.nats_bytes_out), (2.0, 4.0, 6.0));
    }

    #[test]
    fn the_commands_of_all_scripts_are_known() {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/store/src/redis");
        let mut called = BTreeSet::new();
        for entry in fs::read_dir(scripts).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "lua") {
                let text = fs::read_to_string(path).unwrap();
                let calls = text.split("redis.call('").skip(1);
                called.extend(calls.filter_map(|rest| Some(rest.split_once('\'')?.0.to_lowercase())));
            }
        }
        let known: BTreeSet<String> =
            IN_SCRIPTS.into_iter().chain(["time", "zadd"]).map(str::to_owned).collect();
        assert_eq!(called, known);
    }
}
