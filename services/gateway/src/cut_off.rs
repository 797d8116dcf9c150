//! What a gateway does that is cut off from presence: it is not ready, and asks its clients to move to another one
//! (DESIGN section 4). Who can't move stays and is served as far as that goes; when reports are answered again, those that
//! were not asked yet are not.
//!
//! `cut_off/rule.rs` is the rule, pure; this file is what it is fed with and what is done for it.

mod rule;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use rollcall_runtime::ops;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::rule::{Rule, Turn};
use crate::{Gateway, service::TICK};

/// What reports and the edge share with the watch over them.
#[derive(Debug, Default)]
pub(crate) struct Contact {
    /// Whether a report was answered since the watch looked.
    answered: AtomicBool,
    cut_off: AtomicBool,
}

impl Contact {
    /// Notes that a report was answered.
    pub(crate) fn answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    /// Says whether no report was answered for so long that no client should come here.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.cut_off.load(Ordering::Relaxed)
    }
}

/// Watches until `shutdown` whether reports are answered.
pub(crate) async fn run(gateway: Arc<Gateway>, ready: ops::Part, shutdown: CancellationToken) {
    let window = gateway.config.drain;
    let mut rule = Rule::new(gateway.config.cut_off_after, window);
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = gateway.clock.monotonic();
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        let now = gateway.clock.monotonic();
        let passed = now.since(before);
        before = now;
        match rule.turn(gateway.contact.answered.swap(false, Ordering::Relaxed), passed) {
            Turn::Nothing => {}
            Turn::Begun => {
                gateway.contact.cut_off.store(true, Ordering::Relaxed);
                ready.not_ready("cut off from presence");
                gateway.metrics.cut_offs.inc();
                let (sessions, users) = gateway.hub.counts();
                let unanswered = gateway.config.cut_off_after;
                warn!(sessions, users, ?unanswered, ?window, "cut off from presence, asking clients to move");
            }
            Turn::Slice { left } => {
                let asked = gateway.hub.ask_to_move(left, rule.slice(), now);
                gateway.metrics.asked_to_move.inc_by(asked);
            }
            Turn::Healed => {
                gateway.contact.cut_off.store(false, Ordering::Relaxed);
                ready.ready();
                gateway.hub.stop_asking();
                let (sessions, users) = gateway.hub.counts();
                info!(sessions, users, "presence answers again, clients may stay");
            }
        }
    }
}
