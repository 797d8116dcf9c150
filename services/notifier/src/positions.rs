//! Up to where everything was heard, by partition, since the subscription to the bus began. Pure.
//!
//! The entries of a partition are numbered without holes, but more than one process publishes them, so they come
//! in no certain order. One that is missing for [`HOLE_LIMIT`] while later ones came is given up: it was committed
//! before them, so who reads the partition's users now finds what it told. That the last ones are missing is told by
//! heads: the sequences that the store had when they were read.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rollcall_domain::partition::Partition;
use rollcall_proto::missed::Missed;
use rollcall_runtime::clock::Monotonic;

/// How long an entry may be missing.
const HOLE_LIMIT: Duration = Duration::from_millis(500);
/// The greatest number of entries held of one partition beyond one that is missing.
const BEYOND_MAX: usize = 4_096;
/// How long entries may be missing that a head told of; and how old heads are at most when they come.
const HEAD_LIMIT: Duration = Duration::from_secs(1);
/// What two readings of a clock in whole milliseconds may add to the time between them.
const CLOCK_GRAIN: Duration = Duration::from_millis(2);

/// See the module's description.
#[derive(Debug, Default)]
pub(crate) struct Positions {
    since: Monotonic,
    partitions: BTreeMap<Partition, Track>,
}

/// What was heard of one partition.
#[derive(Debug, Default)]
struct Track {
    /// The entry up to which none is missing; 0 until that can be told.
    whole: u64,
    /// The entries heard beyond one that is missing.
    beyond: BTreeSet<u64>,
    /// Since when that one is missing.
    open_since: Monotonic,
    /// When a head was not what was heard: the time, the head, and the last that was heard.
    doubt: Option<(Monotonic, u64, u64)>,
}

/// Up to where somebody has heard everything.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// The position in each partition in which there is one.
    pub(crate) positions: BTreeMap<Partition, u64>,
    /// How long ago that was so; `None` if it never was.
    pub(crate) ago: Option<Duration>,
}

impl Positions {
    /// Begins with a subscription, in which nothing was heard yet. `published` are entries that were published before.
    pub(crate) fn begin(now: Monotonic, published: impl IntoIterator<Item = (Partition, u64)>) -> Self {
        let begun = |(partition, whole)| (partition, Track { whole, ..Track::default() });
        Self { since: now, partitions: published.into_iter().map(begun).collect() }
    }

    /// Begins anew with these heads of a store that may have lost what it told before: whoever listens reads everything
    /// again. The subscription goes on.
    pub(crate) fn restart(&mut self, heads: &[u64]) {
        let heads = (0..).map(Partition).zip(heads.iter().copied()).filter(|(_, head)| *head > 0);
        *self = Self::begin(self.since, heads);
    }

    /// Returns how long the subscription has lasted.
    pub(crate) fn age(&self, now: Monotonic) -> Duration {
        now.since(self.since)
    }

    /// Notes an entry. One that was heard before changes nothing.
    pub(crate) fn hear(&mut self, partition: Partition, sequence: u64, now: Monotonic) {
        let track = self.partitions.entry(partition).or_default();
        if sequence == track.whole + 1 && track.beyond.is_empty() {
            track.whole = sequence;
        } else if sequence > track.whole {
            track.hear_beyond(sequence, now);
        }
    }

    /// Gives up entries that are missing for too long, and returns the partitions in which some were.
    pub(crate) fn give_up(&mut self, now: Monotonic) -> BTreeSet<Partition> {
        let overdue =
            |track: &Track| now.since(track.open_since) >= HOLE_LIMIT || track.beyond.len() > BEYOND_MAX;
        let tracks = self.partitions.iter_mut().filter(|(_, track)| overdue(track));
        let given_up = tracks.filter_map(|(partition, track)| {
            let last = track.beyond.pop_last()?;
            track.beyond.clear();
            // What came before the first that we heard is nobody's loss: it was there to be read.
            let missed = std::mem::replace(&mut track.whole, last) > 0;
            missed.then_some(*partition)
        });
        given_up.collect()
    }

    /// Compares what was heard with the heads of all partitions from 0 on, and returns the partitions in which something
    /// was missed: entries that a head told of at least [`HEAD_LIMIT`] ago did not come, or the store counts anew.
    pub(crate) fn compare(&mut self, heads: &[u64], now: Monotonic) -> BTreeSet<Partition> {
        let partitions = (0..).map(Partition).zip(heads);
        let missed = partitions.filter_map(|(partition, head)| {
            if *head == 0 && !self.partitions.contains_key(&partition) {
                return None;
            }
            let track = self.partitions.entry(partition).or_default();
            track.compare(*head, now).then_some(partition)
        });
        missed.collect()
    }

    /// Lists the positions that can be told.
    pub(crate) fn whole(&self) -> impl Iterator<Item = (Partition, u64)> {
        self.partitions
            .iter()
            .map(|(partition, track)| (*partition, track.whole))
            .filter(|(_, whole)| *whole > 0)
    }

    /// Finds what somebody may have missed who comes to us when our subscription has the given `age`, and had
    /// heard everything elsewhere before.
    ///
    /// If we already listened then, whatever came since we have heard, or will.
    pub(crate) fn missed_since(&self, heard: &Heard, age: Duration) -> Missed {
        if heard.ago.is_none_or(|ago| ago + CLOCK_GRAIN > age) {
            return Missed::Everything;
        }
        let moved = self
            .partitions
            .iter()
            .filter(|(partition, track)| heard.positions.get(partition) != Some(&track.last()));
        Missed::Of(moved.map(|(partition, _)| *partition).collect())
    }
}

impl Track {
    /// Returns the last entry that was heard.
    fn last(&self) -> u64 {
        self.beyond.last().copied().unwrap_or(self.whole)
    }

    /// Compares with a head, and says whether something was missed.
    fn compare(&mut self, head: u64, now: Monotonic) -> bool {
        let last = self.last();
        let mut missed = false;
        match self.doubt {
            Some((since, ..)) if now.since(since) < HEAD_LIMIT => return false,
            // What was committed before has not come, or was there and is no more.
            Some((_, before, heard)) if last < before || head < heard => {
                missed = true;
                self.whole = if last < before { before } else { head };
                self.beyond.clear();
            }
            _ => {}
        }
        let last = self.last();
        self.doubt = (head != last).then_some((now, head, last));
        missed
    }

    fn hear_beyond(&mut self, sequence: u64, now: Monotonic) {
        if self.beyond.is_empty() {
            self.open_since = now;
        }
        self.beyond.insert(sequence);
        while self.beyond.first() == Some(&(self.whole + 1)) {
            self.beyond.pop_first();
            self.whole += 1;
            self.open_since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const P: Partition = Partition(3);
    const Q: Partition = Partition(5);
    const R: Partition = Partition(6);

    fn at(ms: u64) -> Monotonic {
        Monotonic(ms)
    }

    /// Hears entries of one partition, each at its time.
    fn hearing(entries: &[(u64, u64)]) -> Positions {
        let mut positions = Positions::begin(at(0), []);
        for (ms, sequence) in entries {
            positions.hear(P, *sequence, at(*ms));
        }
        positions
    }

    fn whole(positions: &Positions) -> Vec<(Partition, u64)> {
        positions.whole().collect()
    }

    fn of(partitions: &[Partition]) -> BTreeSet<Partition> {
        partitions.iter().copied().collect()
    }

    #[test]
    fn a_position_moves_only_when_nothing_before_it_is_missing() {
        let mut positions = hearing(&[(0, 1), (1, 3), (2, 4)]);
        assert_eq!(whole(&positions), [(P, 1)]);
        positions.hear(P, 2, at(3));
        assert_eq!(whole(&positions), [(P, 4)]);
        positions.hear(P, 2, at(4));
        assert_eq!(whole(&positions), [(P, 4)]);
    }

    #[test]
    fn an_entry_that_is_missing_for_too_long_is_given_up_and_never_before() {
        let mut positions = hearing(&[(0, 1), (100, 3)]);
        assert_eq!(positions.give_up(at(599)), of(&[]));
        assert_eq!(whole(&positions), [(P, 1)]);
        assert_eq!(positions.give_up(at(600)), of(&[P]));
        assert_eq!(whole(&positions), [(P, 3)]);
        assert_eq!(positions.give_up(at(9_999)), of(&[]));
    }

    #[test]
    fn a_later_hole_is_given_as_much_time_as_the_first() {
        let mut positions = hearing(&[(0, 1), (0, 3), (400, 5), (450, 2)]);
        assert_eq!(positions.give_up(at(900)), of(&[]), "4 may be missing since 450");
        assert_eq!(positions.give_up(at(950)), of(&[P]));
    }

    #[test]
    fn where_a_partition_begins_for_us_is_told_once_no_earlier_entry_can_be_on_its_way_and_is_no_loss() {
        let mut positions = hearing(&[(0, 10), (1, 9)]);
        assert_eq!(whole(&positions), []);
        assert_eq!(positions.give_up(at(500)), of(&[]));
        assert_eq!(whole(&positions), [(P, 10)]);
    }

    #[test]
    fn a_hole_beyond_which_much_came_is_given_up_at_once() {
        let mut positions = hearing(&[(0, 1)]);
        for sequence in 0..=BEYOND_MAX as u64 {
            assert_eq!(positions.give_up(at(0)), of(&[]));
            positions.hear(P, 3 + sequence, at(0));
        }
        assert_eq!(positions.give_up(at(0)), of(&[P]));
    }

    /// Compares with heads of which that of P is this one.
    fn compared(positions: &mut Positions, head: u64, ms: u64) -> BTreeSet<Partition> {
        positions.compare(&[0, 0, 0, head], at(ms))
    }

    #[test]
    fn last_entries_that_a_head_told_of_and_that_do_not_come_are_missed_and_never_sooner() {
        let mut positions = Positions::begin(at(0), [(P, 7)]);
        assert_eq!(compared(&mut positions, 9, 0), of(&[]));
        assert_eq!(compared(&mut positions, 10, 999), of(&[]));
        assert_eq!(compared(&mut positions, 10, 1_000), of(&[P]));
        // 9 was told at 0; 10 is due a second after it was told by a head that counted.
        assert_eq!(whole(&positions), [(P, 9)]);
        assert_eq!(compared(&mut positions, 10, 2_000), of(&[P]));
        assert_eq!(compared(&mut positions, 10, 9_000), of(&[]), "once is enough");
        positions.hear(P, 11, at(9_000));
        assert_eq!(whole(&positions), [(P, 11)]);
    }

    #[test]
    fn what_comes_in_time_is_not_missed_however_fast_it_goes() {
        let mut positions = Positions::begin(at(0), [(P, 7)]);
        for n in 0..10 {
            // The head is ahead of what came, then behind.
            assert_eq!(compared(&mut positions, 9 + 2 * n, n * 1_000), of(&[]));
            positions.hear(P, 8 + 2 * n, at(n * 1_000));
            positions.hear(P, 9 + 2 * n, at(n * 1_000));
            positions.hear(P, 10 + 2 * n, at(n * 1_000));
            assert_eq!(compared(&mut positions, 9 + 2 * n, n * 1_000 + 500), of(&[]));
        }
    }

    #[test]
    fn a_partition_of_which_nothing_was_heard_is_missed_once_when_there_is_something() {
        let mut positions = Positions::begin(at(0), []);
        assert_eq!(compared(&mut positions, 0, 0), of(&[]));
        assert_eq!(compared(&mut positions, 5, 1_000), of(&[]));
        assert_eq!(compared(&mut positions, 5, 2_000), of(&[P]));
        assert_eq!(compared(&mut positions, 5, 3_000), of(&[]));
    }

    #[test]
    fn a_store_that_counts_anew_is_missed_and_followed() {
        let mut positions = Positions::begin(at(0), [(P, 7)]);
        assert_eq!(compared(&mut positions, 4, 0), of(&[]), "it may be that of a while ago");
        assert_eq!(compared(&mut positions, 4, 1_000), of(&[P]));
        positions.hear(P, 5, at(1_000));
        assert_eq!(whole(&positions), [(P, 5)]);
        assert_eq!(compared(&mut positions, 5, 2_000), of(&[]));
    }

    // FAULT 11
    #[test]
    fn a_store_that_may_have_lost_what_it_told_is_followed_from_its_heads_and_nothing_is_missed_twice() {
        let mut positions = hearing(&[(0, 1), (0, 2), (0, 9)]);
        positions.hear(Q, 7, at(0));
        positions.restart(&[0, 0, 0, 4]);
        assert_eq!(whole(&positions), [(P, 4)]);
        positions.hear(P, 5, at(10));
        for ms in [1_000, 2_000, 3_000] {
            assert_eq!(compared(&mut positions, 5, ms), of(&[]));
            assert_eq!(positions.give_up(at(ms)), of(&[]));
        }
        assert_eq!(positions.age(at(3_000)), Duration::from_secs(3));
    }

    fn heard(positions: &[(Partition, u64)], ago: u64) -> Heard {
        Heard { positions: positions.iter().copied().collect(), ago: Some(Duration::from_millis(ago)) }
    }

    #[test]
    fn who_comes_to_us_may_have_missed_what_moved_since_it_was_told() {
        let mut positions = hearing(&[(0, 1), (0, 2)]);
        positions.hear(Q, 7, at(10));
        positions.hear(R, 1, at(10));
        let age = Duration::from_secs(100);
        let missed = |told: &[(Partition, u64)]| positions.missed_since(&heard(told, 1_000), age);
        assert_eq!(missed(&[(P, 2), (Q, 7), (R, 1), (Partition(9), 4)]), Missed::Of(of(&[])));
        assert_eq!(missed(&[(P, 1), (Q, 7)]), Missed::Of(of(&[P, R])));
        assert_eq!(
            missed(&[(P, 2), (Q, 6), (R, 1)]),
            Missed::Of(of(&[Q])),
            "7 was heard beyond what is whole"
        );
    }

    #[test]
    fn who_was_told_before_we_listened_may_have_missed_everything() {
        let positions = hearing(&[(0, 1)]);
        let age = Duration::from_secs(1);
        assert_eq!(positions.missed_since(&heard(&[(P, 1)], 1_000), age), Missed::Everything);
        assert_eq!(positions.missed_since(&heard(&[(P, 1)], 998), age), Missed::Of(of(&[])));
        assert_eq!(positions.missed_since(&Heard::default(), age), Missed::Everything);
    }

    proptest! {
        #[test]
        fn in_whatever_order_entries_come_the_position_is_the_greatest_without_a_hole_before(
            order in Just((1..=20_u64).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let mut positions = Positions::begin(at(0), []);
            let mut came = BTreeSet::new();
            for sequence in order {
                positions.hear(P, sequence, at(1));
                came.insert(sequence);
                let expected = (1..=20).take_while(|n| came.contains(n)).last().unwrap_or_default();
                let told: Vec<_> = positions.whole().collect();
                prop_assert_eq!(told, if expected == 0 { vec![] } else { vec![(P, expected)] });
                prop_assert_eq!(positions.give_up(at(500)), BTreeSet::new());
            }
        }
    }
}
