//! Leases: which boots of gateways are live.
//!
//! A gateway that registers opens the lease of its boot, and each of its reports renews it with a nonce. Whoever
//! saw one nonce stand still for too long kills the lease at that nonce, so that a report that came first saves
//! it. A gateway that stops in order retires its lease. One that is dead or retired never lives again; what is left of
//! its boot is removed, and then it is forgotten.

use std::fmt;

use rollcall_domain::{id::BootId, time::Timestamp};

/// The greatest number of leases, dead and retired ones included; one more is refused with [`Opening::Full`]. Far more than
/// there are gateways: it holds off one that registers without end.
pub const LEASES_MAX: usize = 4_096;

/// The SHA-256 of a lease token: 32 bytes that the store compares and does not understand.
///
/// The service hashes, for the store cannot compare in constant time (a script on Redis has no such means). How
/// long a comparison takes may tell where two hashes begin to differ, from which no token follows; nor does one
/// from a copy of the store. Its text form shows nothing of it all the same.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash(pub [u8; Self::LENGTH]);

impl TokenHash {
    /// The length in bytes.
    pub const LENGTH: usize = 32;
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenHash").finish_non_exhaustive()
    }
}

/// Tells a boot's reports apart. It is only ever compared for being the same; 0 before the first report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Nonce(pub u64);

/// The lease of one boot of a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The boot.
    pub boot: BootId,
    /// The nonce of its last report while it was live; 0 if there was none.
    pub nonce: Nonce,
    /// Whether it is live.
    pub standing: Standing,
}

/// How a lease stands. Times are by the store's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its gateway reports.
    Live,
    /// Its gateway took its leave: all its sessions have ended, or live on for a set time, since this one at most.
    Retired(Timestamp),
    /// Its gateway was declared dead, and its sessions with it.
    Dead(Timestamp),
}

impl Lease {
    /// Says whether the lease is live.
    pub fn is_live(&self) -> bool {
        self.standing == Standing::Live
    }
}

/// What opening a lease came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// The boot has a lease now, and is live.
    Opened,
    /// The boot had one already, live or not; nothing was changed.
    Taken,
    /// There are [`LEASES_MAX`] leases; nothing was changed. It helps to forget dead ones.
    Full,
}

/// What renewing a lease came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// The boot is live, and its lease has the nonce.
    Live,
    /// The boot is dead or retired, or not known: it may have been forgotten. Nothing was changed.
    Dead,
    /// The token is not that of the boot's lease, live or not; nothing was changed.
    WrongToken,
}
