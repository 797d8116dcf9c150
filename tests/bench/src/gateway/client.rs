//! One connection at any of the servers: sends what it is told to, keeps itself alive, and notes what it hears.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    net::TcpStream,
    sync::{mpsc, oneshot},
    time::{Instant, Interval, MissedTickBehavior, interval_at},
};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

use super::{
    audience::Audience,
    protocol::{Heard, Request, Target},
    tally::Tally,
};
use crate::socket;

/// Orders that may wait for a client. Each waits for the one before.
const ORDERS: usize = 1;

/// Whom a client watches, and what it has heard of them.
#[derive(Debug)]
pub(super) struct Watch {
    client: usize,
    audience: Audience,
    /// The number of the last change heard of each, by place.
    heard: Vec<Option<u64>>,
    tally: Arc<Tally>,
}

/// Leads to a client that is connected.
#[derive(Debug)]
pub(super) struct Handle(mpsc::Sender<Order>);

/// What a client is told to do: to send this, and to say when it was answered.
type Order = (Request, oneshot::Sender<()>);

struct Client {
    target: Arc<Target>,
    stream: WebSocketStream<TcpStream>,
    watch: Option<Watch>,
    /// The time to the first heartbeat of its own, and between two.
    heartbeat: (Duration, Duration),
    /// When the next is due; `None` before login, and where the server sends them.
    beat: Option<Interval>,
    /// How many replies are awaited, and who is told when all are there.
    waiting: Option<(usize, oneshot::Sender<()>)>,
}

impl Handle {
    /// Connects a client, which lives as long as the handle. Its own heartbeats, where it has to send some, are so far
    /// apart, with the first so long after its first call is answered.
    pub(super) async fn connect(
        target: Arc<Target>,
        watch: Option<Watch>,
        tally: Arc<Tally>,
        heartbeat: (Duration, Duration),
    ) -> anyhow::Result<Self> {
        let stream = socket::connect(&target.url, target.subprotocol()).await?;
        let (sender, orders) = mpsc::channel(ORDERS);
        let client = Client { target, stream, watch, heartbeat, beat: None, waiting: None };
        tokio::spawn(async move {
            if let Err(error) = client.run(orders).await {
                tally.fail(format!("{error:#}"));
            }
        });
        Ok(Self(sender))
    }

    /// Sends a request and waits until it was answered ok.
    pub(super) async fn call(&self, request: Request) -> anyhow::Result<()> {
        let (done, answered) = oneshot::channel();
        // Why a client is gone stands in the tally.
        self.0.send((request, done)).await.ok().context("a client is gone")?;
        answered.await.context("a client went before it was answered")
    }
}

impl Client {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                order = orders.recv() => {
                    let Some((request, done)) = order else { return Ok(()) };
                    self.waiting = Some((request.replies, done));
                    self.send(request.frame).await?;
                }
                message = self.stream.next() => match message.context("the server closed the connection")?? {
                    Message::Binary(frame) => self.hear(&frame).await?,
                    Message::Ping(_) | Message::Pong(_) => {}
                    other => bail!("received {other:?}, expected a binary message"),
                },
                () = next(&mut self.beat) => {
                    let heartbeat = self.target.heartbeat().context("this server sends the heartbeats")?;
                    self.send(heartbeat).await?;
                }
            }
        }
    }

    /// Begins to send heartbeats, if it has not and is the one who does. No server takes one before the login.
    fn keep_alive(&mut self) {
        if self.beat.is_none() && self.target.heartbeat().is_some() {
            let (first, heartbeat) = self.heartbeat;
            let mut beat = interval_at(Instant::now() + first, heartbeat);
            beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
            self.beat = Some(beat);
        }
    }

    async fn send(&mut self, frame: Vec<u8>) -> anyhow::Result<()> {
        Ok(self.stream.send(Message::binary(frame)).await?)
    }

    async fn hear(&mut self, frame: &[u8]) -> anyhow::Result<()> {
        let Heard { replies, statuses, answer } = self.target.hear(frame)?;
        if let Some(watch) = &mut self.watch {
            statuses.iter().try_for_each(|(user_id, change)| watch.hear(user_id, *change))?;
        }
        if let Some(answer) = answer {
            self.send(answer.to_vec()).await?;
        }
        if replies > 0 {
            let (left, done) = self.waiting.take().context("a reply came that nobody waits for")?;
            let left = left.checked_sub(replies).context("more replies came than were asked for")?;
            if left > 0 {
                self.waiting = Some((left, done));
            } else {
                self.keep_alive();
                // Whoever asked may have given up.
                let _ = done.send(());
            }
        }
        Ok(())
    }
}

impl Watch {
    /// Begins to watch; nothing was heard of anybody.
    pub(super) fn new(client: usize, audience: Audience, tally: Arc<Tally>) -> Self {
        Self { client, audience, heard: vec![None; audience.subscriptions], tally }
    }

    /// Notes a status. Of each user they come in order, and nobody hears of whom they do not watch.
    fn hear(&mut self, user_id: &str, change: u64) -> anyhow::Result<()> {
        let client = self.client;
        let Some(place) = self.audience.place(client, user_id) else {
            // The server tells users of themselves.
            ensure!(user_id == crate::crowd::user_id(client), "client {client} heard of {user_id:?}");
            return Ok(());
        };
        match self.heard[place].replace(change) {
            None => self.tally.show(),
            Some(before) => {
                ensure!(
                    before < change,
                    "client {client} heard of change {change} of {user_id:?} after {before}"
                );
                self.tally.hear(change);
            }
        }
        Ok(())
    }
}

/// Waits for the next heartbeat; for ever if there is none.
async fn next(beat: &mut Option<Interval>) {
    match beat {
        Some(beat) => {
            beat.tick().await;
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::audience::STAR, *};
    use crate::crowd::user_id;

    #[test]
    fn a_first_status_is_shown_and_later_ones_are_heard_in_order_only() {
        let tally = Arc::new(Tally::default());
        let audience = Audience { clients: 4, subscriptions: 2 };
        let mut watch = Watch::new(0, audience, Arc::clone(&tally));
        watch.hear(&user_id(0), 0).unwrap();
        watch.hear(&user_id(1), 0).unwrap();
        watch.hear(STAR, 0).unwrap();
        assert_eq!((tally.shown(), tally.hearers(1)), (2, 0));
        watch.hear(STAR, 1).unwrap();
        assert_eq!((tally.shown(), tally.hearers(1)), (2, 1));
        watch.hear(STAR, 1).unwrap_err();
        watch.hear(&user_id(2), 0).unwrap_err();
    }
}
