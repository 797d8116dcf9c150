//! Random steps of leases, for property tests, and a small model of what they come to.

use std::collections::BTreeMap;

use rollcall_domain::id::BootId;

use super::Tested;
use crate::port::{Nonce, Opening, Renewal, TokenHash};

/// How many boots steps speak of, from 0.
pub const BOOTS: u8 = 3;

/// One step of the lease of a boot. Tokens and nonces are few; the nonce 0 is that of a lease without a report.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "a step has the fields of the call that it is")]
pub enum Step {
    /// The lease is opened.
    Open { boot: u8, token: u8 },
    /// The lease is renewed.
    Renew { boot: u8, token: u8, nonce: u8 },
    /// The lease ends by its token.
    Retire { boot: u8, token: u8 },
    /// The lease is killed.
    Kill { boot: u8, nonce: u8 },
    /// The lease is forgotten.
    Forget { boot: u8 },
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    Opening(Opening),
    Renewal(Renewal),
    Done(bool),
}

/// A lease as it is compared: boot, nonce, and whether it is dead.
pub(super) type Seen = (BootId, Nonce, bool);

impl Step {
    /// Takes the step in a store.
    pub(super) async fn play(self, store: &Tested) -> Reply {
        let reply = match self {
            Self::Open { boot, token } => {
                store.open_lease(self::boot(boot), hash(token)).await.map(Reply::Opening)
            }
            Self::Renew { boot, token, nonce } => {
                let renewal = store.renew_lease(self::boot(boot), hash(token), self::nonce(nonce)).await;
                renewal.map(Reply::Renewal)
            }
            Self::Retire { boot, token } => {
                store.retire_lease(self::boot(boot), hash(token)).await.map(Reply::Done)
            }
            Self::Kill { boot, nonce } => {
                store.kill_lease(self::boot(boot), self::nonce(nonce)).await.map(Reply::Done)
            }
            Self::Forget { boot } => store.forget_lease(self::boot(boot)).await.map(Reply::Done),
        };
        reply.expect("the store takes steps of leases")
    }
}

/// Reads all leases.
pub(super) async fn seen(store: &Tested) -> Vec<Seen> {
    let leases = store.leases().await.expect("the store lists leases");
    leases.iter().map(|lease| (lease.boot, lease.nonce, lease.dead_since.is_some())).collect()
}

/// What leases ought to be: token, nonce, and whether it is dead.
#[derive(Default)]
pub(super) struct Model(BTreeMap<u8, (u8, u8, bool)>);

impl Model {
    /// Takes the step.
    pub(super) fn play(&mut self, step: Step) -> Reply {
        match step {
            Step::Open { boot, .. } if self.0.contains_key(&boot) => Reply::Opening(Opening::Taken),
            Step::Open { boot, token } => {
                self.0.insert(boot, (token, 0, false));
                Reply::Opening(Opening::Opened)
            }
            Step::Renew { boot, token, nonce } => Reply::Renewal(match self.0.get_mut(&boot) {
                Some((known, ..)) if *known != token => Renewal::WrongToken,
                Some((_, last, false)) => {
                    *last = nonce;
                    Renewal::Live
                }
                _ => Renewal::Dead,
            }),
            Step::Retire { boot, token } => Reply::Done(match self.0.get_mut(&boot) {
                Some((known, ..)) if *known != token => false,
                Some((.., is_dead)) => {
                    *is_dead = true;
                    true
                }
                None => true,
            }),
            Step::Kill { boot, nonce } => Reply::Done(match self.0.get_mut(&boot) {
                Some((_, last, is_dead)) if !*is_dead && *last == nonce => {
                    *is_dead = true;
                    true
                }
                _ => false,
            }),
            Step::Forget { boot } => {
                let is_dead = self.0.get(&boot).is_some_and(|(.., is_dead)| *is_dead);
                Reply::Done(is_dead && self.0.remove(&boot).is_some())
            }
        }
    }

    /// Lists all leases.
    pub(super) fn seen(&self) -> Vec<Seen> {
        let seen = |(at, (_, last, is_dead)): (&u8, &(u8, u8, bool))| (boot(*at), nonce(*last), *is_dead);
        self.0.iter().map(seen).collect()
    }
}

/// Names a boot.
fn boot(boot: u8) -> BootId {
    BootId(100 + u64::from(boot))
}

fn hash(token: u8) -> TokenHash {
    TokenHash([token; TokenHash::LENGTH])
}

fn nonce(nonce: u8) -> Nonce {
    Nonce(u64::from(nonce))
}
