//! A few people: one user who changes, and watchers on chosen gateways.

use std::{fmt, time::Duration};

use anyhow::{Context as _, ensure};
use futures_util::future::{join_all, try_join_all};
use rollcall_proto::client::v1::{Logout, SetSelfStatus, Subscribe, client_frame::Call, server_frame::Event};
use tokio::time::timeout;

use crate::{
    crowd::{Place, custom_status, sequence_of},
    socket::{Socket, ok},
};

/// How many watch, and on how many gateways all are: the user who changes and the watchers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Case {
    watchers: usize,
    gateways: usize,
}

/// The cases that are counted. Whom nobody watches is on one gateway.
pub(super) const CASES: [Case; 5] = [case(0, 1), case(1, 1), case(1, 2), case(10, 1), case(10, 2)];

const fn case(watchers: usize, gateways: usize) -> Case {
    Case { watchers, gateways }
}

impl Case {
    /// Names the case for programs.
    pub(super) fn key(self) -> String {
        format!("change_{}_watchers_{}_gateways", self.watchers, self.gateways)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.watchers, self.gateways) {
            (0, _) => write!(f, "no watcher"),
            (1, 1) => write!(f, "1 watcher, on the same gateway"),
            (1, _) => write!(f, "1 watcher, on another gateway"),
            (watchers, 1) => write!(f, "{watchers} watchers, all on the same gateway"),
            (watchers, gateways) => write!(f, "{watchers} watchers on {gateways} gateways"),
        }
    }
}

/// The people of a case, all logged in, the watchers with the first status.
pub(super) struct Scene {
    user: Socket,
    watchers: Vec<Watcher>,
    next_call: u32,
    limit: Duration,
}

impl Scene {
    /// Lets the people of a case come. `number` makes them others than those of another case.
    pub(super) async fn set(
        place: &Place,
        case: Case,
        number: usize,
        limit: Duration,
    ) -> anyhow::Result<Self> {
        let target = format!("changes-{number}");
        let (user, _) = place.log_in(0, &target).await?;
        let watchers = (0..case.watchers).map(|index| {
            let (user_id, target) = (format!("watches-{number}-{index}"), target.clone());
            // The first is not where the user is, if there is another place.
            let gateway = (index + 1) % case.gateways;
            async move {
                let (socket, _) = place.log_in(gateway, &user_id).await?;
                let mut watcher = Watcher { socket, version: 0, sequence: 0, replies: 0 };
                let subscribe = Call::Subscribe(Subscribe { user_ids: vec![target] });
                watcher.socket.send(2, subscribe).await?;
                watcher.until(limit, |watcher| watcher.replies == 1 && watcher.version > 0).await?;
                anyhow::Ok(watcher)
            }
        });
        let watchers = try_join_all(watchers).await?;
        Ok(Self { user, watchers, next_call: 2, limit })
    }

    /// Changes so often, each time when the one before was answered, until every watcher has seen the last.
    pub(super) async fn play(&mut self, changes: u32) -> anyhow::Result<()> {
        let Self { user, watchers, next_call, limit } = self;
        let last = u64::from(changes);
        let seen = watchers.iter_mut().enumerate().map(async |(index, watcher)| {
            let seen = watcher.until(*limit, |watcher| watcher.sequence == last).await;
            seen.with_context(|| format!("watcher {index} of change {last}"))
        });
        let change = async {
            for sequence in 1..=last {
                let set = Call::SetSelfStatus(SetSelfStatus {
                    custom: custom_status(sequence),
                    clear_after_seconds: 0,
                });
                user.call(*next_call, set).await?;
                *next_call += 1;
            }
            anyhow::Ok(())
        };
        tokio::try_join!(change, try_join_all(seen))?;
        Ok(())
    }

    /// Lets all log out.
    pub(super) async fn end(self) -> anyhow::Result<()> {
        let sockets = self.watchers.into_iter().map(|watcher| watcher.socket).chain([self.user]);
        let ends = sockets.map(|mut socket| async move {
            socket.call(u32::MAX, Call::Logout(Logout {})).await?;
            socket.close().await;
            anyhow::Ok(())
        });
        join_all(ends).await.into_iter().collect()
    }
}

/// One who watches one user.
struct Watcher {
    socket: Socket,
    /// The last version that was seen.
    version: u64,
    /// The number of the last change that was seen.
    sequence: u64,
    /// Calls that were answered ok.
    replies: u32,
}

impl Watcher {
    /// Receives until `done`; fails when nothing comes for `limit`.
    async fn until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        while !done(self) {
            let next = timeout(limit, self.socket.next()).await;
            let seen = self.sequence;
            match next.with_context(|| format!("nothing came for {limit:?} after change {seen}"))?? {
                Event::Reply(reply) => {
                    ok(reply)?;
                    self.replies += 1;
                }
                Event::StatusChanged(push) => {
                    for status in push.statuses {
                        let (version, before) = (status.version, self.version);
                        ensure!(version > before, "heard version {version} after version {before}");
                        (self.version, self.sequence) = (version, sequence_of(&status.custom));
                    }
                }
                other => anyhow::bail!("received {other:?}, expected a status"),
            }
        }
        Ok(())
    }
}
