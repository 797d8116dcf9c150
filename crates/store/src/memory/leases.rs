//! The leases of boots, without locks and without a clock.

use std::collections::{BTreeMap, btree_map::Entry as Slot};

use rollcall_domain::{id::BootId, time::Timestamp};

use crate::port::{LEASES_MAX, Lease, Nonce, Opening, Renewal, TokenHash};

/// Leases by boot, [`LEASES_MAX`] at most.
#[derive(Default)]
pub(super) struct Leases(BTreeMap<BootId, Held>);

/// A lease with the token that renews it.
struct Held {
    token: TokenHash,
    lease: Lease,
}

impl Leases {
    /// Opens the lease of a new boot.
    pub(super) fn open(&mut self, boot: BootId, token: TokenHash) -> Opening {
        let count = self.0.len();
        match self.0.entry(boot) {
            Slot::Occupied(_) => Opening::Taken,
            Slot::Vacant(_) if count >= LEASES_MAX => Opening::Full,
            Slot::Vacant(slot) => {
                slot.insert(Held { token, lease: Lease { boot, nonce: Nonce::default(), dead_since: None } });
                Opening::Opened
            }
        }
    }

    /// Writes the nonce of a report.
    pub(super) fn renew(&mut self, boot: BootId, token: TokenHash, nonce: Nonce) -> Renewal {
        match self.0.get_mut(&boot) {
            None => Renewal::Dead,
            Some(held) if held.token != token => Renewal::WrongToken,
            Some(held) if held.lease.dead_since.is_some() => Renewal::Dead,
            Some(held) => {
                held.lease.nonce = nonce;
                Renewal::Live
            }
        }
    }

    /// Ends the lease by its token; false if that is another one.
    pub(super) fn retire(&mut self, boot: BootId, token: TokenHash, now: Timestamp) -> bool {
        let Some(held) = self.0.get_mut(&boot) else { return true };
        if held.token != token {
            return false;
        }
        held.lease.dead_since.get_or_insert(now);
        true
    }

    /// Lists all leases in the order of the boots.
    pub(super) fn all(&self) -> Vec<Lease> {
        self.0.values().map(|held| held.lease).collect()
    }

    /// Kills a live lease that has this nonce, and says whether it did.
    pub(super) fn kill(&mut self, boot: BootId, nonce: Nonce, now: Timestamp) -> bool {
        let held = self.0.get_mut(&boot).map(|held| &mut held.lease);
        let Some(lease) = held.filter(|lease| lease.dead_since.is_none() && lease.nonce == nonce) else {
            return false;
        };
        lease.dead_since = Some(now);
        true
    }

    /// Forgets a dead lease, and says whether it did.
    pub(super) fn forget(&mut self, boot: BootId) -> bool {
        let is_dead = self.0.get(&boot).is_some_and(|held| held.lease.dead_since.is_some());
        is_dead && self.0.remove(&boot).is_some()
    }
}
