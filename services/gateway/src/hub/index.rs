//! Users and who watches whom, as a compact index: one slot for each user that somebody here watches or is,
//! and edges between slots, kept at both ends. Pure.
//!
//! Invariant: a slot lives exactly as long as it has a session or a watcher; `a.targets` holds `b` exactly
//! when `b.watchers` holds `a`, once each, and each end knows the place of the other (`index/edges.rs`).

mod edges;

use std::collections::HashMap;

use rollcall_domain::id::{AppId, UserId};

pub(crate) use self::edges::{Kinds, Target, Watcher};

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
    pub(crate) watchers: Vec<Watcher>,
    /// The users that this one watches; empty unless it has sessions.
    pub(crate) targets: Vec<Target>,
    /// How many sessions of the user are held here.
    sessions: u32,
    /// What else is known.
    pub(crate) value: T,
}

/// An edge that has a kind more than before.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Added {
    /// The target.
    pub(crate) slot: UserSlot,
    /// The place of the edge among the watcher's targets.
    pub(crate) place: u32,
    /// Whether there was no edge of another kind.
    pub(crate) new_edge: bool,
    /// Whether the target is new to the index.
    pub(crate) new_user: bool,
}

/// An edge that is no more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Removed {
    /// The place that it had among the watcher's targets.
    pub(crate) place: u32,
    /// The place of the edge that has moved there: the last one, which may be the same.
    pub(crate) last: u32,
    /// The target, if it is gone from the index.
    pub(crate) gone: Option<UserKey>,
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
        let mut gone = Vec::new();
        while let Some(last) = self.node(slot).and_then(|node| node.targets.len().checked_sub(1)) {
            gone.extend(self.unlink(slot, last).and_then(|removed| removed.gone));
        }
        gone.extend(self.release(slot));
        gone
    }

    /// Lets a user watch another for a reason of some kind. `None` when the edge has that kind already, the watcher has
    /// no session, or is the target: nobody is their own watcher.
    pub(crate) fn add_edge(&mut self, watcher: UserSlot, target: UserKey, kind: Kinds) -> Option<Added> {
        let node = self.node(watcher)?;
        if node.sessions == 0 || node.key == target {
            return None;
        }
        let (slot, new_user) = self.find_or_insert(target);
        if let Some(place) = self.place(watcher, slot) {
            let edge = self.node_mut(watcher)?.targets.get_mut(place)?;
            if edge.kinds().meets(kind) {
                return None;
            }
            edge.set_kinds(edge.kinds().and(kind));
            return Some(Added { slot, place: position(place), new_edge: false, new_user });
        }
        // Each end is given the place that the other is about to have.
        let place = position(self.node(watcher)?.targets.len());
        let back = edges::push(&mut self.node_mut(slot)?.watchers, Watcher { slot: watcher, place });
        edges::push(&mut self.node_mut(watcher)?.targets, Target::new(slot, kind, back));
        self.edges += 1;
        Some(Added { slot, place, new_edge: true, new_user })
    }

    /// Lets a user watch another no more for a reason of some kind. Returns the edge if none of another kind is left.
    pub(crate) fn remove_edge(
        &mut self,
        watcher: UserSlot,
        target: &UserKey,
        kind: Kinds,
    ) -> Option<Removed> {
        let place = self.place(watcher, self.find(target)?)?;
        let edge = self.node_mut(watcher)?.targets.get_mut(place)?;
        let left = edge.kinds().without(kind);
        if left != Kinds::NONE {
            edge.set_kinds(left);
            return None;
        }
        self.unlink(watcher, place)
    }

    /// Finds the place of an edge among its watcher's targets, by a look at the shorter of its two lists.
    fn place(&self, watcher: UserSlot, target: UserSlot) -> Option<usize> {
        let (targets, watchers) = (&self.node(watcher)?.targets, &self.node(target)?.watchers);
        if targets.len() <= watchers.len() {
            targets.iter().position(|edge| edge.slot() == target)
        } else {
            watchers.iter().find(|edge| edge.slot == watcher).map(|edge| edge.place as usize)
        }
    }

    /// Removes an edge at both ends. In both lists the last end moves to the place that is free, and its other end is
    /// told.
    fn unlink(&mut self, watcher: UserSlot, place: usize) -> Option<Removed> {
        let targets = &mut self.node_mut(watcher)?.targets;
        let last = position(targets.len().checked_sub(1)?);
        let removed = edges::swap_remove(targets, position(place));
        if let Some(moved) = targets.get(place).copied() {
            self.node_mut(moved.slot())?.watchers.get_mut(moved.place as usize)?.place = position(place);
        }
        let watchers = &mut self.node_mut(removed.slot())?.watchers;
        edges::swap_remove(watchers, removed.place);
        if let Some(moved) = watchers.get(removed.place as usize).copied() {
            self.node_mut(moved.slot)?.targets.get_mut(moved.place as usize)?.place = removed.place;
        }
        self.edges -= 1;
        Some(Removed { place: position(place), last, gone: self.release(removed.slot()) })
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
            position(self.nodes.len() - 1)
        };
        self.slots.insert(key, slot);
        (slot, true)
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

/// Narrows a place. A gateway holds far fewer than 2^30 users: memory ends first.
fn position(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
