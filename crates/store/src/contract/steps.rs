//! Random steps of leases, for property tests, and a small model of what they come to.

use std::{
    collections::BTreeMap,
    mem::{Discriminant, discriminant},
};

use rollcall_domain::{id::BootId, time::Timestamp};

use super::Tested;
use crate::port::{Nonce, Opening, Renewal, Standing, TokenHash};

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
    /// The lease is retired.
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

/// A lease as it is compared: boot, nonce, and how it stands but not since when.
pub(super) type Seen = (BootId, Nonce, Discriminant<Standing>);

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
    leases.iter().map(|lease| (lease.boot, lease.nonce, discriminant(&lease.standing))).collect()
}

/// What leases ought to be: token, nonce, and how it stands, at no time.
#[derive(Default)]
pub(super) struct Model(BTreeMap<u8, (u8, u8, Standing)>);

const DEAD: Standing = Standing::Dead(Timestamp(0));
const RETIRED: Standing = Standing::Retired(Timestamp(0));

impl Model {
    /// Takes the step.
    pub(super) fn play(&mut self, step: Step) -> Reply {
        match step {
            Step::Open { boot, .. } if self.0.contains_key(&boot) => Reply::Opening(Opening::Taken),
            Step::Open { boot, token } => {
                self.0.insert(boot, (token, 0, Standing::Live));
                Reply::Opening(Opening::Opened)
            }
            Step::Renew { boot, token, nonce } => Reply::Renewal(match self.0.get_mut(&boot) {
                Some((known, ..)) if *known != token => Renewal::WrongToken,
                Some((_, last, Standing::Live)) => {
                    *last = nonce;
                    Renewal::Live
                }
                _ => Renewal::Dead,
            }),
            Step::Retire { boot, token } => Reply::Done(match self.0.get_mut(&boot) {
                Some((known, ..)) if *known != token => false,
                Some((.., standing)) => {
                    if *standing == Standing::Live {
                        *standing = RETIRED;
                    }
                    true
                }
                None => true,
            }),
            Step::Kill { boot, nonce } => Reply::Done(match self.0.get_mut(&boot) {
                Some((_, last, standing)) if *standing == Standing::Live && *last == nonce => {
                    *standing = DEAD;
                    true
                }
                _ => false,
            }),
            Step::Forget { boot } => {
                let is_over = self.0.get(&boot).is_some_and(|(.., standing)| *standing != Standing::Live);
                Reply::Done(is_over && self.0.remove(&boot).is_some())
            }
        }
    }

    /// Lists all leases.
    pub(super) fn seen(&self) -> Vec<Seen> {
        let leases = self.0.iter();
        leases.map(|(at, (_, last, standing))| (boot(*at), nonce(*last), discriminant(standing))).collect()
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
