//! Repairs what a gateway and the store do not agree on: sessions that a gateway has and that have no timer, and timers
//! of sessions that no gateway has (DESIGN section 4).
//!
//! A digest that differs from the timers of its partition is no fault yet: logins and ends are under way. It has the gateway
//! list its sessions, and the list says what is. First the gateway asserts what is missing here; then, by a list after
//! that, the others end as lost connections, so that nobody is shown as gone in between. Nothing of it is stored: until a
//! list has nothing more to settle, the next is asked for. `digests/rule.rs` is the rule.

mod rule;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use rollcall_domain::{
    digest::SessionDigest,
    id::{BootId, SessionId},
    time::Timestamp,
    user::{EndReason, UserState},
};
use rollcall_proto::{
    gateway::v1::{ReportRequest, SessionList, SessionRef},
    trace::TraceParent,
};
use rollcall_records::Error;
use rollcall_store::{
    Partition,
    port::{TimerId, TimerSet},
};
use tracing::{debug, error, warn};

use self::rule::Listed;
use super::{Reports, USERS_AT_ONCE, UserKey, read, reference};
use crate::metrics::Differing;

/// The greatest number of digests that are taken of one report, as the contract says.
const DIGESTS_MAX: usize = 32;
/// The greatest number of lists that are taken of one report, as the contract says.
const LISTS_MAX: usize = 32;
/// The greatest number of sessions in one list, as the contract says.
const LISTED_MAX: usize = 8_192;
/// The greatest number of ends in one list, as the contract says.
const ENDING_MAX: usize = 1_024;
/// The greatest number of timers that are read of a partition. A gateway with more sessions in one is not repaired there.
const TIMERS_MAX: usize = 65_536;
/// The number of timers read for one report from which its further digests wait for their next turn.
const READ_MAX: usize = 65_536;
/// Timers read at a time.
const PAGE: usize = 1_024;
/// Partitions that are read at once.
const PARTITIONS_AT_ONCE: usize = 8;
/// The greatest number of sessions that end by one list, each of them a commit; the others by the next.
const ENDS_MAX: usize = 512;

/// What the digests and lists of a report came to.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// Sessions that have no timer.
    pub(super) missing: Vec<SessionRef>,
    /// Partitions whose sessions the gateway is to list.
    pub(super) list: Vec<u32>,
}

/// What ending sessions came to.
#[derive(Debug, Default)]
struct Ended {
    ended: usize,
    /// Whether some could not be ended now.
    failed: bool,
}

impl Reports {
    /// Compares what a report tells of all sessions of some partitions with their timers, and ends those that are over.
    pub(super) async fn compare(
        &self,
        boot: BootId,
        report: &ReportRequest,
        trace: &TraceParent,
        malformed: &mut usize,
    ) -> Result<Compared, rollcall_store::Error> {
        let mut compared = Compared::default();
        // What a gateway that does not know the epoch calls stored may be lost.
        let is_of_epoch = report.store_epoch == self.quiet.epoch().get();
        for list in &report.lists[..report.lists.len().min(LISTS_MAX)] {
            if !is_of_epoch {
                compared.list.push(list.partition);
                continue;
            }
            match self.listed(boot, list) {
                Some((partition, listed)) => {
                    self.repair(boot, partition, &listed, trace, &mut compared).await?;
                }
                None => *malformed += 1,
            }
        }
        let mut digests = Vec::new();
        for told in &report.digests[..report.digests.len().min(DIGESTS_MAX)] {
            match self.partition(told.partition) {
                Some(partition) => {
                    digests.push((partition, SessionDigest { sessions: told.sessions, sum: told.sum }));
                }
                None => *malformed += 1,
            }
        }
        let differing = self.differing(boot, digests).await?;
        // A list of this report is newer than its digest is.
        let listed: Vec<u32> = report.lists.iter().map(|list| list.partition).collect();
        compared.list.extend(differing.into_iter().filter(|partition| !listed.contains(partition)));
        Ok(compared)
    }

    /// Finds the partitions whose timers are not those of their digests.
    async fn differing(
        &self,
        boot: BootId,
        digests: Vec<(Partition, SessionDigest)>,
    ) -> Result<Vec<u32>, rollcall_store::Error> {
        let compare = |(partition, told): (Partition, SessionDigest)| async move {
            // One more than told is enough to know.
            let most = usize::try_from(told.sessions).unwrap_or(usize::MAX).saturating_add(1);
            let timers = self.timers(boot, partition, most.min(TIMERS_MAX)).await?;
            let mut found = SessionDigest::default();
            for id in &timers {
                found.add(id.app, &id.user, id.session().map_or(0, |session| session.counter));
            }
            Ok::<_, rollcall_store::Error>((partition, found == told, timers.len()))
        };
        let mut compared = stream::iter(digests).map(compare).buffered(PARTITIONS_AT_ONCE);
        let (mut differing, mut read) = (Vec::new(), 0);
        while read < READ_MAX
            && let Some((partition, is_equal, timers)) = compared.try_next().await?
        {
            read += timers;
            self.metrics.digests.compared(is_equal);
            if !is_equal {
                debug!(
                    partition = partition.0,
                    "the digest of a gateway differs from the timers of its boot"
                );
                differing.push(partition.0.into());
            }
        }
        Ok(differing)
    }

    /// Settles what a list and the timers do not agree on, as far as that can be now.
    async fn repair(
        &self,
        boot: BootId,
        partition: Partition,
        listed: &Listed,
        trace: &TraceParent,
        compared: &mut Compared,
    ) -> Result<(), rollcall_store::Error> {
        let timers = self.timers(boot, partition, TIMERS_MAX).await?;
        if timers.len() >= TIMERS_MAX {
            warn!(partition = partition.0, "a gateway has too many sessions in a partition to repair them");
            return Ok(());
        }
        let judged = listed.judge(&timers);
        let (missing, absent) = (judged.missing.len(), judged.absent.len());
        let mut ended = Ended::default();
        if missing == 0 {
            ended = self.end_absent(&judged.absent[..absent.min(ENDS_MAX)], trace).await;
        }
        if missing > 0 || absent > ENDS_MAX || ended.failed {
            compared.list.push(partition.0.into());
        }
        self.metrics.digests.differed(Differing::Missing, missing);
        self.metrics.digests.differed(Differing::Ended, ended.ended);
        if missing > 0 || ended.ended > 0 {
            warn!(
                partition = partition.0,
                missing,
                absent,
                ended = ended.ended,
                "a gateway has other sessions than the store: asserting those that are missing, then ending those that are over"
            );
        }
        let named = |id: &TimerId| Some(reference(id.app, &id.user, id.session()?));
        compared.missing.extend(judged.missing.iter().filter_map(named));
        Ok(())
    }

    /// Ends sessions that their gateway has no connection of, all of a user in one commit.
    async fn end_absent(&self, absent: &[TimerId], trace: &TraceParent) -> Ended {
        let mut users: BTreeMap<UserKey, Vec<SessionId>> = BTreeMap::new();
        for id in absent {
            users.entry((id.app, id.user)).or_default().extend(id.session());
        }
        let ends = users.into_iter().map(|(user, sessions)| self.end_absent_of(user, sessions, trace));
        stream::iter(ends)
            .buffer_unordered(USERS_AT_ONCE)
            .fold(Ended::default(), async |all, one| Ended {
                ended: all.ended + one.ended,
                failed: all.failed || one.failed,
            })
            .await
    }

    async fn end_absent_of(
        &self,
        (app, user): UserKey,
        sessions: Vec<SessionId>,
        trace: &TraceParent,
    ) -> Ended {
        let (mut ended, mut is_quiet) = (0, false);
        let decide = |state: &UserState, now: Timestamp| {
            is_quiet = self.quiet.is_now();
            if is_quiet {
                return Ok(None);
            }
            let decision = state.on_connections_absent(&sessions, now);
            ended = decision.as_ref().map_or(0, |after| state.sessions.len() - after.state.sessions.len());
            Ok(decision)
        };
        let failed = match self.users.apply(app, &user, trace, decide).await {
            // In a quiet time nobody is judged.
            Ok(_) => is_quiet,
            // To try again would not help.
            Err(error @ (Error::Unreadable { .. } | Error::Refused(_))) => {
                error!(%error, "could not end a session that its gateway does not have");
                return Ended::default();
            }
            Err(error) => {
                warn!(%error, "could not end a session that its gateway does not have, trying again");
                return Ended { ended: 0, failed: true };
            }
        };
        self.metrics.ended(EndReason::Closed, ended);
        Ended { ended, failed }
    }

    /// Reads the timers of a boot in a partition, at most so many. One that moves meanwhile may be left out.
    async fn timers(
        &self,
        boot: BootId,
        partition: Partition,
        most: usize,
    ) -> Result<BTreeSet<TimerId>, rollcall_store::Error> {
        let set = TimerSet::Sessions(boot);
        let (mut timers, mut after) = (BTreeSet::new(), None);
        while timers.len() < most {
            let page = self.store.due(partition, set, Timestamp(u64::MAX), after, PAGE).await?;
            timers.extend(page.iter().map(|timer| timer.id));
            after = page.last().copied();
            if page.len() < PAGE {
                break;
            }
        }
        Ok(timers)
    }

    /// Reads a list; `None` if any part of it cannot be read, or is of another partition: a session that is left out would
    /// end.
    fn listed(&self, boot: BootId, list: &SessionList) -> Option<(Partition, Listed)> {
        let partition = self.partition(list.partition)?;
        if list.sessions.len() > LISTED_MAX || list.ending.len() > ENDING_MAX {
            return None;
        }
        let mut listed =
            Listed { upto: list.upto, ending: list.ending.iter().copied().collect(), ..Listed::default() };
        for session in &list.sessions {
            let ((app, user), session) = read(boot, Some(session)).ok()?;
            if self.store.partitions().of(app, Some(&user)) != partition {
                return None;
            }
            listed.open.insert(TimerId::of_session(app, user, session));
        }
        Some((partition, listed))
    }

    fn partition(&self, number: u32) -> Option<Partition> {
        u16::try_from(number).ok().filter(|number| *number < self.store.partitions().count()).map(Partition)
    }
}

#[cfg(test)]
mod tests;
