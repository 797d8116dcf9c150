//! What a gateway's list of its sessions and the timers of its boot say about each other: pure.

use std::collections::BTreeSet;

use rollcall_store::port::TimerId;

/// The sessions that a gateway has in a partition, as it was when the list was made.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// The greatest counter of which the list speaks.
    pub(super) upto: u64,
    /// The sessions whose connections are open.
    pub(super) open: BTreeSet<TimerId>,
    /// The counters of those whose end is on its way.
    pub(super) ending: BTreeSet<u64>,
}

/// What is to become of sessions about which a list and the timers do not agree.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Judged {
    /// They have a connection and no timer: their gateway is to assert them.
    pub(super) missing: Vec<TimerId>,
    /// They have a timer, and no connection any more: they end, once none is missing.
    pub(super) absent: Vec<TimerId>,
}

impl Listed {
    /// Compares the list with the timers of its boot in its partition, all of them or some. The timers may be read long
    /// after the list was made: what is absent in it is over for good.
    pub(super) fn judge(&self, timers: &BTreeSet<TimerId>) -> Judged {
        Judged {
            missing: self.open.difference(timers).copied().collect(),
            absent: timers.difference(&self.open).filter(|id| self.is_over(id)).copied().collect(),
        }
    }

    /// Says whether a session that is not open is over for good.
    fn is_over(&self, id: &TimerId) -> bool {
        id.session()
            .is_some_and(|session| session.counter <= self.upto && !self.ending.contains(&session.counter))
    }
}

#[cfg(test)]
mod tests;
