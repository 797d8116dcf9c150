//! When a quiet time begins and ends: pure, fed with what was seen and when.

use std::{collections::BTreeMap, time::Duration};

use rollcall_domain::{
    epoch::{Epoch, Epochs, Heard},
    id::BootId,
};
use rollcall_runtime::Monotonic;
use rollcall_store::port::{Lease, Nonce};

/// How often the nonce of a gateway has to change: by the first report it learns of the epoch, by the second it tells what
/// it knows, and with the third that was answered.
const REPORTS: u32 = 3;

/// See the module's description.
#[derive(Debug)]
pub(super) struct Rule {
    /// How long a quiet time lasts at most.
    most: Duration,
    /// How long nothing was asserted when one ends.
    pause: Duration,
    started: Monotonic,
    epochs: Epochs,
    /// Whether one began in the newest epoch.
    has_begun: bool,
    quiet: Option<Now>,
}

/// A quiet time that lasts.
#[derive(Debug)]
struct Now {
    since: Monotonic,
    /// When sessions were asserted last.
    asserted: Monotonic,
    /// What was seen of each live boot; `None` before the first look.
    boots: Option<BTreeMap<BootId, Seen>>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    nonce: Nonce,
    /// How often that was another one than at the look before.
    changes: u32,
}

/// How a quiet time ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) lasted: Duration,
    /// How many live gateways had not told all they know by then.
    pub(super) waits: usize,
}

impl Rule {
    /// Makes it for an instance that starts now, with a store in this epoch: that alone is no reason for a quiet time.
    pub(super) fn new(most: Duration, pause: Duration, epoch: Epoch, now: Monotonic) -> Self {
        let mut epochs = Epochs::default();
        epochs.hear(epoch);
        Self { most, pause, started: now, epochs, has_begun: false, quiet: None }
    }

    /// Sees in which epoch the store is, and says whether a quiet time begins: each new epoch has one of its own.
    pub(super) fn see(&mut self, epoch: Epoch, now: Monotonic) -> bool {
        let is_new = self.epochs.hear(epoch) == Heard::New;
        if is_new {
            self.begin(now);
        }
        is_new
    }

    /// Hears which epoch a gateway knew, and says whether a quiet time begins. That counts only while this instance has
    /// just started: later it has seen for itself, and a gateway may be late.
    pub(super) fn told(&mut self, known: Epoch, now: Monotonic) -> bool {
        let begins =
            self.epochs.newest() != Some(known) && !self.has_begun && now.since(self.started) < self.most;
        if begins {
            self.begin(now);
        }
        begins
    }

    /// Notes that sessions were asserted.
    pub(super) fn asserted(&mut self, now: Monotonic) {
        if let Some(quiet) = &mut self.quiet {
            quiet.asserted = now;
        }
    }

    /// Looks at the leases, which every report renews, whichever instance it came to.
    pub(super) fn look(&mut self, leases: &[Lease]) {
        let Some(quiet) = &mut self.quiet else { return };
        let before = quiet.boots.take().unwrap_or_default();
        let seen = leases.iter().filter(|lease| lease.is_live()).map(|lease| {
            let seen = match before.get(&lease.boot) {
                Some(seen) if seen.nonce == lease.nonce => *seen,
                Some(seen) => Seen { nonce: lease.nonce, changes: seen.changes + 1 },
                None => Seen { nonce: lease.nonce, changes: 0 },
            };
            (lease.boot, seen)
        });
        quiet.boots = Some(seen.collect());
    }

    /// Ends the quiet time if it is over: all live gateways have told what they know, or it has lasted for the most.
    pub(super) fn end(&mut self, now: Monotonic) -> Option<End> {
        let quiet = self.quiet.as_ref()?;
        let lasted = now.since(quiet.since);
        let waits =
            quiet.boots.as_ref().map(|boots| boots.values().filter(|seen| seen.changes < REPORTS).count());
        let is_settled = waits == Some(0) && now.since(quiet.asserted) >= self.pause;
        if !is_settled && lasted < self.most {
            return None;
        }
        self.quiet = None;
        Some(End { lasted, waits: waits.unwrap_or_default() })
    }

    /// Says whether a quiet time lasts.
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet.is_some()
    }

    fn begin(&mut self, now: Monotonic) {
        self.has_begun = true;
        // As if something had been asserted: gateways that have lost their lease are not seen at once.
        self.quiet = Some(Now { since: now, asserted: now, boots: None });
    }
}

#[cfg(test)]
mod tests {
    use rollcall_domain::time::Timestamp;
    use rollcall_store::port::Standing;

    use super::*;

    const MOST: Duration = Duration::from_secs(20);
    const PAUSE: Duration = Duration::from_secs(4);

    fn epoch(number: u64) -> Epoch {
        Epoch::new(number).unwrap()
    }

    fn at(seconds: u64) -> Monotonic {
        Monotonic(seconds * 1_000)
    }

    fn live(boot: u64, nonce: u64) -> Lease {
        Lease { boot: BootId(boot), nonce: Nonce(nonce), standing: Standing::Live }
    }

    /// Has started long ago, and is in a quiet time since second 100.
    fn quiet() -> Rule {
        let mut rule = Rule::new(MOST, PAUSE, epoch(1), at(0));
        assert!(!rule.see(epoch(1), at(50)) && !rule.is_quiet());
        assert!(rule.see(epoch(2), at(100)) && rule.is_quiet());
        rule
    }

    // FAULT 11
    #[test]
    fn it_ends_when_all_live_gateways_have_reported_often_enough_and_never_before() {
        let mut rule = quiet();
        for nonce in 0..3 {
            rule.look(&[live(1, nonce), live(2, 7 + nonce)]);
            assert_eq!(rule.end(at(110)), None, "nonce {nonce}");
        }
        rule.look(&[live(1, 3), live(2, 9)]);
        assert_eq!(rule.end(at(110)), None, "the second has told a report less");
        rule.look(&[live(1, 3), live(2, 10)]);
        assert_eq!(rule.end(at(110)), Some(End { lasted: Duration::from_secs(10), waits: 0 }));
        assert!(!rule.is_quiet());
    }

    #[test]
    fn it_goes_on_while_sessions_are_asserted() {
        let mut rule = quiet();
        rule.look(&[]);
        assert_eq!(
            rule.end(at(103)),
            None,
            "nobody is seen who had to tell something, but it has just begun"
        );
        rule.asserted(at(103));
        assert_eq!(rule.end(at(106)), None);
        assert_eq!(rule.end(at(107)), Some(End { lasted: Duration::from_secs(7), waits: 0 }));
    }

    #[test]
    fn it_waits_for_a_gateway_that_is_silent_and_for_leases_that_cannot_be_read_no_longer_than_the_most() {
        let mut rule = quiet();
        assert_eq!(rule.end(at(119)), None);
        rule.look(&[live(1, 5), Lease { standing: Standing::Dead(Timestamp(1)), ..live(2, 5) }]);
        rule.asserted(at(119));
        assert_eq!(rule.end(at(119)), None);
        assert_eq!(rule.end(at(120)), Some(End { lasted: MOST, waits: 1 }));
    }

    #[test]
    fn a_gateway_that_registers_anew_is_waited_for() {
        let mut rule = quiet();
        rule.look(&[]);
        rule.look(&[live(9, 0)]);
        assert_eq!(rule.end(at(110)), None);
        for nonce in 1..=3 {
            rule.look(&[live(9, nonce)]);
        }
        assert!(rule.end(at(110)).is_some());
    }

    #[test]
    fn each_epoch_has_one_and_one_that_was_left_has_none() {
        let mut rule = quiet();
        assert!(rule.see(epoch(3), at(119)), "it begins anew");
        assert_eq!(rule.end(at(138)), None);
        assert!(rule.end(at(139)).is_some());
        assert!(!rule.see(epoch(2), at(140)) && !rule.see(epoch(3), at(140)) && !rule.is_quiet());
    }

    #[test]
    fn who_starts_with_a_store_that_did_too_learns_it_from_gateways_and_from_none_that_is_late() {
        let mut rule = Rule::new(MOST, PAUSE, epoch(2), at(100));
        assert!(!rule.told(epoch(2), at(101)));
        assert!(rule.told(epoch(1), at(101)) && rule.is_quiet());
        rule.look(&[]);
        assert!(rule.end(at(110)).is_some());
        assert!(!rule.told(epoch(1), at(111)), "once is enough");

        let mut rule = Rule::new(MOST, PAUSE, epoch(2), at(100));
        assert!(!rule.told(epoch(1), at(120)) && !rule.is_quiet());
    }
}
