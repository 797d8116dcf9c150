//! Who this gateway is to presence: a boot with a lease. A boot that is dead never lives again; the gateway then
//! takes a new one, and its sessions go on under new ids (DESIGN section 4).

use std::{fmt, time::Duration};

use parking_lot::RwLock;
use rollcall_domain::{
    id::{BootId, SessionId},
    partition::Partitions,
};
use rollcall_proto::{gateway::v1::RegisterResponse, missed::Missed};
use rollcall_runtime::backoff::Backoff;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::Gateway;

/// The first wait before registering again.
const REGISTER_FIRST: Duration = Duration::from_millis(50);
/// The longest wait before registering again.
const REGISTER_MOST: Duration = Duration::from_secs(2);

/// A boot of this gateway. Its text form does not show the token.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Boot {
    /// Its id; 0 before registration, when no client is served.
    pub(crate) id: u64,
    /// What its reports show. Secret.
    pub(crate) token: Vec<u8>,
    /// The boot before; 0 for none.
    pub(crate) former: u64,
    /// How users are spread; `None` before registration.
    pub(crate) partitions: Option<Partitions>,
}

impl fmt::Debug for Boot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Boot").field("id", &self.id).field("former", &self.former).finish_non_exhaustive()
    }
}

/// The boot of this gateway, of which there is one at a time.
#[derive(Debug, Default)]
pub(crate) struct Registration(RwLock<Boot>);

impl Gateway {
    /// Says whether clients should come here; else why not.
    pub(crate) fn is_ready(&self) -> Result<(), &'static str> {
        match self.boot() {
            0 => Err("not registered with presence"),
            _ if self.contact.is_cut_off() => Err("cut off from presence"),
            _ => Ok(()),
        }
    }

    /// Returns the boot id; 0 before registration, when no client is served.
    pub(crate) fn boot(&self) -> u64 {
        self.registration.0.read().id
    }

    /// Returns the boot with all that its reports show.
    pub(crate) fn registered(&self) -> Boot {
        self.registration.0.read().clone()
    }

    /// Makes the id that a login here has now.
    pub(crate) fn session(&self, counter: u64) -> SessionId {
        SessionId { boot: BootId(self.boot()), counter }
    }

    /// Registers with presence, trying again with back-off. Says whether that came before the shutdown.
    pub(crate) async fn register(&self, shutdown: &CancellationToken) -> bool {
        let mut backoff = Backoff::new(REGISTER_FIRST, REGISTER_MOST);
        loop {
            let asked = self.clock.monotonic();
            match self.backend.register().await {
                Ok(RegisterResponse { boot: id, token, store_now, partitions }) => {
                    self.hear_store(store_now, asked);
                    let partitions = u16::try_from(partitions).ok().and_then(Partitions::new);
                    let mut boot = self.registration.0.write();
                    *boot = Boot { id, token, former: boot.id, partitions };
                    return true;
                }
                Err(refusal) => {
                    warn!(code = %refusal.code, reason = %refusal.message, "could not register with presence, trying again");
                }
            }
            tokio::select! {
                () = backoff.pause() => {}
                () = shutdown.cancelled() => return false,
            }
        }
    }

    /// Takes a new boot after presence declared ours dead: sessions are asserted under it, and all that is shown is
    /// read again, for what became of our users meanwhile was told of the old one.
    pub(crate) async fn be_reborn(&self, shutdown: &CancellationToken) {
        let (sessions, users) = self.hub.counts();
        warn!(sessions, users, "presence holds this gateway for dead, registering anew");
        if self.register(shutdown).await {
            self.hub.assert_all();
            info!(sessions, "registered anew");
            self.resync.ask(Missed::Everything);
        }
    }
}
