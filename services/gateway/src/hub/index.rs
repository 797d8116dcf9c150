//! Users and who watches whom, as a compact index: one slot for each user that somebody here watches or is,
//! and edges between slots, kept at both ends. Pure.
//!
//! Invariant: a slot lives exactly as long as it has a session or a watcher; `a.targets` holds `b` exactly
//! when `b.watchers` holds `a`, once each.

use std::collections::HashMap;

use rollcall_domain::id::{AppId, UserId};

/// Names a user across apps.
pub(crate) type UserKey = (AppId, UserId);
/// A user's place in the index.
pub(crate) type UserSlot = u32;

/// A user in the index, with what the owner of the index keeps for it.
#[derive(Debug)]
pub(crate) struct Node<T> {
    /// Who it is.
    pub(crate) key: UserKey,
    /// The users here that watch this one.
    pub(crate) watchers: Vec<UserSlot>,
    /// The users that this one watches; empty unless it has sessions.
    pub(crate) targets: Vec<UserSlot>,
    /// How many sessions of the user are held here.
    sessions: u32,
    /// What else is known.
    pub(crate) value: T,
}

/// The index.
#[derive(Debug)]
pub(crate) struct Index<T> {
    slots: HashMap<UserKey, UserSlot>,
    nodes: Vec<Option<Node<T>>>,
    free: Vec<UserSlot>,
    edges: usize,
}

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self { slots: HashMap::new(), nodes: Vec::new(), free: Vec::new(), edges: 0 }
    }
}

impl<T: Default> Index<T> {
    /// Finds a user.
    pub(crate) fn find(&self, key: &UserKey) -> Option<UserSlot> {
        self.slots.get(key).copied()
    }

    /// Returns the user in a slot, if it is in use.
    pub(crate) fn node(&self, slot: UserSlot) -> Option<&Node<T>> {
        self.nodes.get(slot as usize)?.as_ref()
    }

    /// Returns the user in a slot, if it is in use.
    pub(crate) fn node_mut(&mut self, slot: UserSlot) -> Option<&mut Node<T>> {
        self.nodes.get_mut(slot as usize)?.as_mut()
    }

    /// Lists all users.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &UserKey> {
        self.slots.keys()
    }

    /// Goes through all users.
    pub(crate) fn nodes_mut(&mut self) -> impl Iterator<Item = &mut Node<T>> {
        self.nodes.iter_mut().flatten()
    }

    /// Counts the users.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Counts the edges.
    pub(crate) fn edges(&self) -> usize {
        self.edges
    }

    /// Adds a session of a user. Says whether the user is new to the index.
    pub(crate) fn add_session(&mut self, key: UserKey) -> (UserSlot, bool) {
        let (slot, new) = self.find_or_insert(key);
        if let Some(node) = self.node_mut(slot) {
            node.sessions += 1;
        }
        (slot, new)
    }

    /// Removes a session of a user; with the last one go the user's edges. Returns the users that are gone.
    pub(crate) fn remove_session(&mut self, slot: UserSlot) -> Vec<UserKey> {
        let Some(node) = self.node_mut(slot) else { return Vec::new() };
        node.sessions = node.sessions.saturating_sub(1);
        if node.sessions > 0 {
            return Vec::new();
        }
        let targets = std::mem::take(&mut node.targets);
        let mut gone: Vec<UserKey> =
            targets.into_iter().filter_map(|target| self.drop_watcher(target, slot)).collect();
        gone.extend(self.release(slot));
        gone
    }

    /// Lets a user watch another. Says in which slot that one is and whether it is new to the index; `None`
    /// when the edge exists already, or the watcher has no session.
    pub(crate) fn add_edge(&mut self, watcher: UserSlot, target: UserKey) -> Option<(UserSlot, bool)> {
        if self.node(watcher)?.sessions == 0 {
            return None;
        }
        if let Some(slot) = self.find(&target)
            && self.node(watcher)?.targets.contains(&slot)
        {
            return None;
        }
        let (slot, new) = self.find_or_insert(target);
        self.node_mut(slot)?.watchers.push(watcher);
        self.node_mut(watcher)?.targets.push(slot);
        self.edges += 1;
        Some((slot, new))
    }

    /// Lets a user watch another no more. Returns the other's slot, and the other if it is gone.
    pub(crate) fn remove_edge(
        &mut self,
        watcher: UserSlot,
        target: &UserKey,
    ) -> Option<(UserSlot, Option<UserKey>)> {
        let slot = self.find(target)?;
        let targets = &mut self.node_mut(watcher)?.targets;
        let place = targets.iter().position(|t| *t == slot)?;
        targets.swap_remove(place);
        Some((slot, self.drop_watcher(slot, watcher)))
    }

    fn find_or_insert(&mut self, key: UserKey) -> (UserSlot, bool) {
        if let Some(slot) = self.find(&key) {
            return (slot, false);
        }
        let node = Node { key, watchers: Vec::new(), targets: Vec::new(), sessions: 0, value: T::default() };
        let slot = if let Some(slot) = self.free.pop() {
            self.nodes[slot as usize] = Some(node);
            slot
        } else {
            self.nodes.push(Some(node));
            // A gateway holds far fewer than 2^32 users: memory ends first.
            UserSlot::try_from(self.nodes.len() - 1).unwrap_or(UserSlot::MAX)
        };
        self.slots.insert(key, slot);
        (slot, true)
    }

    fn drop_watcher(&mut self, target: UserSlot, watcher: UserSlot) -> Option<UserKey> {
        let watchers = &mut self.node_mut(target)?.watchers;
        if let Some(place) = watchers.iter().position(|w| *w == watcher) {
            watchers.swap_remove(place);
            self.edges -= 1;
        }
        self.release(target)
    }

    fn release(&mut self, slot: UserSlot) -> Option<UserKey> {
        let node = self.node(slot)?;
        if node.sessions > 0 || !node.watchers.is_empty() {
            return None;
        }
        let key = node.key;
        self.slots.remove(&key);
        self.nodes[slot as usize] = None;
        self.free.push(slot);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    fn key(n: u8) -> UserKey {
        (AppId::new(1).unwrap(), UserId::new(&format!("u{n}")).unwrap())
    }

    #[derive(Debug, Clone)]
    enum Step {
        Login(u8),
        Logout(u8),
        Watch(u8, u8),
        Unwatch(u8, u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        let user = 0u8..8;
        prop_oneof![
            user.clone().prop_map(Step::Login),
            user.clone().prop_map(Step::Logout),
            (user.clone(), user.clone()).prop_map(|(a, b)| Step::Watch(a, b)),
            (user.clone(), user).prop_map(|(a, b)| Step::Unwatch(a, b)),
        ]
    }

    proptest! {
        #[test]
        fn users_live_exactly_as_long_as_they_have_a_session_or_a_watcher(
            steps in prop::collection::vec(step(), 1..80)
        ) {
            let mut index = Index::<()>::default();
            let mut sessions: BTreeMap<u8, u32> = BTreeMap::new();
            let mut edges: BTreeSet<(u8, u8)> = BTreeSet::new();
            for step in steps {
                match step {
                    Step::Login(a) => { index.add_session(key(a)); *sessions.entry(a).or_default() += 1; }
                    Step::Logout(a) => {
                        let Some(count) = sessions.get_mut(&a) else { continue };
                        *count -= 1;
                        if *count == 0 { sessions.remove(&a); edges.retain(|(w, _)| *w != a); }
                        index.remove_session(index.find(&key(a)).unwrap());
                    }
                    Step::Watch(a, b) => {
                        if !sessions.contains_key(&a) { continue }
                        let added = index.add_edge(index.find(&key(a)).unwrap(), key(b)).is_some();
                        prop_assert_eq!(added, edges.insert((a, b)));
                    }
                    Step::Unwatch(a, b) => {
                        let Some(slot) = index.find(&key(a)) else { continue };
                        let removed = index.remove_edge(slot, &key(b)).is_some();
                        prop_assert_eq!(removed, edges.remove(&(a, b)));
                    }
                }
                let mut alive: BTreeSet<UserKey> = sessions.keys().map(|a| key(*a)).collect();
                alive.extend(edges.iter().map(|(_, b)| key(*b)));
                prop_assert_eq!(index.keys().copied().collect::<BTreeSet<_>>(), alive);
                for (a, b) in &edges {
                    let (a, b) = (index.find(&key(*a)).unwrap(), index.find(&key(*b)).unwrap());
                    prop_assert!(index.node(a).unwrap().targets.contains(&b));
                    prop_assert!(index.node(b).unwrap().watchers.contains(&a));
                }
                prop_assert_eq!(index.edges(), edges.len());
                prop_assert_eq!(index.nodes_mut().map(|n| n.watchers.len()).sum::<usize>(), edges.len());
            }
        }
    }
}
