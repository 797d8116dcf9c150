//! Ends sessions whose deadline has passed (SPEC A7).
//!
//! What is due is read without a lock, so each commit is guarded by the timers themselves: a session that was
//! heard of in between is left alone. A timer whose session is in no record is removed.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use rollcall_domain::{
    id::{AppId, BootId, SessionId, UserId},
    time::Timestamp,
    user::{self, Decision, UserState},
};
use rollcall_proto::trace::TraceParent;
use rollcall_records::{Error, Users};
use rollcall_runtime::{Clock, Monotonic};
use rollcall_store::{
    Partition, Store,
    port::{Timer, TimerId},
};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{boots::Boots, metrics::Metrics};

/// Timers read at a time.
const PAGE: usize = 512;
/// Timers of one partition that are held before they are settled.
const BATCH: usize = 1_024;
/// Partitions swept at once.
const PARTITIONS_AT_ONCE: usize = 8;
/// Users of one partition whose ends are committed at once.
const USERS_AT_ONCE: usize = 16;

/// Looks for passed deadlines.
pub(crate) struct Sweep {
    pub(crate) users: Users,
    pub(crate) boots: Arc<Boots>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
    pub(crate) every: Duration,
    pub(crate) expiry: Duration,
    pub(crate) metrics: Metrics,
}

/// What one pass came to.
#[derive(Debug, Default)]
pub(crate) struct Swept {
    /// Sessions that ended.
    pub(crate) ended: usize,
    /// Users who were heard of in between, at least on one session.
    pub(crate) spared: usize,
    /// Timers that were removed because no record knew their session.
    pub(crate) strays: usize,
    /// Why some sessions could not be ended, and how many such failures there were.
    pub(crate) failed: Option<(Error, usize)>,
}

/// One user whose timers are due.
type DueUser = ((AppId, UserId), Vec<Timer>);

impl Sweep {
    /// Sweeps until `shutdown`. A pass that takes longer than its time delays the next.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            let pass = async {
                ticks.tick().await;
                self.pass().await
            };
            let Some(swept) = shutdown.run_until_cancelled(pass).await else { return };
            self.metrics.sweeps.inc();
            self.metrics.spared.inc_by(swept.spared as u64);
            self.metrics.strays.inc_by(swept.strays as u64);
            self.metrics.sweep_failures.inc_by(swept.failed.as_ref().map_or(0, |(_, count)| *count as u64));
            if swept.ended > 0 || swept.spared > 0 {
                debug!(ended = swept.ended, spared = swept.spared, "swept passed deadlines");
            }
            if swept.strays > 0 {
                warn!(strays = swept.strays, "removed timers without a session");
            }
            match (&swept.failed, failing) {
                (Some((error, failures)), false) => {
                    warn!(%error, failures, "could not end sessions, trying on");
                }
                (None, true) => {
                    info!("ending sessions again");
                }
                _ => {}
            }
            failing = swept.failed.is_some();
        }
    }

    /// Ends every session that is due now.
    pub(crate) async fn pass(&self) -> Swept {
        let until = match self.store.now().await {
            Ok(now) => now,
            Err(error) => return Swept::failure(error.into()),
        };
        let boots = self.boots.all();
        let partitions =
            self.store.partitions().all().map(|partition| self.partition(partition, &boots, until));
        let swept = stream::iter(partitions)
            .buffer_unordered(PARTITIONS_AT_ONCE)
            .fold(Swept::default(), async |all, one| all.and(one))
            .await;
        self.forget_boots(self.clock.monotonic()).await;
        swept
    }

    async fn partition(&self, partition: Partition, boots: &[BootId], until: Timestamp) -> Swept {
        let mut swept = Swept::default();
        // Gathered over boots, so that a user who had sessions on several gateways ends in one commit.
        let mut due = Vec::new();
        for boot in boots {
            let mut after = None;
            loop {
                let page = match self.store.due(partition, *boot, until, after, PAGE).await {
                    Ok(page) => page,
                    Err(error) => return swept.and(Swept::failure(error.into())),
                };
                let full = page.len() >= PAGE;
                after = page.last().copied();
                due.extend(page);
                if due.len() >= BATCH {
                    swept = swept.and(self.settle(std::mem::take(&mut due), until).await);
                }
                if !full {
                    break;
                }
            }
        }
        swept.and(self.settle(due, until).await)
    }

    /// Ends sessions, all of one user in one commit.
    async fn settle(&self, due: Vec<Timer>, until: Timestamp) -> Swept {
        let mut users: BTreeMap<(AppId, UserId), Vec<Timer>> = BTreeMap::new();
        for timer in due {
            users.entry((timer.id.app, timer.id.user)).or_default().push(timer);
        }
        stream::iter(users.into_iter().map(|user| self.end(user, until)))
            .buffer_unordered(USERS_AT_ONCE)
            .fold(Swept::default(), async |all, one| all.and(one))
            .await
    }

    async fn end(&self, ((app, user), timers): DueUser, until: Timestamp) -> Swept {
        let mut known = Vec::new();
        let sessions: Vec<SessionId> = timers.iter().map(|timer| timer.id.session).collect();
        let mut ended_at = until;
        let guards = guards(app, user, &sessions, until);
        let trace = TraceParent::default();
        let expire = |state: &UserState, now| {
            known = sessions.iter().copied().filter(|id| state.sessions.contains_key(id)).collect();
            ended_at = now;
            Ok(state.on_expired(&sessions, now))
        };
        let mut swept = match self.users.apply_guarded(app, &user, &trace, &guards, expire).await {
            Ok(Some(_)) => {
                self.metrics.swept(known.len(), lag(&timers, ended_at));
                Swept { ended: known.len(), ..Swept::default() }
            }
            Ok(None) => return Swept { spared: 1, ..Swept::default() },
            Err(error) => return Swept::failure(error),
        };
        for session in sessions.into_iter().filter(|session| !known.contains(session)) {
            match self.remove_stray(app, user, session, until).await {
                Ok(removed) => swept.strays += usize::from(removed),
                Err(error) => swept = swept.and(Swept::failure(error)),
            }
        }
        swept
    }

    /// Removes the timer of a session that is not in its user's record, and says whether there was one.
    ///
    /// Mostly there is none: the session ended after the timer was read. Sessions never come back, so a timer
    /// that is still there after the record was seen without its session belongs to none; the commit that
    /// removes it names the version of the record that was looked at.
    async fn remove_stray(
        &self,
        app: AppId,
        user: UserId,
        session: SessionId,
        until: Timestamp,
    ) -> Result<bool, Error> {
        if !self.has_timer(TimerId { app, user, session }).await? {
            return Ok(false);
        }
        let remove = |state: &UserState, _now| {
            let stray = !state.sessions.contains_key(&session);
            Ok(stray.then(|| Decision {
                state: state.clone(),
                timers: vec![user::Timer::Remove(session)],
                change: None,
                ended: Vec::new(),
            }))
        };
        let guards = guards(app, user, &[session], until);
        let applied = self.users.apply_guarded(app, &user, &TraceParent::default(), &guards, remove).await?;
        Ok(applied.is_some())
    }

    /// Says whether a timer is there. Moving it "later" than the epoch moves nothing.
    async fn has_timer(&self, id: TimerId) -> Result<bool, Error> {
        let partition = self.store.partitions().of(id.app, Some(&id.user));
        let missing = self.store.touch(partition, &[Timer { deadline: Timestamp(0), id }]).await?;
        Ok(missing.is_empty())
    }

    /// Forgets boots that have neither been heard of for twice the expiry nor have a timer left.
    async fn forget_boots(&self, now: Monotonic) {
        let silence = self.expiry * 2;
        for boot in self.boots.silent(silence, now) {
            // What cannot be read now is tried again in the next pass.
            if let Ok(false) = self.has_timers(boot).await {
                self.boots.forget_silent(boot, silence, now);
                info!("forgot the boot of a gateway that is gone");
            }
        }
    }

    async fn has_timers(&self, boot: BootId) -> Result<bool, rollcall_store::Error> {
        for partition in self.store.partitions().all() {
            if !self.store.due(partition, boot, Timestamp(u64::MAX), None, 1).await?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Swept {
    fn failure(error: Error) -> Self {
        Self { failed: Some((error, 1)), ..Self::default() }
    }

    /// Adds up.
    fn and(self, other: Self) -> Self {
        let failed = match (self.failed, other.failed) {
            (Some((error, first)), Some((_, second))) => Some((error, first + second)),
            (one, None) | (None, one) => one,
        };
        Self {
            ended: self.ended + other.ended,
            spared: self.spared + other.spared,
            strays: self.strays + other.strays,
            failed,
        }
    }
}

/// Returns how long after the first of the deadlines sessions ended.
fn lag(timers: &[Timer], ended: Timestamp) -> Duration {
    let first = timers.iter().map(|timer| timer.deadline.0).min().unwrap_or(ended.0);
    Duration::from_micros(ended.0.saturating_sub(first))
}

/// Timers that must not be due later than what was swept.
fn guards(app: AppId, user: UserId, sessions: &[SessionId], until: Timestamp) -> Vec<Timer> {
    let guard = |session: &SessionId| Timer { deadline: until, id: TimerId { app, user, session: *session } };
    sessions.iter().map(guard).collect()
}

#[cfg(test)]
mod tests;
