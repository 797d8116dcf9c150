//! A connection to one server that is watched and built anew.
//!
//! The connections of the `redis` crate do not notice a peer that is gone without a word, nor one that has
//! become a replica. Here a connection is given up when calls in a row stay without a reply, when the server
//! says that it cannot write, and when it is lost; a task then connects again, with growing, jittered pauses.
//! Every wait is bounded by the response time-out, and there are few: for a connection, for the reply, and where
//! the server has forgotten a script for that. No call is sent twice but one that was not executed.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, IntoConnectionInfo as _, Pipeline,
    RedisError, RedisResult, ServerErrorKind, Value,
    aio::MultiplexedConnection,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};
use rollcall_domain::epoch::Epoch;
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};
use tracing::{info, warn};

use super::{
    epoch,
    error::ConnectError,
    keys,
    options::Options,
    script::{SCRIPTS, Script},
};
use crate::port;

/// The greatest number of calls that wait for a reply; more wait for those, each no longer than its time-out.
const IN_FLIGHT_MAX: usize = 1_024;

/// How long a connection is silent before the kernel asks whether the peer is there, and how often it asks.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// How long the kernel waits for sent bytes to be acknowledged before it gives the connection up.
#[cfg(target_os = "linux")]
const USER_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection that is built anew when it fails. Dropping it closes it.
pub(super) struct Connection {
    options: Options,
    state: watch::Receiver<State>,
    /// The [`Epoch`] of the server, as was read last.
    epoch: Arc<AtomicU64>,
    keeper: JoinHandle<()>,
}

/// What there is to send calls to.
enum State {
    /// A connection.
    Up(Arc<Link>),
    /// Nothing yet: the first attempt after a loss is being made.
    Building,
    /// Nothing, for this reason; attempts go on.
    Down(String),
}

/// One connection.
struct Link {
    connection: MultiplexedConnection,
    /// The epoch of the server when the connection was made.
    epoch: Epoch,
    /// The hashes of [`SCRIPTS`].
    hashes: Vec<String>,
    /// Calls without a reply since the last reply.
    timeouts: AtomicU32,
    is_broken: AtomicBool,
    broken: Notify,
}

impl Connection {
    /// Connects; fails when the first attempt does.
    pub(super) async fn open(url: &str, options: Options) -> Result<Self, ConnectError> {
        let client = client(url).map_err(ConnectError::Url)?;
        let link = Arc::new(Link::build(&client, &options).await?);
        let (sender, state) = watch::channel(State::Up(Arc::clone(&link)));
        let epoch = Arc::new(AtomicU64::new(link.epoch.get()));
        let keeper = tokio::spawn(keep(client, options.clone(), link, sender, Arc::clone(&epoch)));
        Ok(Self { options, state, epoch, keeper })
    }

    /// Returns the epoch of the server, as was read last.
    pub(super) fn epoch(&self) -> Epoch {
        Epoch::new(self.epoch.load(Ordering::Acquire)).expect("only epochs are stored, and none is 0")
    }

    /// Notes the epoch that the server was found in.
    pub(super) fn is_in(&self, epoch: Epoch) {
        self.epoch.store(epoch.get(), Ordering::Release);
    }

    /// Sends a command and reads its reply.
    pub(super) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, port::Error> {
        let link = self.link().await?;
        let reply = self.on(&link, command).await.map_err(|error| unavailable(&error))?;
        read(reply)
    }

    /// Sends commands at once, and reads the replies to them.
    pub(super) async fn ask_all(&self, commands: &Pipeline) -> Result<Vec<Value>, port::Error> {
        let link = self.link().await?;
        let mut connection = link.connection.clone();
        let replies = connection.send_packed_commands(commands, 0, commands.len());
        let replies = self.watch(&link, replies).await.and_then(|replies| {
            let replies = replies.into_iter().map(Value::extract_error);
            replies.collect::<RedisResult<Vec<_>>>().inspect_err(|error| link.judge(error))
        });
        replies.map_err(|error| unavailable(&error))
    }

    /// Runs a script with the keys and arguments that `fill` appends, beginning with the number of keys.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        script: Script,
        fill: impl Fn(&mut Cmd) + Send + Sync,
    ) -> Result<T, port::Error> {
        let link = self.link().await?;
        let mut command = redis::cmd("EVALSHA");
        command.arg(&link.hashes[script as usize]);
        fill(&mut command);
        let mut reply = self.on(&link, &command).await;
        if reply.as_ref().is_err_and(|error| error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)) {
            // The server has forgotten it: its scripts were flushed, or it was restarted behind a proxy.
            reply = self.on(&link, &script.load()).await;
            if reply.is_ok() {
                reply = self.on(&link, &command).await;
            }
        }
        read(reply.map_err(|error| unavailable(&error))?)
    }

    /// Sends a command over a connection.
    async fn on(&self, link: &Link, command: &Cmd) -> RedisResult<Value> {
        let mut connection = link.connection.clone();
        let reply = self.watch(link, connection.send_packed_command(command)).await?;
        reply.extract_error().inspect_err(|error| link.judge(error))
    }

    /// Waits for a reply no longer than is granted, and counts those that do not come.
    async fn watch<T>(&self, link: &Link, reply: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
        if let Ok(reply) = timeout(self.options.response_timeout, reply).await {
            link.timeouts.store(0, Ordering::Relaxed);
            return reply.inspect_err(|error| link.judge(error));
        }
        let timeouts = link.timeouts.fetch_add(1, Ordering::Relaxed) + 1;
        let text = format!("no reply within {:?}", self.options.response_timeout);
        if timeouts >= self.options.timeouts_before_rebuild {
            link.give_up(&text);
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, text).into())
    }

    /// Finds the connection; waits for one that is being built, but not while attempts have failed.
    async fn link(&self) -> Result<Arc<Link>, port::Error> {
        let mut state = self.state.clone();
        let known = state.wait_for(|state| !matches!(state, State::Building));
        match timeout(self.options.response_timeout, known).await {
            Ok(Ok(state)) => match &*state {
                State::Up(link) => Ok(Arc::clone(link)),
                State::Down(reason) => Err(port::Error::Unavailable(reason.clone())),
                State::Building => Err(port::Error::Unavailable("connecting".to_owned())),
            },
            Ok(Err(_)) => Err(port::Error::Unavailable("nobody connects any more".to_owned())),
            Err(_) => Err(port::Error::Unavailable("connecting takes too long".to_owned())),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Link {
    /// Connects to a master whose store has as many partitions as we have, and loads the scripts.
    async fn build(client: &Client, options: &Options) -> Result<Self, ConnectError> {
        let limit = options.connect_timeout;
        timeout(limit, Self::try_build(client, options)).await.unwrap_or(Err(ConnectError::Silent(limit)))
    }

    async fn try_build(client: &Client, options: &Options) -> Result<Self, ConnectError> {
        // The time limits are ours, around everything.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(IN_FLIGHT_MAX)
            .set_concurrency_limit(IN_FLIGHT_MAX);
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;

        let role: Vec<Value> = redis::cmd("ROLE").query_async(&mut connection).await?;
        let role = role.into_iter().next().and_then(|role| redis::from_redis_value::<String>(role).ok());
        let role = role.unwrap_or_default();
        if role != "master" {
            return Err(ConnectError::NotMaster(role));
        }

        let server: String = epoch::ask().query_async(&mut connection).await?;
        let epoch = epoch::read(&server).map_err(ConnectError::Unnamed)?;

        let configured = options.partitions.count();
        // Read first, so that a full server, which refuses every write, can still be connected to.
        let mut stored: Option<u16> = get_partitions().query_async(&mut connection).await?;
        if stored.is_none() {
            let () = set_partitions(configured).query_async(&mut connection).await?;
            stored = get_partitions().query_async(&mut connection).await?;
        }
        if let Some(stored) = stored.filter(|stored| *stored != configured) {
            return Err(ConnectError::Partitions { stored, configured });
        }

        let mut hashes = Vec::with_capacity(SCRIPTS.len());
        for script in SCRIPTS {
            hashes.push(script.load().query_async(&mut connection).await?);
        }
        let (timeouts, is_broken, broken) = (AtomicU32::new(0), AtomicBool::new(false), Notify::new());
        Ok(Self { connection, epoch, hashes, timeouts, is_broken, broken })
    }

    /// Gives the connection up if the error says that it is lost or leads to a server that cannot write.
    fn judge(&self, error: &RedisError) {
        let cannot_write = [ServerErrorKind::ReadOnly, ServerErrorKind::MasterDown].map(ErrorKind::Server);
        if cannot_write.contains(&error.kind()) || error.is_unrecoverable_error() || error.is_io_error() {
            self.give_up(&error.to_string());
        }
    }

    /// Has the connection built anew; says so once.
    fn give_up(&self, reason: &str) {
        if !self.is_broken.swap(true, Ordering::Relaxed) {
            warn!(reason, "gave up a connection to the store");
            self.broken.notify_one();
        }
    }
}

/// Connects anew whenever the connection is given up, for ever.
async fn keep(
    client: Client,
    options: Options,
    mut link: Arc<Link>,
    state: watch::Sender<State>,
    epoch: Arc<AtomicU64>,
) {
    let mut failures = 0;
    loop {
        // A connection that breaks soon counts as a failed attempt, so that no server is dialed without pause.
        if timeout(options.backoff_max, link.broken.notified()).await.is_err() {
            failures = 0;
            link.broken.notified().await;
        }
        state.send_replace(State::Building);
        link = loop {
            if failures > 0 {
                sleep(options.pause(failures)).await;
            }
            failures = failures.saturating_add(1);
            match Link::build(&client, &options).await {
                Ok(link) => break Arc::new(link),
                Err(error) => {
                    warn!(%error, failures, "cannot connect to the store");
                    state.send_replace(State::Down(error.to_string()));
                }
            }
        };
        info!(failures, "connected to the store again");
        // First: who finds the connection finds its epoch.
        epoch.store(link.epoch.get(), Ordering::Release);
        state.send_replace(State::Up(Arc::clone(&link)));
    }
}

fn client(url: &str) -> RedisResult<Client> {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE);
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(USER_TIMEOUT);
    let info = url.into_connection_info()?;
    // Redis 7.0 does not know how to be told, nor is it granted.
    let login = info.redis_settings().clone().set_skip_set_lib_name();
    Client::open(info.set_tcp_settings(settings).set_redis_settings(login))
}

fn get_partitions() -> Cmd {
    let mut command = redis::cmd("GET");
    command.arg(keys::PARTITIONS);
    command
}

fn set_partitions(count: u16) -> Cmd {
    let mut command = redis::cmd("SET");
    command.arg(keys::PARTITIONS).arg(count).arg("NX");
    command
}

/// Reads a reply of a known form.
pub(super) fn read<T: FromRedisValue>(reply: Value) -> Result<T, port::Error> {
    redis::from_redis_value(reply)
        .map_err(|error| port::Error::Unavailable(format!("unexpected reply: {error}")))
}

fn unavailable(error: &RedisError) -> port::Error {
    port::Error::Unavailable(error.to_string())
}
