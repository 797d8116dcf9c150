//! The subscription list of one user (SPEC D2, D3): ordered by when each was last asked for.

use std::collections::HashSet;

use crate::{
    code::{Code, Refusal},
    id::UserId,
};

/// What a subscribe did to the list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subscribed {
    /// The ids that were not on the list and now are, in the order of the call.
    pub added: Vec<UserId>,
    /// The ids that are not on the list because of the limit, earliest subscribed first.
    pub evicted: Vec<UserId>,
}

/// Whom a user asked to hear of, least recently subscribed first, without duplicates.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubscriptionList(Vec<UserId>);

impl SubscriptionList {
    /// Restores a list from its ids, least recently subscribed first.
    pub fn from_ids(ids: Vec<UserId>) -> Self {
        Self(ids)
    }

    /// Returns the ids, least recently subscribed first.
    pub fn ids(&self) -> &[UserId] {
        &self.0
    }

    /// Moves each id to the most recent end, in list order, and lets the least recent go beyond `limit`.
    ///
    /// An id that the same call names and pushes out again is evicted, and not added.
    /// The owner's own id is refused with 6017 and nothing changes.
    pub fn subscribe(
        &mut self,
        owner: &UserId,
        targets: &[UserId],
        limit: usize,
    ) -> Result<Subscribed, Refusal> {
        if targets.contains(owner) {
            return Err(Refusal::new(
                Code::InvalidParameter,
                "the list holds the caller's own id, expected ids of others only",
            ));
        }
        let before: HashSet<UserId> = self.0.iter().copied().collect();
        let named: HashSet<UserId> = targets.iter().copied().collect();
        self.0.retain(|id| !named.contains(id));
        // Of an id named twice the last place counts, as if each id had been a call of its own.
        let mut seen = HashSet::with_capacity(named.len());
        let mut tail: Vec<UserId> = targets.iter().rev().copied().filter(|id| seen.insert(*id)).collect();
        tail.reverse();
        self.0.extend(tail);

        let excess = self.0.len().saturating_sub(limit);
        let evicted: Vec<UserId> = self.0.drain(..excess).collect();
        let added = self.0.iter().copied().filter(|id| named.contains(id) && !before.contains(id)).collect();
        Ok(Subscribed { added, evicted })
    }

    /// Removes ids, or all of them if none is named, and returns those that were on the list.
    pub fn unsubscribe(&mut self, targets: &[UserId]) -> Vec<UserId> {
        if targets.is_empty() {
            return std::mem::take(&mut self.0);
        }
        let named: HashSet<UserId> = targets.iter().copied().collect();
        let (removed, kept) = self.0.iter().partition(|id| named.contains(id));
        self.0 = kept;
        removed
    }
}

#[cfg(test)]
mod tests;
