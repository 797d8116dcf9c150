//! Sessions of live gateways whose deadlines have passed: a question, not a verdict (DESIGN section 4).
//!
//! The sweep notes in which partitions a live boot has some. Who answers a report of the boot reads them there, asks
//! about them in the reply, and takes the answers from later reports, which move their deadlines or end them. A
//! session ends without an answer only if this instance has asked about it in the replies to [`REPORTS`] reports, and
//! a further report came, while its deadline stood still.
//!
//! Nothing here is stored: an instance that starts anew asks anew. The rule is pure; `sweep/live.rs` and
//! `reports/ask.rs` feed it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use rollcall_domain::{id::BootId, time::Timestamp};
use rollcall_store::{
    Partition,
    port::{Lease, Nonce, Timer, TimerId},
};

/// In the replies to how many reports a gateway is asked before its silence counts: replies may be lost.
pub(crate) const REPORTS: u64 = 3;
/// How long after its deadline a session is asked about: a gateway that ends a silent client itself tells so by then.
pub(crate) const ASK_AFTER: Duration = Duration::from_secs(1);
/// The greatest number of questions in one reply, as the contract says: each answer may be a commit.
pub(crate) const QUESTIONS_MAX: usize = 512;
/// The greatest number of sessions of a boot that are known here in each partition; those behind have their turn when
/// these are settled. So one partition that cannot be settled holds up no other.
pub(crate) const SESSIONS_MAX: usize = 64;

/// What this instance knows of such sessions. Clones are cheap and the same.
#[derive(Debug, Clone)]
pub(crate) struct Overdue(Arc<Mutex<Rule>>);

/// What is to become of sessions whose deadlines have passed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Judged {
    /// Their gateway is to be asked.
    pub(crate) ask: Vec<TimerId>,
    /// How many of those it is asked about for the first time.
    pub(crate) new: usize,
    /// Their gateway lives and did not answer: they end, unless their deadlines have moved on.
    pub(crate) end: Vec<Timer>,
}

impl Overdue {
    /// Makes it empty. A session of which its gateway says nothing lives on for `answer_within` at least after its
    /// deadline.
    pub(crate) fn new(answer_within: Duration) -> Self {
        Self(Arc::new(Mutex::new(Rule { answer_within, boots: BTreeMap::new() })))
    }

    /// Notes that a live boot had passed deadlines in a partition at `now`.
    pub(crate) fn note(&self, partition: Partition, boot: BootId, now: Timestamp) {
        self.0.lock().note(partition, boot, now);
    }

    /// Takes a report, and returns the partitions in which its boot had passed deadlines; another one comes first each
    /// time.
    pub(crate) fn reported(&self, boot: BootId, nonce: Nonce) -> Vec<Partition> {
        self.0.lock().reported(boot, nonce)
    }

    /// Judges the timers of a boot in a partition that are due: all that were found after `now` was read, or the first
    /// [`SESSIONS_MAX`] of them.
    pub(crate) fn judge(&self, boot: BootId, partition: Partition, due: &[Timer], now: Timestamp) -> Judged {
        self.0.lock().judge(boot, partition, due, now)
    }

    /// Forgets boots that live no more: of them nobody is asked.
    pub(crate) fn keep(&self, leases: &[Lease]) {
        let live: BTreeSet<BootId> =
            leases.iter().filter(|lease| lease.is_live()).map(|lease| lease.boot).collect();
        self.0.lock().boots.retain(|boot, _| live.contains(boot));
    }

    /// Returns about how many sessions gateways were asked and what became of them is not known yet.
    pub(crate) fn open(&self) -> usize {
        let rule = self.0.lock();
        rule.boots.values().flat_map(|boot| boot.places.values()).map(|place| place.asked.len()).sum()
    }
}

/// The rule itself.
#[derive(Debug)]
struct Rule {
    answer_within: Duration,
    /// Those that had passed deadlines.
    boots: BTreeMap<BootId, OfBoot>,
}

#[derive(Debug, Default)]
struct OfBoot {
    /// The nonce of the last report that came here.
    nonce: Nonce,
    /// How many reports have come here, each counted once.
    reports: u64,
    places: BTreeMap<Partition, Place>,
}

/// What a boot has in a partition.
#[derive(Debug, Default)]
struct Place {
    /// When passed deadlines were seen last.
    seen: Timestamp,
    asked: BTreeMap<TimerId, Asked>,
}

#[derive(Debug, Clone, Copy)]
struct Asked {
    /// The deadline then. One that has moved since begins anew.
    deadline: Timestamp,
    /// In the replies to how many reports.
    times: u64,
    /// The number of the last of those.
    last: u64,
}

impl Rule {
    fn note(&mut self, partition: Partition, boot: BootId, now: Timestamp) {
        self.boots.entry(boot).or_default().places.entry(partition).or_default().seen = now;
    }

    fn reported(&mut self, boot: BootId, nonce: Nonce) -> Vec<Partition> {
        let Some(boot) = self.boots.get_mut(&boot) else { return Vec::new() };
        // A report that is repeated is the same.
        if boot.nonce != nonce {
            boot.nonce = nonce;
            boot.reports += 1;
        }
        let mut partitions: Vec<Partition> = boot.places.keys().copied().collect();
        let turn = usize::try_from(boot.reports).unwrap_or_default() % partitions.len().max(1);
        partitions.rotate_left(turn);
        partitions
    }

    fn judge(&mut self, boot: BootId, partition: Partition, due: &[Timer], now: Timestamp) -> Judged {
        let mut judged = Judged::default();
        let Some(of_boot) = self.boots.get_mut(&boot) else { return judged };
        let reports = of_boot.reports;
        let Some(place) = of_boot.places.get_mut(&partition) else { return judged };
        let before = std::mem::take(&mut place.asked);
        for timer in due.iter().take(SESSIONS_MAX).filter(|timer| timer.deadline.plus(ASK_AFTER) <= now) {
            let same = before.get(&timer.id).filter(|asked| asked.deadline == timer.deadline);
            let never = Asked { deadline: timer.deadline, times: 0, last: 0 };
            let mut asked = same.copied().unwrap_or(never);
            let is_further = asked.last != reports;
            if timer.deadline.plus(self.answer_within) <= now && is_further && asked.times >= REPORTS {
                judged.end.push(*timer);
                continue;
            }
            asked.times += u64::from(is_further);
            asked.last = reports;
            judged.ask.push(timer.id);
            judged.new += usize::from(same.is_none());
            place.asked.insert(timer.id, asked);
        }
        // What the sweep has noted since `now` was read is not known to be settled.
        if due.is_empty() && place.seen <= now {
            of_boot.places.remove(&partition);
        }
        if of_boot.places.is_empty() {
            self.boots.remove(&boot);
        }
        judged
    }
}

#[cfg(test)]
mod tests;
