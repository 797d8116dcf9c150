//! Epochs of a store: one for each time that it may have lost what it had acknowledged, by a restart or because another
//! server took its place.
//!
//! An epoch that was left never comes back. So who hears of epochs from several sides, of which some are late, follows
//! by [`Epochs`].

use std::collections::VecDeque;

use xxhash_rust::xxh3::Xxh3;

/// How many epochs are remembered: more than there are while the last side learns of the newest.
const REMEMBERED: usize = 8;

/// Names an epoch of a store; never 0. Epochs are only ever compared for being the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(u64);

/// The epochs that were heard of, the newest last, at most `REMEMBERED`. Nothing is stored: who starts has heard of
/// none.
#[derive(Debug, Clone, Default)]
pub struct Epochs(VecDeque<Epoch>);

/// What an epoch is to who hears of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// None was heard of before.
    First,
    /// It is the newest, or one that was left.
    Known,
    /// The store has left those that were heard of.
    New,
}

impl Epoch {
    /// Names the epoch of a store that these texts, in this order, tell apart from every other.
    pub fn of(texts: &[&str]) -> Self {
        let mut hash = Xxh3::new();
        for text in texts {
            hash.update(&text.len().to_be_bytes());
            hash.update(text.as_bytes());
        }
        Self(hash.digest().max(1))
    }

    /// Reads an epoch; `None` for 0, which is none.
    pub fn new(epoch: u64) -> Option<Self> {
        (epoch != 0).then_some(Self(epoch))
    }

    /// Returns the number, which is not 0.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl Epochs {
    /// Hears of an epoch, and says what it is.
    pub fn hear(&mut self, epoch: Epoch) -> Heard {
        if self.0.contains(&epoch) {
            return Heard::Known;
        }
        let heard = if self.0.is_empty() { Heard::First } else { Heard::New };
        self.0.push_back(epoch);
        if self.0.len() > REMEMBERED {
            self.0.pop_front();
        }
        heard
    }

    /// Returns the newest; `None` while none was heard of.
    pub fn newest(&self) -> Option<Epoch> {
        self.0.back().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(number: u64) -> Epoch {
        Epoch::new(number).unwrap()
    }

    #[test]
    fn an_epoch_is_new_once_and_one_that_was_left_never_comes_back() {
        let mut epochs = Epochs::default();
        let heard = [1, 1, 2, 1, 2, 3, 1].map(|number| epochs.hear(epoch(number)));
        let (first, known, new) = (Heard::First, Heard::Known, Heard::New);
        assert_eq!(heard, [first, known, new, known, known, new, known]);
        assert_eq!(epochs.newest(), Some(epoch(3)));
    }

    #[test]
    fn of_many_epochs_the_last_are_remembered() {
        let mut epochs = Epochs::default();
        for number in 1..=100 {
            epochs.hear(epoch(number));
        }
        assert_eq!(epochs.0.len(), REMEMBERED);
        assert_eq!(epochs.hear(epoch(93)), Heard::Known);
    }

    #[test]
    fn texts_that_run_into_each_other_name_other_epochs() {
        assert_ne!(Epoch::of(&["ab", "c"]), Epoch::of(&["a", "bc"]));
        assert_eq!(Epoch::of(&["ab", "c"]), Epoch::of(&["ab", "c"]));
        assert_eq!(Epoch::new(0), None);
    }
}
