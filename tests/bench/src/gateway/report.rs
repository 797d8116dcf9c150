//! What a run amounts to: for each server what each phase used, and what one of each thing cost.

mod tables;

use std::time::Duration;

use serde::Serialize;

use super::{
    meter::{Phase, Used},
    options::Options,
};
use crate::percentiles::Percentiles;

/// All that was found out about a server, before it is reckoned.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) name: &'static str,
    pub(super) others: Vec<&'static str>,
    /// Before the first client.
    pub(super) start: Phase,
    pub(super) phases: Phases<Phase>,
    /// The most memory in RAM of the process that holds the connections, in bytes.
    pub(super) peak_bytes: u64,
    /// Of each change of the star the time to its last hearer, in microseconds.
    pub(super) to_last_us: Vec<u32>,
}

/// One of something for each phase.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Phases<T> {
    /// All clients connect.
    pub connect: T,
    /// All log in.
    pub login: T,
    /// All subscribe, and are shown the first statuses.
    pub subscribe: T,
    /// Nothing but heartbeats.
    pub idle: T,
    /// The star changes; all its changes together, with a pause around each.
    pub change: T,
}

/// The result of a run. Times are in microseconds, memory is what is in RAM, in bytes.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Clients of each server.
    pub clients: usize,
    /// Users that each is subscribed to, the star among them.
    pub subscriptions: usize,
    /// Generators.
    pub generators: usize,
    /// Changes of the star.
    pub changes: u64,
    /// The gateway, and the peer if there is one.
    pub servers: Vec<Server>,
}

/// What was found out about a server.
#[derive(Debug, Clone, Serialize)]
pub struct Server {
    /// What holds the connections: `gateway` or `centrifugo`. All figures of which nothing else is said are of that
    /// process alone.
    pub name: &'static str,
    /// Memory before the first client.
    pub resident_at_start_bytes: u64,
    /// The most memory there ever was.
    pub resident_peak_bytes: u64,
    /// What each phase used.
    pub phases: Phases<Spent>,
    /// What one of each thing cost.
    pub each: Each,
    /// From the moment at which the star's change is sent to that at which the last client has heard of it.
    pub to_last: Option<Percentiles>,
    /// What the processes behind it used.
    pub others: Vec<Other>,
}

/// What a process used in a phase.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Spent {
    /// How long it took.
    pub wall_us: u64,
    /// Processor time.
    pub cpu_us: u64,
    /// Memory at the end.
    pub resident_bytes: u64,
}

/// What one of each thing cost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Each {
    /// From the first connection to the last login.
    pub log_in_all_us: f64,
    /// Processor time of a login, with its connection.
    pub login_cpu_us: f64,
    /// Processor time of one client's subscribing, with its first statuses.
    pub subscribe_cpu_us: f64,
    /// What a connection adds to the memory: its task and buffers, with whatever the system has for it in the process.
    pub connection_bytes: f64,
    /// What its login adds: the session and its user.
    pub login_bytes: f64,
    /// What its subscriptions add: the edges, and whatever its buffers grew by.
    pub subscriptions_bytes: f64,
    /// What being idle adds, or takes where the process gives back to the system what it needs no more.
    pub idling_bytes: f64,
    /// The sum of the four: what an idle connection with its subscriptions takes, above the empty server.
    pub idle_connection_bytes: f64,
    /// Processor time of an idle connection in a second.
    pub idle_cpu_us_per_second: f64,
    /// Processor time of a delivery of the star's change, with its share of the change.
    pub delivery_cpu_us: f64,
    /// Deliveries a second, until the last one.
    pub deliveries_per_second: f64,
}

/// What a process behind the one that holds the connections used.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Other {
    /// The service or server.
    pub name: &'static str,
    /// Its memory before the first client.
    pub resident_at_start_bytes: u64,
    /// Its memory at the end.
    pub resident_bytes: u64,
    /// Processor time of a login.
    pub login_cpu_us: f64,
    /// Processor time of one client's subscribing.
    pub subscribe_cpu_us: f64,
    /// Processor time of an idle connection in a second.
    pub idle_cpu_us_per_second: f64,
    /// Processor time of a change of the star, whoever watches.
    pub change_cpu_us: f64,
}

impl Report {
    pub(super) fn new(options: &Options) -> Self {
        let Options { clients, subscriptions, generators, changes, .. } = *options;
        Self { clients, subscriptions, generators, changes, servers: Vec::new() }
    }

    /// Adds a server.
    pub(super) fn add(&mut self, life: Life) {
        let Life { name, others, start, phases, peak_bytes, to_last_us } = life;
        let counts = Counts::new(self.clients, self.changes);
        let others = others.into_iter().enumerate();
        let others = others.map(|(place, name)| Other::new(name, counts, place, &start, &phases)).collect();
        let Phases { connect, login, subscribe, idle, change } = &phases;
        self.servers.push(Server {
            name,
            resident_at_start_bytes: start.own.resident_bytes,
            resident_peak_bytes: peak_bytes,
            each: Each::new(counts, start.own.resident_bytes, &phases, &to_last_us),
            phases: Phases {
                connect: Spent::new(connect),
                login: Spent::new(login),
                subscribe: Spent::new(subscribe),
                idle: Spent::new(idle),
                change: Spent::new(change),
            },
            to_last: Percentiles::of(to_last_us),
            others,
        });
    }
}

impl Spent {
    fn new(phase: &Phase) -> Self {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let Phase { wall, own, .. } = phase;
        Self { wall_us: micros(*wall), cpu_us: micros(own.cpu), resident_bytes: own.resident_bytes }
    }
}

/// What costs are divided by.
#[derive(Debug, Clone, Copy)]
struct Counts {
    clients: f64,
    changes: f64,
}

impl Counts {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    fn new(clients: usize, changes: u64) -> Self {
        Self { clients: clients as f64, changes: changes as f64 }
    }
}

impl Each {
    fn new(counts: Counts, resident_at_start: u64, phases: &Phases<Phase>, to_last_us: &[u32]) -> Self {
        let Counts { clients, changes } = counts;
        let Phases { connect, login, subscribe, idle, change } = phases;
        let added = |before: u64, after: &Phase| grown(before, after.own.resident_bytes) / clients;
        let connection_bytes = added(resident_at_start, connect);
        let login_bytes = added(connect.own.resident_bytes, login);
        let subscriptions_bytes = added(login.own.resident_bytes, subscribe);
        let idling_bytes = added(subscribe.own.resident_bytes, idle);
        let deliveries = clients * changes;
        let to_last_us: f64 = to_last_us.iter().copied().map(f64::from).sum();
        Self {
            log_in_all_us: micros(connect.wall + login.wall),
            login_cpu_us: micros(connect.own.cpu + login.own.cpu) / clients,
            subscribe_cpu_us: micros(subscribe.own.cpu) / clients,
            connection_bytes,
            login_bytes,
            subscriptions_bytes,
            idling_bytes,
            idle_connection_bytes: added(resident_at_start, idle),
            idle_cpu_us_per_second: micros(idle.own.cpu) / clients / idle.wall.as_secs_f64(),
            delivery_cpu_us: micros(change.own.cpu) / deliveries,
            deliveries_per_second: deliveries / to_last_us * 1e6,
        }
    }
}

impl Other {
    fn new(name: &'static str, counts: Counts, place: usize, start: &Phase, phases: &Phases<Phase>) -> Self {
        let Counts { clients, changes } = counts;
        let used = |phase: &Phase| phase.others.get(place).copied().unwrap_or_default();
        let cpu = |phase: &Phase| micros(used(phase).cpu);
        let Phases { connect, login, subscribe, idle, change } = phases;
        let Used { resident_bytes, .. } = used(change);
        Self {
            name,
            resident_at_start_bytes: used(start).resident_bytes,
            resident_bytes,
            login_cpu_us: (cpu(connect) + cpu(login)) / clients,
            subscribe_cpu_us: cpu(subscribe) / clients,
            idle_cpu_us_per_second: cpu(idle) / clients / idle.wall.as_secs_f64(),
            change_cpu_us: cpu(change) / changes,
        }
    }
}

/// Returns by how many bytes memory has grown; less than 0 where it shrank.
#[expect(clippy::cast_precision_loss, reason = "bytes are far below 2^53")]
fn grown(before: u64, after: u64) -> f64 {
    after as f64 - before as f64
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

#[cfg(test)]
mod tests;
