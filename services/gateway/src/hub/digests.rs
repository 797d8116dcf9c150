//! What presence is told of all sessions here, so that it finds what it holds and we do not, or we and it does not
//! (DESIGN section 4): a digest of each partition in its turn, and a list of the sessions of those where it differs.
//!
//! A list speaks of no login that is under way, nor of one that began after it, and calls what may not be stored yet about to
//! end. All else up to its greatest counter that it does not name is over and will never be again, so it does no harm when
//! it comes late, or twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::Ordering,
    time::Duration,
};

use rollcall_domain::{
    digest::SessionDigest,
    partition::{Partition, Partitions},
};
use rollcall_proto::{
    convert,
    gateway::v1::{ReportResponse, SessionDigest as Told, SessionList},
};
use rollcall_runtime::clock::Monotonic;

use super::{Hub, State, UserKey, reports::Report, reports::session_ref};

/// The greatest number of digests in one report, as the contract says: presence reads the timers of each partition.
const DIGESTS_MAX: usize = 32;
/// The number of sessions from which a report has no further digests: presence reads as many timers while the report waits
/// for its answer.
const DIGESTED_MAX: u64 = 16_384;
/// The greatest number of sessions in one list, as the contract says, and from which a report has no further lists; about
/// 300 KB, where NATS takes 1 MB. Of more in one partition the list speaks of the oldest only: those behind are repaired by
/// heartbeats and expiry.
const LISTED_MAX: usize = 8_192;
/// The greatest number of lists in one report, as the contract says: presence reads the timers of each partition.
const LISTS_MAX: usize = 32;
/// The greatest number of ends in one list, as the contract says. Where there are more the list waits until they are stored.
const ENDING_MAX: usize = 1_024;

/// What is told of the sessions of each partition, and when.
#[derive(Debug, Default)]
pub(super) struct Digests {
    /// How users are spread; `None` before the first report.
    partitions: Option<Partitions>,
    /// One for each partition: of the sessions that are here and have not ended.
    of: Vec<SessionDigest>,
    /// The partition whose turn is next.
    turn: u16,
    /// When that is.
    next: Monotonic,
    /// How many are to be told without waiting for their turn; a number beyond that of the partitions means all.
    owed: u16,
    /// Partitions of which presence wants a list.
    wanted: BTreeSet<Partition>,
}

/// A login from when it has a counter until it is known what became of it; lists say nothing of it. Ends when dropped.
#[derive(Debug)]
pub(crate) struct LoginUnderWay<'a> {
    hub: &'a Hub,
    /// The counter of its session; none is given twice.
    pub(crate) counter: u64,
}

impl Drop for LoginUnderWay<'_> {
    fn drop(&mut self) {
        self.hub.state.lock().logins.remove(&self.counter);
    }
}

impl Digests {
    /// Adds a session.
    pub(super) fn add(&mut self, (app, user): &UserKey, counter: u64) {
        if let Some(digest) = self.digest(&(*app, *user)) {
            digest.add(*app, user, counter);
        }
    }

    /// Removes a session that was added.
    pub(super) fn remove(&mut self, (app, user): &UserKey, counter: u64) {
        if let Some(digest) = self.digest(&(*app, *user)) {
            digest.remove(*app, user, counter);
        }
    }

    /// Has all partitions told as soon as there is room.
    pub(super) fn owe_all(&mut self) {
        self.owed = u16::MAX;
    }

    fn digest(&mut self, (app, user): &UserKey) -> Option<&mut SessionDigest> {
        let partition = self.partitions?.of(*app, Some(user));
        self.of.get_mut(usize::from(partition.0))
    }

    /// Returns the digests whose turn has come, `every` being the time in which each has one, and those that are owed.
    fn due(&self, every: Duration, now: Monotonic) -> Vec<Told> {
        let count = self.of.len();
        let late = if now < self.next { 0 } else { 1 + steps(now.since(self.next), every, count) };
        let wish = late.max(usize::from(self.owed)).min(count).min(DIGESTS_MAX);
        let mut sessions = 0;
        let turns = (0..count).cycle().skip(usize::from(self.turn)).take(wish);
        let fits = turns.take_while(|place| {
            let had_room = sessions < DIGESTED_MAX;
            sessions += self.of[*place].sessions;
            had_room
        });
        let tell = |place: usize| {
            let SessionDigest { sessions, sum } = self.of[place];
            Told { partition: u32::try_from(place).unwrap_or(u32::MAX), sessions, sum }
        };
        fits.map(tell).collect()
    }

    /// Notes that so many of the digests were told.
    fn told(&mut self, told: usize, every: Duration, now: Monotonic) {
        let count = u16::try_from(self.of.len()).unwrap_or(u16::MAX).max(1);
        let told = u16::try_from(told).unwrap_or(u16::MAX);
        self.turn =
            u16::try_from((u32::from(self.turn) + u32::from(told)) % u32::from(count)).unwrap_or_default();
        self.owed = self.owed.min(count).saturating_sub(told);
        let next = self.next.plus(every * u32::from(told) / u32::from(count));
        // Who is late by a whole round, as at the start, catches up with no more than that.
        let most = now.plus(every);
        self.next = if next.plus(every) < now { now } else { next.min(most) };
    }
}

/// Returns how many turns come in a time, `count` coming in `every`.
fn steps(time: Duration, every: Duration, count: usize) -> usize {
    let steps = time.as_millis() * count as u128 / every.as_millis().max(1);
    usize::try_from(steps).unwrap_or(usize::MAX).min(count)
}

impl Hub {
    /// Begins a login, which gets the next counter.
    pub(crate) fn begin_login(&self) -> LoginUnderWay<'_> {
        let mut state = self.state.lock();
        let counter = state.next_counter;
        state.next_counter += 1;
        state.logins.insert(counter);
        LoginUnderWay { hub: self, counter }
    }

    /// Has presence told the digests of all partitions as soon as reports have room for them.
    pub(crate) fn digest_all(&self) {
        self.state.lock().digests.owe_all();
    }

    /// Adds to a report the digests whose turn has come, each partition having one in `every`, and the lists that the last
    /// reply asked for. Digests wait while sessions are asserted, for they would tell the same once more.
    pub(crate) fn tell_digests(
        &self,
        report: &mut Report,
        partitions: Option<Partitions>,
        every: Duration,
        now: Monotonic,
    ) {
        let Some(partitions) = partitions else { return };
        let mut state = self.state.lock();
        state.spread(partitions);
        report.request.lists = state.lists(partitions);
        if report.request.asserted.is_empty() {
            report.request.digests = state.digests.due(every, now);
        }
    }

    /// Notes that a report was answered, and of which partitions lists are asked for.
    pub(crate) fn digests_told(
        &self,
        report: &Report,
        reply: &ReportResponse,
        every: Duration,
        now: Monotonic,
    ) {
        let digests = &mut self.state.lock().digests;
        digests.told(report.request.digests.len(), every, now);
        let partition = |number: u32| {
            let known = usize::try_from(number).is_ok_and(|number| number < digests.of.len());
            u16::try_from(number).ok().filter(|_| known).map(Partition)
        };
        let listed: Vec<_> =
            report.request.lists.iter().filter_map(|list| partition(list.partition)).collect();
        let asked: Vec<_> = reply.list.iter().filter_map(|number| partition(*number)).collect();
        digests.wanted.retain(|wanted| !listed.contains(wanted));
        digests.wanted.extend(asked);
    }
}

impl State {
    /// Takes how users are spread; in another way than before all digests are made anew.
    fn spread(&mut self, partitions: Partitions) {
        if self.digests.partitions == Some(partitions) {
            return;
        }
        let of = vec![SessionDigest::default(); usize::from(partitions.count())];
        self.digests = Digests { partitions: Some(partitions), of, ..Digests::default() };
        for session in self.sessions.iter().flatten().filter(|session| !session.ended) {
            self.digests.add(&session.handle.key, session.handle.counter);
        }
    }

    /// Lists the sessions of partitions of which presence wants that, as many as there is room for.
    fn lists(&self, partitions: Partitions) -> Vec<SessionList> {
        // Ends that are to be told again may not be stored, and would have to be in the lists.
        if self.digests.wanted.is_empty() || self.epochs.tells_again() {
            return Vec::new();
        }
        let upto = self.logins.first().copied().unwrap_or(self.next_counter).saturating_sub(1);
        let mut room = LISTED_MAX;
        let mut lists = BTreeMap::new();
        for partition in self.digests.wanted.iter().take(LISTS_MAX) {
            let sessions = self.digests.of.get(usize::from(partition.0)).map(|digest| digest.sessions);
            let sessions = usize::try_from(sessions.unwrap_or_default()).unwrap_or(usize::MAX);
            if sessions > room && !lists.is_empty() {
                break;
            }
            room = room.saturating_sub(sessions);
            let list = SessionList { partition: partition.0.into(), upto, ..SessionList::default() };
            lists.insert(*partition, list);
        }
        for session in self.sessions.iter().flatten().filter(|session| !session.ended) {
            let handle = &session.handle;
            let Some(list) = lists.get_mut(&partitions.of(handle.key.0, Some(&handle.key.1))) else {
                continue;
            };
            // A logout that is on its way may be stored already.
            if handle.leaving.load(Ordering::Acquire) {
                list.ending.push(handle.counter);
            } else {
                list.sessions.push(session_ref(&handle.key, handle.counter));
            }
        }
        for ended in self.ended.iter().filter_map(|ended| ended.session.as_ref()) {
            if let (Ok(app), Ok(user)) = (convert::app_id(ended.app_id), convert::user_id(&ended.user_id))
                && let Some(list) = lists.get_mut(&partitions.of(app, Some(&user)))
            {
                list.ending.push(ended.counter);
            }
        }
        lists.into_values().filter(|list| list.ending.len() <= ENDING_MAX).map(oldest).collect()
    }
}

/// Cuts a list to the oldest of its sessions, and has it speak of no others.
fn oldest(mut list: SessionList) -> SessionList {
    if list.sessions.len() > LISTED_MAX {
        list.sessions.sort_unstable_by_key(|session| session.counter);
        list.sessions.truncate(LISTED_MAX);
        list.upto = list.sessions.last().map_or(list.upto, |last| last.counter.min(list.upto));
    }
    list
}
