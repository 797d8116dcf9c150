//! The link that is in use, and the task that builds another one when it is lost.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use async_nats::ServerAddr;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tracing::{info, warn};

use super::{error::ConnectError, link::Link, options::Options, stream};
use crate::port;

/// How long the stream is left alone after it was looked at, so that publishes that fail do not ask in a row.
const STREAM_PAUSE: Duration = Duration::from_secs(1);

/// A connection that is built anew when it is lost. Dropping it closes it.
pub(super) struct Connection {
    state: watch::Receiver<State>,
    keeper: JoinHandle<()>,
}

/// What there is to send messages over.
enum State {
    /// A link.
    Up(Arc<Link>),
    /// Nothing yet: the first attempt after a loss is being made.
    Building,
    /// Nothing, for this reason; attempts go on.
    Down(String),
}

/// Where links come from.
struct Builder {
    servers: Vec<ServerAddr>,
    options: Options,
    /// Counts dropped messages of all links.
    dropped: Arc<AtomicU64>,
    /// How many were tried; each attempt goes to the next server.
    tried: usize,
}

impl Connection {
    /// Connects, and checks the stream; fails when the first attempt does with every server.
    pub(super) async fn open(
        url: &str,
        options: Options,
        dropped: Arc<AtomicU64>,
    ) -> Result<Self, ConnectError> {
        let servers = url.split(',').map(server).collect::<Result<Vec<_>, _>>()?;
        // By lot, so that the processes spread over the servers.
        let tried = usize::try_from((options.random)() % servers.len() as u64).unwrap_or(0);
        let mut builder = Builder { servers, options, dropped, tried };
        let (link, lost) = builder.first().await?;
        if let Some(limits) = builder.options.stream {
            stream::ensure(&link.client, limits).await?;
        }
        let (sender, state) = watch::channel(State::Up(Arc::new(link)));
        let keeper = tokio::spawn(keep(builder, lost, sender));
        Ok(Self { state, keeper })
    }

    /// Asks for the stream to be looked at, if there is a connection.
    pub(super) fn doubt_stream(&self) {
        if let State::Up(link) = &*self.state.borrow() {
            link.doubt.notify_one();
        }
    }

    /// Finds the link; waits for one that is being built, but not while attempts have failed. The caller bounds
    /// the wait.
    pub(super) async fn link(&self) -> Result<Arc<Link>, port::Error> {
        let mut state = self.state.clone();
        match state.wait_for(|state| !matches!(state, State::Building)).await.as_deref() {
            Ok(State::Up(link)) => Ok(Arc::clone(link)),
            Ok(State::Down(reason)) => Err(port::Error::Unavailable(reason.clone())),
            Ok(State::Building) | Err(_) => {
                Err(port::Error::Unavailable("nobody connects any more".to_owned()))
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Builder {
    /// Tries each server once.
    async fn first(&mut self) -> Result<(Link, JoinHandle<()>), ConnectError> {
        let mut tries = 1;
        loop {
            match self.build().await {
                Ok(built) => return Ok(built),
                Err(error) if tries == self.servers.len() => return Err(error),
                Err(error) => warn!(%error, "cannot connect to one of the bus servers, trying the next"),
            }
            tries += 1;
        }
    }

    /// Tries the next server.
    async fn build(&mut self) -> Result<(Link, JoinHandle<()>), ConnectError> {
        let server = self.servers[self.tried % self.servers.len()].clone();
        self.tried = self.tried.wrapping_add(1);
        Link::build(server, &self.options, Arc::clone(&self.dropped)).await
    }
}

fn server(url: &str) -> Result<ServerAddr, ConnectError> {
    let server: ServerAddr = url.trim().parse().map_err(|_| ConnectError::Url)?;
    if server.host().is_empty() { Err(ConnectError::Url) } else { Ok(server) }
}

/// Connects anew whenever the connection is lost, for ever.
async fn keep(mut builder: Builder, mut lost: JoinHandle<()>, state: watch::Sender<State>) {
    let mut failures = 0_u32;
    let mut checked = true;
    loop {
        // A connection that is lost soon counts as a failed attempt, so that no server is dialed without pause.
        let settled = async {
            sleep(builder.options.backoff_max).await;
            failures = 0;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            _ = &mut lost => {}
            () = settled => {}
            () = watch_stream(&state, &builder.options, checked) => {}
        }
        warn!("lost the connection to the bus");
        state.send_replace(State::Building);
        (lost, checked) = loop {
            // Also before the first attempt: a server that goes leaves many behind at once.
            failures = failures.saturating_add(1);
            sleep(builder.options.pause(failures)).await;
            match builder.build().await {
                Ok((link, lost)) => {
                    state.send_replace(State::Up(Arc::new(link)));
                    break (lost, false);
                }
                Err(error) => {
                    warn!(%error, failures, "cannot connect to the bus");
                    state.send_replace(State::Down(error.to_string()));
                }
            }
        };
        info!(failures, "connected to the bus again");
    }
}

/// Looks at the stream after a new connection and whenever a publish failed for want of it, and makes it if it is
/// gone. Nothing waits for this: subscribers hear changes also while JetStream elects a leader. Never ends.
async fn watch_stream(state: &watch::Sender<State>, options: &Options, mut checked: bool) {
    loop {
        let link = match &*state.borrow() {
            State::Up(link) => Some(Arc::clone(link)),
            _ => None,
        };
        let (Some(link), Some(limits)) = (link, options.stream) else { return std::future::pending().await };
        if checked {
            link.doubt.notified().await;
        }
        match timeout(options.connect_timeout * 2, stream::ensure(&link.client, limits)).await {
            Ok(Ok(())) => checked = true,
            Ok(Err(error)) => {
                warn!(%error, "changes cannot be published");
                checked = false;
            }
            Err(_) => checked = false,
        }
        drop(link);
        sleep(STREAM_PAUSE).await;
    }
}
