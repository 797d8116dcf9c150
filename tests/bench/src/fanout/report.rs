//! What a run amounts to: the sums of its phases, and what one of each thing cost.

use std::{fmt::Write as _, time::Duration};

use serde::Serialize;

use super::{meter::Phase, options::Options};
use crate::{
    crowd::Measured,
    percentiles::Percentiles,
    table::{row, table},
};

/// All that a run found out, before it is reckoned.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The server's memory before the first client, in bytes.
    pub(super) resident_at_start: u64,
    pub(super) phases: Phases<Phase>,
    /// The most memory of the server, in bytes.
    pub(super) resident_peak: u64,
    /// Changes that were made, each answered ok.
    pub(super) changes: u64,
    /// Last states that a watcher did not see.
    pub(super) missing: usize,
    /// Some of them in words.
    pub(super) missing_examples: String,
    pub(super) measured: Measured,
}

/// One of something for each phase.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Phases<T> {
    /// All clients connect and log in.
    pub login: T,
    /// All clients subscribe, and are shown the first statuses.
    pub subscribe: T,
    /// Nothing but heartbeats.
    pub idle: T,
    /// Users change, until everybody has seen the last states.
    pub change: T,
}

/// The result of a run. Durations are in microseconds, memory is what of the server is in RAM, in bytes.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Clients, each with a user of its own.
    pub clients: usize,
    /// Users that each client is subscribed to.
    pub subscriptions: usize,
    /// Changes a second that were asked for.
    pub rate: u32,
    /// Changes made.
    pub changes: u64,
    /// Memory before the first client.
    pub resident_at_start_bytes: u64,
    /// The most memory there ever was.
    pub resident_peak_bytes: u64,
    /// What each phase used.
    pub phases: Phases<Used>,
    /// What one of each thing cost.
    pub each: Each,
    /// Statuses of changed users that watchers received.
    pub deliveries: usize,
    /// Frames that carried them.
    pub frames: u64,
    /// States that a watcher was not shown because a newer one overtook them (SPEC F5).
    pub overtaken: u64,
    /// Last states that a watcher was not shown in time; anything but 0 is a fault.
    pub missing: usize,
    /// Some of the missing ones in words.
    #[serde(skip)]
    missing_examples: String,
    /// How long it took.
    pub latency: Latency,
}

/// What a phase used.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Used {
    /// How long it took.
    pub wall_us: u64,
    /// Processor time of the server.
    pub server_cpu_us: u64,
    /// Processor time of the generator.
    pub generator_cpu_us: u64,
    /// Memory of the server at the end.
    pub resident_bytes: u64,
}

/// What one of each thing cost the server.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Each {
    /// Logins a second.
    pub logins_per_second: f64,
    /// Processor time of a login, with its connection.
    pub login_cpu_us: f64,
    /// Memory of a connection that is logged in.
    pub connection_bytes: f64,
    /// Processor time of one client's subscribing, with its first statuses.
    pub subscribe_cpu_us: f64,
    /// Memory of a connection with its subscriptions.
    pub subscribed_connection_bytes: f64,
    /// Processor time of an idle connection in a second.
    pub idle_cpu_us_per_second: f64,
    /// Processor time of a delivery, with its share of the change.
    pub delivery_cpu_us: f64,
}

/// Latencies, all from the time at which a change was meant to be sent.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Latency {
    /// To the receipt by a watcher.
    pub delivery: Option<Percentiles>,
    /// To the receipt of the reply by the user who changed.
    pub reply: Option<Percentiles>,
    /// To the moment it was written: the generator's own delay, which is part of the other two.
    pub sent: Option<Percentiles>,
}

impl Report {
    pub(super) fn new(options: &Options, outcome: Outcome) -> Self {
        let Outcome { phases, measured, changes, .. } = outcome;
        let deliveries = measured.deliveries_us.len();
        let each = Each::new(options.clients, outcome.resident_at_start, &phases, deliveries);
        let expected = changes.saturating_mul(options.subscriptions as u64);
        Self {
            clients: options.clients,
            subscriptions: options.subscriptions,
            rate: options.rate,
            changes,
            resident_at_start_bytes: outcome.resident_at_start,
            resident_peak_bytes: outcome.resident_peak,
            phases: Phases {
                login: Used::new(phases.login),
                subscribe: Used::new(phases.subscribe),
                idle: Used::new(phases.idle),
                change: Used::new(phases.change),
            },
            each,
            deliveries,
            frames: measured.frames,
            overtaken: expected.saturating_sub((deliveries + outcome.missing) as u64),
            missing: outcome.missing,
            missing_examples: outcome.missing_examples,
            latency: Latency {
                delivery: Percentiles::of(measured.deliveries_us),
                reply: Percentiles::of(measured.replies_us),
                sent: Percentiles::of(measured.late_us),
            },
        }
    }

    /// Fails if a watcher was not shown a last state.
    pub fn verdict(&self) -> anyhow::Result<()> {
        crate::output::verdict(self.missing, &self.missing_examples)
    }

    /// Writes the result as tables.
    pub fn to_table(&self) -> String {
        let Self { clients, subscriptions, rate, changes, .. } = self;
        let mut text = format!(
            "{clients} clients, each subscribed to {subscriptions} others; {changes} changes, {rate} a second\n\n"
        );
        text += &table(&self.phase_rows());
        text.push('\n');
        text += &table(&self.each_rows());
        text.push('\n');
        text += &table(&self.latency_rows());
        // Writing to a string never fails.
        let _ = writeln!(
            text,
            "\n{} deliveries in {} frames; {} states overtaken by newer ones; {} last states missing",
            self.deliveries, self.frames, self.overtaken, self.missing
        );
        text
    }

    fn phase_rows(&self) -> Vec<Vec<String>> {
        let phases = &self.phases;
        let mut rows = vec![row(["phase", "time", "server CPU", "generator CPU", "server memory"])];
        rows.push(row(["start", "", "", "", &mebibytes(self.resident_at_start_bytes)]));
        for (name, used) in [
            ("log in", phases.login),
            ("subscribe", phases.subscribe),
            ("idle", phases.idle),
            ("change", phases.change),
        ] {
            rows.push(row([
                name,
                &seconds(used.wall_us),
                &seconds(used.server_cpu_us),
                &seconds(used.generator_cpu_us),
                &mebibytes(used.resident_bytes),
            ]));
        }
        rows.push(row(["peak", "", "", "", &mebibytes(self.resident_peak_bytes)]));
        rows
    }

    fn each_rows(&self) -> Vec<Vec<String>> {
        let each = &self.each;
        let kibibytes = |bytes: f64| format!("{:.2} KiB", bytes / 1024.0);
        let micros = |micros: f64| format!("{micros:.2} us");
        vec![
            row(["each", "server CPU", "server memory"]),
            row(["login", &micros(each.login_cpu_us), &kibibytes(each.connection_bytes)]),
            row(["  with subscriptions", "", &kibibytes(each.subscribed_connection_bytes)]),
            row(["subscribing of a client", &micros(each.subscribe_cpu_us), ""]),
            row(["second of an idle connection", &micros(each.idle_cpu_us_per_second), ""]),
            row(["delivery", &micros(each.delivery_cpu_us), ""]),
            row(["logins a second", &format!("{:.0}", each.logins_per_second), ""]),
        ]
    }

    fn latency_rows(&self) -> Vec<Vec<String>> {
        let mut rows = vec![row(["from the intended time", "count", "p50", "p95", "p99", "max"])];
        let latency = &self.latency;
        for (name, found) in [
            ("to a watcher's receipt", latency.delivery),
            ("to the caller's reply", latency.reply),
            ("to being sent (generator)", latency.sent),
        ] {
            let Some(found) = found else { continue };
            let count = found.count.to_string();
            let times = [found.p50_us, found.p95_us, found.p99_us, found.max_us].map(millis);
            rows.push([vec![name.to_owned(), count], times.to_vec()].concat());
        }
        rows
    }
}

impl Used {
    fn new(phase: Phase) -> Self {
        Self {
            wall_us: micros(phase.wall),
            server_cpu_us: micros(phase.server_cpu),
            generator_cpu_us: micros(phase.generator_cpu),
            resident_bytes: phase.resident_bytes,
        }
    }
}

impl Each {
    #[expect(clippy::cast_precision_loss, reason = "counts and bytes are far below 2^53")]
    fn new(clients: usize, resident_at_start: u64, phases: &Phases<Phase>, deliveries: usize) -> Self {
        let clients = clients as f64;
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        let grown = |phase: &Phase| phase.resident_bytes.saturating_sub(resident_at_start) as f64;
        Self {
            logins_per_second: clients / phases.login.wall.as_secs_f64(),
            login_cpu_us: micros(phases.login.server_cpu) / clients,
            connection_bytes: grown(&phases.login) / clients,
            subscribe_cpu_us: micros(phases.subscribe.server_cpu) / clients,
            subscribed_connection_bytes: grown(&phases.subscribe) / clients,
            idle_cpu_us_per_second: micros(phases.idle.server_cpu) / clients / phases.idle.wall.as_secs_f64(),
            delivery_cpu_us: micros(phases.change.server_cpu) / deliveries.max(1) as f64,
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn seconds(micros: u64) -> String {
    format!("{}.{:03} s", micros / 1_000_000, micros / 1000 % 1000)
}

fn millis(micros: u32) -> String {
    format!("{}.{:03} ms", micros / 1000, micros % 1000)
}

fn mebibytes(bytes: u64) -> String {
    format!("{}.{} MiB", bytes >> 20, ((bytes & 0xf_ffff) * 10) >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(wall_ms: u64, server_cpu_ms: u64, resident_bytes: u64) -> Phase {
        Phase {
            wall: Duration::from_millis(wall_ms),
            server_cpu: Duration::from_millis(server_cpu_ms),
            generator_cpu: Duration::ZERO,
            resident_bytes,
        }
    }

    #[test]
    fn costs_are_shared_among_what_caused_them() {
        let phases = Phases {
            login: phase(500, 100, 11_000),
            subscribe: phase(100, 50, 16_000),
            idle: phase(10_000, 20, 16_000),
            change: phase(1_000, 400, 16_000),
        };
        let expected = Each {
            logins_per_second: 2_000.0,
            login_cpu_us: 100.0,
            connection_bytes: 10.0,
            subscribe_cpu_us: 50.0,
            subscribed_connection_bytes: 15.0,
            idle_cpu_us_per_second: 2.0,
            delivery_cpu_us: 20.0,
        };
        assert_eq!(Each::new(1000, 1_000, &phases, 20_000), expected);
    }

    #[test]
    fn numbers_are_written_with_their_unit() {
        assert_eq!(seconds(1_234_567), "1.234 s");
        assert_eq!(millis(1_002), "1.002 ms");
        assert_eq!(mebibytes(12 * (1 << 20) + (1 << 19)), "12.5 MiB");
    }
}
