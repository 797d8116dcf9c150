//! Ends sessions whose gateway is dead or has left, and those that were to move and did not until their deadline (SPEC
//! A11). Of others whose deadline has passed it notes where they are: their gateway is asked (`overdue`).
//!
//! What is due is read without a lock, so each commit is guarded by the timers themselves: a session that was
//! heard of in between is left alone. A timer whose session is in no record is removed.

mod live;
mod looks;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use rollcall_domain::{
    id::{AppId, BootId, SessionId, UserId},
    status::RecordVersion,
    time::Timestamp,
    user::{self, Decision, UserState},
};
use rollcall_proto::trace::TraceParent;
use rollcall_records::{Error, Users};
use rollcall_store::{
    Partition, Store,
    port::{Lease, Standing, Timer, TimerId, TimerSet},
};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

pub(crate) use self::looks::Looks;
use crate::{leases::Leases, metrics::Metrics, overdue::Overdue, quiet::Quiet};

/// Timers read at a time.
const PAGE: usize = 512;
/// Timers of one partition that are held before they are settled.
const BATCH: usize = 1_024;
/// Partitions swept at once.
const PARTITIONS_AT_ONCE: usize = 8;
/// How long a boot that is over is looked at before it is forgotten: longer than any call that makes a session of it is
/// under way.
const FORGET_AFTER: Duration = Duration::from_secs(60);
/// Users of one partition whose ends are committed at once.
const USERS_AT_ONCE: usize = 16;

/// Looks for passed deadlines.
pub(crate) struct Sweep {
    pub(crate) users: Users,
    pub(crate) leases: Leases,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) every: Duration,
    pub(crate) moved_grace: Duration,
    pub(crate) looks: Looks,
    pub(crate) overdue: Overdue,
    pub(crate) quiet: Quiet,
    pub(crate) metrics: Metrics,
}

/// What one pass came to.
#[derive(Debug, Default)]
pub(crate) struct Swept {
    /// Sessions that ended.
    pub(crate) ended: usize,
    /// Users who were heard of in between, at least on one session.
    pub(crate) spared: usize,
    /// Boots that are over and of which something was left.
    pub(crate) haunting: BTreeSet<BootId>,
    /// Timers that were removed because no record knew their session.
    pub(crate) strays: usize,
    /// Why some sessions could not be ended, and how many such failures there were.
    pub(crate) failed: Option<(Error, usize)>,
}

/// One user whose timers are due, each with whether its gateway is dead.
type DueUser = ((AppId, UserId), Vec<(Timer, bool)>);

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

    /// Ends every session that is due now, and is not its gateway's to tell of; none in a quiet time.
    pub(crate) async fn pass(&self) -> Swept {
        let until = match self.store.now().await {
            Ok(now) => now,
            Err(error) => return Swept::failure(error.into()),
        };
        if self.quiet.is_now() {
            return Swept::default();
        }
        let leases = self.leases.known();
        self.looks.keep(&leases);
        self.overdue.keep(&leases);
        let partitions =
            self.store.partitions().all().map(|partition| self.partition(partition, &leases, until));
        let swept = stream::iter(partitions)
            .buffer_unordered(PARTITIONS_AT_ONCE)
            .fold(Swept::default(), async |all, one| all.and(one))
            .await;
        if swept.failed.is_none() {
            for lease in &leases {
                let long_over = match lease.standing {
                    Standing::Live => false,
                    Standing::Dead(since) | Standing::Retired(since) => since.plus(FORGET_AFTER) < until,
                };
                if long_over && !swept.haunting.contains(&lease.boot) {
                    self.leases.forget(lease.boot).await;
                }
            }
        }
        swept
    }

    async fn partition(&self, partition: Partition, leases: &[Lease], until: Timestamp) -> Swept {
        let mut swept = Swept::default();
        // Gathered over boots, so that a user who had sessions on several gateways ends in one commit.
        let mut due = Vec::new();
        let mut looked = Vec::new();
        for lease in leases.iter().filter(|lease| self.looks.is_due(partition, lease.boot, until)) {
            if lease.is_live() {
                swept = swept.and(self.live(partition, lease, until).await);
                continue;
            }
            let mut after = None;
            loop {
                let page = match self
                    .store
                    .due(partition, TimerSet::Sessions(lease.boot), Timestamp(u64::MAX), after, PAGE)
                    .await
                {
                    Ok(page) => page,
                    Err(error) => return swept.and(Swept::failure(error.into())),
                };
                if !page.is_empty() {
                    swept.haunting.insert(lease.boot);
                }
                let full = page.len() >= PAGE;
                after = page.last().copied();
                let judged =
                    page.into_iter().filter_map(|timer| Some((timer, self.judge(lease, &timer, until)?)));
                due.extend(judged);
                if due.len() >= BATCH {
                    swept = swept.and(self.settle(std::mem::take(&mut due), until).await);
                }
                if !full {
                    break;
                }
            }
            looked.push(lease);
        }
        swept = swept.and(self.settle(due, until).await);
        for lease in looked {
            match self.earliest(partition, lease, None).await {
                Ok(earliest) => self.looks.looked(partition, lease, None, earliest.as_ref(), until),
                Err(error) => return swept.and(Swept::failure(error)),
            }
        }
        swept
    }

    /// Finds the timer of a boot in a partition that is due first after one.
    async fn earliest(
        &self,
        partition: Partition,
        lease: &Lease,
        after: Option<Timer>,
    ) -> Result<Option<Timer>, Error> {
        let set = TimerSet::Sessions(lease.boot);
        let due = self.store.due(partition, set, Timestamp(u64::MAX), after, 1).await?;
        Ok(due.into_iter().next())
    }

    /// Says whether a session is to end because its gateway is no more (true) or because its deadline has passed
    /// (false); `None` if it lives on. Of a live gateway that is not said here.
    fn judge(&self, lease: &Lease, timer: &Timer, until: Timestamp) -> Option<bool> {
        match lease.standing {
            Standing::Dead(_) => Some(true),
            // What it left are sessions that may move for a while; one with more time was stored too late.
            Standing::Retired(since) if timer.deadline > since.plus(self.moved_grace) => Some(true),
            Standing::Retired(_) => (timer.deadline <= until).then_some(false),
            Standing::Live => None,
        }
    }

    /// Ends sessions, all of one user in one commit.
    async fn settle(&self, due: Vec<(Timer, bool)>, until: Timestamp) -> Swept {
        let mut users: BTreeMap<(AppId, UserId), Vec<(Timer, bool)>> = BTreeMap::new();
        for (timer, dead) in due {
            users.entry((timer.id.app, timer.id.user)).or_default().push((timer, dead));
        }
        stream::iter(users.into_iter().map(|user| self.end(user, until)))
            .buffer_unordered(USERS_AT_ONCE)
            .fold(Swept::default(), async |all, one| all.and(one))
            .await
    }

    async fn end(&self, ((app, user), due): DueUser, until: Timestamp) -> Swept {
        let of = |fate: bool| {
            due.iter().filter(move |(_, dead)| *dead == fate).filter_map(|(timer, _)| timer.id.session())
        };
        let (expired, orphaned): (Vec<_>, Vec<_>) = (of(false).collect(), of(true).collect());
        let mut known = Vec::new();
        let mut ended_at = until;
        // A dead gateway is heard of no more, so nothing speaks for its sessions.
        let guards = guards(app, user, &expired, until);
        let trace = TraceParent::default();
        let mut is_quiet = false;
        let decide = |state: &UserState, now| {
            is_quiet = self.quiet.is_now();
            if is_quiet {
                return Ok(None);
            }
            let sessions = due.iter().filter_map(|(timer, _)| timer.id.session());
            known = sessions.filter(|id| state.sessions.contains_key(id)).collect();
            ended_at = now;
            Ok(state.on_sessions_due(&expired, &orphaned, now))
        };
        let mut swept = match self.users.apply_guarded(app, &user, &trace, &guards, decide).await {
            Ok(Some(_)) if is_quiet => return Swept::default(),
            Ok(Some(applied)) => {
                // The decision names those that expired.
                let expired = applied.ended.len();
                self.metrics.decided(&applied.ended);
                self.metrics.orphaned(known.len().saturating_sub(expired));
                if expired > 0 {
                    self.metrics.lag.observe_duration(lag(&due, ended_at));
                }
                Swept { ended: known.len(), ..Swept::default() }
            }
            Ok(None) => return Swept { spared: 1, ..Swept::default() },
            Err(error) => return Swept::failure(error),
        };
        let due = due.into_iter().filter_map(|(timer, dead)| Some((timer.id.session()?, dead)));
        for (session, dead) in due.filter(|(session, _)| !known.contains(session)) {
            let until = if dead { Timestamp(u64::MAX) } else { until };
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
        if !self.has_timer(TimerId::of_session(app, user, session)).await? {
            return Ok(false);
        }
        let remove = |state: &UserState, _now| {
            let stray = !state.sessions.contains_key(&session);
            Ok(stray.then(|| Decision {
                state: state.clone(),
                timers: vec![user::Timer::Remove(session)],
                change: None,
                floor: RecordVersion::default(),
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
        let mut haunting = self.haunting;
        haunting.extend(other.haunting);
        Self {
            ended: self.ended + other.ended,
            spared: self.spared + other.spared,
            strays: self.strays + other.strays,
            haunting,
            failed,
        }
    }
}

/// Returns how long after the first of the deadlines sessions ended; those of dead gateways are not waited for.
fn lag(due: &[(Timer, bool)], ended: Timestamp) -> Duration {
    let deadlines = due.iter().filter(|(_, dead)| !dead).map(|(timer, _)| timer.deadline.0);
    let first = deadlines.min().unwrap_or(ended.0);
    Duration::from_micros(ended.0.saturating_sub(first))
}

/// Timers that must not be due later than what was swept.
fn guards(app: AppId, user: UserId, sessions: &[SessionId], until: Timestamp) -> Vec<Timer> {
    let guard = |session: &SessionId| Timer { deadline: until, id: TimerId::of_session(app, user, *session) };
    sessions.iter().map(guard).collect()
}

#[cfg(test)]
mod tests;
