//! Which gateways live (DESIGN section 4, Lease).
//!
//! A gateway's boot has a lease in the store, which each of its reports renews with a new nonce. An instance that
//! saw one nonce stand still for as long as a lease lasts, and was able to hear of it all that time, declares the
//! boot dead. Time in which this instance is deaf is not counted: nobody is declared dead for our own silence.
//!
//! `leases/watch.rs` is the rule, pure; this file is what it is fed with.

mod watch;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use parking_lot::Mutex;
use rollcall_bus::{Bus, Message, Subject};
use rollcall_domain::{
    code::{Code, Refusal},
    id::BootId,
};
use rollcall_proto::trace::TraceParent;
use rollcall_records::Error;
use rollcall_runtime::{Clock, Monotonic, rng};
use rollcall_store::{
    Store,
    port::{LEASES_MAX, Lease, Nonce, Opening, Renewal, TokenHash},
};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::watch::Watch;
use crate::{metrics::Metrics, quiet::Quiet};

/// How many times the leases are looked at while a bus or a report counts as heard.
const LOOKS_PER_LISTENING: u32 = 4;
/// How often another boot id is drawn where one is taken; of 2^64 none ever is.
const DRAWS: usize = 3;

/// The leases of all gateways. Clones are cheap and the same.
#[derive(Clone)]
pub(crate) struct Leases {
    store: Arc<dyn Store>,
    clock: Clock,
    known: Arc<Mutex<Vec<Lease>>>,
    /// When a report was last heard here, as [`Monotonic`].
    heard: Arc<AtomicU64>,
}

/// A gateway that is registered.
pub(crate) struct Registered {
    pub(crate) boot: BootId,
    /// What its reports have to show. Secret.
    pub(crate) token: [u8; 32],
}

impl Leases {
    pub(crate) fn new(store: Arc<dyn Store>, clock: Clock) -> Self {
        Self { store, clock, known: Arc::default(), heard: Arc::default() }
    }

    /// Opens the lease of a new boot; refused with 70169 while there are too many.
    pub(crate) async fn open(&self) -> Result<Registered, Error> {
        for _ in 0..DRAWS {
            let registered = Registered { boot: BootId(rng::nonzero_u64()), token: rng::key() };
            match self.store.open_lease(registered.boot, hash(&registered.token)).await? {
                Opening::Opened => return Ok(registered),
                Opening::Taken => {}
                Opening::Full => break,
            }
        }
        let message = format!("{LEASES_MAX} gateways are registered, expected fewer, try again");
        Err(Refusal::new(Code::ServerTimeout, message).into())
    }

    /// Renews the lease of a boot that reports.
    pub(crate) async fn renew(
        &self,
        boot: BootId,
        token: &[u8],
        nonce: u64,
    ) -> Result<Renewal, rollcall_store::Error> {
        self.heard.store(self.clock.monotonic().0, Ordering::Relaxed);
        self.store.renew_lease(boot, hash(token), Nonce(nonce)).await
    }

    /// Retires the lease of a boot that has nothing left to report.
    pub(crate) async fn retire(&self, boot: BootId, token: &[u8]) -> Result<(), rollcall_store::Error> {
        if self.store.retire_lease(boot, hash(token)).await? {
            info!("a gateway took its leave");
        }
        Ok(())
    }

    /// Returns the leases as they were last seen.
    pub(crate) fn known(&self) -> Vec<Lease> {
        self.known.lock().clone()
    }

    /// Reads the leases.
    pub(crate) async fn look(&self) -> Result<Vec<Lease>, rollcall_store::Error> {
        let leases = self.store.leases().await?;
        self.known.lock().clone_from(&leases);
        Ok(leases)
    }

    /// Forgets the lease of a boot of which nothing is left.
    pub(crate) async fn forget(&self, boot: BootId) {
        // What cannot be forgotten now is found again.
        if let Ok(true) = self.store.forget_lease(boot).await {
            info!("forgot a gateway that is dead or has left, nothing of it is left");
        }
    }
}

/// Declares gateways dead.
pub(crate) struct Undertaker {
    pub(crate) leases: Leases,
    pub(crate) bus: Arc<dyn Bus>,
    /// For how long a nonce may stand still.
    pub(crate) lease: Duration,
    /// How long ago a sign of the bus may be to count.
    pub(crate) listening: Duration,
    pub(crate) quiet: Quiet,
    pub(crate) metrics: Metrics,
}

impl Undertaker {
    /// Watches until `shutdown`.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let every = self.listening / LOOKS_PER_LISTENING;
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut watch = Watch::new(self.lease);
        let mut before = self.leases.clock.monotonic();
        let mut deaf = false;
        loop {
            if shutdown.run_until_cancelled(ticks.tick()).await.is_none() {
                return;
            }
            let (leases, hears) = tokio::join!(self.leases.look(), self.hears_the_bus());
            let now = self.leases.clock.monotonic();
            let passed = now.since(before);
            before = now;
            // A turn that took too long was a pause of ours, of whatever kind.
            let listened = hears && leases.is_ok() && passed < every + self.listening;
            if deaf == listened {
                deaf = !listened;
                if deaf {
                    warn!(?passed, bus = hears, store = leases.is_ok(), "deaf, gateways are not judged");
                } else {
                    info!("hearing again");
                }
            }
            let Ok(leases) = leases else { continue };
            self.quiet.look(&leases);
            let is_quiet = self.quiet.is_now();
            let counted = if listened && !is_quiet { passed } else { Duration::ZERO };
            for (boot, nonce) in watch.observe(&leases, counted) {
                if !is_quiet {
                    self.declare_dead(boot, nonce).await;
                }
            }
        }
    }

    async fn declare_dead(&self, boot: BootId, nonce: Nonce) {
        match self.leases.store.kill_lease(boot, nonce).await {
            Ok(true) => {
                self.metrics.dead.inc();
                warn!(lease = ?self.lease, "a gateway has not reported for the length of a lease, it is dead");
            }
            Ok(false) => {}
            Err(error) => warn!(%error, "could not declare a gateway dead, trying again"),
        }
    }

    /// Says whether reports could reach us: one did a moment ago, or the bus brings what is asked over it.
    async fn hears_the_bus(&self) -> bool {
        let heard = Monotonic(self.leases.heard.load(Ordering::Relaxed));
        if heard != Monotonic::default() && self.leases.clock.monotonic().since(heard) < self.listening {
            return true;
        }
        let (trace, payload) = (TraceParent::default(), Bytes::new());
        let ping = Message { subject: Subject::Heartbeat, trace, payload };
        self.bus.request(ping, self.listening).await.is_ok()
    }
}

pub(crate) fn hash(token: &[u8]) -> TokenHash {
    let mut hash = [0; TokenHash::LENGTH];
    hash.copy_from_slice(digest(&SHA256, token).as_ref());
    TokenHash(hash)
}
