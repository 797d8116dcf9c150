//! Instruments with labels, and those that are kept elsewhere.

use std::fmt;

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, TypedMetric, counter::Counter},
};

/// The labels of one instrument.
type Labels = Vec<(&'static str, &'static str)>;

/// Instruments of one name that differ by their labels.
#[derive(Debug)]
pub(super) struct Series<T> {
    series: Vec<(Labels, T)>,
    shown: fn(&T) -> bool,
}

impl<T> Series<T> {
    /// Shows all.
    pub(super) fn all(series: impl Iterator<Item = (Labels, T)>) -> Self {
        Self { series: series.collect(), shown: |_| true }
    }
}

impl Series<Counter> {
    /// Shows those that were counted at least once.
    pub(super) fn happened(series: Vec<(Labels, Counter)>) -> Self {
        Self { series, shown: |counter| counter.get() > 0 }
    }
}

impl<T: EncodeMetric + TypedMetric> EncodeMetric for Series<T> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (labels, instrument) in self.series.iter().filter(|(_, instrument)| (self.shown)(instrument)) {
            instrument.encode(encoder.encode_family(labels)?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        T::TYPE
    }
}

/// A value that is kept elsewhere.
pub(super) struct Observed {
    read: Box<dyn Fn() -> u64 + Send + Sync>,
    kind: MetricType,
}

impl Observed {
    /// Reads a value that only grows.
    pub(super) fn counter(read: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self { read: Box::new(read), kind: MetricType::Counter }
    }

    /// Reads a value that goes up and down.
    pub(super) fn gauge(read: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self { read: Box::new(read), kind: MetricType::Gauge }
    }
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observed").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl EncodeMetric for Observed {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let value = (self.read)();
        match self.kind {
            MetricType::Counter => encoder.encode_counter::<NoLabelSet, _, u64>(&value, None),
            _ => encoder.encode_gauge(&i64::try_from(value).unwrap_or(i64::MAX)),
        }
    }

    fn metric_type(&self) -> MetricType {
        self.kind
    }
}
