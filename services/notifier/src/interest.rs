//! Who has interest in whom, both ways: the users of each stream, and the streams of each user, so that routing
//! a change costs as much as there are gateways interested in its user. Pure.

use std::collections::{HashMap, HashSet, hash_map::Entry};

use rollcall_domain::id::{AppId, UserId};

/// A user of an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct User {
    /// The app.
    pub(crate) app: AppId,
    /// The user.
    pub(crate) user: UserId,
}

/// Names a gateway's stream; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StreamId(pub(crate) u64);

/// The interest of all streams.
#[derive(Debug)]
pub(crate) struct Interest {
    limit: usize,
    users: HashMap<StreamId, HashSet<User>>,
    streams: HashMap<User, Vec<StreamId>>,
}

/// A stream asked for more users than it may have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooManyUsers;

impl Interest {
    /// Makes an empty one, in which a stream may have `limit` users.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, users: HashMap::new(), streams: HashMap::new() }
    }

    /// Returns the streams that have interest in a user.
    pub(crate) fn of(&self, user: &User) -> &[StreamId] {
        self.streams.get(user).map_or(&[], Vec::as_slice)
    }

    /// Counts the users, and the pairs of a stream and a user.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.streams.len(), self.users.values().map(HashSet::len).sum())
    }

    /// Adds users to a stream's interest. Those added before the limit was met stay.
    pub(crate) fn add(&mut self, stream: StreamId, users: &[User]) -> Result<(), TooManyUsers> {
        let held = self.users.entry(stream).or_default();
        for user in users {
            if held.contains(user) {
                continue;
            }
            if held.len() >= self.limit {
                return Err(TooManyUsers);
            }
            held.insert(*user);
            self.streams.entry(*user).or_default().push(stream);
        }
        Ok(())
    }

    /// Removes users from a stream's interest; one that is not in it is no error.
    pub(crate) fn remove(&mut self, stream: StreamId, users: &[User]) {
        let Some(held) = self.users.get_mut(&stream) else { return };
        for user in users {
            if held.remove(user) {
                unlink(&mut self.streams, stream, user);
            }
        }
    }

    /// Takes out the interest of a stream that ended. It stays among the streams of these users until they are
    /// given to [`Interest::unlink`], a few at a time.
    pub(crate) fn take(&mut self, stream: StreamId) -> HashSet<User> {
        self.users.remove(&stream).unwrap_or_default()
    }

    /// Removes a stream whose interest was taken out from the streams of users.
    pub(crate) fn unlink(&mut self, stream: StreamId, users: &[User]) {
        for user in users {
            unlink(&mut self.streams, stream, user);
        }
    }
}

fn unlink(streams: &mut HashMap<User, Vec<StreamId>>, stream: StreamId, user: &User) {
    if let Entry::Occupied(mut entry) = streams.entry(*user) {
        entry.get_mut().retain(|other| *other != stream);
        if entry.get().is_empty() {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 4;

    fn user(n: u32) -> User {
        User { app: AppId::new(1 + n % 2).unwrap(), user: UserId::new(&format!("user{n}")).unwrap() }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Add(u64, Vec<u32>),
        Remove(u64, Vec<u32>),
        End(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let users = || prop::collection::vec(0..6_u32, 0..5);
        prop_oneof![
            (0..3_u64, users()).prop_map(|(stream, users)| Step::Add(stream, users)),
            (0..3_u64, users()).prop_map(|(stream, users)| Step::Remove(stream, users)),
            (0..3_u64).prop_map(Step::End),
        ]
    }

    proptest! {
        #[test]
        fn both_ways_agree_with_a_set_of_edges(steps in prop::collection::vec(step(), 0..40)) {
            let mut interest = Interest::new(LIMIT);
            let mut edges = BTreeSet::new();
            for step in steps {
                match step {
                    Step::Add(stream, users) => {
                        let users: Vec<User> = users.into_iter().map(user).collect();
                        let mut refused = false;
                        for user in &users {
                            let full = edges.iter().filter(|(s, _)| *s == stream).count() >= LIMIT;
                            refused |= full && !edges.contains(&(stream, *user));
                            if !refused {
                                edges.insert((stream, *user));
                            }
                        }
                        prop_assert_eq!(interest.add(StreamId(stream), &users).is_err(), refused);
                    }
                    Step::Remove(stream, users) => {
                        let users: Vec<User> = users.into_iter().map(user).collect();
                        interest.remove(StreamId(stream), &users);
                        edges.retain(|(s, u)| *s != stream || !users.contains(u));
                    }
                    Step::End(stream) => {
                        let users: Vec<User> = interest.take(StreamId(stream)).into_iter().collect();
                        interest.unlink(StreamId(stream), &users);
                        edges.retain(|(s, _)| *s != stream);
                    }
                }
                for user in (0..6).map(user) {
                    let found: BTreeSet<u64> = interest.of(&user).iter().map(|stream| stream.0).collect();
                    let expected = edges.iter().filter(|(_, u)| *u == user).map(|(s, _)| *s).collect();
                    prop_assert_eq!(found, expected);
                }
            }
            prop_assert_eq!(interest.streams.len(), edges.iter().map(|(_, u)| u).collect::<BTreeSet<_>>().len());
        }
    }
}
