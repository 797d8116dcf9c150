//! Whose status a session is owed: a mark for its own user, and a bit for each place among the user's targets. Pure.
//!
//! To mark costs the same however many are marked, and all marks together a bit for each target. Who removes a
//! target moves the bits with it.

/// The marks of a session.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// Whether the session is owed the status of its own user.
    pub(super) own: bool,
    /// Where to go on taking, so that no target waits for another that changes all the time.
    next: u32,
    /// A bit for each place; places beyond the end have none set.
    words: Vec<u64>,
}

impl Marks {
    /// Says whether nothing is owed.
    pub(super) fn is_empty(&self) -> bool {
        !self.own && self.words.iter().all(|word| *word == 0)
    }

    /// Marks the target at a place.
    pub(super) fn set(&mut self, place: u32) {
        let (word, bit) = position(place);
        if word >= self.words.len() {
            self.words.reserve_exact(word + 1 - self.words.len());
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= bit;
    }

    /// Follows the removal of the target at a place, to which the `last` one has moved.
    pub(super) fn swap_remove(&mut self, place: u32, last: u32) {
        self.clear(place);
        if self.clear(last) {
            self.set(place);
        }
    }

    /// Takes the marks of at most `most` targets that `may` allows, and returns their places. The others stay.
    pub(super) fn take(&mut self, most: usize, may: impl Fn(u32) -> bool) -> Vec<u32> {
        let rest = self.places(self.next, u32::MAX).chain(self.places(0, self.next));
        let taken: Vec<u32> = rest.filter(|place| may(*place)).take(most).collect();
        for place in &taken {
            self.clear(*place);
            self.next = place + 1;
        }
        taken
    }

    /// Goes through the marked places from `from` on and before `to`.
    fn places(&self, from: u32, to: u32) -> impl Iterator<Item = u32> {
        let words = self.words.iter().zip((0..).step_by(u64::BITS as usize)).skip(position(from).0);
        let marked = words.flat_map(|(word, first)| bits(*word).map(move |bit| first + bit));
        marked.filter(move |place| (from..to).contains(place))
    }

    /// Removes a mark. Says whether there was one.
    fn clear(&mut self, place: u32) -> bool {
        let (word, bit) = position(place);
        let Some(word) = self.words.get_mut(word) else { return false };
        let was_set = *word & bit != 0;
        *word &= !bit;
        was_set
    }
}

/// Finds the word of a place, and the bit in it.
fn position(place: u32) -> (usize, u64) {
    ((place / u64::BITS) as usize, 1 << (place % u64::BITS))
}

/// Lists the bits that are set in a word.
fn bits(mut word: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = word.trailing_zeros();
        word &= word.checked_sub(1)?;
        Some(bit)
    })
}

#[cfg(test)]
impl Marks {
    /// Counts the bytes of the marks, with the room for more.
    pub(super) fn bytes(&self) -> usize {
        self.words.capacity() * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, ops::Range};

    use proptest::prelude::*;

    use super::*;

    fn marked(marks: &Marks) -> BTreeSet<u32> {
        marks.places(0, u32::MAX).collect()
    }

    fn set_all(marks: &mut Marks, places: Range<u32>) {
        for place in places {
            marks.set(place);
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Set(u32),
        Remove(u32),
        Take(usize, u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0u32..200).prop_map(Step::Set),
            1 => (0u32..200).prop_map(Step::Remove),
            1 => (0usize..20, 1u32..4).prop_map(|(most, of)| Step::Take(most, of)),
        ]
    }

    proptest! {
        #[test]
        fn marks_are_a_set_of_places_that_follows_removals(steps in prop::collection::vec(step(), 1..100)) {
            let (mut marks, mut model, mut length) = (Marks::default(), BTreeSet::new(), 200);
            for step in steps {
                match step {
                    Step::Set(place) if place < length => {
                        marks.set(place);
                        model.insert(place);
                    }
                    Step::Remove(place) if place < length => {
                        length -= 1;
                        marks.swap_remove(place, length);
                        model.remove(&place);
                        if model.remove(&length) && place != length {
                            model.insert(place);
                        }
                    }
                    Step::Take(most, of) => {
                        let may = |place: &u32| place.is_multiple_of(of);
                        let taken = marks.take(most, |place| may(&place));
                        let allowed = model.iter().filter(|place| may(place)).count();
                        prop_assert_eq!(taken.len(), most.min(allowed));
                        for place in taken {
                            prop_assert!(may(&place) && model.remove(&place));
                        }
                    }
                    Step::Set(_) | Step::Remove(_) => {}
                }
                prop_assert_eq!(&marked(&marks), &model);
                prop_assert_eq!(marks.is_empty(), model.is_empty());
            }
        }
    }

    // SPEC F5
    #[test]
    fn who_changes_all_the_time_keeps_nobody_waiting() {
        let mut marks = Marks::default();
        set_all(&mut marks, 0..6);
        assert_eq!(marks.take(4, |_| true), [0, 1, 2, 3]);
        set_all(&mut marks, 0..4);
        assert_eq!(marks.take(4, |_| true), [4, 5, 0, 1]);
        assert_eq!(marks.take(4, |_| true), [2, 3]);
    }

    // SPEC F5
    #[test]
    fn three_thousand_marks_take_376_bytes() {
        let mut marks = Marks::default();
        for _ in 0..2 {
            set_all(&mut marks, 0..3_000);
        }
        assert_eq!(marks.bytes(), 376);
        assert_eq!(marked(&marks).len(), 3_000);
    }
}
