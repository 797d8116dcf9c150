//! How a set of measured times is spread.

use serde::Serialize;

/// The percentiles of a set of times, in microseconds. Each is a time that was measured (nearest rank), never
/// one between two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Percentiles {
    /// How many times were measured.
    pub count: usize,
    /// Half of the times are at most this.
    pub p50_us: u32,
    /// 95 of 100 times are at most this.
    pub p95_us: u32,
    /// 99 of 100 times are at most this.
    pub p99_us: u32,
    /// No time is more than this.
    pub max_us: u32,
}

impl Percentiles {
    /// Works out the percentiles; `None` if nothing was measured.
    pub fn of(mut times_us: Vec<u32>) -> Option<Self> {
        times_us.sort_unstable();
        let at = |percent: usize| Some(times_us[rank(times_us.len(), percent)?]);
        Some(Self {
            count: times_us.len(),
            p50_us: at(50)?,
            p95_us: at(95)?,
            p99_us: at(99)?,
            max_us: at(100)?,
        })
    }
}

/// Returns the place of a percentile, 1 to 100, among `count` sorted times; `None` if there are none.
fn rank(count: usize, percent: usize) -> Option<usize> {
    (count * percent).div_ceil(100).checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_1_to_100_are_their_own_numbers() {
        let mut times: Vec<u32> = (1..=100).collect();
        times.reverse();
        let expected = Percentiles { count: 100, p50_us: 50, p95_us: 95, p99_us: 99, max_us: 100 };
        assert_eq!(Percentiles::of(times), Some(expected));
    }

    #[test]
    fn a_percentile_is_always_a_time_that_was_measured() {
        let expected = Percentiles { count: 2, p50_us: 10, p95_us: 1000, p99_us: 1000, max_us: 1000 };
        assert_eq!(Percentiles::of(vec![1000, 10]), Some(expected));
        let expected = Percentiles { count: 1, p50_us: 7, p95_us: 7, p99_us: 7, max_us: 7 };
        assert_eq!(Percentiles::of(vec![7]), Some(expected));
    }

    #[test]
    fn nothing_measured_has_no_percentiles() {
        assert_eq!(Percentiles::of(Vec::new()), None);
    }
}
