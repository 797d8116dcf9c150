//! Who may use whom. Dependencies point down only: services, then runtime, records, bus and store, then proto,
//! then domain. Services meet in proto and on the bus, never in each other's code.

use crate::{Violation, packages::Package};

/// What a package of the workspace may use of the others.
#[derive(Debug, Clone, Copy)]
pub struct Layer {
    /// The package.
    pub package: &'static str,
    /// The packages of the workspace that it may name as dependencies.
    pub may_use: &'static [&'static str],
}

/// A dependency from outside that few packages may name.
#[derive(Debug, Clone, Copy)]
pub struct Owned {
    /// The name of the outside package.
    pub dependency: &'static str,
    /// The packages of the workspace that may name it.
    pub owners: &'static [&'static str],
}

/// The table of the workspace. A new package must be entered here.
pub const LAYERS: &[Layer] = &[
    // What the rules of the source need: nothing.
    layer("rollcall-domain", &[]),
    layer("rollcall-proto", &["rollcall-domain"]),
    // The ports and their adapters. The store knows ids and bytes, not proto.
    layer("rollcall-store", &["rollcall-domain"]),
    layer("rollcall-bus", &["rollcall-domain", "rollcall-proto"]),
    layer("rollcall-records", &["rollcall-bus", "rollcall-domain", "rollcall-proto", "rollcall-store"]),
    layer("rollcall-runtime", &["rollcall-domain", "rollcall-proto"]),
    // What binaries share: it alone chooses engines.
    layer(
        "rollcall-process",
        &["rollcall-bus", "rollcall-domain", "rollcall-proto", "rollcall-runtime", "rollcall-store"],
    ),
    // The outside: what others link or run.
    layer("rollcall-client", &["rollcall-domain", "rollcall-proto"]),
    layer("rollcall-cli", &["rollcall-client", "rollcall-domain", "rollcall-proto"]),
    // The services. Gateway and notifier have no store.
    layer("rollcall-gateway", SERVICE),
    layer("rollcall-notifier", SERVICE),
    layer("rollcall-presence", SERVICE_WITH_STORE),
    layer("rollcall-subscription", SERVICE_WITH_STORE),
    layer(
        STANDALONE,
        &[
            "rollcall-bus",
            "rollcall-domain",
            "rollcall-gateway",
            "rollcall-notifier",
            "rollcall-presence",
            "rollcall-process",
            "rollcall-proto",
            "rollcall-runtime",
            "rollcall-subscription",
        ],
    ),
    // Tests. Those of `tests/` see the system from outside, as its users do.
    layer(
        TESTKIT,
        &[
            "rollcall-bus",
            "rollcall-client",
            "rollcall-domain",
            "rollcall-proto",
            "rollcall-records",
            "rollcall-runtime",
            "rollcall-store",
        ],
    ),
    layer("rollcall-architecture", &[]),
    layer("rollcall-bench", OUTSIDE_TEST),
    layer("rollcall-conformance", OUTSIDE_TEST),
    layer("rollcall-faults", OUTSIDE_TEST),
    layer("rollcall-playground", OUTSIDE_TEST),
    layer("rollcall-harness", &["rollcall-client", "rollcall-domain", "rollcall-proto", TESTKIT]),
];

/// The outside packages with few owners.
pub const OWNED: &[Owned] = &[
    Owned { dependency: "async-nats", owners: &["rollcall-bus"] },
    Owned { dependency: "figment", owners: &["rollcall-runtime"] },
    Owned {
        dependency: "jsonwebtoken",
        owners: &["rollcall", "rollcall-cli", "rollcall-harness", "rollcall-presence"],
    },
    Owned { dependency: "opentelemetry", owners: &["rollcall-runtime"] },
    Owned { dependency: "opentelemetry-otlp", owners: &["rollcall-runtime"] },
    // The messages that a collector gets: a test plays one.
    Owned { dependency: "opentelemetry-proto", owners: &["rollcall-conformance"] },
    Owned { dependency: "opentelemetry_sdk", owners: &["rollcall-runtime"] },
    Owned { dependency: "prometheus-client", owners: &["rollcall-runtime"] },
    Owned { dependency: "redis", owners: &["rollcall-store"] },
    // The one set-up of TLS between our processes.
    Owned { dependency: "tokio-rustls", owners: &["rollcall-runtime"] },
    Owned { dependency: "tracing-opentelemetry", owners: &["rollcall-runtime"] },
    Owned { dependency: "x509-parser", owners: &["rollcall-cli"] },
];

/// The outside packages that the domain may use: none that waits, does IO or knows a clock.
pub const DOMAIN_USES: &[&str] = &["thiserror", "xxhash-rust"];

/// The outside packages that the domain's own tests may use besides.
pub const DOMAIN_TESTS_USE: &[&str] = &["proptest"];

const DOMAIN: &str = "rollcall-domain";
const STANDALONE: &str = "rollcall";
const TESTKIT: &str = "rollcall-testkit";

const SERVICE: &[&str] =
    &["rollcall-bus", "rollcall-domain", "rollcall-process", "rollcall-proto", "rollcall-runtime"];

const SERVICE_WITH_STORE: &[&str] = &[
    "rollcall-bus",
    "rollcall-domain",
    "rollcall-process",
    "rollcall-proto",
    "rollcall-records",
    "rollcall-runtime",
    "rollcall-store",
];

const OUTSIDE_TEST: &[&str] =
    &["rollcall-client", "rollcall-domain", "rollcall-harness", "rollcall-proto", TESTKIT];

const fn layer(package: &'static str, may_use: &'static [&'static str]) -> Layer {
    Layer { package, may_use }
}

/// Finds packages that use one of the workspace which `layers` does not grant them, packages that stand in no
/// row, and rows without a package. The tests of any package may use the testkit.
pub fn beyond_layer(packages: &[Package], layers: &[Layer]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for package in packages {
        let Some(layer) = layers.iter().find(|layer| layer.package == package.name) else {
            violations
                .push(Violation::new(&package.name, "the package stands in no row of the table of layers"));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|dependency| is_ours(&dependency.name)) {
            let granted = layer.may_use.contains(&dependency.name.as_str());
            let shared = dependency.dev && dependency.name == TESTKIT;
            if !(granted || shared) {
                let problem = format!("it uses {}, but may use only {:?}", dependency.name, layer.may_use);
                violations.push(Violation::new(&package.name, problem));
            }
        }
    }
    for layer in layers.iter().filter(|layer| packages.iter().all(|package| package.name != layer.package)) {
        violations
            .push(Violation::new(layer.package, "the table of layers has a row for it, but it is gone"));
    }
    violations
}

/// Finds packages, other than the standalone binary, that link a service. Services are told by their folder.
pub fn linked_services(packages: &[Package]) -> Vec<Violation> {
    let is_service = |name: &str| {
        packages.iter().any(|package| package.name == name && package.folder.starts_with("services/"))
    };
    uses(packages)
        .filter(|(user, used)| *user != STANDALONE && is_service(used))
        .map(|(user, used)| {
            Violation::new(user, format!("it links the service {used}; only {STANDALONE} may"))
        })
        .collect()
}

/// Finds packages that name an outside dependency of which others are the owners.
pub fn without_ownership(packages: &[Package], owned: &[Owned]) -> Vec<Violation> {
    uses(packages)
        .filter_map(|(user, used)| {
            let entry = owned.iter().find(|entry| entry.dependency == used)?;
            let problem = format!("it uses {used}, which belongs to {:?}", entry.owners);
            (!entry.owners.contains(&user)).then(|| Violation::new(user, problem))
        })
        .collect()
}

/// Finds outside dependencies of the domain beyond the few that keep it pure.
pub fn impurities(packages: &[Package]) -> Vec<Violation> {
    let domain = packages.iter().filter(|package| package.name == DOMAIN);
    let outside = domain.flat_map(|package| &package.dependencies).filter(|found| !is_ours(&found.name));
    outside
        .filter(|found| {
            let name = found.name.as_str();
            let tests_only = found.dev && DOMAIN_TESTS_USE.contains(&name);
            !(tests_only || DOMAIN_USES.contains(&name))
        })
        .map(|found| {
            Violation::new(DOMAIN, format!("it uses {}, but may use only {DOMAIN_USES:?}", found.name))
        })
        .collect()
}

fn uses(packages: &[Package]) -> impl Iterator<Item = (&str, &str)> {
    packages.iter().flat_map(|package| {
        package.dependencies.iter().map(|dependency| (package.name.as_str(), dependency.name.as_str()))
    })
}

fn is_ours(name: &str) -> bool {
    name == STANDALONE || name.starts_with("rollcall-")
}

#[cfg(test)]
mod tests {
    //! Each rule on a made-up workspace.

    use super::*;
    use crate::places;

    const UP: Layer = layer("rollcall-up", &["rollcall-down"]);
    const DOWN: Layer = layer("rollcall-down", &[]);

    #[test]
    fn a_dependency_that_points_up_is_found() {
        let packages = [
            Package::new("rollcall-up", "crates/up", &["rollcall-down", "tokio"], &[]),
            Package::new("rollcall-down", "crates/down", &["rollcall-up"], &[]),
        ];
        assert_eq!(places(&beyond_layer(&packages, &[UP, DOWN])), ["rollcall-down"]);
    }

    #[test]
    fn only_tests_may_use_the_testkit_everywhere() {
        let packages = [
            Package::new("rollcall-up", "crates/up", &[], &[TESTKIT]),
            Package::new("rollcall-down", "crates/down", &[TESTKIT], &[]),
        ];
        assert_eq!(places(&beyond_layer(&packages, &[UP, DOWN])), ["rollcall-down"]);
    }

    #[test]
    fn a_dev_dependency_that_points_up_is_found() {
        let packages = [
            Package::new("rollcall-up", "crates/up", &[], &[]),
            Package::new("rollcall-down", "crates/down", &[], &["rollcall-up"]),
        ];
        assert_eq!(places(&beyond_layer(&packages, &[UP, DOWN])), ["rollcall-down"]);
    }

    #[test]
    fn a_package_without_a_row_and_a_row_without_a_package_are_found() {
        let packages = [Package::new("rollcall-new", "crates/new", &[], &[])];
        assert_eq!(places(&beyond_layer(&packages, &[DOWN])), ["rollcall-new", "rollcall-down"]);
    }

    #[test]
    fn a_service_or_a_test_that_links_a_service_is_found_and_the_standalone_is_not() {
        let packages = [
            Package::new("rollcall-gateway", "services/gateway", &[], &[]),
            Package::new("rollcall-notifier", "services/notifier", &["rollcall-gateway"], &[]),
            Package::new("rollcall-harness", "tests/harness", &[], &["rollcall-gateway"]),
            Package::new("rollcall", "services/standalone", &["rollcall-gateway", "rollcall-notifier"], &[]),
        ];
        assert_eq!(places(&linked_services(&packages)), ["rollcall-notifier", "rollcall-harness"]);
    }

    #[test]
    fn an_engine_outside_its_owner_is_found() {
        let packages = [
            Package::new("rollcall-store", "crates/store", &["redis"], &[]),
            Package::new("rollcall-gateway", "services/gateway", &["tokio"], &["redis"]),
        ];
        assert_eq!(places(&without_ownership(&packages, OWNED)), ["rollcall-gateway"]);
    }

    #[test]
    fn a_domain_that_waits_is_found() {
        let pure = Package::new(DOMAIN, "crates/domain", &["thiserror"], &["proptest", TESTKIT]);
        let waiting = Package::new(DOMAIN, "crates/domain", &["thiserror", "tokio"], &[]);
        let testing = Package::new(DOMAIN, "crates/domain", &["proptest"], &[]);
        assert_eq!(impurities(&[pure]), []);
        assert_eq!(impurities(&[waiting]).len(), 1);
        assert_eq!(impurities(&[testing]).len(), 1);
    }
}
