//! How a `rollcall` is deployed for a test: embedded, as one process on real servers, or as a cluster on them.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use rollcall_testkit::{NatsServer, RedisServer};

use crate::{
    process::Process,
    rollcall::{Addresses, binary},
    wait::eventually,
};

/// Names the deployment that tests run on which do not choose one: `embedded` (the default), `node` or `cluster`.
const VARIABLE: &str = "ROLLCALL_TEST_DEPLOYMENT";

/// How many instances of each service a cluster has.
const INSTANCES: usize = 2;

/// How a `rollcall` is deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deployment {
    /// One process, with state and bus in its memory.
    Embedded,
    /// One process, on Redis and NATS.
    Node,
    /// Two processes of each service, on Redis and NATS. Who connect one after the other are on different gateways.
    Cluster,
}

impl Deployment {
    /// Returns the deployment that the environment names.
    pub(crate) fn from_environment() -> Self {
        match env::var(VARIABLE).as_deref() {
            Err(_) | Ok("embedded") => Self::Embedded,
            Ok("node") => Self::Node,
            Ok("cluster") => Self::Cluster,
            Ok(other) => panic!("{VARIABLE} is {other:?}, expected embedded, node or cluster"),
        }
    }
}

/// The servers that a deployment stands on.
#[derive(Debug)]
pub struct Engines {
    /// The store.
    pub redis: RedisServer,
    /// The bus.
    pub nats: NatsServer,
}

impl Engines {
    pub(crate) fn start() -> Self {
        Self { redis: RedisServer::start(), nats: NatsServer::start() }
    }
}

/// A process of a `rollcall`.
#[derive(Debug)]
pub(crate) struct Part {
    /// The service, or `rollcall` for all in one.
    pub(crate) service: &'static str,
    pub(crate) process: Process,
    /// Where an operator's tools reach it; empty until it serves.
    pub(crate) ops: String,
}

/// Starts the processes of one `rollcall`.
pub(crate) struct Starter<'a> {
    pub(crate) profile: &'static str,
    pub(crate) variables: &'a [(&'static str, String)],
    pub(crate) folder: &'a Path,
    pub(crate) engines: Option<&'a Engines>,
}

/// A process that was started, and the file that will say where it listens.
struct Started {
    part: Part,
    file: PathBuf,
}

impl Starter<'_> {
    /// Starts all in one process.
    pub(crate) async fn node(&self, config: &str) -> (Vec<Part>, Addresses) {
        let mut arguments = vec!["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
        let urls = self.engines.map(|engines| (engines.redis.url(), engines.nats.url("node")));
        if let Some((store, bus)) = &urls {
            arguments.extend(["--store", store, "--bus", bus]);
        }
        let started = self.spawn("rollcall", "rollcall", 0, config, &arguments);
        let (part, mut listens) = started.listens().await;
        let mut take = |name: &str| listens.remove(name).expect("an address of each service");
        let addresses =
            Addresses::new(vec![take("client")], take("admin"), take("subscription"), take("notifier"));
        (vec![part], addresses)
    }

    /// Starts two of each service. `config` is of the gateways.
    pub(crate) async fn cluster(&self, config: &str) -> (Vec<Part>, Addresses) {
        let mut parts = Vec::new();
        let mut grpc = BTreeMap::new();
        // All at once: each waits for what it needs.
        let behind: Vec<Started> = ["presence", "subscription", "notifier"]
            .into_iter()
            .flat_map(|service| (0..INSTANCES).map(move |number| (service, number)))
            .map(|(service, number)| self.service(service, number, ""))
            .collect();
        for started in behind {
            let (part, listens) = started.listens().await;
            grpc.entry(part.service).or_insert_with(Vec::new).push(listens["grpc"].clone());
            parts.push(part);
        }
        let urls = |service: &str| {
            grpc[service].iter().map(|address| format!("http://{address}")).collect::<Vec<_>>().join(",")
        };
        let config = format!(
            "[gateway]\npresence = \"{}\"\nsubscription = \"{}\"\nnotifier = \"{}\"\n{}\n",
            urls("presence"),
            urls("subscription"),
            urls("notifier"),
            config.replace("[gateway]", ""),
        );
        let gateways: Vec<Started> =
            (0..INSTANCES).map(|number| self.service("gateway", number, &config)).collect();
        let mut clients = Vec::new();
        for started in gateways {
            let (part, mut listens) = started.listens().await;
            clients.extend(listens.remove("client"));
            parts.push(part);
        }
        let first = |service: &str| grpc[service][0].clone();
        (parts, Addresses::new(clients, first("presence"), first("subscription"), first("notifier")))
    }

    fn service(&self, service: &'static str, number: usize, config: &str) -> Started {
        let engines = self.engines.expect("a cluster is on servers");
        let bus = engines.nats.url(service);
        let store = engines.redis.url();
        let mut config = format!("{config}\n[bus]\nurl = \"{bus}\"\n[ops]\nlisten = \"127.0.0.1:0\"\n");
        if matches!(service, "presence" | "subscription") {
            config += &format!("[store]\nurl = \"{store}\"\npartitions = 16\n");
        }
        if service != "gateway" {
            config += &format!("[{service}]\nlisten = \"127.0.0.1:0\"\n");
        } else {
            config = config.replace("[gateway]\n", "[gateway]\nlisten = \"127.0.0.1:0\"\n");
        }
        self.spawn(service, &format!("rollcall-{service}"), number, &config, &[])
    }

    fn spawn(
        &self,
        service: &'static str,
        program: &str,
        number: usize,
        config: &str,
        arguments: &[&str],
    ) -> Started {
        let config_file = self.folder.join(format!("{service}-{number}.toml"));
        fs::write(&config_file, config).expect("a configuration can be written");
        let file = self.folder.join(format!("{service}-{number}.json"));
        let mut command = Command::new(binary(program));
        command
            .args(["--profile", self.profile])
            .arg("--config")
            .arg(config_file)
            .arg("--addresses-file")
            .arg(&file)
            .args(arguments)
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        let process = Process::spawn(&format!("{service}-{number}"), command, self.folder);
        Started { part: Part { service, process, ops: String::new() }, file }
    }
}

impl Started {
    /// Waits until the process says where it listens.
    async fn listens(mut self) -> (Part, BTreeMap<String, String>) {
        let mut addresses: Option<BTreeMap<String, String>> = None;
        let service = self.part.service;
        eventually(&format!("{service} to serve"), async || {
            if let Some(status) = self.part.process.ended() {
                panic!("{service} ended before it served: {status}");
            }
            // While the file is being written it is not whole.
            let text = fs::read_to_string(&self.file).unwrap_or_default();
            addresses = serde_json::from_str(&text).ok();
            addresses.is_some()
        })
        .await;
        let mut addresses = addresses.expect("just read");
        self.part.ops = addresses.remove("ops").expect("each process tells where");
        (self.part, addresses)
    }
}
