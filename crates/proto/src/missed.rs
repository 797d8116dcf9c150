//! What may have changed without having been heard: found by notifiers, read again by gateways.

use std::collections::BTreeSet;

use rollcall_domain::partition::Partition;

use crate::notifier::v1::Resync;

/// Whose changes may have been missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missed {
    /// Anybody's.
    Everything,
    /// Those of the users of some partitions.
    Of(BTreeSet<Partition>),
}

impl Default for Missed {
    /// Nobody's.
    fn default() -> Self {
        Self::Of(BTreeSet::new())
    }
}

impl Missed {
    /// Says whether it is nobody's.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Adds what else was missed.
    pub fn add(&mut self, other: Self) {
        match (&mut *self, other) {
            (Self::Of(partitions), Self::Of(others)) => partitions.extend(others),
            (Self::Everything, _) => {}
            (_, Self::Everything) => *self = Self::Everything,
        }
    }

    /// Reads it; a number beyond those of partitions names none.
    pub fn from_wire(resync: &Resync) -> Self {
        if resync.everything {
            return Self::Everything;
        }
        let partitions = resync.partitions.iter();
        Self::Of(partitions.filter_map(|partition| u16::try_from(*partition).ok().map(Partition)).collect())
    }

    /// Writes it.
    pub fn to_wire(&self) -> Resync {
        match self {
            Self::Everything => Resync { everything: true, partitions: Vec::new() },
            Self::Of(partitions) => Resync {
                everything: false,
                partitions: partitions.iter().map(|partition| u32::from(partition.0)).collect(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(partitions: &[u16]) -> Missed {
        Missed::Of(partitions.iter().copied().map(Partition).collect())
    }

    #[test]
    fn what_was_missed_adds_up() {
        let mut missed = Missed::default();
        assert!(missed.is_nothing());
        missed.add(of(&[1]));
        missed.add(of(&[2, 1]));
        assert_eq!(missed, of(&[1, 2]));
        missed.add(Missed::Everything);
        missed.add(of(&[3]));
        assert_eq!(missed, Missed::Everything);
        assert!(!missed.is_nothing());
    }

    #[test]
    fn it_survives_the_wire() {
        for missed in [Missed::Everything, Missed::default(), of(&[0, 7, u16::MAX])] {
            assert_eq!(Missed::from_wire(&missed.to_wire()), missed);
        }
        let beyond = Resync { everything: false, partitions: vec![5, 65_536] };
        assert_eq!(Missed::from_wire(&beyond), of(&[5]));
    }
}
