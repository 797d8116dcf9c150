//! What a server has carried, without what it takes to ask for it.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::{RedisServer, wire::Bytes};

/// The commands that count, and those by which a start is waited for. No service may send them, save `auth` and
/// `ping`, which come with a connection.
const OPERATORS: [&str; 4] = ["auth", "config|get", "info", "ping"];

/// What a server has carried since it started. The bytes of the operator, and what it takes to count, are not in it,
/// save for the processor time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisTraffic {
    /// Calls by command, in small letters; a subcommand stands behind a `|`. Those that a script makes are among
    /// them, as is the `EVALSHA` that ran it. Without `AUTH` and `PING`.
    pub calls: BTreeMap<String, u64>,
    /// Bytes that came in.
    pub bytes_in: u64,
    /// Bytes that went out.
    pub bytes_out: u64,
    /// Processor time, that of counting included: see [`RedisServer::traffic`].
    pub cpu: Duration,
}

/// How much the operator has asked and was answered.
#[derive(Debug, Default)]
pub(super) struct Own {
    sent: AtomicU64,
    received: AtomicU64,
}

impl Own {
    /// Adds what a connection has carried.
    pub(super) fn add(&self, bytes: Bytes) {
        self.sent.fetch_add(bytes.sent, Ordering::Relaxed);
        self.received.fetch_add(bytes.received, Ordering::Relaxed);
    }
}

impl RedisServer {
    /// Reads what the server has carried. Each reading takes some processor time, always about the same: two in a
    /// row tell how much.
    pub fn traffic(&self) -> RedisTraffic {
        let mut connection = self.log_in();
        let before = connection.bytes();
        let text = connection.ask(&["INFO", "stats", "commandstats", "cpu"]);
        let text = text.unwrap_or_else(|error| panic!("the operator may ask: {error}"));
        let after = connection.bytes();
        let (sent, received) =
            (self.own.sent.load(Ordering::Relaxed), self.own.received.load(Ordering::Relaxed));
        self.own.add(after);
        // The server has counted the question, and not yet the answer.
        let own = Bytes { sent: sent + after.sent, received: received + before.received };
        RedisTraffic::read(&text, own)
    }
}

impl RedisTraffic {
    /// Reads what `INFO` says, and leaves out what is the operator's own.
    fn read(text: &str, own: Bytes) -> Self {
        let cpu = |name| -> f64 { number(text, name) };
        Self {
            calls: text.lines().filter_map(calls).filter(|(name, _)| !OPERATORS.contains(&&**name)).collect(),
            bytes_in: number::<u64>(text, "total_net_input_bytes") - own.sent,
            bytes_out: number::<u64>(text, "total_net_output_bytes") - own.received,
            cpu: Duration::from_secs_f64(cpu("used_cpu_user") + cpu("used_cpu_sys")),
        }
    }
}

/// Reads a line as `cmdstat_zadd:calls=7,usec=21,…`.
fn calls(line: &str) -> Option<(String, u64)> {
    let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
    Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
}

/// Reads a line as `name:value`; panics where there is none.
fn number<T: std::str::FromStr>(text: &str, name: &str) -> T {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("expected {name} and a number in {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_is_not_counted() {
        let server = RedisServer::start();
        let first = server.traffic();
        assert_eq!((first.calls.len(), first.bytes_in, first.bytes_out), (0, 0, 0), "{first:?}");
        let second = server.traffic();
        assert_eq!(RedisTraffic { cpu: second.cpu, ..first }, second);
        assert!(first.cpu <= second.cpu);
    }

    #[test]
    fn what_is_not_the_operators_own_is_counted() {
        let text = "# Stats\r\ntotal_net_input_bytes:100\r\ntotal_net_output_bytes:50\r\n\
                    # Commandstats\r\ncmdstat_evalsha:calls=7,usec=21,usec_per_call=3.00\r\n\
                    cmdstat_info:calls=2,usec=1\r\ncmdstat_script|load:calls=3,usec=1\r\n\
                    # CPU\r\nused_cpu_sys:0.25\r\nused_cpu_user:1.5\r\n";
        let expected = RedisTraffic {
            calls: [("evalsha".to_owned(), 7), ("script|load".to_owned(), 3)].into(),
            bytes_in: 90,
            bytes_out: 45,
            cpu: Duration::from_millis(1750),
        };
        assert_eq!(RedisTraffic::read(text, Bytes { sent: 10, received: 5 }), expected);
    }
}
