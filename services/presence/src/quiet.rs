//! The quiet time after a new epoch of the store (DESIGN section 4): what it holds may be of a while ago, so nobody is
//! judged by it before gateways have told what they know. Until then sessions are held again and end by what their
//! gateways tell, and by nothing else: no deadline passes, no gateway dies, no custom status clears, none is raised.
//!
//! Nothing of it is stored. Each instance knows the epoch of its own connection to the store, and so learns of another one
//! before it reads anything that is of it. One that starts with a store which was just started itself learns it from
//! gateways: their reports name the epoch that they knew. `quiet/rule.rs` is the rule, pure.

mod rule;

use std::sync::Arc;

use parking_lot::Mutex;
use rollcall_domain::epoch::Epoch;
use rollcall_runtime::Clock;
use rollcall_store::{Store, port::Lease};
use tracing::{info, warn};

use self::rule::{End, Rule};
use crate::{Config, metrics::Metrics};

/// The quiet time of this instance. Clones are the same.
#[derive(Clone)]
pub(crate) struct Quiet {
    store: Arc<dyn Store>,
    clock: Clock,
    rule: Arc<Mutex<Rule>>,
    metrics: Metrics,
}

impl Quiet {
    /// Makes it for an instance that starts now.
    pub(crate) fn new(config: &Config, store: Arc<dyn Store>, clock: Clock, metrics: Metrics) -> Self {
        let (most, pause) = (config.epoch_wait, config.listening);
        let rule = Rule::new(most, pause, store.epoch(), clock.monotonic());
        Self { store, clock, rule: Arc::new(Mutex::new(rule)), metrics }
    }

    /// Says whether nobody is to be judged now. To be asked once what one is judged by was read, since that may have waited
    /// for a connection that leads into a new epoch; what is decided upon it then counts for that record only.
    pub(crate) fn is_now(&self) -> bool {
        let now = self.clock.monotonic();
        let mut rule = self.rule.lock();
        let is_new = rule.see(self.store.epoch(), now);
        let end = rule.end(now);
        let is_now = rule.is_quiet();
        drop(rule);
        if is_new {
            self.began("its connection or its server is another one");
        }
        if let Some(End { lasted, waits }) = end {
            self.metrics.lost.quiet.set(0);
            info!(?lasted, gateways_silent = waits, "gateways have told what they know, judging again");
        }
        is_now
    }

    /// Returns the epoch of the store, as a gateway is told it.
    pub(crate) fn epoch(&self) -> Epoch {
        self.store.epoch()
    }

    /// Takes from a report which epoch its gateway knew, and whether it asserts sessions.
    pub(crate) fn reported(&self, known: Option<Epoch>, asserts: bool) {
        // First: the gateway may know of an epoch that began just now.
        self.is_now();
        let now = self.clock.monotonic();
        let mut rule = self.rule.lock();
        if asserts {
            rule.asserted(now);
        }
        let begins = known.is_some_and(|known| rule.told(known, now));
        drop(rule);
        if begins {
            self.began("a gateway knew another one, before this process started");
        }
    }

    /// Takes the leases as they are now.
    pub(crate) fn look(&self, leases: &[Lease]) {
        self.rule.lock().look(leases);
    }

    fn began(&self, reason: &'static str) {
        self.metrics.lost.epochs.inc();
        self.metrics.lost.quiet.set(1);
        warn!(
            reason,
            "the store is in a new epoch and may have lost what it acknowledged, nobody is judged for a while"
        );
    }
}

#[cfg(test)]
mod tests;
