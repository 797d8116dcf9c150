//! A result as tables: the servers side by side, with the ratio of the peer to the gateway.

use std::fmt::Write as _;

use super::{Report, Server};
use crate::table::{row, table};

/// How a figure is written.
#[derive(Clone, Copy)]
enum Unit {
    Seconds,
    Millis,
    Micros,
    Kibibytes,
    Mebibytes,
    Count,
}

/// A figure of a server, as a row shows it.
type Figure = (&'static str, Unit, fn(&Server) -> f64);

/// The rows, in the order of a connection's life. Times are in microseconds, memory is in bytes.
#[expect(clippy::cast_precision_loss, reason = "bytes are far below 2^53")]
const FIGURES: [Figure; 16] = [
    ("log in all", Unit::Seconds, |server| server.each.log_in_all_us),
    ("  processor time of one", Unit::Micros, |server| server.each.login_cpu_us),
    ("subscribe all", Unit::Seconds, |server| server.phases.subscribe.wall_us as f64),
    ("  processor time of one", Unit::Micros, |server| server.each.subscribe_cpu_us),
    ("memory of an idle connection", Unit::Kibibytes, |server| server.each.idle_connection_bytes),
    ("  connecting takes", Unit::Kibibytes, |server| server.each.connection_bytes),
    ("  logging in adds", Unit::Kibibytes, |server| server.each.login_bytes),
    ("  subscribing adds", Unit::Kibibytes, |server| server.each.subscriptions_bytes),
    ("  being idle adds", Unit::Kibibytes, |server| server.each.idling_bytes),
    ("memory, empty", Unit::Mebibytes, |server| server.resident_at_start_bytes as f64),
    ("memory at its peak", Unit::Mebibytes, |server| server.resident_peak_bytes as f64),
    ("idle connection, processor time in 1 s", Unit::Micros, |server| server.each.idle_cpu_us_per_second),
    ("star's change to the last: median", Unit::Millis, |server| to_last(server).0),
    ("  slowest", Unit::Millis, |server| to_last(server).1),
    ("  deliveries in 1 s", Unit::Count, |server| server.each.deliveries_per_second),
    ("  processor time of a delivery", Unit::Micros, |server| server.each.delivery_cpu_us),
];

impl Report {
    /// Writes the result as tables.
    pub fn to_table(&self) -> String {
        let Self { clients, subscriptions, generators, changes, .. } = self;
        let mut text = format!(
            "{clients} clients of each server in {generators} generators, each subscribed to {subscriptions} users; \
             {changes} changes of the star\n\n"
        );
        text += &table(&self.rows());
        for server in self.servers.iter().filter(|server| !server.others.is_empty()) {
            // Writing to a string never fails.
            let _ = writeln!(text, "\nBehind the {}, processor time", server.name);
            text += &table(&other_rows(server));
        }
        text
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let names = self.servers.iter().map(|server| server.name.to_owned());
        let ratio = || (self.servers.len() == 2).then(|| "ratio".to_owned());
        let mut rows = vec![["the process".to_owned()].into_iter().chain(names).chain(ratio()).collect()];
        for (name, unit, figure) in FIGURES {
            let figures: Vec<f64> = self.servers.iter().map(figure).collect();
            let mut row = vec![name.to_owned()];
            row.extend(figures.iter().map(|figure| unit.write(*figure)));
            if let [gateway, peer] = figures[..] {
                row.push(format!("{:.2}", peer / gateway));
            }
            rows.push(row);
        }
        rows
    }
}

fn other_rows(server: &Server) -> Vec<Vec<String>> {
    let columns = ["", "login", "subscribing", "idle, in 1 s", "change", "memory, empty", "at the end"];
    let mut rows = vec![row(columns)];
    for other in &server.others {
        let [start, end] = [other.resident_at_start_bytes, other.resident_bytes];
        let micros =
            [other.login_cpu_us, other.subscribe_cpu_us, other.idle_cpu_us_per_second, other.change_cpu_us];
        let mut row = vec![other.name.to_owned()];
        row.extend(micros.map(|micros| Unit::Micros.write(micros)));
        #[expect(clippy::cast_precision_loss, reason = "bytes are far below 2^53")]
        row.extend([start, end].map(|bytes| Unit::Mebibytes.write(bytes as f64)));
        rows.push(row);
    }
    rows
}

/// Returns the median and the greatest time to the last hearer.
fn to_last(server: &Server) -> (f64, f64) {
    let found = server.to_last.map(|found| (f64::from(found.p50_us), f64::from(found.max_us)));
    found.unwrap_or_default()
}

impl Unit {
    fn write(self, figure: f64) -> String {
        match self {
            Self::Seconds => format!("{:.2} s", figure / 1e6),
            Self::Millis => format!("{:.1} ms", figure / 1e3),
            Self::Micros => format!("{figure:.2} us"),
            Self::Kibibytes => format!("{:.2} KiB", figure / 1024.0),
            Self::Mebibytes => format!("{:.1} MiB", figure / 1024.0 / 1024.0),
            Self::Count => format!("{figure:.0}"),
        }
    }
}
