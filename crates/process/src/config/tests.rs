//! The sections of a made-up service, with and without a store.

use std::{
    collections::BTreeMap,
    marker::PhantomData,
    net::SocketAddr,
    sync::atomic::{AtomicU32, Ordering},
};

use rollcall_proto::role::Role;
use rollcall_runtime::{
    config::{Flags, load, to_toml},
    shutdown::CancellationToken,
};

use super::*;
use crate::{
    BoxError, Provided,
    engines::{NoStore, StoreConfig},
};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kettle {
    litres: u8,
    listen: SocketAddr,
    presence: String,
}

impl Section for Kettle {
    fn profile(_: Profile) -> Self {
        Self { litres: 1, listen: ([127, 0, 0, 1], 1).into(), presence: "http://127.0.0.1:2".to_owned() }
    }

    fn listens(&self) -> Vec<(&'static str, SocketAddr)> {
        vec![("listen", self.listen)]
    }

    fn urls(&self) -> Vec<(&'static str, &str)> {
        vec![("presence", &self.presence)]
    }
}

impl Validate for Kettle {
    fn faults(&self) -> Vec<String> {
        if self.litres > 0 { Vec::new() } else { vec!["litres: 0, expected at least 1".to_owned()] }
    }
}

struct Service<S>(PhantomData<S>);

impl<S: StoreSection> Process for Service<S> {
    const ROLE: Role = Role::Backend;
    const BINARY: &'static str = "rollcall-kettle";
    const ABOUT: &'static str = "Boils";
    const OPS_PORT: u16 = 9799;
    const PUBLISHES: bool = false;
    type Config = Kettle;
    type Store = S;

    fn bind(_: Kettle, _: Provided<'_, Self>) -> Result<Self, BoxError> {
        Ok(Self(PhantomData))
    }

    fn addresses(&self) -> BTreeMap<&'static str, SocketAddr> {
        BTreeMap::new()
    }

    async fn run(self, _: CancellationToken) -> Result<(), BoxError> {
        Ok(())
    }
}

fn defaults<S: StoreSection>() -> Config<Service<S>> {
    Config::profile(Profile::Default)
}

/// Loads what a file says.
fn loaded<S: StoreSection>(toml: &str) -> Result<Config<Service<S>>, rollcall_runtime::Error> {
    static WRITTEN: AtomicU32 = AtomicU32::new(0);
    let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
    let file = std::env::temp_dir().join(format!("rollcall-process-{}-{number}.toml", std::process::id()));
    std::fs::write(&file, toml).unwrap();
    let config = load(&defaults::<S>(), Some(&file), Flags::default());
    std::fs::remove_file(&file).unwrap();
    config
}

/// Loads what a file says, and returns what is wrong with it.
fn refused<S: StoreSection>(toml: &str) -> String {
    loaded::<S>(toml).map(drop).unwrap_err().to_string()
}

#[test]
fn the_sections_are_the_services_own_and_those_that_all_have() {
    let sections = |toml: String| -> Vec<String> {
        toml.lines().filter(|line| line.starts_with('[')).map(str::to_owned).collect()
    };
    let with = sections(to_toml(&defaults::<StoreConfig>()).unwrap());
    assert_eq!(with, ["[backend]", "[store]", "[bus]", "[tls]", "[ops]", "[log]"]);
    let without = sections(to_toml(&defaults::<NoStore>()).unwrap());
    assert_eq!(without, ["[backend]", "[bus]", "[tls]", "[ops]", "[log]"]);
}

#[test]
fn what_is_not_named_stands_at_its_default() {
    let config = loaded::<StoreConfig>(
        "[backend]
litres = 2",
    )
    .unwrap();
    assert_eq!(config.service.litres, 2);
    assert_eq!(config.ops, ops::Config::on_port(9799));
    assert_eq!(config.store, StoreConfig::of_a_service());
}

#[test]
fn an_unknown_section_or_key_is_refused_as_is_a_store_of_a_service_that_has_none() {
    for (said, key) in [
        (refused::<StoreConfig>("[teapot]\na = 1"), "teapot: unknown field"),
        (refused::<StoreConfig>("[backend]\ncups = 10"), "backend.cups: unknown field"),
        (refused::<NoStore>("[store]\nurl = \"memory\""), "store: unknown field"),
    ] {
        assert!(said.contains(key), "{said}");
    }
}

#[test]
fn faults_of_all_sections_are_told_at_once() {
    let said = refused::<StoreConfig>("[backend]\nlitres = 0\n[store]\nurl = \"no\"\n[bus]\nreplicas = 2");
    for part in ["backend.litres: 0, expected", "store.url: no, expected", "bus.replicas: 2, expected"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
}

// ATTACK X15
#[test]
fn what_other_machines_reach_in_clear_text_is_refused_unless_told_to_be() {
    let open = "[backend]\nlisten = \"0.0.0.0:1\"\npresence = \"http://presence:2\"\n";
    let said = refused::<NoStore>(open);
    for key in
        ["backend.listen: 0.0.0.0:1 is open", "backend.presence: http://presence:2 is on another machine"]
    {
        assert!(said.contains(key), "{key} is not in {said}");
    }
    assert!(loaded::<NoStore>(&format!("{open}[tls]\noff = true")).is_ok());
    let files = "[tls]\nca = \"a\"\ncertificate = \"b\"\nkey = \"c\"";
    let said = refused::<NoStore>(&format!("{open}{files}"));
    assert!(said.contains("backend.presence: http://presence:2, expected https:// with tls"), "{said}");
    assert!(loaded::<NoStore>(&format!("{}{files}", open.replace("http:", "https:"))).is_ok());
}
