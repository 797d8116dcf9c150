//! The boots of gateways whose sessions this instance sweeps.
//!
//! Invariant: a boot is remembered before a session of it is stored. One that was silent for long and has no
//! timers left is forgotten.

use std::{collections::BTreeMap, time::Duration};

use parking_lot::Mutex;
use rollcall_domain::{
    code::{Code, Refusal},
    id::BootId,
};
use rollcall_runtime::{Monotonic, rng};

/// The greatest number of boots; a gateway beyond it is refused and tries again. Far more than gateways there
/// are: it holds off one that restarts without end.
const BOOTS_MAX: usize = 4_096;

/// The boots, each with when it was last heard of.
#[derive(Debug, Default)]
pub(crate) struct Boots(Mutex<BTreeMap<BootId, Monotonic>>);

impl Boots {
    /// Draws a new boot and remembers it; refused with 70169 if there are too many.
    pub(crate) fn register(&self, now: Monotonic) -> Result<BootId, Refusal> {
        let boot = BootId(rng::nonzero_u64());
        self.remember(boot, now)?;
        Ok(boot)
    }

    /// Remembers that a boot was heard of; refused with 70169 if it is new and there are too many.
    pub(crate) fn remember(&self, boot: BootId, now: Monotonic) -> Result<(), Refusal> {
        let mut boots = self.0.lock();
        if boots.len() >= BOOTS_MAX && !boots.contains_key(&boot) {
            return Err(Refusal::new(
                Code::ServerTimeout,
                format!("{BOOTS_MAX} boots of gateways are known, expected fewer, try again"),
            ));
        }
        boots.insert(boot, now);
        Ok(())
    }

    /// Lists all boots.
    pub(crate) fn all(&self) -> Vec<BootId> {
        self.0.lock().keys().copied().collect()
    }

    /// Lists the boots that nothing was heard of for this long.
    pub(crate) fn silent(&self, silence: Duration, now: Monotonic) -> Vec<BootId> {
        let boots = self.0.lock();
        boots.iter().filter(|(_, heard)| now.since(**heard) > silence).map(|(boot, _)| *boot).collect()
    }

    /// Forgets a boot, unless it was heard of again.
    pub(crate) fn forget_silent(&self, boot: BootId, silence: Duration, now: Monotonic) {
        let mut boots = self.0.lock();
        if boots.get(&boot).is_some_and(|heard| now.since(*heard) > silence) {
            boots.remove(&boot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_boot_heard_of_while_it_was_to_be_forgotten_stays() {
        let boots = Boots::default();
        let start = Monotonic(0);
        let boot = boots.register(start).unwrap();
        let late = start.plus(MINUTE * 2);
        assert_eq!(boots.silent(MINUTE, late), [boot]);
        boots.remember(boot, late).unwrap();
        boots.forget_silent(boot, MINUTE, late);
        assert_eq!(boots.all(), [boot]);
        boots.forget_silent(boot, MINUTE, late.plus(MINUTE * 2));
        assert_eq!(boots.all(), []);
    }

    #[test]
    fn boots_beyond_the_limit_are_refused_and_known_ones_are_not() {
        let boots = Boots::default();
        for number in 1..=BOOTS_MAX as u64 {
            boots.remember(BootId(number), Monotonic(0)).unwrap();
        }
        assert_eq!(boots.register(Monotonic(0)).unwrap_err().code, Code::ServerTimeout);
        boots.remember(BootId(1), Monotonic(1)).unwrap();
    }
}
