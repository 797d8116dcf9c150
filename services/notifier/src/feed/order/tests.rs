//! Entries in any order, and what is told.

use proptest::prelude::*;

use super::*;

const P: Partition = Partition(3);
const Q: Partition = Partition(5);
const HOLD_MS: u64 = 15_000;

fn ms(ms: u64) -> Timestamp {
    Timestamp(ms * 1_000)
}

/// An order, and what it was given: each entry has the next position.
struct Played {
    order: Order<()>,
    position: u64,
}

impl Played {
    fn new() -> Self {
        Self { order: Order::after(0), position: 0 }
    }

    /// Follows on where the partition had this sequence last.
    fn with_before(sequence: u64) -> Self {
        let mut played = Self::new();
        played.order.came_before(P, sequence, RecordVersion(sequence));
        played
    }

    /// Takes the newest entry, which comes at once.
    fn live(&mut self, at: u64, partition: Partition, sequence: u64) -> Vec<String> {
        self.take(at, at, true, partition, (sequence, sequence))
    }

    fn take(
        &mut self,
        bus: u64,
        own: u64,
        is_newest: bool,
        partition: Partition,
        (sequence, version): (u64, u64),
    ) -> Vec<String> {
        self.position += 1;
        let version = RecordVersion(version);
        let entry = Entry { position: self.position, at: ms(bus), partition, sequence, version, what: () };
        self.order.take(entry, is_newest, Monotonic(own));
        self.told()
    }

    fn look(&mut self, own: u64) -> Vec<String> {
        self.order.look(Monotonic(own));
        self.told()
    }

    /// Takes all that is told, as in `3:7`, `3 lacks 5-6` and `3 anew`.
    fn told(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(told) = self.order.next() {
            all.push(match told {
                Told::Entry(entry) => format!("{}:{}", entry.partition.0, entry.sequence),
                Told::NotHeard(partition, first, last) => format!("{} lacks {first}-{last}", partition.0),
                Told::NewCount(partition) => format!("{} anew", partition.0),
            });
        }
        all
    }
}

#[test]
fn entries_in_their_turn_are_told_at_once() {
    let mut played = Played::with_before(7);
    assert_eq!(played.live(0, P, 8), ["3:8"]);
    assert_eq!(played.live(0, P, 9), ["3:9"]);
    // The first there ever was.
    assert_eq!(played.live(0, Q, 1), ["5:1"]);
    assert_eq!(played.order.position(), 3);
}

#[test]
fn one_that_comes_too_soon_waits_for_those_before_it_and_no_other_partition_does() {
    let mut played = Played::with_before(7);
    assert_eq!(played.live(0, P, 10), [""; 0]);
    assert_eq!(played.live(1, Q, 1), ["5:1"]);
    assert_eq!(played.live(2, P, 9), [""; 0]);
    assert_eq!(played.order.position(), 0, "the first waits still");
    assert_eq!(played.live(3, P, 8), ["3:8", "3:9", "3:10"]);
    assert_eq!(played.order.position(), 4);
}

#[test]
fn the_position_moves_only_when_all_before_it_is_taken() {
    let mut played = Played::with_before(7);
    for (position, sequence) in [(1, 9), (2, 8)] {
        let version = RecordVersion(sequence);
        let entry = Entry { position, at: ms(0), partition: P, sequence, version, what: () };
        played.order.take(entry, true, Monotonic(0));
    }
    assert_eq!(played.order.position(), 0);
    assert!(played.order.next().is_some());
    assert_eq!(played.order.position(), 0, "who stops here follows on from the beginning");
    assert!(played.order.next().is_some());
    assert_eq!(played.order.position(), 2);
}

#[test]
fn what_is_missing_is_given_up_after_the_hold_and_never_before() {
    let mut played = Played::with_before(7);
    assert_eq!(played.live(100, P, 10), [""; 0]);
    assert_eq!(played.look(99 + HOLD_MS), [""; 0]);
    assert_eq!(played.look(100 + HOLD_MS), ["3 lacks 8-9", "3:10"]);
    assert_eq!(played.look(100 + 3 * HOLD_MS), [""; 0]);
    // It comes all the same, and again.
    assert_eq!(played.live(99_000, P, 8), ["3:8"]);
    assert_eq!(played.live(99_000, P, 8), [""; 0]);
    assert_eq!(played.live(99_000, P, 11), ["3:11"]);
}

#[test]
fn a_second_hole_is_given_as_much_time_as_the_first() {
    let mut played = Played::with_before(7);
    played.live(0, P, 9);
    played.live(1_000, P, 11);
    assert_eq!(played.live(4_000, P, 8), ["3:8", "3:9"]);
    assert_eq!(played.look(4_000 + HOLD_MS - 1), [""; 0]);
    assert_eq!(played.look(4_000 + HOLD_MS), ["3 lacks 10-10", "3:11"]);
}

#[test]
fn while_older_entries_are_read_the_time_is_that_of_the_bus() {
    let mut played = Played::with_before(7);
    assert_eq!(played.take(0, 0, false, P, (9, 9)), [""; 0]);
    // However long the reader takes, the missing one may be the next.
    assert_eq!(played.look(100 * HOLD_MS), [""; 0]);
    assert_eq!(played.take(HOLD_MS - 1, 100 * HOLD_MS, false, Q, (1, 1)), ["5:1"]);
    assert_eq!(played.take(HOLD_MS, 100 * HOLD_MS, false, Q, (2, 2)), ["5:2", "3 lacks 8-8", "3:9"]);
}

#[test]
fn of_what_came_before_the_first_that_was_heard_nothing_is_known_to_be_missing() {
    let mut played = Played::new();
    assert_eq!(played.live(0, P, 9), [""; 0]);
    assert_eq!(played.live(1, P, 8), [""; 0]);
    assert_eq!(played.look(HOLD_MS), ["3:8", "3:9"]);
}

#[test]
fn an_entry_that_comes_again_is_told_once_and_another_of_its_number_too() {
    let mut played = Played::with_before(7);
    assert_eq!(played.live(0, P, 7), [""; 0], "also when it came before the start");
    assert_eq!(played.live(0, P, 8), ["3:8"]);
    assert_eq!(played.live(0, P, 8), [""; 0]);
    // Numbers are given again after a failover that lost commits.
    assert_eq!(played.take(0, 0, true, P, (8, 100)), ["3:8"]);
    assert_eq!(played.live(0, P, 9), ["3:9"]);
}

#[test]
fn an_entry_far_behind_begins_a_new_count() {
    let mut played = Played::with_before(NEW_COUNT + 1);
    assert_eq!(played.live(0, P, NEW_COUNT + 3), [""; 0]);
    assert_eq!(played.live(0, P, 2), ["3:2"], "an outbox may hold it");
    assert_eq!(played.live(0, P, 1), [format!("3:{}", NEW_COUNT + 3), "3 anew".to_owned(), "3:1".to_owned()]);
    assert_eq!(played.take(0, 0, true, P, (2, 9)), ["3:2"]);
    assert_eq!(played.order.position(), played.position);
}

#[test]
fn no_more_are_held_than_the_limit() {
    let mut played = Played::with_before(7);
    for n in 0..HELD_MAX as u64 {
        assert_eq!(played.live(0, P, 9 + n), [""; 0]);
    }
    let told = played.live(0, P, 9 + HELD_MAX as u64);
    assert_eq!((told.len(), told[0].as_str()), (HELD_MAX + 2, "3 lacks 8-8"));
    assert!(played.order.held.is_empty());
}

proptest! {
    #[test]
    fn however_entries_are_shuffled_and_repeated_all_are_told_in_order_and_once(
        order in Just((1..=40_u64).collect::<Vec<_>>()).prop_shuffle(),
        repeats in prop::collection::vec(0..40_usize, 0..20),
    ) {
        let mut played = Played::with_before(0);
        let mut told = Vec::new();
        let again = repeats.iter().map(|place| order[*place]);
        for sequence in order.iter().copied().chain(again) {
            told.extend(played.live(0, P, sequence));
            // Who follows on from here misses nothing that was not told.
            let first_untold = (1..=played.position).find(|position| {
                let at = usize::try_from(*position).unwrap() - 1;
                order.get(at).is_some_and(|sequence| !told.contains(&format!("3:{sequence}")))
            });
            prop_assert!(first_untold.is_none_or(|position| played.order.position() < position));
        }
        prop_assert_eq!(told, (1..=40).map(|n| format!("3:{n}")).collect::<Vec<_>>());
    }
}
