//! A process that holds a part of the clients. It reads orders from its standard input and answers each on its standard
//! output, as lines of JSON.
//!
//! A process and not a thread: a system that grants a process 20,000 open files has room for 15,000 clients of one
//! server, not of two, and each process has a poll of its own.

use std::{
    io::{BufRead as _, Write as _},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use clap::Args;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::{
    audience::{Audience, clients_of},
    client::{Handle, Watch},
    protocol::{Request, Target},
    tally::Tally,
};
use crate::progress::{for_each, until_none_or_fail};

/// Orders that may wait: each is answered before the next is given.
const ORDERS: usize = 1;

/// Which generator it is, and what all its clients are like.
#[derive(Debug, Clone, Args)]
pub struct Generator {
    /// Its number, from 0.
    #[arg(long)]
    pub(super) number: usize,
    /// How many generators there are.
    #[arg(long)]
    pub(super) generators: usize,
    /// Clients of one server, in all generators.
    #[arg(long)]
    pub(super) clients: usize,
    /// Whom each watches, the star among them.
    #[arg(long)]
    pub(super) subscriptions: usize,
    /// Calls under way at once.
    #[arg(long)]
    pub(super) parallel: usize,
    /// Milliseconds between two heartbeats of a client.
    #[arg(long)]
    pub(super) heartbeat_ms: u64,
    /// The longest wait for what must arrive in the end, in milliseconds.
    #[arg(long)]
    pub(super) limit_ms: u64,
    /// Look for what came all the time, and never sleep: whoever writes to one that sleeps pays for waking it.
    #[arg(long)]
    pub(super) poll: bool,
}

/// What a generator is told to do.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// Connect its clients to a further server; the first is number 0.
    Connect(Target),
    /// Log in those at the server of this number.
    LogIn(usize),
    /// Let each subscribe, until all were shown all first statuses.
    Subscribe(usize),
    /// Wait until all have heard of this change of the star.
    Hear(usize, u64),
    /// Say whether all is well.
    Check,
}

/// How it went.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// Well. For [`Order::Hear`] with the moment at which the last client heard, in microseconds since the Unix epoch.
    Done(u64),
    /// Not well, and why.
    Failed(String),
}

/// The clients at one server.
struct Crowd {
    target: Arc<Target>,
    tally: Arc<Tally>,
    clients: Vec<(usize, Handle)>,
}

/// Does what it is told until its standard input ends.
pub async fn run(generator: &Generator) -> anyhow::Result<()> {
    let (sender, mut orders) = mpsc::channel(ORDERS);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    if generator.poll {
        tokio::spawn(poll());
    }
    let mut crowds = Vec::new();
    while let Some(line) = orders.recv().await {
        let order = serde_json::from_str(&line).with_context(|| format!("{line:?} is no order"))?;
        let answer = match generator.obey(&mut crowds, order).await {
            Ok(at_us) => Answer::Done(at_us),
            Err(error) => {
                let cause = crowds.iter().find_map(|crowd| crowd.tally.check().err());
                Answer::Failed(format!("{:#}", cause.unwrap_or(error)))
            }
        };
        let mut output = std::io::stdout().lock();
        writeln!(output, "{}", serde_json::to_string(&answer)?)?;
        output.flush()?;
    }
    Ok(())
}

impl Generator {
    async fn obey(&self, crowds: &mut Vec<Crowd>, order: Order) -> anyhow::Result<u64> {
        match order {
            Order::Connect(target) => crowds.push(self.connect(target).await?),
            Order::LogIn(server) => {
                let crowd = crowds.get(server).context("there is no such server")?;
                let log_in = |client| crowd.target.log_in(&crate::crowd::user_id(client));
                crowd.call("log in", self.parallel, log_in).await?;
            }
            Order::Subscribe(server) => {
                let crowd = crowds.get(server).context("there is no such server")?;
                let subscribe = |client| crowd.target.subscribe(&self.audience().targets(client));
                crowd.call("subscribe", self.parallel, subscribe).await?;
                let edges = crowd.clients.len() * self.subscriptions;
                self.until_none("first statuses", edges, crowd, || edges - crowd.tally.shown()).await?;
            }
            Order::Hear(server, change) => {
                let crowd = crowds.get(server).context("there is no such server")?;
                let all = crowd.clients.len();
                self.until_none("the star's change", all, crowd, || all - crowd.tally.hearers(change))
                    .await?;
                return Ok(crowd.tally.last_us());
            }
            Order::Check => crowds.iter().try_for_each(|crowd| crowd.tally.check())?,
        }
        Ok(0)
    }

    async fn connect(&self, target: Target) -> anyhow::Result<Crowd> {
        let (target, tally) = (Arc::new(target), Arc::new(Tally::default()));
        let (audience, heartbeat) = (self.audience(), Duration::from_millis(self.heartbeat_ms));
        let own: Vec<usize> = clients_of(self.number, self.generators, self.clients).collect();
        let connect = |index: usize| {
            let (client, target, tally) = (own[index], Arc::clone(&target), Arc::clone(&tally));
            let watch = Watch::new(client, audience, Arc::clone(&tally));
            // Evenly spread, so that any stretch of time holds its share of heartbeats.
            let first = heartbeat.mul_f64(audience.share(client));
            async move {
                let handle = Handle::connect(target, Some(watch), tally, (first, heartbeat)).await;
                Ok((client, handle.with_context(|| format!("client {client}"))?))
            }
        };
        let clients = for_each("connect", own.len(), self.parallel, connect).await?;
        Ok(Crowd { target, tally, clients })
    }

    fn audience(&self) -> Audience {
        Audience { clients: self.clients, subscriptions: self.subscriptions }
    }

    async fn until_none(
        &self,
        work: &'static str,
        total: usize,
        crowd: &Crowd,
        missing: impl Fn() -> usize,
    ) -> anyhow::Result<()> {
        let limit = Duration::from_millis(self.limit_ms);
        let missing = || crowd.tally.check().map(|()| missing());
        until_none_or_fail(work, total, limit, missing).await
    }
}

impl Crowd {
    /// Lets each client make a call.
    async fn call(
        &self,
        work: &'static str,
        parallel: usize,
        request: impl Fn(usize) -> Request,
    ) -> anyhow::Result<()> {
        let call = |index: usize| {
            let (client, handle) = &self.clients[index];
            let request = request(*client);
            async move { handle.call(request).await.with_context(|| format!("client {client}")) }
        };
        for_each(work, self.clients.len(), parallel, call).await?;
        Ok(())
    }
}

/// Keeps the thread from sleeping; another generator on the same processor goes first.
async fn poll() {
    loop {
        std::thread::yield_now();
        tokio::task::yield_now().await;
    }
}
