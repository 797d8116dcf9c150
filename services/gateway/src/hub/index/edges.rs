//! The two ends of an edge, 8 bytes each: who is at the other end, and at which place of the other's list.
//!
//! Invariant: where `targets[i]` of `a` leads to place `j` of `b`, `watchers[j]` of `b` leads to place `i` of `a`. So an
//! edge that is known at one end is removed at both without a search.

use super::UserSlot;

/// The bits of a slot that leave room for the kinds of an edge: a billion users, more than memory holds.
const SLOT_BITS: u32 = 30;
/// An end list grows by this part of its length, so that no more than that lies idle.
const GROWTH: usize = 4;
/// The least by which an end list grows, and what may lie idle in the shortest.
const GROWTH_LEAST: usize = 4;

/// Why a user watches another; the same edge can have both kinds (SPEC F2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Kinds(u32);

impl Kinds {
    /// No kind: there is no edge.
    pub(crate) const NONE: Self = Self(0);
    /// The target is on the watcher's subscription list.
    pub(crate) const SUBSCRIPTION: Self = Self(1 << SLOT_BITS);
    /// The target is a friend of the watcher.
    pub(crate) const FRIEND: Self = Self(2 << SLOT_BITS);

    const ALL: u32 = 3 << SLOT_BITS;

    /// Returns the kinds of both.
    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the kinds that the other does not have.
    pub(crate) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Says whether there is a kind that both have.
    pub(crate) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// An edge as its watcher holds it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    /// The kinds in the two high bits, the slot in the others.
    packed: u32,
    /// The place of this edge among the target's watchers.
    pub(super) place: u32,
}

impl Target {
    pub(super) fn new(slot: UserSlot, kinds: Kinds, place: u32) -> Self {
        Self { packed: slot | kinds.0, place }
    }

    /// Returns who is watched.
    pub(crate) fn slot(self) -> UserSlot {
        self.packed & !Kinds::ALL
    }

    /// Says why.
    pub(crate) fn kinds(self) -> Kinds {
        Kinds(self.packed & Kinds::ALL)
    }

    pub(super) fn set_kinds(&mut self, kinds: Kinds) {
        self.packed = self.slot() | kinds.0;
    }
}

/// An edge as its target holds it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watcher {
    /// Who watches.
    pub(crate) slot: UserSlot,
    /// The place of this edge among the watcher's targets.
    pub(crate) place: u32,
}

/// Adds an end to a list, and returns its place.
pub(super) fn push<T>(ends: &mut Vec<T>, end: T) -> u32 {
    if ends.len() == ends.capacity() {
        ends.reserve_exact(slack(ends.len()));
    }
    ends.push(end);
    // A list is no longer than there are slots.
    u32::try_from(ends.len() - 1).unwrap_or(u32::MAX)
}

/// Removes the end at a place, to which the last one moves. Returns the one removed.
pub(super) fn swap_remove<T: Copy>(ends: &mut Vec<T>, place: u32) -> T {
    let removed = ends.swap_remove(place as usize);
    if ends.capacity() > ends.len() + 2 * slack(ends.len()) {
        ends.shrink_to(ends.len() + slack(ends.len()));
    }
    removed
}

/// Returns how much room a list of some length may have beyond it.
fn slack(length: usize) -> usize {
    (length / GROWTH).max(GROWTH_LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_takes_8_bytes_at_each_end() {
        assert_eq!((size_of::<Target>(), size_of::<Watcher>()), (8, 8));
    }

    #[test]
    fn a_target_keeps_its_slot_whatever_its_kinds() {
        let both = Kinds::SUBSCRIPTION.and(Kinds::FRIEND);
        for slot in [0, 1, (1 << SLOT_BITS) - 1] {
            let mut target = Target::new(slot, both, 7);
            assert_eq!((target.slot(), target.kinds()), (slot, both));
            target.set_kinds(both.without(Kinds::SUBSCRIPTION));
            assert_eq!((target.slot(), target.kinds(), target.place), (slot, Kinds::FRIEND, 7));
        }
    }

    #[test]
    fn a_list_never_has_much_more_room_than_it_needs() {
        let mut ends: Vec<u64> = Vec::new();
        let bounded = |ends: &Vec<u64>| ends.capacity() <= ends.len() + 2 * slack(ends.len());
        for end in 0..3_000 {
            assert_eq!(push(&mut ends, end), u32::try_from(end).unwrap());
            assert!(bounded(&ends));
        }
        while !ends.is_empty() {
            swap_remove(&mut ends, 0);
            assert!(bounded(&ends), "{} of {}", ends.len(), ends.capacity());
        }
    }
}
