//! A histogram of atomics; that of the library locks a mutex for each value.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, TypedMetric},
};

/// The upper bounds of the buckets below the last, which has none.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Increasing.
    upper: &'static [u64],
    /// How many units of `upper` make one of what is shown.
    scale: f64,
}

/// What a round trip to an engine takes: 100 µs to 5 s, shown in seconds.
pub const LATENCY: Bounds = Bounds {
    upper: &[
        100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
        5_000_000,
    ],
    scale: MICROS,
};

/// What waits for a loop or a clock: 10 ms to 60 s, shown in seconds.
pub const LONG: Bounds = Bounds {
    upper: &[
        10_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000, 30_000_000,
        60_000_000,
    ],
    scale: MICROS,
};

/// How many: 0 to 3,000.
pub const COUNTS: Bounds =
    Bounds { upper: &[0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 3_000], scale: 1.0 };

/// Microseconds in a second.
const MICROS: f64 = 1e6;

/// Counts values by how great they are. Clones are the same.
#[derive(Debug, Clone)]
pub struct Histogram(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bounds: Bounds,
    /// One for each bound, and the last.
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    pub(super) fn new(bounds: Bounds) -> Self {
        let buckets = (0..=bounds.upper.len()).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Inner { bounds, buckets, sum: AtomicU64::new(0) }))
    }

    /// Counts a value, in the unit of the bounds.
    pub fn observe(&self, value: u64) {
        let bucket = self.0.bounds.upper.partition_point(|upper| *upper < value);
        self.0.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.0.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Counts a duration; for bounds that are shown in seconds.
    pub fn observe_duration(&self, duration: Duration) {
        self.observe(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }
}

#[expect(clippy::cast_precision_loss, reason = "what is shown is rounded to 53 bits")]
impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let Inner { bounds, buckets, sum } = &*self.0;
        let upper = bounds.upper.iter().map(|upper| *upper as f64 / bounds.scale).chain([f64::INFINITY]);
        let counts: Vec<u64> = buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let total = counts.iter().sum();
        let sum = sum.load(Ordering::Relaxed) as f64 / bounds.scale;
        let buckets: Vec<(f64, u64)> = upper.zip(counts).collect();
        encoder.encode_histogram::<NoLabelSet>(sum, total, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}
