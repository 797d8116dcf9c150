//! Clears custom statuses whose time has come (SPEC B6).
//!
//! The timers of a partition say whom to look at, and the record whether its time has come: what is due is read without
//! a lock, and each commit decides anew, so a set that came in between stands. Any instance may clear what another one
//! took.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use parking_lot::Mutex;
use rollcall_domain::{
    status::RecordVersion,
    time::Timestamp,
    user::{self, Change, Decision, UserState},
};
use rollcall_proto::trace::TraceParent;
use rollcall_records::{Error, Users};
use rollcall_store::{
    Partition, Partitions, Store,
    port::{Timer, TimerId, TimerSet},
};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{metrics::Metrics, quiet::Quiet};

/// Timers read at a time.
const PAGE: usize = 256;
/// Partitions looked at at once.
const PARTITIONS_AT_ONCE: usize = 8;
/// Users of one partition whose statuses are cleared at once.
const USERS_AT_ONCE: usize = 16;
/// The longest time between two looks at a partition. What this instance stored it looks at in time; so long may a custom
/// status stand that was stored by one which has died since.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Clears custom statuses.
pub(crate) struct Clears {
    pub(crate) users: Users,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) every: Duration,
    pub(crate) looks: ClearLooks,
    pub(crate) quiet: Quiet,
    pub(crate) metrics: Metrics,
}

/// When each partition has to be looked at; at first, at once. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct ClearLooks(Arc<Mutex<Vec<Timestamp>>>);

/// What one pass came to.
#[derive(Debug, Default)]
pub(crate) struct Cleared {
    /// Custom statuses that were cleared.
    pub(crate) cleared: usize,
    /// Why some could not be, and how many such failures there were.
    pub(crate) failed: Option<(Error, usize)>,
}

impl ClearLooks {
    /// Makes it for a store of so many partitions.
    pub(crate) fn new(partitions: Partitions) -> Self {
        Self(Arc::new(Mutex::new(vec![Timestamp::default(); partitions.all().count()])))
    }

    /// Notes that a custom status of the partition clears at this time.
    pub(crate) fn note(&self, partition: Partition, at: Timestamp) {
        if let Some(next) = self.0.lock().get_mut(usize::from(partition.0)) {
            *next = at.min(*next);
        }
    }

    /// Says whether the partition has to be looked at now; if so, the next look is put off. What is noted while the
    /// partition is read counts.
    fn begin(&self, partition: Partition, now: Timestamp) -> bool {
        let mut looks = self.0.lock();
        let due = looks.get_mut(usize::from(partition.0)).filter(|next| **next <= now);
        due.map(|next| *next = now.plus(LOOK_EVERY)).is_some()
    }
}

impl Clears {
    /// Clears until `shutdown`. A pass that takes longer than its time delays the next.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            let pass = async {
                ticks.tick().await;
                self.pass().await
            };
            let Some(Cleared { cleared, failed }) = shutdown.run_until_cancelled(pass).await else { return };
            if cleared > 0 {
                debug!(cleared, "cleared custom statuses");
            }
            match (&failed, failing) {
                (Some((error, failures)), false) => {
                    warn!(%error, failures, "could not clear custom statuses, trying on");
                }
                (None, true) => info!("clearing custom statuses again"),
                _ => {}
            }
            failing = failed.is_some();
        }
    }

    /// Clears every custom status that is due now; none in a quiet time.
    pub(crate) async fn pass(&self) -> Cleared {
        let pass = match self.store.now().await {
            Ok(_) if self.quiet.is_now() => Cleared::default(),
            Ok(now) => {
                let partitions =
                    self.store.partitions().all().filter(|partition| self.looks.begin(*partition, now));
                stream::iter(partitions.map(|partition| self.partition(partition, now)))
                    .buffer_unordered(PARTITIONS_AT_ONCE)
                    .fold(Cleared::default(), async |all, one| all.and(one))
                    .await
            }
            Err(error) => Cleared::failure(error.into()),
        };
        self.metrics.clears.done.inc_by(pass.cleared as u64);
        self.metrics.clears.failures.inc_by(pass.failed.as_ref().map_or(0, |(_, count)| *count as u64));
        pass
    }

    async fn partition(&self, partition: Partition, now: Timestamp) -> Cleared {
        let done = match self.clear_due(partition, now).await {
            Ok(done) => done,
            Err(error) => Cleared::failure(error),
        };
        if done.failed.is_some() {
            self.looks.note(partition, now);
        }
        done
    }

    async fn clear_due(&self, partition: Partition, now: Timestamp) -> Result<Cleared, Error> {
        let mut done = Cleared::default();
        // Mostly nothing is due, and one question tells so.
        let mut earliest = self.earliest(partition).await?;
        if earliest.is_some_and(|timer| timer.deadline <= now) {
            let mut after = None;
            loop {
                let page = self.store.due(partition, TimerSet::Clear, now, after, PAGE).await?;
                let full = page.len() >= PAGE;
                after = page.last().copied();
                let cleared = page.into_iter().map(|timer| self.clear(partition, timer));
                let cleared = stream::iter(cleared).buffer_unordered(USERS_AT_ONCE);
                done = cleared.fold(done, async |all, one| all.and(one)).await;
                if !full {
                    break;
                }
            }
            earliest = self.earliest(partition).await?;
        }
        if let Some(timer) = earliest {
            self.looks.note(partition, timer.deadline);
        }
        Ok(done)
    }

    /// Finds the timer of a partition that is due first.
    async fn earliest(&self, partition: Partition) -> Result<Option<Timer>, Error> {
        let due = self.store.due(partition, TimerSet::Clear, Timestamp(u64::MAX), None, 1).await?;
        Ok(due.into_iter().next())
    }

    async fn clear(&self, partition: Partition, timer: Timer) -> Cleared {
        let (app, user, trace) = (timer.id.app, timer.id.user, TraceParent::default());
        let mut cleared_at = timer.deadline;
        let decide = |state: &UserState, now| {
            cleared_at = now;
            Ok(if self.quiet.is_now() { None } else { state.on_clear_due(now) })
        };
        match self.users.apply(app, &user, &trace, decide).await {
            Ok(applied) if applied.changed == Some(Change::Status) => {
                let lag = cleared_at.0.saturating_sub(timer.deadline.0);
                self.metrics.clears.lag.observe_duration(Duration::from_micros(lag));
                Cleared { cleared: 1, failed: None }
            }
            Ok(applied) if applied.state.clear_at.is_some() => Cleared::default(),
            Ok(_) => match self.remove_stray(partition, timer.id).await {
                Ok(()) => Cleared::default(),
                Err(error) => Cleared::failure(error),
            },
            Err(error) => Cleared::failure(error),
        }
    }

    /// Removes the timer of a user whose record says nothing of it. Mostly there is none: it was cleared by another
    /// instance, or taken back, after the timer was read.
    async fn remove_stray(&self, partition: Partition, id: TimerId) -> Result<(), Error> {
        // Moving a timer "later" than the epoch moves nothing.
        let missing = self.store.touch(partition, &[Timer { deadline: Timestamp(0), id }]).await?;
        if !missing.is_empty() {
            return Ok(());
        }
        let remove = |state: &UserState, _now| {
            Ok(state.clear_at.is_none().then(|| Decision {
                state: state.clone(),
                timers: vec![user::Timer::RemoveClear],
                change: None,
                floor: RecordVersion::default(),
                ended: Vec::new(),
            }))
        };
        self.users.apply(id.app, &id.user, &TraceParent::default(), remove).await.map(drop)
    }
}

impl Cleared {
    fn failure(error: Error) -> Self {
        Self { failed: Some((error, 1)), ..Self::default() }
    }

    /// Adds up.
    fn and(self, other: Self) -> Self {
        let failed = match (self.failed, other.failed) {
            (Some((error, first)), Some((_, second))) => Some((error, first + second)),
            (one, None) | (None, one) => one,
        };
        Self { cleared: self.cleared + other.cleared, failed }
    }
}

#[cfg(test)]
mod tests;
