//! Digests of sets of sessions, by which two who should hold the same find out whether they do (DESIGN section 4).
//!
//! Equal sets have equal digests, in whatever order they came about. Two that differ have the same one by an accident of
//! 1 in 2⁶⁴.

use xxhash_rust::xxh3::Xxh3;

use crate::id::{AppId, UserId};

/// The digest of a set of sessions of one boot: how many there are, and the sum of their hashes. Kept by adding and
/// removing each of them once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionDigest {
    /// How many sessions there are.
    pub sessions: u64,
    /// The sum of `xxh3(app, counter, user)`, modulo 2⁶⁴.
    pub sum: u64,
}

impl SessionDigest {
    /// Adds a session, by its user and the counter of its id.
    pub fn add(&mut self, app: AppId, user: &UserId, counter: u64) {
        self.sessions = self.sessions.wrapping_add(1);
        self.sum = self.sum.wrapping_add(hash(app, user, counter));
    }

    /// Removes a session that was added.
    pub fn remove(&mut self, app: AppId, user: &UserId, counter: u64) {
        self.sessions = self.sessions.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(hash(app, user, counter));
    }
}

fn hash(app: AppId, user: &UserId, counter: u64) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(&app.get().to_be_bytes());
    hash.update(&counter.to_be_bytes());
    // Last: the others have a fixed length, so no two sessions hash the same bytes.
    hash.update(user.as_str().as_bytes());
    hash.digest()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(sessions: impl IntoIterator<Item = (u32, String, u64)>) -> SessionDigest {
        let mut digest = SessionDigest::default();
        for (app, user, counter) in sessions {
            digest.add(AppId::new(app).unwrap(), &UserId::new(&user).unwrap(), counter);
        }
        digest
    }

    fn sessions() -> impl Strategy<Value = Vec<(u32, String, u64)>> {
        proptest::collection::btree_set((1..4_u32, "[ab1]{1,3}", 0..20_u64), 0..20)
            .prop_map(Vec::from_iter)
            .prop_shuffle()
    }

    proptest! {
        #[test]
        fn sets_of_sessions_have_one_digest_if_and_only_if_they_are_equal(one in sessions(), other in sessions()) {
            let (mut sorted, mut others) = (one.clone(), other.clone());
            sorted.sort();
            others.sort();
            prop_assert_eq!(of(one.clone()), of(sorted.clone()));
            prop_assert_eq!(of(one) == of(other), sorted == others);
        }

        #[test]
        fn what_was_added_and_removed_leaves_no_trace(kept in sessions(), gone in sessions()) {
            let mut digest = of(kept.iter().chain(&gone).cloned());
            for (app, user, counter) in gone {
                digest.remove(AppId::new(app).unwrap(), &UserId::new(&user).unwrap(), counter);
            }
            prop_assert_eq!(digest, of(kept));
        }
    }

    #[test]
    fn a_digest_is_the_same_in_every_release() {
        let digest = of([(1, "alice".to_owned(), 1), (1, "bob".to_owned(), 2)]);
        assert_eq!(digest, SessionDigest { sessions: 2, sum: 6_197_693_570_652_558_093 });
    }
}
