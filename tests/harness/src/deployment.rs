//! How a `rollcall` is deployed for a test: embedded, as one process on real servers, or as a cluster on them.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use rollcall_testkit::{NatsServer, RedisServer};
use serde_json::Value;

use crate::{
    certs::Certs,
    links::{Link, Links},
    process::Process,
    rollcall::{Addresses, binary},
    wait::eventually,
};

/// Names the deployment that tests run on which do not choose one: `embedded` (the default), `node` or `cluster`.
const VARIABLE: &str = "ROLLCALL_TEST_DEPLOYMENT";

/// How many instances of each service a cluster has unless told otherwise.
pub(crate) const INSTANCES: usize = 2;

/// How a `rollcall` is deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deployment {
    /// One process, with state and bus in its memory.
    Embedded,
    /// One process, on Redis and NATS.
    Node,
    /// Two processes of each service, or as many as are asked for, on Redis and NATS, with mutual TLS between them. Who connect one after the other are on different gateways.
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
    pub(crate) fn start(durable: bool) -> Self {
        let redis = if durable { RedisServer::start_durable() } else { RedisServer::start() };
        Self { redis, nats: NatsServer::start() }
    }
}

/// A process of a `rollcall`.
#[derive(Debug)]
pub(crate) struct Part {
    /// The service, or `rollcall` for all in one.
    pub(crate) service: &'static str,
    pub(crate) process: Process,
    /// How it was started.
    program: String,
    number: usize,
    profile: &'static str,
    variables: Vec<(&'static str, String)>,
    config: String,
    /// Where it listens, by name.
    pub(crate) listens: BTreeMap<String, String>,
}

impl Part {
    /// Starts the process again that has ended, on the ports that it had, and waits until it serves. Only its
    /// operator finds it on another.
    pub(crate) async fn start_again(&mut self, folder: &Path) {
        let main = if self.service == "gateway" { "client" } else { "grpc" };
        let section = |address: &str| format!("[{}]\nlisten = \"{address}\"", self.service);
        let config = self.config.replace(&section("127.0.0.1:0"), &section(&self.listens[main]));
        // All that it needs to know stands in its configuration.
        let links = Links::default();
        let starter = Starter {
            profile: self.profile,
            variables: &self.variables,
            settings: &[],
            links: &links,
            folder,
            engines: None,
            partitions: 0,
            instances: 1,
        };
        let started = starter.spawn(self.service, &self.program, self.number, &config, &[]);
        let Self { process, listens, .. } = started.listens().await;
        (self.process, self.listens) = (process, listens);
    }
}

/// Starts the processes of one `rollcall`.
pub(crate) struct Starter<'a> {
    pub(crate) profile: &'static str,
    pub(crate) variables: &'a [(&'static str, String)],
    pub(crate) settings: &'a [(&'static str, String)],
    pub(crate) links: &'a Links,
    pub(crate) folder: &'a Path,
    pub(crate) engines: Option<&'a Engines>,
    /// Of the store of a cluster.
    pub(crate) partitions: u16,
    /// Of each service of a cluster.
    pub(crate) instances: usize,
}

/// A process that was started, and the file that will say where it listens.
struct Started {
    part: Part,
    file: PathBuf,
}

impl Starter<'_> {
    /// Starts all in one process, with a demo if told so.
    pub(crate) async fn node(&self, config: &str, is_demo: bool) -> (Vec<Part>, Addresses) {
        let mut arguments: Vec<&str> =
            ["--listen", "--admin-listen", "--subscription-listen", "--notifier-listen"]
                .into_iter()
                .flat_map(|flag| [flag, "127.0.0.1:0"])
                .collect();
        let urls = self.engines.map(|engines| (engines.redis.url(), engines.nats.url("node")));
        if let Some((store, bus)) = &urls {
            arguments.extend(["--store", store, "--bus", bus]);
        }
        if is_demo {
            arguments.push("--demo");
        }
        let services: BTreeSet<&str> = self.settings.iter().map(|(service, _)| *service).collect();
        let config = services.into_iter().fold(config.to_owned(), |config, service| {
            let section = format!("[{service}]\n");
            let config = if config.contains(&section) { config } else { config + "\n" + &section };
            self.settings
                .iter()
                .filter(|(of, _)| *of == service)
                .fold(config, |config, (_, line)| config.replace(&section, &format!("{section}{line}\n")))
        });
        let started = self.spawn("rollcall", "rollcall", 0, &config, &arguments);
        let part = started.listens().await;
        let at = |name: &str| part.listens[name].clone();
        let grpc = ["admin", "subscription", "notifier"].map(at);
        let addresses = Addresses::new(vec![at("client")], grpc, None);
        (vec![part], addresses)
    }

    /// Starts the instances of each service, which know each other by certificates. `config` is of the gateways.
    pub(crate) async fn cluster(&self, config: &str) -> (Vec<Part>, Addresses) {
        let certs = Certs::make(&self.folder.join("certs"));
        let mut parts = Vec::new();
        let mut grpc = BTreeMap::new();
        // All at once, save for who has to know where others are.
        let [presence, notifier, subscription] = ["presence", "notifier", "subscription"];
        for services in [&[presence, notifier][..], &[subscription]] {
            let config = |service, number| {
                if service != subscription {
                    return String::new();
                }
                let urls = self.links.lead((service, number, Link::Presence), urls(&grpc, presence));
                format!("[{service}]\npresence = \"{urls}\"\n")
            };
            let started: Vec<Started> = services
                .iter()
                .flat_map(|service| (0..self.instances).map(move |number| (*service, number)))
                .map(|(service, number)| self.service(service, number, &config(service, number), &certs))
                .collect();
            for started in started {
                let part = started.listens().await;
                grpc.entry(part.service).or_insert_with(Vec::new).push(part.listens["grpc"].clone());
                parts.push(part);
            }
        }
        let config = |number| {
            let urls = |service, to| self.links.lead(("gateway", number, to), urls(&grpc, service));
            format!(
                "[gateway]\npresence = \"{}\"\nsubscription = \"{}\"\nnotifier = \"{}\"\n{}\n",
                urls("presence", Link::Presence),
                urls("subscription", Link::Subscription),
                urls("notifier", Link::Notifier),
                config.replace("[gateway]", ""),
            )
        };
        let gateways: Vec<Started> = (0..self.instances)
            .map(|number| self.service("gateway", number, &config(number), &certs))
            .collect();
        let mut clients = Vec::new();
        for started in gateways {
            let part = started.listens().await;
            clients.push(part.listens["client"].clone());
            parts.push(part);
        }
        let first = |service: &str| grpc[service][0].clone();
        let grpc = ["presence", "subscription", "notifier"].map(first);
        (parts, Addresses::new(clients, grpc, Some(certs)))
    }

    fn service(&self, service: &'static str, number: usize, config: &str, certs: &Certs) -> Started {
        let engines = self.engines.expect("a cluster is on servers");
        let bus = self.links.lead((service, number, Link::Nats), engines.nats.url(service));
        let listen = "listen = \"127.0.0.1:0\"\n";
        let own = match config {
            "" => format!("[{service}]\n{listen}"),
            config => config.replace(&format!("[{service}]\n"), &format!("[{service}]\n{listen}")),
        };
        let settings = self.settings.iter().filter(|(of, _)| *of == service);
        let own = settings.fold(own, |own, (_, line)| own.replace(listen, &format!("{listen}{line}\n")));
        let tls = certs.section(service);
        let mut sections = vec![own, tls, format!("[bus]\nurl = \"{bus}\"\n"), format!("[ops]\n{listen}")];
        if matches!(service, "presence" | "subscription") {
            let store = self.links.lead((service, number, Link::Redis), engines.redis.url());
            let partitions = self.partitions;
            sections.push(format!("[store]\nurl = \"{store}\"\npartitions = {partitions}\n"));
        }
        let config = sections.join("\n");
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
        // What an earlier process of the name left there is not this one's.
        let _ = fs::remove_file(&file);
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
        let (program, config, profile) = (program.to_owned(), config.to_owned(), self.profile);
        let (variables, listens) = (self.variables.to_vec(), BTreeMap::new());
        let part = Part { service, process, program, number, profile, variables, config, listens };
        Started { part, file }
    }
}

/// Lists the URLs of a service's instances.
fn urls(grpc: &BTreeMap<&str, Vec<String>>, service: &str) -> String {
    grpc[service].iter().map(|address| format!("https://{address}")).collect::<Vec<_>>().join(",")
}

impl Started {
    /// Waits until the process says where it listens.
    async fn listens(mut self) -> Part {
        let mut addresses = None;
        let service = self.part.service;
        eventually(&format!("{service} to serve"), async || {
            if let Some(status) = self.part.process.ended() {
                panic!("{service} ended before it served: {status}");
            }
            // While the file is being written it is not whole.
            let text = fs::read_to_string(&self.file).unwrap_or_default();
            addresses = serde_json::from_str(&text).ok().map(listed);
            addresses.is_some()
        })
        .await;
        self.part.listens = addresses.expect("just read");
        self.part
    }
}

/// Takes the addresses of what the file says; a demo's tokens stand beside them.
fn listed(told: BTreeMap<String, Value>) -> BTreeMap<String, String> {
    told.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect()
}
