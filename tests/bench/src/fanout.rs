//! Many clients in a ring, each subscribed to the same number of others, and users that change: what a
//! connection, an edge, a login, a heartbeat and a delivery cost.
//!
//! The phases follow one another, and each ends with a look at the server's processor time and memory: log in,
//! subscribe until everybody was shown everybody's first status, be idle but for heartbeats, change in an open
//! loop, and wait until every watcher has seen every last state.

mod board;
mod client;
mod meter;
mod options;
mod pace;
mod report;
mod ring;
mod token;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow};
use rollcall_proto::{
    client::v1::{Login, Logout, Reply, Subscribe, client_frame::Call, reply},
    common::v1::Platform,
};
use tokio::{
    sync::{
        mpsc::{self, error::TrySendError},
        oneshot,
    },
    task::JoinHandle,
    time::sleep,
};

use self::{
    board::Board,
    client::{COMMANDS, Client, Command, Measured},
    meter::Meter,
    pace::Pace,
    report::{Outcome, Phases},
    ring::Ring,
};
pub use self::{
    options::{Options, Output},
    report::Report,
};
use crate::{
    progress::{for_each, until_none, until_none_or_fail},
    server::Server,
    socket::Socket,
    usage,
};

/// The most ids in one call of subscribe (SPEC D1).
const IDS_PER_CALL: usize = 100;
/// Examples of missing statuses in an error.
const EXAMPLES: usize = 3;

/// Makes one run. The server that it started ends with it.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    options.check()?;
    usage::check_open_files(options.clients)?;
    let server = options.server().await?;
    let mut run = Run::new(options, &server).await?;
    run.warm_up().await?;

    let mut meter = Meter::begin(server.pid())?;
    let (resident_at_start, _) = meter.resident()?;
    run.log_in().await?;
    let login = meter.phase()?;
    run.subscribe().await?;
    let subscribe = meter.phase()?;
    eprintln!("idle: {:?}", options.idle);
    sleep(options.idle).await;
    run.check()?;
    let idle = meter.phase()?;
    let last = run.change().await?;
    let missing = run.settle(&last).await?;
    let change = meter.phase()?;

    let (_, resident_peak) = meter.resident()?;
    let outcome = Outcome {
        resident_at_start,
        phases: Phases { login, subscribe, idle, change },
        resident_peak,
        changes: run.pace.changes(),
        missing,
        missing_examples: run.board.describe_behind(&last, EXAMPLES),
        measured: run.finish().await?,
    };
    Ok(Report::new(options, outcome))
}

/// What the phases share.
struct Run<'a> {
    options: &'a Options,
    ring: Ring,
    url: String,
    token_key: String,
    board: Arc<Board>,
    pace: Arc<Pace>,
    clients: Vec<mpsc::Sender<Command>>,
    tasks: Vec<JoinHandle<Measured>>,
}

impl<'a> Run<'a> {
    async fn new(options: &'a Options, server: &Server) -> anyhow::Result<Self> {
        let ring = Ring { clients: options.clients, subscriptions: options.subscriptions };
        Ok(Self {
            options,
            ring,
            url: server.url(),
            token_key: server.create_app(options.app_id).await?,
            board: Arc::new(Board::new(ring)),
            pace: Arc::new(Pace::new(options.rate, options.changes)),
            clients: Vec::with_capacity(ring.clients),
            tasks: Vec::with_capacity(ring.clients),
        })
    }

    /// Lets one user come and go, so that what the first one costs is not counted as everybody's.
    async fn warm_up(&self) -> anyhow::Result<()> {
        let (mut socket, _) = self.connect(self.ring.clients).await.context("the first login")?;
        let user_ids = vec![ring::user_id(0)];
        socket.call(2, Call::Subscribe(Subscribe { user_ids })).await?;
        socket.call(3, Call::Logout(Logout {})).await?;
        socket.close().await;
        Ok(())
    }

    /// Connects and logs in one client. Returns the interval of its heartbeats.
    async fn connect(&self, index: usize) -> anyhow::Result<(Socket, Duration)> {
        let user_id = ring::user_id(index);
        let token = token::issue(&self.token_key, self.options.app_id, &user_id);
        let mut socket = Socket::connect(&self.url).await?;
        let login = Login {
            app_id: self.options.app_id,
            user_id,
            token,
            platform: Platform::Linux.into(),
            device_id: "bench".to_owned(),
            ..Login::default()
        };
        let reply = socket.call(1, Call::Login(login)).await?;
        let Some(reply::Result::Login(result)) = reply.result else {
            return Err(anyhow!("the reply to login has no result of login"));
        };
        let told = Duration::from_secs(result.heartbeat_seconds.max(1).into());
        Ok((socket, self.options.heartbeat.unwrap_or(told)))
    }

    async fn log_in(&mut self) -> anyhow::Result<()> {
        let run = &*self;
        let joined = for_each("log in", run.ring.clients, run.options.parallel, |index| async move {
            let (socket, heartbeat) = run.connect(index).await.with_context(|| format!("client {index}"))?;
            // Evenly spread, so that any stretch of time holds its share of heartbeats.
            let beat = (heartbeat.mul_f64(run.ring.share(index)), heartbeat);
            let shared = (Arc::clone(&run.board), Arc::clone(&run.pace));
            let client = Client::new(index, run.ring, socket, shared, beat);
            let (sender, receiver) = mpsc::channel(COMMANDS);
            Ok((index, sender, tokio::spawn(client.run(receiver))))
        });
        let mut joined = joined.await?;
        joined.sort_unstable_by_key(|(index, ..)| *index);
        for (_, sender, task) in joined {
            self.clients.push(sender);
            self.tasks.push(task);
        }
        Ok(())
    }

    async fn subscribe(&self) -> anyhow::Result<()> {
        for_each("subscribe", self.ring.clients, self.options.parallel, |index| async move {
            let targets: Vec<usize> = self.ring.targets(index).collect();
            for targets in targets.chunks(IDS_PER_CALL) {
                let user_ids = targets.iter().map(|target| ring::user_id(*target)).collect();
                self.call(index, Call::Subscribe(Subscribe { user_ids })).await?;
            }
            Ok(())
        })
        .await?;
        until_none_or_fail("first statuses", self.ring.edges(), self.options.limit, || {
            self.check()?;
            Ok(self.board.unseen())
        })
        .await
    }

    async fn call(&self, index: usize, call: Call) -> anyhow::Result<Reply> {
        let (done, reply) = oneshot::channel();
        // A client that is gone has left its reason on the board.
        let sent = self.clients[index].send(Command::Call(call, done)).await.is_ok();
        let reply = if sent { reply.await.ok() } else { None };
        self.check()?;
        reply.with_context(|| format!("client {index} is gone"))
    }

    /// Lets all changes be sent, and returns the number of the last one of each user.
    async fn change(&self) -> anyhow::Result<Vec<u64>> {
        eprintln!("change: {} a second for {:?}", self.options.rate, self.options.changes);
        let (ring, clients, pace) = (self.ring, self.clients.clone(), Arc::clone(&self.pace));
        let sent = tokio::task::spawn_blocking(move || send_changes(ring, &clients, &pace)).await?;
        self.check()?;
        sent
    }

    /// Waits until every change was answered and every watcher has seen every last state, and returns how many
    /// states are missing when the limit has passed.
    async fn settle(&self, last: &[u64]) -> anyhow::Result<usize> {
        let changes = self.pace.changes();
        until_none("last states", self.ring.edges(), self.options.limit, || {
            self.check()?;
            let unanswered = usize::try_from(changes - self.board.answered())?;
            Ok(unanswered + self.board.behind(last))
        })
        .await?;
        let unanswered = changes - self.board.answered();
        anyhow::ensure!(unanswered == 0, "{unanswered} changes were not answered");
        Ok(self.board.behind(last))
    }

    fn check(&self) -> anyhow::Result<()> {
        self.board.failure().map_or(Ok(()), |failure| Err(anyhow!("{failure}")))
    }

    /// Lets all clients go, and collects what they measured.
    async fn finish(mut self) -> anyhow::Result<Measured> {
        self.clients.clear();
        let mut all = Measured::default();
        for task in self.tasks {
            all.append(task.await?);
        }
        Ok(all)
    }
}

/// Hands each change to its client at its intended time. On a thread of its own: its sleep ends within 0.1 ms,
/// that of a task only within 1 or 2 ms.
fn send_changes(ring: Ring, clients: &[mpsc::Sender<Command>], pace: &Pace) -> anyhow::Result<Vec<u64>> {
    let mut last = vec![0; ring.clients];
    pace.start();
    for sequence in 1..=pace.changes() {
        std::thread::sleep(pace.intended(sequence).saturating_duration_since(Instant::now()));
        let changer = ring.changer(sequence);
        clients[changer].try_send(Command::Change(sequence)).map_err(|error| match error {
            TrySendError::Full(_) => {
                anyhow!("client {changer} has {COMMANDS} changes waiting: lower the rate")
            }
            TrySendError::Closed(_) => anyhow!("client {changer} is gone"),
        })?;
        last[changer] = sequence;
    }
    Ok(last)
}
