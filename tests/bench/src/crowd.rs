//! Many clients in a ring, each subscribed to the same number of others: what scenarios of load have in common.
//!
//! A run makes a [`Crowd`] and takes it through its life: log in, subscribe until everybody was shown everybody's
//! first status, change in an open loop, settle until every watcher has seen every last state.

mod board;
mod client;
mod pace;
mod place;
mod ring;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow};
use rollcall_proto::client::v1::{Logout, Reply, Subscribe, client_frame::Call};
use tokio::{
    sync::{
        mpsc::{self, error::TrySendError},
        oneshot,
    },
    task::JoinHandle,
};

use self::{
    board::Board,
    client::{COMMANDS, Client, Command},
    pace::Pace,
};
pub(crate) use self::{
    client::Measured,
    place::{Place, token_of},
    ring::{Ring, client_of, custom_status, sequence_of, user_id},
};
use crate::progress::{for_each, until_none, until_none_or_fail};

/// The most subscriptions of one user (SPEC D2).
const MAX_SUBSCRIPTIONS: usize = 200;
/// The most ids in one call of subscribe (SPEC D1).
const IDS_PER_CALL: usize = 100;
/// Examples of missing statuses in an error.
const EXAMPLES: usize = 3;

/// What a crowd is and does.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Who watches whom.
    pub(crate) ring: Ring,
    /// Logins or subscribes under way at once.
    pub(crate) parallel: usize,
    /// The time between two heartbeats of a client; what the server tells at login by default.
    pub(crate) heartbeat: Option<Duration>,
    /// Changes a second, over all users.
    pub(crate) rate: u32,
    /// Time to make changes.
    pub(crate) changes: Duration,
    /// The longest wait for what must arrive in the end.
    pub(crate) limit: Duration,
}

/// The clients of a run, and what they share.
pub(crate) struct Crowd {
    plan: Plan,
    place: Place,
    board: Arc<Board>,
    pace: Arc<Pace>,
    clients: Vec<mpsc::Sender<Command>>,
    tasks: Vec<JoinHandle<Measured>>,
}

impl Plan {
    /// Checks what no single number shows.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let Ring { clients, subscriptions } = self.ring;
        anyhow::ensure!(
            (1..=MAX_SUBSCRIPTIONS).contains(&subscriptions) && subscriptions < clients,
            "{subscriptions} subscriptions of {clients} clients, expected 1 to {MAX_SUBSCRIPTIONS} and fewer than \
             there are clients"
        );
        anyhow::ensure!(self.parallel > 0, "0 calls under way at once, expected at least 1");
        Ok(())
    }
}

impl Crowd {
    /// Makes a crowd of which nobody has come yet.
    pub(crate) fn new(plan: Plan, place: Place) -> Self {
        Self {
            board: Arc::new(Board::new(plan.ring)),
            pace: Arc::new(Pace::new(plan.rate, plan.changes)),
            clients: Vec::with_capacity(plan.ring.clients),
            tasks: Vec::with_capacity(plan.ring.clients),
            plan,
            place,
        }
    }

    /// Lets one user come and go, so that what the first one costs is not counted as everybody's.
    pub(crate) async fn warm_up(&self) -> anyhow::Result<()> {
        let user_id = ring::user_id(self.plan.ring.clients);
        let (mut socket, _) = self.place.log_in(0, &user_id).await.context("the first login")?;
        let user_ids = vec![ring::user_id(0)];
        socket.call(2, Call::Subscribe(Subscribe { user_ids })).await?;
        socket.call(3, Call::Logout(Logout {})).await?;
        socket.close().await;
        Ok(())
    }

    /// Connects and logs in all clients.
    pub(crate) async fn log_in(&mut self) -> anyhow::Result<()> {
        let (crowd, ring) = (&*self, self.plan.ring);
        let joined = for_each("log in", ring.clients, self.plan.parallel, |index| async move {
            let login = crowd.place.log_in(index, &ring::user_id(index)).await;
            let (socket, told) = login.with_context(|| format!("client {index}"))?;
            let heartbeat = crowd.plan.heartbeat.unwrap_or(told);
            // Evenly spread, so that any stretch of time holds its share of heartbeats.
            let beat = (heartbeat.mul_f64(ring.share(index)), heartbeat);
            let shared = (Arc::clone(&crowd.board), Arc::clone(&crowd.pace));
            let client = Client::new(index, ring, socket, shared, beat);
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

    /// Lets each client subscribe, until all were shown all first statuses.
    pub(crate) async fn subscribe(&self) -> anyhow::Result<()> {
        let ring = self.plan.ring;
        for_each("subscribe", ring.clients, self.plan.parallel, |index| async move {
            let targets: Vec<usize> = ring.targets(index).collect();
            for targets in targets.chunks(IDS_PER_CALL) {
                let user_ids = targets.iter().map(|target| ring::user_id(*target)).collect();
                self.call(index, Call::Subscribe(Subscribe { user_ids })).await?;
            }
            Ok(())
        })
        .await?;
        until_none_or_fail("first statuses", ring.edges(), self.plan.limit, || {
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

    /// Returns how many changes the crowd makes.
    pub(crate) fn changes(&self) -> u64 {
        self.pace.changes()
    }

    /// Lets all changes be sent, and returns the number of the last one of each user.
    pub(crate) async fn change(&self) -> anyhow::Result<Vec<u64>> {
        eprintln!("change: {} a second for {:?}", self.plan.rate, self.plan.changes);
        let (ring, clients, pace) = (self.plan.ring, self.clients.clone(), Arc::clone(&self.pace));
        let sent = tokio::task::spawn_blocking(move || send_changes(ring, &clients, &pace)).await?;
        self.check()?;
        sent
    }

    /// Waits until every change was answered and every watcher has seen every last state, and returns how many
    /// states are missing when the limit has passed.
    pub(crate) async fn settle(&self, last: &[u64]) -> anyhow::Result<usize> {
        let changes = self.pace.changes();
        until_none("last states", self.plan.ring.edges(), self.plan.limit, || {
            self.check()?;
            let unanswered = usize::try_from(changes - self.board.answered())?;
            Ok(unanswered + self.board.behind(last))
        })
        .await?;
        let unanswered = changes - self.board.answered();
        anyhow::ensure!(unanswered == 0, "{unanswered} changes were not answered");
        Ok(self.board.behind(last))
    }

    /// Describes some of the states that are missing.
    pub(crate) fn describe_missing(&self, last: &[u64]) -> String {
        self.board.describe_behind(last, EXAMPLES)
    }

    /// Fails if a client has failed.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        self.board.failure().map_or(Ok(()), |failure| Err(anyhow!("{failure}")))
    }

    /// Lets all clients go, and collects what they measured.
    pub(crate) async fn finish(mut self) -> anyhow::Result<Measured> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_that_cannot_be_is_refused() {
        let plan = |clients, subscriptions, parallel| Plan {
            ring: Ring { clients, subscriptions },
            parallel,
            heartbeat: None,
            rate: 1,
            changes: Duration::ZERO,
            limit: Duration::ZERO,
        };
        plan(1000, 200, 1).check().unwrap();
        for (clients, subscriptions, parallel) in [(20, 20, 1), (1000, 0, 1), (1000, 201, 1), (1000, 20, 0)] {
            plan(clients, subscriptions, parallel).check().unwrap_err();
        }
    }
}
