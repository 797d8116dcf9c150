//! Arithmetic of a result.

use super::*;

const CLIENTS: usize = 1000;

fn used(cpu_ms: u64, resident_bytes: u64) -> Used {
    Used { cpu: Duration::from_millis(cpu_ms), resident_bytes }
}

fn phase(wall_ms: u64, own: Used, other: Used) -> Phase {
    Phase { wall: Duration::from_millis(wall_ms), own, others: vec![other] }
}

fn life(name: &'static str) -> Life {
    Life {
        name,
        others: vec!["presence"],
        start: phase(0, used(0, 1_000), used(0, 50)),
        phases: Phases {
            connect: phase(500, used(40, 6_000), used(10, 50)),
            login: phase(1_500, used(60, 8_000), used(90, 60)),
            subscribe: phase(1_000, used(50, 11_000), used(40, 70)),
            idle: phase(10_000, used(20, 10_500), used(10, 70)),
            change: phase(9_000, used(400, 11_000), used(6, 80)),
        },
        peak_bytes: 12_000,
        to_last_us: vec![100_000, 300_000],
    }
}

fn report(names: &[&'static str]) -> Report {
    let mut report =
        Report { clients: CLIENTS, subscriptions: 20, generators: 2, changes: 2, servers: Vec::new() };
    for name in names {
        report.add(life(name));
    }
    report
}

#[test]
fn costs_are_shared_among_what_caused_them() {
    let [server] = &report(&["gateway"]).servers[..] else { panic!("expected one server") };
    let expected = Each {
        log_in_all_us: 2_000_000.0,
        login_cpu_us: 100.0,
        subscribe_cpu_us: 50.0,
        connection_bytes: 5.0,
        login_bytes: 2.0,
        subscriptions_bytes: 3.0,
        idling_bytes: -0.5,
        idle_connection_bytes: 9.5,
        idle_cpu_us_per_second: 2.0,
        delivery_cpu_us: 200.0,
        deliveries_per_second: 5_000.0,
    };
    assert_eq!(server.each, expected);
    assert_eq!(server.to_last.unwrap().max_us, 300_000);
    let expected = Other {
        name: "presence",
        resident_at_start_bytes: 50,
        resident_bytes: 80,
        login_cpu_us: 100.0,
        subscribe_cpu_us: 40.0,
        idle_cpu_us_per_second: 1.0,
        change_cpu_us: 3_000.0,
    };
    assert_eq!(server.others, [expected]);
}

#[test]
fn a_peer_stands_beside_the_gateway_with_the_ratio() {
    let alone = report(&["gateway"]).to_table();
    assert!(!alone.contains("ratio") && alone.contains("log in all"), "{alone}");
    let mut both = report(&["gateway", "centrifugo"]);
    both.servers[1].each.delivery_cpu_us = 500.0;
    let both = both.to_table();
    let row = both.lines().find(|line| line.contains("processor time of a delivery")).unwrap();
    let cells: Vec<&str> = row.split("   ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    assert_eq!(cells[1..], ["200.00 us", "500.00 us", "2.50"]);
}
