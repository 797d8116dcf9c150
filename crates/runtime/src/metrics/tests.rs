//! What `/metrics` shows.

use std::time::Duration;

use super::*;

fn lines(registry: &Registry) -> Vec<String> {
    registry.encode().lines().filter(|line| !line.starts_with("# HELP")).map(str::to_owned).collect()
}

#[test]
fn counters_with_a_label_are_shown_before_they_are_counted_and_combinations_are_not() {
    let registry = Registry::default();
    let [_, refused] = registry.counters("rollcall_logins", "Logins", "result", ["ok", "refused"]);
    let calls =
        registry.table("rollcall_calls", "Calls", ("method", &["get", "set"]), ("code", &["0", "other"]));
    refused.inc();
    calls.at(1, 0).inc_by(3);
    calls.at(1, 99).inc();

    assert_eq!(
        lines(&registry),
        [
            "# TYPE rollcall_logins counter",
            "rollcall_logins_total{result=\"ok\"} 0",
            "rollcall_logins_total{result=\"refused\"} 1",
            "# TYPE rollcall_calls counter",
            "rollcall_calls_total{method=\"set\",code=\"0\"} 3",
            "rollcall_calls_total{method=\"set\",code=\"other\"} 1",
            "# EOF",
        ]
    );
}

#[test]
fn a_histogram_counts_each_value_up_to_its_bound_and_sums_in_seconds() {
    let registry = Registry::default();
    let histogram = registry.histogram("rollcall_wait_seconds", "Waits", LATENCY);
    for micros in [100, 101, 1_500_000, 60_000_000] {
        histogram.observe_duration(Duration::from_micros(micros));
    }

    let lines = lines(&registry);

    for line in [
        "rollcall_wait_seconds_bucket{le=\"0.0001\"} 1",
        "rollcall_wait_seconds_bucket{le=\"0.00025\"} 2",
        "rollcall_wait_seconds_bucket{le=\"5.0\"} 3",
        "rollcall_wait_seconds_bucket{le=\"+Inf\"} 4",
        "rollcall_wait_seconds_count 4",
        "rollcall_wait_seconds_sum 61.500201",
    ] {
        assert!(lines.iter().any(|found| found == line), "{line} is not in {lines:#?}");
    }
}

#[test]
fn what_is_kept_elsewhere_is_read_when_it_is_shown() {
    let registry = Registry::default();
    let held = Arc::new(Mutex::new(1));
    let (gauge, counter) = (Arc::clone(&held), Arc::clone(&held));
    registry.gauge_of("rollcall_held", "Held", move || *gauge.lock());
    registry.counter_of("rollcall_seen", "Seen", move || *counter.lock());
    *held.lock() = 7;
    let lines = lines(&registry);
    assert!(lines.contains(&"rollcall_held 7".to_owned()), "{lines:?}");
    assert!(lines.contains(&"rollcall_seen_total 7".to_owned()), "{lines:?}");
}
