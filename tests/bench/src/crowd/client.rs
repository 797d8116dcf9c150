//! One client: sends what it is told to, keeps its session alive, and notes what it hears and when.

use std::{collections::HashMap, sync::Arc, time::Duration};

use anyhow::{Context as _, bail, ensure};
use rollcall_proto::{
    client::v1::{Ping, Reply, SetSelfStatus, client_frame::Call, server_frame::Event},
    common::v1::UserStatus,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, Interval, MissedTickBehavior, interval_at},
};

use super::{board::Board, pace::Pace, ring, ring::Ring};
use crate::socket::{Socket, ok};

/// Commands that may wait for a client. An open loop never waits: one that finds the queue full has failed.
pub(super) const COMMANDS: usize = 1024;

/// What a client is told to do.
#[derive(Debug)]
pub(super) enum Command {
    /// Send this, and pass on the reply if it is ok.
    Call(Call, oneshot::Sender<Reply>),
    /// Set the custom status of this change.
    Change(u64),
}

/// What a client measured.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// From the intended time of each change to the receipt by this client.
    pub(crate) deliveries_us: Vec<u32>,
    /// From the intended time of each own change to the receipt of its reply.
    pub(crate) replies_us: Vec<u32>,
    /// From the intended time of each own change to when it was written.
    pub(crate) late_us: Vec<u32>,
    /// Frames that carried the deliveries.
    pub(crate) frames: u64,
}

impl Measured {
    /// Takes in what another client measured.
    pub(super) fn append(&mut self, mut other: Self) {
        self.deliveries_us.append(&mut other.deliveries_us);
        self.replies_us.append(&mut other.replies_us);
        self.late_us.append(&mut other.late_us);
        self.frames += other.frames;
    }
}

/// A client that is logged in.
#[derive(Debug)]
pub(super) struct Client {
    index: usize,
    ring: Ring,
    socket: Socket,
    board: Arc<Board>,
    pace: Arc<Pace>,
    beat: Interval,
    next_id: u32,
    waiting: HashMap<u32, Waiting>,
    /// The last version seen of each target, in the order of the targets.
    versions: Vec<u64>,
    measured: Measured,
}

#[derive(Debug)]
enum Waiting {
    Call(oneshot::Sender<Reply>),
    Change(u64),
    Ping,
}

impl Client {
    /// Takes over a connection that is logged in. Its first heartbeat is `first` from now, the others follow
    /// every `heartbeat`.
    pub(super) fn new(
        index: usize,
        ring: Ring,
        socket: Socket,
        shared: (Arc<Board>, Arc<Pace>),
        (first, heartbeat): (Duration, Duration),
    ) -> Self {
        let mut beat = interval_at(Instant::now() + first, heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            index,
            ring,
            socket,
            board: shared.0,
            pace: shared.1,
            beat,
            // The login was 1.
            next_id: 2,
            waiting: HashMap::new(),
            versions: vec![0; ring.subscriptions],
            measured: Measured::default(),
        }
    }

    /// Lives until `commands` ends. A failure is noted on the board, so that nobody waits in vain.
    pub(super) async fn run(mut self, commands: mpsc::Receiver<Command>) -> Measured {
        if let Err(error) = self.serve(commands).await {
            self.board.fail(format!("client {}: {error:#}", self.index));
        }
        self.socket.close().await;
        self.measured
    }

    async fn serve(&mut self, mut commands: mpsc::Receiver<Command>) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Call(call, done)) => self.send(call, Waiting::Call(done)).await?,
                    Some(Command::Change(sequence)) => self.change(sequence).await?,
                    None => return Ok(()),
                },
                event = self.socket.next() => self.receive(event?)?,
                _ = self.beat.tick() => self.send(Call::Ping(Ping {}), Waiting::Ping).await?,
            }
        }
    }

    async fn send(&mut self, call: Call, waiting: Waiting) -> anyhow::Result<()> {
        let id = self.next_id;
        self.next_id += 1;
        self.waiting.insert(id, waiting);
        self.socket.send(id, call).await
    }

    async fn change(&mut self, sequence: u64) -> anyhow::Result<()> {
        let call = Call::SetSelfStatus(SetSelfStatus {
            custom: ring::custom_status(sequence),
            clear_after_seconds: 0,
        });
        self.send(call, Waiting::Change(sequence)).await?;
        self.measured.late_us.push(self.pace.since_intended(sequence));
        Ok(())
    }

    fn receive(&mut self, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Reply(reply) => self.reply(reply),
            Event::StatusChanged(push) => {
                let before = self.measured.deliveries_us.len();
                push.statuses.iter().try_for_each(|status| self.see(status))?;
                self.measured.frames += u64::from(self.measured.deliveries_us.len() > before);
                Ok(())
            }
            Event::Draining(_) => bail!("the server is about to stop"),
            Event::TokenExpired(_) => bail!("the token ran out"),
            Event::Kicked(kicked) => bail!("kicked: {}", kicked.message),
        }
    }

    fn reply(&mut self, reply: Reply) -> anyhow::Result<()> {
        let reply = ok(reply)?;
        match self
            .waiting
            .remove(&reply.id)
            .with_context(|| format!("nobody waits for reply {}", reply.id))?
        {
            Waiting::Call(done) => {
                // Whoever asked may have given up.
                let _ = done.send(reply);
            }
            Waiting::Change(sequence) => {
                self.measured.replies_us.push(self.pace.since_intended(sequence));
                self.board.answer();
            }
            Waiting::Ping => {}
        }
        Ok(())
    }

    fn see(&mut self, status: &UserStatus) -> anyhow::Result<()> {
        let target = ring::client_of(&status.user_id)
            .with_context(|| format!("heard of {:?}, whom nobody here is", status.user_id))?;
        if target == self.index {
            return Ok(());
        }
        let edge = self
            .ring
            .edge(self.index, target)
            .with_context(|| format!("heard of user {target}, who is not watched"))?;
        let version = &mut self.versions[edge % self.ring.subscriptions];
        ensure!(
            status.version > *version,
            "heard version {} of user {target} after version {version}, expected a greater one",
            status.version
        );
        *version = status.version;
        let sequence = ring::sequence_of(&status.custom);
        if sequence > 0 {
            self.measured.deliveries_us.push(self.pace.since_intended(sequence));
        }
        self.board.see(edge, sequence);
        Ok(())
    }
}
