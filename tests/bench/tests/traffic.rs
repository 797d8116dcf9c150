//! The scenario `traffic` on a real cluster, small: it is served right, and what it counts can be.

use std::time::Duration;

use rollcall_bench::{
    output::Output,
    traffic::{self, Options, Phase, Report},
};

const CHANGES: u32 = 50;
const SESSIONS: usize = 20;

fn options() -> Options {
    Options {
        sessions: SESSIONS,
        subscriptions: 3,
        parallel: 4,
        empty: Duration::from_secs(2),
        idle: Duration::from_secs(2),
        changes: CHANGES,
        rate: 50,
        busy: Duration::from_secs(1),
        limit: Duration::from_mins(1),
        partitions: 16,
        output: Output::Table,
    }
}

/// Returns what the services asked of the store for the changes themselves: reads, commits, and what was published.
fn asked(phase: &Phase) -> f64 {
    ["get", "commit", "published"].iter().map(|name| phase.carried.store_calls[*name]).sum()
}

fn phase<'a>(report: &'a Report, name: &str) -> &'a Phase {
    report.phase(name).unwrap_or_else(|| panic!("the phase {name} is not in {report:?}"))
}

#[tokio::test]
async fn a_change_is_a_script_and_a_publish_and_watchers_cost_the_store_nothing() {
    let report = traffic::run(&options()).await.unwrap();

    report.verdict().unwrap();
    let changes = f64::from(CHANGES);
    let unwatched = phase(&report, "change_0_watchers_1_gateways");
    let watched = ["1_watchers_1", "1_watchers_2", "10_watchers_1", "10_watchers_2"]
        .map(|case| phase(&report, &format!("change_{case}_gateways")));
    for phase in [&[unwatched][..], &watched, &[phase(&report, "busy")]].concat() {
        let carried = &phase.carried;
        assert!(carried.store_calls["commit"] >= changes, "{phase:?}");
        assert!(carried.sent("evalsha") >= changes, "{phase:?}");
        assert!(carried.redis_in_scripts > changes, "{phase:?}");
        assert!(carried.nats_messages_in >= changes, "{phase:?}");
        // To each of two notifiers, and its acknowledgment.
        assert!(carried.nats_messages_out >= 3.0 * changes, "{phase:?}");
        assert!(carried.redis_bytes_in > 0.0 && carried.nats_bytes_in > 0.0, "{phase:?}");
    }
    // One call for each change would be twice the margin; what the cluster does of itself is far below it.
    for phase in watched {
        assert!(asked(phase) < asked(unwatched) + changes / 2.0, "{unwatched:?} {phase:?}");
    }
    let logins = &phase(&report, "login").carried;
    #[expect(clippy::cast_precision_loss, reason = "it is a small number")]
    let sessions = SESSIONS as f64;
    assert!(logins.store_calls["commit"] >= sessions, "{logins:?}");
    assert!(report.to_table().contains("change 10 watchers 2 gateways"), "{}", report.to_table());
}
