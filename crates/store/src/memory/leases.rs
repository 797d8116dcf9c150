//! The leases of boots, without locks and without a clock.

use std::collections::{BTreeMap, btree_map::Entry as Slot};

use rollcall_domain::{id::BootId, time::Timestamp};

use crate::port::{LEASES_MAX, Lease, Nonce, Opening, Renewal, Standing, TokenHash};

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
                slot.insert(Held {
                    token,
                    lease: Lease { boot, nonce: Nonce::default(), standing: Standing::Live },
                });
                Opening::Opened
            }
        }
    }

    /// Writes the nonce of a report.
    pub(super) fn renew(&mut self, boot: BootId, token: TokenHash, nonce: Nonce) -> Renewal {
        match self.0.get_mut(&boot) {
            None => Renewal::Dead,
            Some(held) if held.token != token => Renewal::WrongToken,
            Some(held) if !held.lease.is_live() => Renewal::Dead,
            Some(held) => {
                held.lease.nonce = nonce;
                Renewal::Live
            }
        }
    }

    /// Retires the lease by its token; false if that is another one.
    pub(super) fn retire(&mut self, boot: BootId, token: TokenHash, now: Timestamp) -> bool {
        let Some(held) = self.0.get_mut(&boot) else { return true };
        if held.token != token {
            return false;
        }
        if held.lease.is_live() {
            held.lease.standing = Standing::Retired(now);
        }
        true
    }

    /// Lists all leases in the order of the boots.
    pub(super) fn all(&self) -> Vec<Lease> {
        self.0.values().map(|held| held.lease).collect()
    }

    /// Kills a live lease that has this nonce, and says whether it did.
    pub(super) fn kill(&mut self, boot: BootId, nonce: Nonce, now: Timestamp) -> bool {
        let held = self.0.get_mut(&boot).map(|held| &mut held.lease);
        let Some(lease) = held.filter(|lease| lease.is_live() && lease.nonce == nonce) else {
            return false;
        };
        lease.standing = Standing::Dead(now);
        true
    }

    /// Forgets a lease that is not live, and says whether it did.
    pub(super) fn forget(&mut self, boot: BootId) -> bool {
        let is_over = self.0.get(&boot).is_some_and(|held| !held.lease.is_live());
        is_over && self.0.remove(&boot).is_some()
    }
}
