//! What a process counts and measures, as `/metrics` shows it.
//!
//! Invariant: an event costs an atomic addition and nothing else. Every instrument is made once, with its labels;
//! who counts holds it. Names begin with `rollcall_`, and end with their unit where they have one; the `_total`
//! of counters is added when they are written. No label tells an app or a user. Start with [`Registry`].

mod histogram;
mod series;

use std::sync::Arc;

use parking_lot::Mutex;
pub use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use prometheus_client::{encoding::text, registry, registry::Metric};

pub use histogram::{COUNTS, Histogram, LATENCY, LONG};
use series::{Observed, Series};

/// The instruments of one process. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Registry(Arc<Mutex<registry::Registry>>);

/// A label's name with all values that it can have.
pub type Label<'a> = (&'static str, &'a [&'static str]);

/// Counters by two labels, for those combinations that have happened.
#[derive(Debug, Clone)]
pub struct Table {
    cells: Arc<[Counter]>,
    columns: usize,
}

impl Table {
    /// Returns the counter of a combination by the places of its labels' values; the last one's where there are
    /// fewer values.
    pub fn at(&self, row: usize, column: usize) -> &Counter {
        let cell = row * self.columns + column.min(self.columns - 1);
        &self.cells[cell.min(self.cells.len() - 1)]
    }
}

impl Registry {
    /// Adds a counter.
    pub fn counter(&self, name: &'static str, help: &'static str) -> Counter {
        let counter = Counter::default();
        self.register(name, help, counter.clone());
        counter
    }

    /// Adds a value that goes up and down.
    pub fn gauge(&self, name: &'static str, help: &'static str) -> Gauge {
        let gauge = Gauge::default();
        self.register(name, help, gauge.clone());
        gauge
    }

    /// Adds a counter for each value of a label.
    pub fn counters<const N: usize>(
        &self,
        name: &'static str,
        help: &'static str,
        label: &'static str,
        values: [&'static str; N],
    ) -> [Counter; N] {
        let counters = std::array::from_fn(|_| Counter::default());
        let series = values.into_iter().zip(&counters);
        let series = series.map(|(value, counter): (_, &Counter)| (vec![(label, value)], counter.clone()));
        self.register(name, help, Series::all(series));
        counters
    }

    /// Adds a counter for each combination of two labels' values, each with one value at least. What has not
    /// happened yet is left out.
    pub fn table(
        &self,
        name: &'static str,
        help: &'static str,
        rows: Label<'_>,
        columns: Label<'_>,
    ) -> Table {
        let mut series = Vec::with_capacity(rows.1.len() * columns.1.len());
        for row in rows.1 {
            for column in columns.1 {
                series.push((vec![(rows.0, *row), (columns.0, *column)], Counter::default()));
            }
        }
        let cells = series.iter().map(|(_, counter)| counter.clone()).collect();
        self.register(name, help, Series::happened(series));
        Table { cells, columns: columns.1.len() }
    }

    /// Adds a counter that is kept elsewhere, and read when it is shown.
    pub fn counter_of(
        &self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        self.register(name, help, Observed::counter(read));
    }

    /// Adds a value that goes up and down, which is kept elsewhere and read when it is shown.
    pub fn gauge_of(
        &self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        self.register(name, help, Observed::gauge(read));
    }

    /// Adds a histogram of what `bounds` says.
    pub fn histogram(&self, name: &'static str, help: &'static str, bounds: histogram::Bounds) -> Histogram {
        let histogram = Histogram::new(bounds);
        self.register(name, help, histogram.clone());
        histogram
    }

    /// Adds a histogram for each value of a label.
    pub fn histograms<const N: usize>(
        &self,
        name: &'static str,
        help: &'static str,
        bounds: histogram::Bounds,
        label: &'static str,
        values: [&'static str; N],
    ) -> [Histogram; N] {
        let histograms = std::array::from_fn(|_| Histogram::new(bounds));
        let series = values.into_iter().zip(&histograms);
        let series = series.map(|(value, one): (_, &Histogram)| (vec![(label, value)], one.clone()));
        self.register(name, help, Series::all(series));
        histograms
    }

    /// Writes all instruments as text of `OpenMetrics`.
    pub fn encode(&self) -> String {
        let mut output = String::new();
        // Writing to a string never fails.
        let _ = text::encode(&mut output, &self.0.lock());
        output
    }

    fn register(&self, name: &'static str, help: &'static str, metric: impl Metric) {
        debug_assert!(name.starts_with("rollcall_"), "{name} does not begin with rollcall_");
        self.0.lock().register(name, help, metric);
    }
}

#[cfg(test)]
mod tests;
