//! Keeps the edges of the index equal to the friends of the users who are here (SPEC F2, I2).
//!
//! Friends are read once the app hears of friends. When it hears of them no more, the edges stay and are mute, so that
//! sessions are told just what they missed when it hears of them again (G1); and they still follow what changes, so
//! that nobody is told of a former friend then.

use rollcall_domain::id::{AppId, UserId};

use super::{Hub, State, UserKey, index::Kinds};

/// Edges that are changed under one hold of the lock: a user may have 3,000 friends, and others want it too.
const EDGES_AT_ONCE: usize = 500;

impl Hub {
    /// Says whether the friends of a user are to be read: for the first time, or again.
    pub(crate) fn friends_due(&self, key: &UserKey) -> bool {
        self.state.lock().friends_due(key)
    }

    /// Makes a user's edges equal to friends that were read, if they are newer than those held. Says whether
    /// nothing newer was heard of since.
    pub(crate) fn apply_friends(&self, key: &UserKey, version: u64, friends: &[UserId]) -> bool {
        let (change, is_current) = {
            let mut state = self.state.lock();
            let Some(local) = state.local_mut(key) else { return true };
            let known = &mut local.friends;
            let (is_newer, is_current) = (known.take(version), !known.is_behind());
            if !is_newer {
                return is_current;
            }
            (state.differences(key, Kinds::FRIEND, friends), is_current)
        };
        let removed = change.removed.chunks(EDGES_AT_ONCE).map(|removed| (&[][..], removed));
        let added = change.added.chunks(EDGES_AT_ONCE).map(|added| (added, &[][..]));
        for (added, removed) in removed.chain(added) {
            self.change_friends(key, version, added, removed);
        }
        is_current
    }

    /// Returns the users whose friends must be read, now that these versions are known.
    pub(crate) fn friends_behind(&self, app: AppId, versions: &[(UserId, u64)]) -> Vec<UserKey> {
        let mut state = self.state.lock();
        let behind = versions.iter().filter(|(user, version)| state.friends_changed(&(app, *user), *version));
        behind.map(|(user, _)| (app, *user)).collect()
    }

    /// Changes a part of the edges, while the friends held are still of that version: between two parts newer ones may
    /// have been applied, or the user may have left.
    pub(super) fn change_friends(&self, key: &UserKey, version: u64, added: &[UserId], removed: &[UserId]) {
        let mut state = self.state.lock();
        if state.local(key).is_some_and(|local| local.friends.held == Some(version)) {
            self.change_edges(&mut state, key, Kinds::FRIEND, added, removed);
        }
    }
}

impl State {
    /// Notes that a user's friends have a new version. Says whether they are to be read again.
    pub(super) fn friends_changed(&mut self, key: &UserKey, version: u64) -> bool {
        let Some(local) = self.local_mut(key) else { return false };
        local.friends.hear(version);
        local.friends.is_behind()
    }

    pub(super) fn friends_due(&self, key: &UserKey) -> bool {
        let hears = || self.apps.get(&key.0).is_some_and(|app| app.settings.hears_friends());
        self.local(key).is_some_and(|local| match local.friends.held {
            None => hears(),
            Some(_) => local.friends.is_behind(),
        })
    }
}
