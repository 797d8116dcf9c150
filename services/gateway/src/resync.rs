//! Reads again what may have changed without having been heard (DESIGN section 5, resync).
//!
//! Versions first, 500 in a call, and then only what is newer. What is asked for while a pass is on its way waits
//! for the next one, however often it is asked for.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use parking_lot::Mutex;
use rollcall_domain::{
    code::Refusal,
    id::{AppId, UserId},
};
use rollcall_proto::{convert::READ_IDS, missed::Missed};
use rollcall_runtime::backoff::Backoff;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    Gateway,
    attach::{RETRY_FIRST, RETRY_MOST},
    hub::{Era, UserKey, Users},
};

/// Calls on their way at once, so that gateways which all lost the same notifier do not flood presence.
const CALLS_AT_ONCE: usize = 4;
/// Lists read at once in each of those calls.
const LISTS_AT_ONCE: usize = 8;
/// What is asked to be read again.
#[derive(Debug, Default)]
pub(crate) struct Resync {
    missed: Mutex<Missed>,
    asked: Notify,
}

/// A part of a pass, which is one call or two.
enum Part {
    Statuses(AppId, Vec<UserId>),
    Lists(AppId, Vec<UserId>),
}

impl Resync {
    /// Asks for a pass. Never waits.
    pub(crate) fn ask(&self, missed: Missed) {
        self.missed.lock().add(missed);
        self.asked.notify_one();
    }

    async fn next(&self) -> Missed {
        loop {
            let missed = std::mem::take(&mut *self.missed.lock());
            if !missed.is_nothing() {
                return missed;
            }
            self.asked.notified().await;
        }
    }
}

/// Makes the passes that are asked for, until `shutdown`.
pub(crate) async fn run(gateway: Arc<Gateway>, shutdown: CancellationToken) {
    let passes = async {
        loop {
            let missed = gateway.resync.next().await;
            gateway.read_again(missed).await;
        }
    };
    shutdown.run_until_cancelled(passes).await;
}

impl Gateway {
    async fn read_again(self: &Arc<Self>, missed: Missed) {
        let partitions = self.registered().partitions;
        let stale = self.hub.begin_resync(|(app, user)| match (&missed, partitions) {
            (Missed::Of(of), Some(partitions)) => of.contains(&partitions.of(*app, Some(user))),
            _ => true,
        });
        let count = |users: &Users| users.values().map(Vec::len).sum::<usize>();
        let (shown, here) = (count(&stale.shown), count(&stale.here));
        if shown == 0 {
            return;
        }
        self.metrics.resyncs.inc();
        info!(
            shown,
            here,
            everything = missed == Missed::Everything,
            "reading again what may have been missed"
        );
        retry(|| self.interest_settled()).await;
        let parts = parts(stale.shown, Part::Statuses).chain(parts(stale.here, Part::Lists));
        let read = stream::iter(parts).map(|part| self.read_part(part, stale.era));
        let newer = read.buffer_unordered(CALLS_AT_ONCE).fold(0, async |sum, newer| sum + newer).await;
        info!(shown, here, newer, "read again what may have been missed");
    }

    /// Reads a part until that succeeds, and returns how much of it was newer.
    async fn read_part(self: &Arc<Self>, part: Part, era: Era) -> usize {
        match part {
            Part::Statuses(app, users) => retry(|| self.read_statuses_again(app, &users, era)).await,
            Part::Lists(app, users) => {
                let versions = retry(|| self.backend.list_versions(app, &users)).await;
                let behind = self.hub.lists_behind(app, &versions.lists);
                let friends_behind = self.hub.friends_behind(app, &versions.friends);
                let count = behind.len() + friends_behind.len();
                for key in friends_behind {
                    self.friend_loads.ask_news(key);
                }
                // It tries again by itself, for as long as the user is here.
                let read = |key: UserKey| async move { drop(self.attach(key, true).await) };
                stream::iter(behind).for_each_concurrent(LISTS_AT_ONCE, read).await;
                count
            }
        }
    }

    async fn read_statuses_again(&self, app: AppId, users: &[UserId], era: Era) -> Result<usize, Refusal> {
        let versions = self.backend.status_versions(app, users).await?;
        let behind = self.hub.behind(app, &versions, era);
        self.raises.ask(self.hub.ahead(app, &versions));
        if !behind.is_empty() {
            let statuses = self.backend.read_statuses(app, &behind).await?;
            self.hub.merge(app, statuses, Some(era));
        }
        Ok(behind.len())
    }
}

fn parts(users: Users, part: impl Fn(AppId, Vec<UserId>) -> Part) -> impl Iterator<Item = Part> {
    users.into_iter().flat_map(move |(app, users)| {
        users.chunks(READ_IDS).map(|users| part(app, users.to_vec())).collect::<Vec<_>>()
    })
}

/// Calls until it succeeds.
async fn retry<T, F: Future<Output = Result<T, Refusal>>>(call: impl Fn() -> F) -> T {
    let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MOST);
    loop {
        match call().await {
            Ok(value) => return value,
            Err(refusal) => {
                let (code, wait) = (refusal.code, backoff.wait());
                warn!(%code, reason = %refusal.message, ?wait, "could not read again, trying again");
            }
        }
        backoff.pause().await;
    }
}

#[cfg(test)]
mod tests {
    use rollcall_domain::partition::Partition;

    use super::*;

    fn of(partitions: &[u16]) -> Missed {
        Missed::Of(partitions.iter().copied().map(Partition).collect())
    }

    #[tokio::test]
    async fn what_is_asked_for_meanwhile_is_one_pass() {
        let resync = Resync::default();
        resync.ask(of(&[1]));
        resync.ask(of(&[2, 1]));
        assert_eq!(resync.next().await, of(&[1, 2]));
        resync.ask(of(&[3]));
        resync.ask(Missed::Everything);
        resync.ask(of(&[4]));
        assert_eq!(resync.next().await, Missed::Everything);
    }

    #[test]
    fn a_pass_is_read_in_calls_of_500() {
        let users = |count: usize| (0..count).map(|n| UserId::new(&format!("u{n}")).unwrap()).collect();
        let apps = [(1, users(1_001)), (2, users(1))];
        let users = apps.into_iter().map(|(app, users)| (AppId::new(app).unwrap(), users)).collect();
        let lengths: Vec<usize> = parts(users, Part::Lists)
            .map(|part| match part {
                Part::Lists(_, users) | Part::Statuses(_, users) => users.len(),
            })
            .collect();
        assert_eq!(lengths, [500, 500, 1, 1]);
    }
}
