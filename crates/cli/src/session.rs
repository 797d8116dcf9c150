//! What commands that log in share: log in, work, log out, whatever happens in between.

use std::{future::pending, time::Duration};

use rollcall_client::{Client, Code, Config, DeviceId, Error, Listener};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    time::sleep,
};

use crate::{
    args::ClientOptions,
    clock,
    failure::{Failure, note},
};

/// What a signal means to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnSignal {
    /// It holds something until it is told to stop: the work is done.
    Done,
    /// It was to give an answer, which is now missing.
    Interrupted,
}

/// A user that is logged in.
pub(crate) struct Session {
    client: Client,
    link: watch::Receiver<Link>,
}

/// Logs in, does the work, and logs out. SIGINT and SIGTERM end the work, and the logout still follows.
pub(crate) async fn with_session(
    options: &ClientOptions,
    on_signal: OnSignal,
    client: Client,
    work: impl AsyncFnOnce(&mut Session) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut stop = Stop::new()?;
    let (link_tx, link_rx) = watch::channel(Link::default());
    client.add_listener(LinkListener(link_tx));
    let stopped = match on_signal {
        OnSignal::Done => || Ok(()),
        OnSignal::Interrupted => || Err(Failure::Interrupted),
    };
    tokio::select! {
        login = client.login(options.app_id, &options.user_id, &options.token) => {
            login.map_err(Failure::call("login"))?;
        }
        () = stop.wait() => return stopped(),
    }
    let mut session = Session { client: client.clone(), link: link_rx };
    let ended = tokio::select! {
        ended = work(&mut session) => ended,
        () = stop.wait() => stopped(),
    };
    if client.get_login_user().is_some()
        && let Err(error) = client.logout().await
    {
        note(&format!("the logout was not confirmed: {error}"));
    }
    ended
}

/// Makes the client that the options describe, with nobody logged in.
pub(crate) fn client(options: &ClientOptions) -> Result<Client, Failure> {
    let device_id = match options.device_id {
        Some(device_id) => device_id,
        None => DeviceId::new(&format!("rollcallctl-{:016x}", clock::random()))
            .map_err(|error| Failure::call("login")(Error::new(Code::InvalidParameter, error.to_string())))?,
    };
    let mut config = Config::new(options.url.clone(), options.platform, device_id);
    config.call_timeout = options.timeout;
    Ok(Client::new(config))
}

impl Session {
    /// Returns the client.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Stays logged in until the time is over (never, if there is none) or the session ends for good. Calls
    /// `again` each time the connection was lost and had again.
    pub(crate) async fn hold(
        &mut self,
        time: Option<Duration>,
        mut again: impl AsyncFnMut(&Client) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let holding = async {
            let mut served = 1;
            loop {
                if self.link.changed().await.is_err() {
                    return Err(Failure::call("session")(Link::default().why()));
                }
                let link = self.link.borrow_and_update().clone();
                if self.client.get_login_user().is_none() {
                    return Err(Failure::call("session")(link.why()));
                }
                if link.connects > served {
                    served = link.connects;
                    again(&self.client).await?;
                }
            }
        };
        tokio::select! {
            ended = holding => ended,
            () = over(time) => Ok(()),
        }
    }
}

/// Waits until the time is over; without a time, for ever.
async fn over(time: Option<Duration>) {
    match time {
        Some(time) => sleep(time).await,
        None => pending().await,
    }
}

/// What is known of the connection.
#[derive(Debug, Clone, Default)]
struct Link {
    /// How often it was had.
    connects: u32,
    /// Why it was lost last.
    last: Option<Error>,
}

impl Link {
    fn why(self) -> Error {
        let unknown = || Error::new(Code::Disconnected, "the session has ended");
        self.last.unwrap_or_else(unknown)
    }
}

/// Notes what happens to the connection, and tells the person at the terminal.
struct LinkListener(watch::Sender<Link>);

impl LinkListener {
    fn end(&self, code: Code, description: &str) {
        let last = Some(Error::new(code, description));
        self.0.send_modify(|link| link.last = last);
    }
}

impl Listener for LinkListener {
    fn on_connected(&self) {
        if self.0.borrow().connects > 0 {
            note("connected again");
        }
        self.0.send_modify(|link| link.connects += 1);
    }

    fn on_disconnected(&self, code: Code, description: &str) {
        if self.0.borrow().connects > 0 {
            note(&format!("connection lost: {description} ({code})"));
        }
        self.end(code, description);
    }

    fn on_kicked_offline(&self) {
        self.end(Code::Kicked, "a newer login or the app ended the session");
    }

    fn on_user_sig_expired(&self) {
        note("the token has run out, and the session ends soon");
        self.end(Code::SessionTokenExpired, "the token has run out");
    }
}

/// SIGINT and SIGTERM.
pub(crate) struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// Begins to take them.
    pub(crate) fn new() -> Result<Self, Failure> {
        let on = |kind| signal(kind).map_err(Failure::System);
        Ok(Self { interrupt: on(SignalKind::interrupt())?, terminate: on(SignalKind::terminate())? })
    }

    /// Waits for one.
    pub(crate) async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
