//! What the driver does while it is connected: frames, calls, heartbeats, until the connection or the login ends.

use rollcall_proto::{
    client::v1::{
        self as wire, client_frame::Call as Request, reply::Result as Returned,
        server_frame::Event as Received,
    },
    close::CloseCode,
};
use tokio::time::{Duration, Instant, sleep_until, timeout};
use tracing::{debug, warn};

use super::{
    calls::{self, Effect, FrameLimit, ReplyTo},
    connection::{Closed, Connection, Online, Progress},
    driver::{Command, Driver, End, refuse_login},
    heartbeat::Beat,
    mailbox::Event,
    relocate::Moved,
};
use crate::{Code, Error, UserStatus, clock};

/// Says why a connection that is there is left.
enum Leave {
    /// The server asks to move to another one.
    Move,
    /// The user logs out.
    LogOut(ReplyTo<()>),
}

/// Serves a connection, and then those to which the server asks to move, until one ends.
pub(super) async fn serve(driver: &mut Driver, mut online: Online) -> End {
    let mut move_at = None;
    let mut backoff = driver.backoff_of_moves();
    loop {
        match stay(driver, &mut online, move_at).await {
            Ok(Leave::Move) => {}
            Ok(Leave::LogOut(reply)) => return driver.log_out(online.connection, reply).await,
            Err(end) => {
                if !matches!(end, End::Lost(_)) {
                    online.connection.close().await;
                }
                return end;
            }
        }
        (online, move_at) = match driver.relocate(online).await {
            Ok(Moved::Elsewhere(new)) => {
                backoff = driver.backoff_of_moves();
                (*new, None)
            }
            Ok(Moved::Not(old)) => (*old, Some(clock::now() + backoff.next(clock::random()))),
            Err(end) => return end,
        };
    }
}

/// Serves a connection until its end, or until it is left.
async fn stay(driver: &mut Driver, online: &mut Online, mut move_at: Option<Instant>) -> Result<Leave, End> {
    loop {
        let beat = online.beat();
        let connection = &mut online.connection;
        let write_deadline = connection.write_deadline();
        tokio::select! {
            progress = connection.next() => match progress {
                Ok(Progress::Received(Received::Draining(draining))) => {
                    let wait = Duration::from_millis(draining.reconnect_after_ms.into());
                    debug!(?wait, "the server asks to move");
                    move_at.get_or_insert(clock::now() + wait);
                }
                Ok(Progress::Received(event)) => driver.on_event(event)?,
                Ok(Progress::Written) => {}
                Err(closed) => return Err(ended(closed)),
            },
            command = driver.commands.recv(), if write_deadline.is_none() => match command {
                None => return Err(gone()),
                Some(Command::Logout(reply)) => return Ok(Leave::LogOut(reply)),
                Some(Command::Login(login)) => refuse_login(login.reply),
                Some(Command::Start(start)) => refuse_login(start.reply),
                Some(Command::Call(call)) => {
                    let frame = driver.calls.begin(call, driver.diff.lock().own_version());
                    if let Some(frame) = frame {
                        connection.send(frame);
                    }
                }
            },
            () = sleep_until(beat.at()) => match beat {
                Beat::Ping(_) => driver.ping(connection)?,
                Beat::Dead(_) => {
                    return Err(End::Lost(fallen_silent()));
                }
            },
            () = sleep_until(move_at.unwrap_or_else(clock::now)), if move_at.is_some() && write_deadline.is_none() => {
                return Ok(Leave::Move);
            }
        }
    }
}

impl Driver {
    /// Says that the client is still here.
    pub(super) fn ping(&mut self, connection: &mut Connection) -> Result<(), End> {
        let id = self.calls.next_id();
        let ping = calls::encode(id, Request::Ping(wire::Ping {}), FrameLimit::AfterLogin);
        connection.send(ping.map_err(End::Lost)?);
        Ok(())
    }

    pub(super) fn on_event(&mut self, event: Received) -> Result<(), End> {
        match event {
            Received::Reply(reply) => self.on_reply(reply),
            Received::StatusChanged(changed) => {
                let statuses = changed.statuses.into_iter().map(UserStatus::from_wire);
                let readable = statuses.filter_map(|status| status.inspect_err(|error| warn!(%error)).ok());
                let news = self.diff.lock().on_push(readable.collect());
                self.show(news);
            }
            // Who has moved, or is about to, need not hear it again.
            Received::Draining(_) => {}
            Received::TokenExpired(_) => self.events.push(Event::UserSigExpired),
            Received::Kicked(kicked) => {
                return Err(End::Over(Error::new(Code::Kicked, kicked.message), Some(Event::KickedOffline)));
            }
        }
        Ok(())
    }

    fn on_reply(&mut self, reply: wire::Reply) {
        let Some(waiting) = self.calls.take(reply.id) else {
            // The reply to a ping, or to a call that was dropped from the table.
            debug!(id = reply.id, code = reply.code, "nobody waits for a reply");
            return;
        };
        let outcome = calls::outcome(reply);
        if let Ok(returned) = &outcome {
            self.apply(waiting.effect, returned.as_ref());
        }
        let _ = waiting.reply.send(outcome);
    }

    fn apply(&mut self, effect: Effect, returned: Option<&Returned>) {
        match (effect, returned) {
            (Effect::Set(before), Some(Returned::SetSelfStatus(result))) => {
                let status = result.status.clone().and_then(|status| UserStatus::from_wire(status).ok());
                let echo = status.and_then(|status| self.diff.lock().on_set_reply(status, before));
                self.show(echo.into_iter().collect());
            }
            (Effect::Subscribe, Some(Returned::Subscribe(result))) => {
                self.diff.lock().forget(result.evicted.iter().map(String::as_str));
            }
            (Effect::Refresh(token), _) => self.login.token = token,
            (Effect::Unsubscribe(ids), _) if ids.is_empty() => self.diff.lock().forget_others(),
            (Effect::Unsubscribe(ids), _) => self.diff.lock().forget(ids.iter().map(String::as_str)),
            _ => {}
        }
    }

    pub(super) fn show(&mut self, news: Vec<UserStatus>) {
        if !news.is_empty() {
            self.events.push(Event::Statuses(news));
        }
    }

    /// Logs out: here in any case, and on the server if it answers in time.
    async fn log_out(&mut self, mut connection: Connection, reply: ReplyTo<()>) -> End {
        let limit = self.config.call_timeout;
        let outcome = timeout(limit, self.say_logout(&mut connection)).await;
        connection.close().await;
        End::LoggedOut(reply, outcome.unwrap_or_else(|_| Err(Error::timeout(limit))))
    }

    async fn say_logout(&mut self, connection: &mut Connection) -> Result<(), Error> {
        let id = self.calls.next_id();
        let frame = calls::encode(id, Request::Logout(wire::Logout {}), FrameLimit::AfterLogin)?;
        connection.send(frame);
        loop {
            match connection.next_frame().await {
                Ok(Received::Reply(reply)) if reply.id == id => return calls::outcome(reply).map(drop),
                Ok(Received::Reply(reply)) => self.on_reply(reply),
                // Who logs out need not hear of it any more, nor of a kick.
                Ok(
                    Received::StatusChanged(_)
                    | Received::Kicked(_)
                    | Received::Draining(_)
                    | Received::TokenExpired(_),
                ) => {}
                Err(Closed::Final(Some(CloseCode::LoggedOut), _)) => return Ok(()),
                Err(Closed::Lost(error) | Closed::Final(_, error)) => return Err(error),
            }
        }
    }
}

/// Says why a connection is lost on which nothing more comes or goes.
pub(super) fn fallen_silent() -> Error {
    Error::disconnected("the server has fallen silent")
}

fn gone() -> End {
    End::Over(Error::disconnected("the client is gone"), None)
}

fn ended(closed: Closed) -> End {
    match closed {
        Closed::Lost(error) => End::Lost(error),
        Closed::Final(Some(CloseCode::Kicked), error) => {
            End::Over(Error::new(Code::Kicked, error.description), Some(Event::KickedOffline))
        }
        Closed::Final(Some(CloseCode::TokenExpired), error) => {
            let error = Error::new(Code::SessionTokenExpired, error.description);
            End::Over(error.clone(), Some(Event::Disconnected(error)))
        }
        Closed::Final(_, error) => End::Over(error.clone(), Some(Event::Disconnected(error))),
    }
}
