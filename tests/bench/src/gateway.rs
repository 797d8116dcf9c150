//! Many connections to one process: that of a gateway with the other services behind it, and that of a peer beside it.
//!
//! The servers are taken through the same life by the same clients (`gateway/client.rs`), which other processes hold
//! (`gateway/generator.rs`): connect, log in, subscribe, be idle but for heartbeats, and hear of a user whom all watch. The
//! last is done by turns, so that a machine whose speed drifts is the same for all. Start with [`run`].

mod audience;
mod client;
mod generator;
mod generators;
mod meter;
mod options;
mod peer;
mod protocol;
mod report;
mod tally;

use std::{panic::AssertUnwindSafe, path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow};
use futures_util::FutureExt as _;
use rollcall_harness::{Deployment, Rollcall};
use tokio::time::sleep;

use self::{
    audience::STAR,
    client::Handle,
    generator::Order,
    generators::Generators,
    meter::{Meter, Phase},
    peer::Centrifugo,
    protocol::{Protocol, Request, Target},
    report::{Life, Phases},
    tally::{Tally, now_us},
};
pub use self::{
    generator::{Generator, run as generate},
    options::Options,
    report::Report,
};

/// The pause before and after a change of the star: what the one before caused is over, and what this one causes is
/// counted.
const PAUSE: Duration = Duration::from_millis(100);
/// Partitions of the store, as deployments have them.
const PARTITIONS: u16 = 256;
/// Of the gateway: it admits all at once, as the peer does, and all connect before the first logs in.
const SETTINGS: [&str; 2] = ["admissions_per_second = 100000", "login_timeout = \"5m\""];

/// A server that is measured.
struct Server {
    number: usize,
    /// What holds the connections.
    name: &'static str,
    /// What stands behind it.
    others: Vec<&'static str>,
    target: Target,
    meter: Meter,
    star: Star,
}

/// The user whom all watch, of whom the generators know nothing.
struct Star {
    target: Arc<Target>,
    handle: Handle,
    tally: Arc<Tally>,
}

/// Makes one run. The servers end with it. `program` is what serves as a generator when it is started with that word and
/// a [`Generator`]'s arguments.
pub async fn run(options: &Options, program: &Path) -> anyhow::Result<Report> {
    options.check()?;
    let mut rollcall = start(options).await?;
    let peer = match &options.peer {
        Some(binary) => Some(Centrifugo::start(binary, options.heartbeat).await?),
        None => None,
    };
    let mut servers = vec![Server::rollcall(&mut rollcall, options).await?];
    if let Some(peer) = &peer {
        servers.push(Server::begin(1, "centrifugo", peer.pid, &[], peer.target.clone(), options).await?);
    }
    let mut generators = Generators::start(options, program)?;
    let mut report = Report::new(options);
    for life in measure(options, &mut servers, &mut generators).await? {
        report.add(life);
    }
    Ok(report)
}

/// Takes all servers through their lives.
async fn measure(
    options: &Options,
    servers: &mut [Server],
    generators: &mut Generators,
) -> anyhow::Result<Vec<Life>> {
    let mut begun = Vec::new();
    for server in &mut *servers {
        let (number, target) = (server.number, server.target.clone());
        eprintln!("{}", server.name);
        let start = server.meter.phase()?;
        generators.obey(&Order::Connect(target)).await?;
        let connect = server.meter.phase()?;
        generators.obey(&Order::LogIn(number)).await?;
        let login = server.meter.phase()?;
        generators.obey(&Order::Subscribe(number)).await?;
        begun.push((start, connect, login, server.meter.phase()?));
    }
    let idle = idle(options, servers, generators).await?;
    let changes = change(options, servers, generators).await?;
    let mut lives = Vec::new();
    for (((server, begun), idle), (change, to_last_us)) in servers.iter().zip(begun).zip(idle).zip(changes) {
        let (start, connect, login, subscribe) = begun;
        lives.push(Life {
            name: server.name,
            others: server.others.clone(),
            phases: Phases { connect, login, subscribe, idle, change },
            start,
            peak_bytes: server.meter.peak_bytes()?,
            to_last_us,
        });
    }
    Ok(lives)
}

/// Lets nothing happen but heartbeats, at all servers at once.
async fn idle(
    options: &Options,
    servers: &mut [Server],
    generators: &mut Generators,
) -> anyhow::Result<Vec<Phase>> {
    eprintln!("idle: {:?}", options.idle);
    for server in &mut *servers {
        server.meter.phase()?;
    }
    sleep(options.idle).await;
    generators.obey(&Order::Check).await?;
    servers.iter_mut().map(|server| server.meter.phase()).collect()
}

/// Lets the star change, by turns at all servers. Returns for each what all its changes used, and of each change the time
/// to its last hearer, in microseconds.
async fn change(
    options: &Options,
    servers: &mut [Server],
    generators: &mut Generators,
) -> anyhow::Result<Vec<(Phase, Vec<u32>)>> {
    let mut all: Vec<(Option<Phase>, Vec<u32>)> = servers.iter().map(|_| (None, Vec::new())).collect();
    for change in 1..=options.changes {
        eprintln!("change {change} of {}", options.changes);
        for (server, (sum, to_last_us)) in servers.iter_mut().zip(&mut all) {
            generators.order(&Order::Hear(server.number, change)).await?;
            sleep(PAUSE).await;
            server.meter.phase()?;
            let begun_us = now_us();
            let heard = tokio::try_join!(generators.answers(), server.star.change(change));
            let (last_us, ()) = heard.with_context(|| format!("change {change} at the {}", server.name))?;
            sleep(PAUSE).await;
            let phase = server.meter.phase()?;
            match sum {
                Some(sum) => sum.append(&phase),
                None => *sum = Some(phase),
            }
            to_last_us.push(u32::try_from(last_us.saturating_sub(begun_us)).unwrap_or(u32::MAX));
        }
    }
    let all = all.into_iter().map(|(phase, to_last_us)| Some((phase?, to_last_us)));
    all.collect::<Option<_>>().context("the options allow no fewer than one change")
}

/// Starts Rollcall, as a process of each service on Redis and NATS.
async fn start(options: &Options) -> anyhow::Result<Rollcall> {
    let builder = Rollcall::builder().deployment(Deployment::Cluster).profile("default").instances(1);
    let builder = SETTINGS.into_iter().fold(builder, |builder, line| builder.setting("gateway", line));
    let connections = format!("connections = {}", options.clients + 1);
    let builder = builder.setting("gateway", &connections).partitions(PARTITIONS);
    // What a test panics with has been told when this is an error.
    let started = AssertUnwindSafe(builder.start()).catch_unwind().await;
    started.map_err(|_| anyhow!("the services did not start"))
}

impl Server {
    async fn rollcall(rollcall: &mut Rollcall, options: &Options) -> anyhow::Result<Self> {
        let app = rollcall.app().await;
        let url = rollcall.url();
        let target = Target { url, token_key: app.key, protocol: Protocol::Rollcall { app_id: app.id } };
        let (mut own, mut others) = (None, Vec::new());
        for (service, pid) in rollcall.pids() {
            if service == "gateway" { own = Some(pid) } else { others.push((service, pid)) }
        }
        let engines = rollcall.engines();
        others.extend([("redis", engines.redis.pid()), ("nats", engines.nats.pid())]);
        Self::begin(0, "gateway", own.context("a cluster has a gateway")?, &others, target, options).await
    }

    /// Begins to measure. The star comes first, so that what the first one costs is not counted as everybody's.
    async fn begin(
        number: usize,
        name: &'static str,
        pid: u32,
        others: &[(&'static str, u32)],
        target: Target,
        options: &Options,
    ) -> anyhow::Result<Self> {
        let star = Star::come(Arc::new(target.clone()), options).await?;
        let meter = Meter::begin(pid, others.iter().map(|(_, pid)| *pid))?;
        let others = others.iter().map(|(name, _)| *name).collect();
        Ok(Self { number, name, others, target, meter, star })
    }
}

impl Star {
    async fn come(target: Arc<Target>, options: &Options) -> anyhow::Result<Self> {
        let tally = Arc::new(Tally::default());
        let beat = (options.heartbeat, options.heartbeat);
        let handle = Handle::connect(Arc::clone(&target), None, Arc::clone(&tally), beat).await?;
        let star = Self { target, handle, tally };
        star.call(star.target.log_in(STAR)).await?;
        star.change(0).await?;
        Ok(star)
    }

    async fn change(&self, sequence: u64) -> anyhow::Result<()> {
        self.call(self.target.change(STAR, sequence)).await
    }

    async fn call(&self, request: Request) -> anyhow::Result<()> {
        let called = self.handle.call(request).await;
        // Why the client is gone, if it is.
        self.tally.check()?;
        called
    }
}
