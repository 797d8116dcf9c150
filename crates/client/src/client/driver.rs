//! The one task that owns a client's connection and all that changes with it: it waits for a login, keeps the
//! user connected until they log out or are told to stay away, and waits again.

use std::{future::Future, pin::pin, sync::Arc};

use parking_lot::Mutex;
use rollcall_domain::id::UserId;
use rollcall_proto::client::v1::{self as wire, client_frame::Call as Request};
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tracing::{debug, info};

use super::{
    backoff::Backoff,
    calls::{Call, Calls, ReplyTo},
    connection::{self, Failure, Online},
    diff::Diff,
    mailbox::{Event, Sender},
    session,
};
use crate::{Code, Config, Error, LoginInfo, clock};

/// What the app asks of the task.
pub(super) enum Command {
    Login(Box<Login>),
    Start(Box<Start>),
    Logout(ReplyTo<()>),
    Call(Call),
}

/// Who logs in.
pub(super) struct Login {
    pub(super) request: wire::Login,
    pub(super) reply: ReplyTo<LoginInfo>,
}

/// Who is to be logged in once there is a server.
pub(super) struct Start {
    pub(super) request: wire::Login,
    pub(super) user: UserId,
    pub(super) reply: ReplyTo<()>,
}

/// What ends the wait for somebody to log in.
enum Begin {
    Login(Box<Login>),
    Start(Box<Start>),
}

/// Says how a time of being connected ended.
pub(super) enum End {
    /// The connection is gone; another one is right.
    Lost(Error),
    /// The user is logged out: what calls in flight are told, and what listeners hear.
    Over(Error, Option<Event>),
    /// The user logged out by a call, which awaits its outcome.
    LoggedOut(ReplyTo<()>, Result<(), Error>),
}

/// Says why trying to log in stopped.
enum Stop {
    Refused(Error),
    LogOut(ReplyTo<()>),
    /// The last handle of the client is gone.
    Dropped,
}

pub(super) struct Driver {
    pub(super) config: Arc<Config>,
    /// How the user logs in, with the newest token.
    pub(super) login: wire::Login,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) login_user: watch::Sender<Option<UserId>>,
    pub(super) events: Sender,
    pub(super) calls: Calls,
    /// What the listeners were shown; the app reads it too.
    pub(super) diff: Arc<Mutex<Diff>>,
}

impl Driver {
    /// Serves the client until its last handle is gone.
    pub(super) async fn run(mut self) {
        while let Some(begin) = self.wait_for_login().await {
            let mut backoff = Backoff::new(self.config.reconnect_base, self.config.reconnect_max);
            let online = match begin {
                Begin::Login(login) => self.first_login(*login, &mut backoff).await,
                Begin::Start(start) => self.start(*start, &mut backoff).await,
            };
            if let Some(online) = online {
                self.keep_connected(online, backoff).await;
            }
        }
    }

    async fn wait_for_login(&mut self) -> Option<Begin> {
        loop {
            match self.commands.recv().await? {
                Command::Login(login) if login.reply.is_closed() => {}
                Command::Login(login) => return Some(Begin::Login(login)),
                Command::Start(start) => return Some(Begin::Start(start)),
                Command::Logout(reply) => drop(reply.send(Err(Error::not_logged_in()))),
                Command::Call(call) => drop(call.reply.send(Err(Error::not_logged_in()))),
            }
        }
    }

    async fn keep_connected(&mut self, mut online: Online, mut backoff: Backoff) {
        loop {
            let since = clock::now();
            let error = match session::serve(self, online).await {
                End::Lost(error) => error,
                end => return self.finish(end),
            };
            backoff.on_lived(clock::now() - since);
            info!(%error, "lost the connection");
            self.lose_calls(&error);
            self.events.push(Event::Disconnected(error));
            match self.reconnect(&mut backoff).await {
                Ok(again) => online = again,
                Err(end) => return self.finish(end),
            }
        }
    }

    /// Logs in for the app: for as long as a call may take, until a first answer comes.
    async fn first_login(&mut self, mut login: Login, backoff: &mut Backoff) -> Option<Online> {
        self.login = login.request.clone();
        self.events.push(Event::Connecting);
        let limit = self.config.call_timeout;
        let mut last = None;
        let outcome = tokio::select! {
            outcome = timeout(limit, self.log_in(backoff, &mut last)) => outcome,
            () = login.reply.closed() => Ok(Err(Stop::Refused(Error::disconnected("the login was given up")))),
        };
        let error = match outcome {
            Ok(Ok(online)) => {
                let own = online.info.status.user_id;
                self.begin(own);
                self.on_logged_in(&online);
                let _ = login.reply.send(Ok(online.info.clone()));
                return Some(online);
            }
            Ok(Err(Stop::Dropped)) => return None,
            Ok(Err(Stop::LogOut(reply))) => {
                let _ = reply.send(Err(Error::not_logged_in()));
                Error::disconnected("logged out before the login was answered")
            }
            Ok(Err(Stop::Refused(error))) => error,
            Err(_) => last.unwrap_or_else(|| Error::timeout(limit)),
        };
        debug!(%error, "could not log in");
        self.events.push(Event::Disconnected(error.clone()));
        let _ = login.reply.send(Err(error));
        None
    }

    /// Takes a user as logged in at once, and logs in for as long as it takes.
    async fn start(&mut self, start: Start, backoff: &mut Backoff) -> Option<Online> {
        self.login = start.request;
        self.begin(start.user);
        let _ = start.reply.send(Ok(()));
        self.events.push(Event::Connecting);
        match self.log_in(backoff, &mut None).await {
            Ok(online) => {
                self.on_logged_in(&online);
                Some(online)
            }
            Err(stop) => {
                self.finish(stopped(stop));
                None
            }
        }
    }

    /// Begins the time of a user, of whom and of whose nothing was shown yet.
    fn begin(&mut self, user: UserId) {
        self.login_user.send_replace(Some(user));
        self.diff.lock().start(user);
    }

    /// Logs in again, for as long as it takes.
    async fn reconnect(&mut self, backoff: &mut Backoff) -> Result<Online, End> {
        self.events.push(Event::Connecting);
        self.pause(backoff).await.map_err(stopped)?;
        let online = self.log_in(backoff, &mut None).await.map_err(stopped)?;
        self.diff.lock().on_reconnect();
        self.on_logged_in(&online);
        Ok(online)
    }

    fn on_logged_in(&mut self, online: &Online) {
        // From now on it comes back by itself: a login newer than this one is not to be kicked.
        self.login.resumes = online.order;
        info!("connected");
        self.events.push(Event::Connected);
        let news = self.diff.lock().on_push(vec![online.info.status.clone()]);
        if !news.is_empty() {
            self.events.push(Event::Statuses(news));
        }
    }

    /// Tries until an answer comes; `last` is why the last attempt failed.
    async fn log_in(&mut self, backoff: &mut Backoff, last: &mut Option<Error>) -> Result<Online, Stop> {
        let is_first = self.login_user.borrow().is_none();
        let config = self.config.clone();
        loop {
            let login = self.login.clone();
            let error = match self.meanwhile(connection::log_in(&config, login.clone())).await? {
                Ok(online) => return Ok(online),
                Err(Failure::Network(error)) => error,
                Err(Failure::Refused(error)) if !is_first && is_passing(error.code) => error,
                // There was a newer token before the answer came.
                Err(Failure::Refused(error)) if login.token != self.login.token => error,
                Err(Failure::Refused(error)) => return Err(Stop::Refused(error)),
            };
            debug!(%error, "an attempt to connect failed");
            *last = Some(error);
            self.pause(backoff).await?;
        }
    }

    async fn pause(&mut self, backoff: &mut Backoff) -> Result<(), Stop> {
        let wait = backoff.next(clock::random());
        self.meanwhile(sleep(wait)).await
    }

    /// Waits for `future`, and meanwhile answers what cannot be done without a connection.
    async fn meanwhile<T>(&mut self, future: impl Future<Output = T>) -> Result<T, Stop> {
        let mut future = pin!(future);
        loop {
            let command = tokio::select! {
                output = &mut future => return Ok(output),
                command = self.commands.recv() => command,
            };
            match command {
                None => return Err(Stop::Dropped),
                Some(Command::Logout(reply)) => return Err(Stop::LogOut(reply)),
                Some(Command::Login(login)) => refuse_login(login.reply),
                Some(Command::Start(start)) => refuse_login(start.reply),
                Some(Command::Call(call)) => self.refuse(call),
            }
        }
    }

    /// Answers a call that cannot be made now. A new token is kept, for the next attempt to connect.
    fn refuse(&mut self, call: Call) {
        let is_logged_in = self.login_user.borrow().is_some();
        let error = match call.request {
            _ if !is_logged_in => Error::not_logged_in(),
            Request::RefreshToken(refresh) => {
                self.login.token = refresh.token;
                Error::disconnected("the connection is gone, the client is reconnecting with this token")
            }
            _ => Error::disconnected("the connection is gone, the client is reconnecting"),
        };
        let _ = call.reply.send(Err(error));
    }

    /// Ends the calls in flight of a connection that is gone. A token on its way counts as the newest.
    pub(super) fn lose_calls(&mut self, error: &Error) {
        if let Some(token) = self.calls.token_on_its_way() {
            self.login.token = token;
        }
        self.calls.fail(error);
    }

    fn finish(&mut self, end: End) {
        // First of all, so that whoever hears of the end finds nobody logged in.
        self.login_user.send_replace(None);
        match end {
            End::Lost(error) => self.calls.fail(&error),
            End::Over(error, event) => {
                info!(%error, "logged out");
                self.calls.fail(&error);
                if let Some(event) = event {
                    self.events.push(event);
                }
            }
            End::LoggedOut(reply, outcome) => {
                info!("logged out");
                self.calls.fail(&Error::disconnected("logged out"));
                let _ = reply.send(outcome);
            }
        }
    }
}

/// Refuses a login while somebody is logged in or logging in.
pub(super) fn refuse_login<T>(reply: ReplyTo<T>) {
    let _ = reply.send(Err(Error::invalid("somebody is logged in or logging in, log out first")));
}

/// Says whether a refusal has to do with the server's state and not with who logs in.
pub(super) fn is_passing(code: Code) -> bool {
    matches!(
        code,
        Code::Timeout | Code::RateLimit | Code::ServerTimeout | Code::Internal | Code::Disconnected
    )
}

/// Reads why reconnecting stopped.
fn stopped(stop: Stop) -> End {
    match stop {
        Stop::Dropped => End::Over(Error::disconnected("the client is gone"), None),
        Stop::LogOut(reply) => {
            let error = Error::disconnected("logged out here, without a connection to tell the server");
            End::LoggedOut(reply, Err(error))
        }
        Stop::Refused(error) => stopped_by(error),
    }
}

/// Says what a login that is refused for good means to a user who was logged in.
pub(super) fn stopped_by(error: Error) -> End {
    let event = match error.code {
        Code::TokenExpired | Code::SessionTokenExpired => Event::UserSigExpired,
        Code::Kicked => Event::KickedOffline,
        _ => Event::Disconnected(error.clone()),
    };
    End::Over(error, Some(event))
}
