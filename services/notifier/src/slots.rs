//! What waits for one gateway: one slot for each user and kind, in which the latest version wins. Pure.
//!
//! Bounded by four slots for each user of the gateway's interest. A slot keeps its place when a later version
//! comes, so that one busy user does not keep others waiting.

use std::collections::{BTreeMap, HashMap, hash_map::Entry};

use rollcall_domain::status::RecordVersion;

use crate::interest::User;

/// What of a user has changed. Versions of different kinds are not compared: a change of the sessions does not
/// tell what a change of the status tells, nor the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// The status.
    Status,
    /// The sessions only.
    Sessions,
    /// The subscription list.
    List,
    /// The friends.
    Friends,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Status, Self::Sessions, Self::List, Self::Friends];
}

/// The slots of one gateway; `T` is what it is sent.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    held: HashMap<(User, Kind), Slot<T>>,
    order: BTreeMap<Place, (User, Kind)>,
    next: Place,
}

/// Where a slot stands in the queue.
pub(crate) type Place = u64;

#[derive(Debug)]
struct Slot<T> {
    place: Place,
    version: RecordVersion,
    value: T,
}

impl<T> Slots<T> {
    /// Makes empty slots.
    pub(crate) fn new() -> Self {
        Self { held: HashMap::new(), order: BTreeMap::new(), next: 0 }
    }

    /// Puts a value into its slot unless that holds the same version or a later one.
    pub(crate) fn put(&mut self, user: User, kind: Kind, version: RecordVersion, value: T) {
        match self.held.entry((user, kind)) {
            Entry::Occupied(mut entry) => {
                let slot = entry.get_mut();
                if slot.version < version {
                    (slot.version, slot.value) = (version, value);
                }
            }
            Entry::Vacant(entry) => {
                entry.insert(Slot { place: self.next, version, value });
                self.order.insert(self.next, (user, kind));
                self.next += 1;
            }
        }
    }

    /// Takes at most `most` values, those that waited longest first.
    pub(crate) fn drain(&mut self, most: usize) -> Vec<T> {
        std::iter::from_fn(|| self.order.pop_first())
            .filter_map(|(_, key)| self.held.remove(&key))
            .map(|slot| slot.value)
            .take(most)
            .collect()
    }

    /// Empties the slots of a user.
    pub(crate) fn remove(&mut self, user: User) {
        for kind in Kind::ALL {
            if let Some(slot) = self.held.remove(&(user, kind)) {
                self.order.remove(&slot.place);
            }
        }
    }

    /// Returns a mark behind all that waits now, for [`Slots::passed`].
    pub(crate) fn mark(&self) -> Place {
        self.next
    }

    /// Tells whether all that waited when a mark was made has been taken or removed.
    pub(crate) fn passed(&self, mark: Place) -> bool {
        self.order.first_key_value().is_none_or(|(first, _)| *first >= mark)
    }

    /// Counts what waits.
    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rollcall_domain::id::{AppId, UserId};

    use super::*;

    fn user(n: u32) -> User {
        User { app: AppId::new(1).unwrap(), user: UserId::new(&format!("user{n}")).unwrap() }
    }

    fn put(slots: &mut Slots<(u32, u64)>, who: u32, kind: Kind, version: u64) {
        slots.put(user(who), kind, RecordVersion(version), (who, version));
    }

    #[test]
    fn the_latest_version_wins_in_whatever_order_they_come() {
        let mut slots = Slots::new();
        for version in [2, 3, 1, 3] {
            put(&mut slots, 1, Kind::Status, version);
        }
        assert_eq!(slots.drain(10), [(1, 3)]);
        assert_eq!(slots.len(), 0);
    }

    #[test]
    fn kinds_of_a_user_do_not_replace_each_other() {
        let mut slots = Slots::new();
        put(&mut slots, 1, Kind::Status, 5);
        put(&mut slots, 1, Kind::List, 1);
        put(&mut slots, 1, Kind::Sessions, 6);
        put(&mut slots, 1, Kind::Friends, 2);
        assert_eq!(slots.drain(10), [(1, 5), (1, 1), (1, 6), (1, 2)]);
    }

    #[test]
    fn a_busy_user_keeps_its_place_and_does_not_overtake() {
        let mut slots = Slots::new();
        put(&mut slots, 1, Kind::Status, 1);
        put(&mut slots, 2, Kind::Status, 1);
        put(&mut slots, 1, Kind::Status, 2);
        assert_eq!(slots.drain(1), [(1, 2)]);
        put(&mut slots, 1, Kind::Status, 3);
        assert_eq!(slots.drain(10), [(2, 1), (1, 3)]);
    }

    #[test]
    fn a_mark_is_passed_when_all_before_it_is_taken_or_removed() {
        let mut slots = Slots::new();
        let mark = slots.mark();
        assert!(slots.passed(mark), "nothing waited");
        put(&mut slots, 1, Kind::Status, 1);
        put(&mut slots, 2, Kind::Status, 1);
        let mark = slots.mark();
        put(&mut slots, 3, Kind::Status, 1);
        put(&mut slots, 1, Kind::Status, 2);
        slots.drain(1);
        assert!(!slots.passed(mark));
        slots.remove(user(2));
        assert!(slots.passed(mark));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Put(u32, Kind, u64),
        Remove(u32),
        Drain(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..4_u32, prop::sample::select(&Kind::ALL[..]), 1..20_u64)
                .prop_map(|(who, kind, version)| Step::Put(who, kind, version)),
            1 => (0..4_u32).prop_map(Step::Remove),
            2 => (0..5_usize).prop_map(Step::Drain),
        ]
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_is_kept_that_is_not_the_latest(steps in prop::collection::vec(step(), 0..60)) {
            let mut slots = Slots::new();
            let mut model: BTreeMap<(u32, Kind), u64> = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Put(who, kind, version) => {
                        slots.put(user(who), kind, RecordVersion(version), (who, kind, version));
                        let latest = model.entry((who, kind)).or_default();
                        *latest = version.max(*latest);
                    }
                    Step::Remove(who) => {
                        slots.remove(user(who));
                        model.retain(|(other, _), _| *other != who);
                    }
                    Step::Drain(most) => {
                        let taken = slots.drain(most);
                        prop_assert_eq!(taken.len(), most.min(model.len()));
                        for (who, kind, version) in taken {
                            prop_assert_eq!(model.remove(&(who, kind)), Some(version));
                        }
                    }
                }
                prop_assert_eq!(slots.held.len(), model.len());
                prop_assert_eq!(slots.order.len(), model.len());
            }
        }
    }
}
