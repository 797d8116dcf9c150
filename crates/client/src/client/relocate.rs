//! Leaves a server that is about to stop, or can do little for its clients, without a moment in which nobody is connected: the new session is opened
//! before the old connection is left (SPEC A11). Listeners hear nothing of it.

use std::{pin::pin, time::Duration};

use tokio::time::sleep_until;
use tracing::{debug, info};

use super::{
    backoff::Backoff,
    connection::{self, Closed, Failure, Online, Progress},
    driver::{Driver, End, is_passing, stopped_by},
    heartbeat::Beat,
    session::fallen_silent,
};
use crate::{Error, clock};

/// How long calls in flight may take before the old connection is left; those that take longer end with 9508.
const CALLS_LIMIT: Duration = Duration::from_secs(2);

/// What came of an attempt to move.
pub(super) enum Moved {
    /// The client is connected elsewhere.
    Elsewhere(Box<Online>),
    /// No other server took it; the old connection serves on.
    Not(Box<Online>),
}

impl Driver {
    /// Makes the waits between the attempts to move. They grow, as without a connection: maybe there is no other server, and
    /// the client stays.
    pub(super) fn backoff_of_moves(&self) -> Backoff {
        Backoff::new(self.config.reconnect_base, self.config.reconnect_max)
    }

    /// Opens a session on another connection, and then leaves this one. Calls of the app wait meanwhile.
    pub(super) async fn relocate(&mut self, mut old: Online) -> Result<Moved, End> {
        self.finish_calls(&mut old).await?;
        let config = self.config.clone();
        let mut attempt = pin!(connection::log_in(&config, self.login.clone()));
        let mut lost = None;
        let outcome = loop {
            let beat = old.beat();
            tokio::select! {
                outcome = &mut attempt => break outcome,
                progress = old.connection.next(), if lost.is_none() => match progress {
                    Ok(Progress::Received(event)) => self.on_event(event)?,
                    Ok(Progress::Written) => {}
                    // The new session has replaced the old one, or the server has stopped.
                    Err(Closed::Lost(error) | Closed::Final(_, error)) => lost = Some(error),
                },
                () = sleep_until(beat.at()), if lost.is_none() => match beat {
                    Beat::Ping(_) => self.ping(&mut old.connection)?,
                    Beat::Dead(_) => lost = Some(fallen_silent()),
                },
            }
        };
        let error = match outcome {
            Ok(new) => {
                old.connection.close().await;
                self.lose_calls(&Error::disconnected("the server stopped before it answered"));
                info!("moved to another server");
                self.login.resumes = new.order;
                self.diff.lock().on_reconnect();
                let news = self.diff.lock().on_push(vec![new.info.status.clone()]);
                self.show(news);
                return Ok(Moved::Elsewhere(Box::new(new)));
            }
            Err(Failure::Refused(error)) if !is_passing(error.code) => return Err(stopped_by(error)),
            Err(Failure::Network(error) | Failure::Refused(error)) => error,
        };
        debug!(%error, "an attempt to move failed");
        match lost {
            Some(error) => Err(End::Lost(error)),
            None => Ok(Moved::Not(Box::new(old))),
        }
    }

    /// Waits a while for calls in flight.
    async fn finish_calls(&mut self, online: &mut Online) -> Result<(), End> {
        let until = clock::now() + CALLS_LIMIT;
        while !self.calls.is_idle() {
            tokio::select! {
                progress = online.connection.next() => match progress {
                    Ok(Progress::Received(event)) => self.on_event(event)?,
                    Ok(Progress::Written) => {}
                    Err(Closed::Lost(error) | Closed::Final(_, error)) => return Err(End::Lost(error)),
                },
                () = sleep_until(until) => break,
            }
        }
        Ok(())
    }
}
