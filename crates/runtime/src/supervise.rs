//! Runs the parts of a process so that none can end unseen: if one fails, all stop.

use std::{collections::HashMap, time::Duration};

use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use crate::error::Error;

/// The time parts have to end after shutdown; then they are aborted.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// Named tasks that stand and fall together.
#[derive(Debug)]
pub struct Supervisor {
    tasks: JoinSet<Result<(), BoxError>>,
    names: HashMap<Id, &'static str>,
    shutdown: CancellationToken,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Supervisor {
    /// Makes a supervisor that cancels `shutdown` when a task fails.
    pub fn new(shutdown: CancellationToken) -> Self {
        Self { tasks: JoinSet::new(), names: HashMap::new(), shutdown }
    }

    /// Starts a task, which must end by itself once the token is cancelled. It may end in order before.
    pub fn spawn<E>(&mut self, name: &'static str, task: impl Future<Output = Result<(), E>> + Send + 'static)
    where
        E: Into<BoxError>,
    {
        let handle = self.tasks.spawn(async move { task.await.map_err(Into::into) });
        self.names.insert(handle.id(), name);
    }

    /// Waits until all tasks have ended, and returns the first error. Once the token is cancelled, tasks have
    /// 15 s.
    pub async fn run(mut self) -> Result<(), Error> {
        let mut first = None;
        let shutdown = self.shutdown.clone();
        let limit = async {
            shutdown.cancelled().await;
            tokio::time::sleep(STOP_LIMIT).await;
        };
        tokio::pin!(limit);
        loop {
            let joined = tokio::select! {
                joined = self.tasks.join_next_with_id() => joined,
                () = &mut limit => {
                    let tasks = self.names.values().copied().collect();
                    first.get_or_insert(Error::Stuck { tasks, limit: STOP_LIMIT });
                    None
                }
            };
            let Some(joined) = joined else { return first.map_or(Ok(()), Err) };
            if let Err(failure) = self.ended(joined) {
                shutdown.cancel();
                if first.is_some() {
                    error!(error = %failure, "another part failed while stopping");
                }
                first.get_or_insert(failure);
            }
        }
    }

    fn ended(&mut self, joined: Result<(Id, Result<(), BoxError>), JoinError>) -> Result<(), Error> {
        let (id, result) = match joined {
            Ok((id, result)) => (id, Some(result)),
            Err(error) => (error.id(), None),
        };
        let task = self.names.remove(&id).unwrap_or_default();
        match result {
            Some(Ok(())) => {
                debug!(task, "ended");
                Ok(())
            }
            Some(Err(source)) => Err(Error::Task { task, source }),
            None => Err(Error::Panicked { task }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Poll = std::task::Poll<Result<(), std::io::Error>>;

    async fn until(token: CancellationToken) -> Result<(), std::io::Error> {
        token.cancelled().await;
        Ok(())
    }

    #[tokio::test]
    async fn a_task_that_fails_stops_the_others_and_is_reported() {
        let token = CancellationToken::new();
        let mut supervisor = Supervisor::new(token.clone());
        supervisor.spawn("steady", until(token.clone()));
        supervisor.spawn("broken", async { Err(std::io::Error::other("no")) });
        let error = supervisor.run().await.unwrap_err();
        assert_eq!(error.to_string(), "broken failed");
        assert!(token.is_cancelled());
    }

    #[tokio::test]
    async fn a_task_that_panics_stops_the_others_and_is_reported() {
        let token = CancellationToken::new();
        let mut supervisor = Supervisor::new(token.clone());
        supervisor.spawn("steady", until(token.clone()));
        supervisor.spawn("broken", std::future::poll_fn(|_| -> Poll { panic!("on purpose") }));
        let error = supervisor.run().await.unwrap_err();
        assert_eq!(error.to_string(), "broken panicked");
    }

    #[tokio::test]
    async fn a_task_that_ends_in_order_stops_nothing() {
        let token = CancellationToken::new();
        let mut supervisor = Supervisor::new(token.clone());
        supervisor.spawn("short", async { Ok::<(), std::io::Error>(()) });
        supervisor.run().await.unwrap();
        assert!(!token.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_stop_is_named() {
        let token = CancellationToken::new();
        let mut supervisor = Supervisor::new(token.clone());
        supervisor.spawn("deaf", std::future::pending::<Result<(), std::io::Error>>());
        token.cancel();
        let error = supervisor.run().await.unwrap_err();
        assert_eq!(error.to_string(), "deaf did not stop within 15s of being told to");
    }
}
