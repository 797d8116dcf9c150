//! Changes who watches whom, and with it the interest and what sessions are owed.

use std::collections::HashSet;

use rollcall_domain::id::UserId;

use super::{
    Era, Hub, State, UserKey,
    index::{Added, Kinds, UserSlot},
    session::Session,
};
use crate::interest::Batch;

/// What of a user's edges of one kind has to change.
#[derive(Debug, Default)]
pub(super) struct Differences {
    pub(super) added: Vec<UserId>,
    pub(super) removed: Vec<UserId>,
}

impl Hub {
    /// Lists a user and those it watches as far as their status must still be read, and the era that a read
    /// counts for if it comes after the interest of now is in force.
    pub(crate) fn unsynced(&self, key: &UserKey) -> (Vec<UserId>, Era) {
        let state = self.state.lock();
        let own = state.index.find(key);
        let targets = own.and_then(|slot| state.index.node(slot)).map(|node| node.targets.as_slice());
        let targets = targets.unwrap_or_default().iter().map(|edge| edge.slot());
        let users = own.into_iter().chain(targets).filter_map(|slot| {
            let node = state.index.node(slot)?;
            (!node.value.synced).then_some(node.key.1)
        });
        (users.collect(), state.era)
    }

    /// Starts the interest anew, for a new stream: with all users of the index, in batches of at most `size`.
    pub(crate) fn restart_interest(&self, size: usize) -> Vec<Batch> {
        let state = self.state.lock();
        self.interest.restart(state.index.keys().copied().collect(), size)
    }

    /// Adds and removes edges of one kind. Of an edge that stays for its other kind, sessions are still owed what they
    /// were not shown.
    pub(super) fn change_edges(
        &self,
        state: &mut State,
        key: &UserKey,
        kind: Kinds,
        added: &[UserId],
        removed: &[UserId],
    ) {
        let Some(watcher) = state.index.find(key) else { return };
        for id in removed {
            let Some(edge) = state.index.remove_edge(watcher, &(key.0, *id), kind) else { continue };
            state.each_session(watcher, |session| session.marks.swap_remove(edge.place, edge.last));
            if let Some(gone) = edge.gone {
                self.interest.remove(gone);
            }
        }
        for id in added {
            let Some(edge) = state.index.add_edge(watcher, (key.0, *id), kind) else { continue };
            if edge.new_user {
                self.begin_interest(state, edge.slot);
            }
            state.begin_edge(watcher, kind, &edge);
        }
        // What was owed and not heard may be heard now.
        state.each_session(watcher, |session| session.handle.wake());
    }
}

impl State {
    /// Compares a user's edges of one kind with those that there should be.
    pub(super) fn differences(&self, key: &UserKey, kind: Kinds, wanted: &[UserId]) -> Differences {
        let node = self.index.find(key).and_then(|slot| self.index.node(slot));
        let Some(node) = node else { return Differences::default() };
        let of_kind = node.targets.iter().filter(|edge| edge.kinds().meets(kind));
        let held: HashSet<UserId> =
            of_kind.filter_map(|edge| Some(self.index.node(edge.slot())?.key.1)).collect();
        let added = wanted.iter().filter(|id| !held.contains(id)).copied().collect();
        let wanted: HashSet<UserId> = wanted.iter().copied().collect();
        Differences { added, removed: held.difference(&wanted).copied().collect() }
    }

    /// Marks a new session as owed the statuses that are known of its user and of those the user watches.
    pub(super) fn mark_known(&self, session: &mut Session) {
        let Some(node) = self.index.node(session.user) else { return };
        session.marks.own = node.value.shown.is_some();
        for (place, edge) in (0..).zip(&node.targets) {
            if self.is_known(edge.slot()) {
                session.marks.set(place);
            }
        }
    }

    /// Marks the sessions of a watcher as owed the status of a target, once that is known. A subscription shows it anew
    /// (SPEC D6, F4). A friend who is subscribed was shown already, or is owed already.
    fn begin_edge(&mut self, watcher: UserSlot, kind: Kinds, edge: &Added) {
        if (edge.new_edge || kind == Kinds::SUBSCRIPTION) && self.is_known(edge.slot) {
            self.each_session(watcher, |session| session.marks.set(edge.place));
        }
    }

    fn is_known(&self, slot: UserSlot) -> bool {
        self.index.node(slot).is_some_and(|node| node.value.shown.is_some())
    }

    fn each_session(&mut self, user: UserSlot, act: impl Fn(&mut Session)) {
        let local = self.index.node(user).and_then(|node| node.value.local.as_deref());
        for slot in local.iter().flat_map(|local| &local.sessions) {
            if let Some(session) = self.sessions[*slot as usize].as_mut() {
                act(session);
            }
        }
    }
}
