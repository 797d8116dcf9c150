//! The calls of an app. Each is a message to the driver's task and an answer from it.

mod backoff;
mod calls;
mod connection;
mod diff;
mod driver;
mod heartbeat;
pub(crate) mod listener;
mod mailbox;
mod relocate;
mod session;
mod transport;

use std::{fmt, sync::Arc, time::Duration};

use parking_lot::Mutex;
use rollcall_domain::id::UserId;
use rollcall_proto::{
    client::v1::{self as wire, client_frame::Call as Request, reply::Result as Returned},
    convert,
};
use tokio::{
    sync::{Semaphore, mpsc, oneshot, watch},
    time::timeout,
};

use self::{
    calls::{Call, Calls, MAX_IN_FLIGHT},
    diff::Diff,
    driver::{Command, Driver, Login, Start},
    listener::{Listener, ListenerId, Registry},
};
use crate::{Config, Error, LoginInfo, Subscribed, UserStatus, UserStatuses, status};

/// Commands on their way to the driver: each call in flight may have one there, with room for a login and a
/// logout. A sender finds it full only while the driver is busy writing, and waits within its time.
const COMMANDS: usize = MAX_IN_FLIGHT + 2;

/// One device of one user: logs in, stays connected, makes calls, and calls listeners.
///
/// A clone is another handle of the same client. When the last handle is gone the connection is closed without
/// logout, so that the user becomes OFFLINE; log out to become UNLOGINED.
///
/// Every call ends within [`Config::call_timeout`] (a logout that finds the connection stuck within twice that), with
/// success or with an [`Error`]. Common to all calls but login are 6014 (nobody is logged in), 9508 (there is no connection, or it was lost before the reply came), 6012
/// (not answered in time), 6208 (kicked meanwhile), 6206 (the token has run out), 70169 and 70500 (the server
/// failed). After 9508 and 6012 it is not known whether the call took effect. At most 64 calls are in flight;
/// further ones wait for their turn. Dropping the future of a call gives up its answer; what was sent may still
/// take effect.
///
/// Ids are sent as they are: it is the server that refuses a malformed one, with 7003.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    config: Arc<Config>,
    commands: mpsc::Sender<Command>,
    in_flight: Semaphore,
    login_user: watch::Receiver<Option<UserId>>,
    listeners: Arc<Registry>,
    shown: Arc<Mutex<Diff>>,
}

impl Client {
    /// Makes a client with nobody logged in, and starts its two tasks. Connects to nothing yet. (The source calls
    /// it *init*.)
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime with its timer and IO enabled.
    pub fn new(config: Config) -> Self {
        let config = Arc::new(config);
        let listeners = Arc::<Registry>::default();
        let (command_tx, command_rx) = mpsc::channel(COMMANDS);
        let (login_user_tx, login_user_rx) = watch::channel(None);
        let (event_tx, event_rx) = mailbox::mailbox();
        let shown = Arc::<Mutex<Diff>>::default();
        let driver = Driver {
            config: config.clone(),
            login: wire::Login::default(),
            commands: command_rx,
            login_user: login_user_tx,
            events: event_tx,
            calls: Calls::default(),
            diff: shown.clone(),
        };
        tokio::spawn(driver.run());
        tokio::spawn(listener::run(event_rx, listeners.clone()));
        let inner = Inner {
            config,
            commands: command_tx,
            in_flight: Semaphore::new(MAX_IN_FLIGHT),
            login_user: login_user_rx,
            listeners,
            shown,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Logs a user in and keeps them connected from then on, until logout, kick, the end of the token, or a login
    /// of the same device elsewhere. While there is no server, tries again for [`Config::call_timeout`].
    ///
    /// At the first connection the listeners hear of the user's own status and of all that the user watches,
    /// after a reconnect only of what differs (SPEC F6). The token is a JWT of the app's backend for this app
    /// and user.
    ///
    /// Errors: 70020 (app unknown), 70003 (bad token), 70014 and 70013 (token of another app or user), 70001
    /// (token has run out), 70052 (token revoked), 6017 and 7003 (malformed argument, or somebody is logged in
    /// already), 9508 (no server), 6012 (no answer). Dropping the future gives the login up.
    pub async fn login(&self, app_id: u32, user_id: &str, token: &str) -> Result<LoginInfo, Error> {
        let request = self.login_request(app_id, user_id, token);
        let (reply, answer) = oneshot::channel();
        self.command(Command::Login(Box::new(Login { request, reply }))).await?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Logs a user in without waiting for a server, as an app does that may be started without network: returns at
    /// once, and connects in the background for as long as it takes.
    ///
    /// From then on the user counts as logged in. Until the first connection nothing is known: statuses read as
    /// UNKNOWN ([`shown_status`](Self::shown_status)), the own one too, and calls fail with 9508. If the server then
    /// refuses the login, the listeners hear what [`login`](Self::login) would have failed with
    /// (`on_disconnected`, or `on_user_sig_expired` for 70001), and nobody is logged in any more.
    ///
    /// Errors: 7003 (malformed id), 6017 (somebody is logged in already).
    pub async fn start(&self, app_id: u32, user_id: &str, token: &str) -> Result<(), Error> {
        let user = convert::user_id(user_id)?;
        let request = self.login_request(app_id, user_id, token);
        let (reply, answer) = oneshot::channel();
        self.command(Command::Start(Box::new(Start { request, user, reply }))).await?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Shows a new token of the user who is logged in, so that the session outlives the one before, or goes on after
    /// [`on_user_sig_expired`](crate::Listener::on_user_sig_expired) (SPEC H3). From then on the client connects again
    /// with it. The session lasts as long as the token that runs out last.
    ///
    /// Errors: those of the token at [`login`](Self::login): 70003, 70014, 70013, 70001, 70052; the session and its
    /// token are then as before. After 9508 the client shows the token when it connects again.
    pub async fn refresh_token(&self, token: &str) -> Result<(), Error> {
        let request = Request::RefreshToken(wire::RefreshToken { token: token.to_owned() });
        self.call(request).await.map(drop)
    }

    /// Logs the user out, which makes them UNLOGINED if this was their last session (SPEC A4, H6).
    ///
    /// Whatever the outcome, nobody is logged in on this client afterwards. 9508 or 6012 say that the server may
    /// not know: the user is then OFFLINE and not UNLOGINED.
    pub async fn logout(&self) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        self.command(Command::Logout(reply)).await?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Returns who is logged in: none before the first login, and after logout, kick, the end of the token, or
    /// whatever else ended the login for good. A user whose connection is lost for now is still logged in.
    pub fn get_login_user(&self) -> Option<UserId> {
        *self.inner.login_user.borrow()
    }

    /// Returns what the listeners were last shown of a user, without a call: UNKNOWN and version 0 before they were
    /// shown anything, as of somebody who is not watched (SPEC A1). While the connection is lost it is what was shown
    /// before. It is forgotten at the next login.
    ///
    /// Errors: 7003 (malformed id).
    pub fn shown_status(&self, user_id: &str) -> Result<UserStatus, Error> {
        let user = convert::user_id(user_id)?;
        Ok(self.inner.shown.lock().shown(user))
    }

    /// Sets the user's own custom status, at most 100 bytes without NUL; none or an empty text clears it. The
    /// server clears it when the user leaves ONLINE (SPEC B3).
    ///
    /// Success means stored; returned is the own status with its version, and listeners hear of it too, also when
    /// the text is the one before (SPEC B5). While one set is being stored, of those that follow only the last is
    /// stored, and it answers them all (SPEC B4). Needs no edition and no switch, and has no rate limit.
    ///
    /// Errors: 6017 (too long, or a NUL).
    pub async fn set_self_status(&self, custom: Option<&str>) -> Result<UserStatus, Error> {
        self.set(custom, 0).await
    }

    /// Does as [`set_self_status`](Self::set_self_status), and lets the custom status clear by itself (SPEC B6): 1 s to 30
    /// days after the server took the call, rounded up to whole seconds. Listeners hear of it then as of any change. Each
    /// set replaces the time of the one before, also with an equal text; one without a time takes it back. Without effect
    /// if the text is empty.
    ///
    /// Errors: 6017 (text too long, or a NUL; a time of 0, or beyond 30 days).
    pub async fn set_self_status_for(
        &self,
        custom: Option<&str>,
        clear_after: Duration,
    ) -> Result<UserStatus, Error> {
        if clear_after.is_zero() {
            return Err(Error::invalid("clear_after is 0s, expected 1s to 30 days".to_owned()));
        }
        let seconds = clear_after.as_secs().saturating_add(u64::from(clear_after.subsec_nanos() > 0));
        self.set(custom, u32::try_from(seconds).unwrap_or(u32::MAX)).await
    }

    async fn set(&self, custom: Option<&str>, clear_after_seconds: u32) -> Result<UserStatus, Error> {
        let custom = custom.unwrap_or_default().to_owned();
        let request = Request::SetSelfStatus(wire::SetSelfStatus { custom, clear_after_seconds });
        match self.call(request).await? {
            Some(Returned::SetSelfStatus(wire::SetSelfStatusResult { status: Some(status) })) => {
                UserStatus::from_wire(status)
            }
            _ => Err(without_result("set_self_status")),
        }
    }

    /// Reads the statuses of 1 to 500 users; duplicates collapse. Raises no callback.
    ///
    /// A list of just the own id is always served, and tells more: on which platforms the user is. Any other needs the app's edition PREMIUM and its switch
    /// (SPEC C1, C2). Never logged in reads as UNLOGINED; a malformed id is one of the failures.
    ///
    /// Errors: 6017 (empty, or more than 500 ids), 7013 (edition), 72001 (switch), 7008 (20 calls in 5 s), 6003
    /// (no id could be served).
    pub async fn get_user_status(&self, user_ids: &[impl AsRef<str>]) -> Result<UserStatuses, Error> {
        let request = Request::GetUserStatus(wire::GetUserStatus { user_ids: texts(user_ids) });
        match self.call(request).await? {
            Some(Returned::GetUserStatus(result)) => UserStatuses::from_wire(result),
            _ => Err(without_result("get_user_status")),
        }
    }

    /// Asks to hear of 1 to 100 users: all of them or, with an error, none. Their present statuses follow as a
    /// callback (SPEC D6).
    ///
    /// Subscriptions belong to the user and not to this client: every session of the user hears, and they
    /// outlive it by 24 h. A user has at most 200; beyond that the least recently subscribed go, and are returned.
    ///
    /// Errors: 6017 (empty, more than 100 ids, or the own id), 7003 (malformed id), 7013 (edition), 72001
    /// (switch), 7008 (20 calls in 5 s).
    pub async fn subscribe_user_status(&self, user_ids: &[impl AsRef<str>]) -> Result<Subscribed, Error> {
        let request = Request::Subscribe(wire::Subscribe { user_ids: texts(user_ids) });
        match self.call(request).await? {
            Some(Returned::Subscribe(result)) => {
                Ok(Subscribed { evicted: status::users_from_wire(&result.evicted)? })
            }
            _ => Err(without_result("subscribe_user_status")),
        }
    }

    /// Asks to hear of at most 100 users no more; an empty list clears all subscriptions. An id that is not
    /// subscribed is no error. After success nothing of these users arrives, unless they are friends (SPEC E2).
    ///
    /// ```no_run
    /// # async fn run(client: rollcall_client::Client) -> Result<(), rollcall_client::Error> {
    /// client.unsubscribe_user_status(&["bob"]).await?;
    /// client.unsubscribe_user_status::<&str>(&[]).await?; // all the others
    /// # Ok(()) }
    /// ```
    ///
    /// Errors: those of [`subscribe_user_status`](Self::subscribe_user_status), save for the own id and the empty
    /// list.
    pub async fn unsubscribe_user_status<Id: AsRef<str>>(&self, user_ids: &[Id]) -> Result<(), Error> {
        let request = Request::Unsubscribe(wire::Unsubscribe { user_ids: texts(user_ids) });
        self.call(request).await.map(drop)
    }

    /// Lists the user's subscriptions, earliest subscribed first.
    ///
    /// Errors: 7013 (edition), 72001 (switch).
    pub async fn list_subscriptions(&self) -> Result<Vec<UserId>, Error> {
        match self.call(Request::ListSubscriptions(wire::ListSubscriptions {})).await? {
            Some(Returned::ListSubscriptions(result)) => status::users_from_wire(&result.user_ids),
            _ => Err(without_result("list_subscriptions")),
        }
    }

    /// Adds a listener; it is called after those added before, from the next event on. Add it before login to
    /// miss nothing.
    pub fn add_listener(&self, listener: impl Listener) -> ListenerId {
        self.inner.listeners.add(Arc::new(listener))
    }

    /// Removes a listener and says whether it was there. A call of it that has begun runs to its end; none begins
    /// after this has returned. A listener may remove itself.
    pub fn remove_listener(&self, id: ListenerId) -> bool {
        self.inner.listeners.remove(id)
    }

    fn login_request(&self, app_id: u32, user_id: &str, token: &str) -> wire::Login {
        let config = &self.inner.config;
        wire::Login {
            app_id,
            user_id: user_id.to_owned(),
            token: token.to_owned(),
            platform: config.platform as i32,
            device_id: config.device_id.as_str().to_owned(),
            // The user logs in, which nothing is newer than.
            resumes: 0,
        }
    }

    async fn call(&self, request: Request) -> Result<Option<Returned>, Error> {
        let limit = self.inner.config.call_timeout;
        let answered = async {
            // Held until the end of the call; the semaphore is never closed.
            let _permit = self.inner.in_flight.acquire().await.map_err(|_| stopped())?;
            let (reply, answer) = oneshot::channel();
            self.command(Command::Call(Call { request, reply })).await?;
            answer.await.unwrap_or_else(|_| Err(stopped()))
        };
        timeout(limit, answered).await.unwrap_or_else(|_| Err(Error::timeout(limit)))
    }

    async fn command(&self, command: Command) -> Result<(), Error> {
        self.inner.commands.send(command).await.map_err(|_| stopped())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("url", &self.inner.config.url)
            .field("login_user", &self.get_login_user())
            .finish_non_exhaustive()
    }
}

fn texts(ids: &[impl AsRef<str>]) -> Vec<String> {
    ids.iter().map(|id| id.as_ref().to_owned()).collect()
}

/// The error of a client whose tasks have ended: its runtime is shutting down.
fn stopped() -> Error {
    Error::disconnected("the client has stopped with its runtime")
}

fn without_result(call: &str) -> Error {
    Error::protocol(format!("{call} was answered without its result"))
}
