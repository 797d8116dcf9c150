//! The scenario `gateway` on real processes, small: it is served right, and each process is read for itself.

use std::{path::Path, time::Duration};

use rollcall_bench::{
    gateway::{self, Options, Report},
    output::Output,
};

const CLIENTS: usize = 30;
const CHANGES: u64 = 3;

fn options() -> Options {
    Options {
        clients: CLIENTS,
        subscriptions: 5,
        generators: 2,
        parallel: 4,
        idle: Duration::from_secs(1),
        heartbeat: Duration::from_secs(2),
        changes: CHANGES,
        limit: Duration::from_mins(1),
        generator_cpus: None,
        peer: None,
        output: Output::Table,
    }
}

async fn run(options: &Options) -> anyhow::Result<Report> {
    gateway::run(options, Path::new(env!("CARGO_BIN_EXE_rollcall-bench"))).await
}

#[tokio::test]
async fn all_hear_of_each_change_and_the_gateway_is_measured_apart_from_what_stands_behind_it() {
    let report = run(&options()).await.unwrap();

    let [server] = &report.servers[..] else { panic!("expected the gateway alone: {report:?}") };
    assert_eq!(server.name, "gateway");
    assert_eq!(server.to_last.unwrap().count, usize::try_from(CHANGES).unwrap());
    assert!(server.each.delivery_cpu_us > 0.0 && server.each.login_cpu_us > 0.0, "{server:?}");
    assert!(server.resident_at_start_bytes <= server.resident_peak_bytes, "{server:?}");
    let names: Vec<&str> = server.others.iter().map(|other| other.name).collect();
    assert_eq!(names, ["presence", "notifier", "subscription", "redis", "nats"]);
    for other in &server.others {
        assert!(other.resident_bytes > 0, "{other:?}");
    }
    // Each login and each change is stored, and each change goes through the bus.
    let used = |name| server.others.iter().find(|other| other.name == name).unwrap();
    assert!(used("presence").login_cpu_us > 0.0 && used("redis").login_cpu_us > 0.0, "{server:?}");
    assert!(used("presence").change_cpu_us > 0.0 && used("nats").change_cpu_us > 0.0, "{server:?}");
    assert!(report.to_table().contains("Behind the gateway"), "{}", report.to_table());
}

#[tokio::test]
async fn a_generator_that_does_not_start_ends_the_run_with_an_error() {
    let program = Path::new("/no/such/program");
    let error = gateway::run(&options(), program).await.unwrap_err();
    assert!(error.to_string().contains("cannot start"), "{error}");
}
