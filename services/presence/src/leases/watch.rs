//! The rule by which a gateway is dead: pure, fed with what was seen and how long was listened.

use std::{collections::BTreeMap, time::Duration};

use rollcall_domain::id::BootId;
use rollcall_store::port::{Lease, Nonce};

/// What was seen of each live boot.
#[derive(Debug)]
pub(super) struct Watch {
    lease: Duration,
    seen: BTreeMap<BootId, Seen>,
}

#[derive(Debug)]
struct Seen {
    nonce: Nonce,
    /// How long the nonce stood still while we listened.
    still: Duration,
}

impl Watch {
    /// Makes a watch over leases that last for `lease`.
    pub(super) fn new(lease: Duration) -> Self {
        Self { lease, seen: BTreeMap::new() }
    }

    /// Takes what is seen now, `listened` after what was seen before, and returns who is dead: boots whose nonce
    /// stood still for the length of a lease.
    pub(super) fn observe(&mut self, leases: &[Lease], listened: Duration) -> Vec<(BootId, Nonce)> {
        let live = leases.iter().filter(|lease| lease.is_live());
        let mut seen = BTreeMap::new();
        for Lease { boot, nonce, .. } in live {
            let still = match self.seen.get(boot) {
                Some(before) if before.nonce == *nonce => before.still + listened,
                _ => Duration::ZERO,
            };
            seen.insert(*boot, Seen { nonce: *nonce, still });
        }
        self.seen = seen;
        let dead = self.seen.iter().filter(|(_, seen)| seen.still >= self.lease);
        dead.map(|(boot, seen)| (*boot, seen.nonce)).collect()
    }
}

#[cfg(test)]
mod tests {
    use rollcall_domain::time::Timestamp;
    use rollcall_store::port::Standing;

    use super::*;

    const LEASE: Duration = Duration::from_secs(36);
    const SECOND: Duration = Duration::from_secs(1);

    fn live(boot: u64, nonce: u64) -> Lease {
        Lease { boot: BootId(boot), nonce: Nonce(nonce), standing: Standing::Live }
    }

    /// Observes the same for so many seconds, and returns whether somebody is dead at the end.
    fn seconds(watch: &mut Watch, lease: Lease, count: u32) -> bool {
        (0..count).map(|_| watch.observe(&[lease], SECOND).len()).last() == Some(1)
    }

    // SPEC A11
    #[test]
    fn a_boot_is_dead_after_its_nonce_stood_still_for_a_lease_and_never_before() {
        let mut watch = Watch::new(LEASE);
        assert!(!seconds(&mut watch, live(1, 5), 36), "the first look only begins");
        assert_eq!(watch.observe(&[live(1, 5)], SECOND), [(BootId(1), Nonce(5))]);
    }

    #[test]
    fn another_nonce_begins_anew() {
        let mut watch = Watch::new(LEASE);
        assert!(!seconds(&mut watch, live(1, 5), 36));
        assert!(!seconds(&mut watch, live(1, 6), 36));
        assert!(seconds(&mut watch, live(1, 6), 1));
    }

    #[test]
    fn time_in_which_we_did_not_listen_is_not_counted() {
        let mut watch = Watch::new(LEASE);
        assert!(!seconds(&mut watch, live(1, 5), 36));
        assert_eq!(watch.observe(&[live(1, 5)], Duration::ZERO), []);
        assert!(seconds(&mut watch, live(1, 5), 1));
    }

    #[test]
    fn who_is_dead_retired_or_gone_is_not_judged() {
        let mut watch = Watch::new(LEASE);
        assert!(!seconds(&mut watch, live(1, 5), 36));
        for standing in [Standing::Dead(Timestamp(1)), Standing::Retired(Timestamp(1))] {
            assert_eq!(watch.observe(&[Lease { standing, ..live(1, 5) }], SECOND), []);
        }
        assert_eq!(watch.observe(&[live(1, 5)], SECOND), [], "seen anew");
        assert_eq!(watch.observe(&[], SECOND * 60), []);
    }
}
