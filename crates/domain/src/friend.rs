//! The friends of one user (SPEC I1): edges from the user to others, without order of their own.

use std::{collections::BTreeSet, ops::Bound};

use crate::{
    code::{Code, Refusal},
    id::UserId,
};

/// Of whom a user hears as their friends, in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FriendList(BTreeSet<UserId>);

impl FriendList {
    /// Returns how many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Returns the ids, in their order.
    pub fn ids(&self) -> impl Iterator<Item = &UserId> {
        self.0.iter()
    }

    /// Returns the ids that come after one, which need not be a friend (any more), or all of them, in their order.
    pub fn ids_after(&self, last: Option<&UserId>) -> impl Iterator<Item = &UserId> {
        let begin = last.map_or(Bound::Unbounded, Bound::Excluded);
        self.0.range((begin, Bound::Unbounded))
    }

    /// Adds friends, all of them or none, and returns those that are new, in the order of the call.
    ///
    /// The owner's own id, and more friends than `limit` after the call, are refused with 6017. Who has as many as the
    /// limit or more, because it was lowered, keeps them, and may be given those again that are there.
    pub fn add(&mut self, owner: &UserId, friends: &[UserId], limit: usize) -> Result<Vec<UserId>, Refusal> {
        check_not_own(owner, friends)?;
        let new: BTreeSet<UserId> = friends.iter().copied().filter(|id| !self.0.contains(id)).collect();
        if !new.is_empty() && self.count() + new.len() > limit {
            let message = format!(
                "the user has {} friends and {} are to be added, expected at most {limit} together",
                self.count(),
                new.len(),
            );
            return Err(Refusal::new(Code::InvalidParameter, message));
        }
        Ok(friends.iter().copied().filter(|id| self.0.insert(*id)).collect())
    }

    /// Removes friends, and returns those that were there, in the order of the call.
    pub fn remove(&mut self, friends: &[UserId]) -> Vec<UserId> {
        friends.iter().copied().filter(|id| self.0.remove(id)).collect()
    }
}

impl FromIterator<UserId> for FriendList {
    /// Restores it from its ids.
    fn from_iter<T: IntoIterator<Item = UserId>>(ids: T) -> Self {
        Self(ids.into_iter().collect())
    }
}

/// Checks that nobody is to be a friend of their own, else 6017.
pub fn check_not_own(owner: &UserId, friends: &[UserId]) -> Result<(), Refusal> {
    if friends.contains(owner) {
        let message = "the user's own id is among the friends, expected others";
        return Err(Refusal::new(Code::InvalidParameter, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    fn users<const N: usize>(names: [&str; N]) -> [UserId; N] {
        names.map(user)
    }

    fn list<const N: usize>(names: [&str; N]) -> FriendList {
        users(names).into_iter().collect()
    }

    // SPEC I1
    #[test]
    fn an_add_returns_who_is_new_in_the_order_of_the_call_and_one_who_is_there_is_no_error() {
        let mut friends = list(["b"]);
        let added = friends.add(&user("me"), &users(["c", "b", "a", "c"]), 3).unwrap();
        assert_eq!(added, users(["c", "a"]));
        assert_eq!(friends, list(["a", "b", "c"]));
        assert_eq!(friends.add(&user("me"), &users(["a", "b", "c"]), 3).unwrap(), []);
    }

    // SPEC I1
    #[test]
    fn an_add_beyond_the_limit_adds_nobody_and_says_how_many_there_are_and_may_be() {
        let mut friends = list(["a", "b"]);
        let refused = friends.add(&user("me"), &users(["a", "c", "d"]), 3).unwrap_err();
        assert_eq!(refused.code, Code::InvalidParameter);
        let message = "the user has 2 friends and 2 are to be added, expected at most 3 together";
        assert_eq!(refused.message, message);
        assert_eq!(friends, list(["a", "b"]));
    }

    // SPEC I1
    #[test]
    fn a_lowered_limit_bounds_the_next_add_and_removes_nobody() {
        let mut friends = list(["a", "b", "c"]);
        assert_eq!(friends.add(&user("me"), &users(["b"]), 1).unwrap(), []);
        friends.add(&user("me"), &users(["d"]), 1).unwrap_err();
        assert_eq!(friends, list(["a", "b", "c"]));
        friends.remove(&users(["a", "b", "c"]));
        assert_eq!(friends.add(&user("me"), &users(["d"]), 1).unwrap(), users(["d"]));
    }

    // SPEC I1
    #[test]
    fn nobody_is_their_own_friend() {
        let mut friends = list(["a"]);
        let refused = friends.add(&user("me"), &users(["b", "me"]), 10).unwrap_err();
        assert_eq!(refused.code, Code::InvalidParameter);
        assert_eq!(friends, list(["a"]));
    }

    // SPEC I1
    #[test]
    fn a_remove_returns_who_was_there_in_the_order_of_the_call() {
        let mut friends = list(["a", "b", "c"]);
        assert_eq!(friends.remove(&users(["c", "x", "a", "c"])), users(["c", "a"]));
        assert_eq!(friends, list(["b"]));
    }

    #[test]
    fn the_ids_after_one_go_on_whether_it_is_still_there_or_not() {
        let friends = list(["a", "c", "e"]);
        let after = |last: Option<&str>| -> Vec<String> {
            friends.ids_after(last.map(user).as_ref()).map(ToString::to_string).collect()
        };
        assert_eq!(after(None), ["a", "c", "e"]);
        assert_eq!(after(Some("a")), ["c", "e"]);
        assert_eq!(after(Some("b")), ["c", "e"]);
        assert_eq!(after(Some("e")), [""; 0]);
    }
}
