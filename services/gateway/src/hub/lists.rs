//! Keeps the edges of the index equal to the subscription lists of the users who are here (SPEC D4, E2).

use std::collections::HashSet;

use rollcall_domain::id::{AppId, UserId};

use super::{Era, Hub, State, UserKey};
use crate::interest::Batch;

/// What the hub knows of a user's subscription list.
#[derive(Debug, Default)]
pub(super) struct List {
    /// The version that the edges are equal to; `None` until the list was read.
    version: Option<u64>,
    /// How many subscribes and unsubscribes of the user are on their way from here.
    commands: u32,
    /// The newest version heard of.
    wanted: u64,
}

/// How a command of ours changed a list.
#[derive(Debug)]
pub(crate) struct ListDelta {
    /// The version before.
    pub(crate) previous: u64,
    /// The version after.
    pub(crate) version: u64,
    /// The users that are on the list now and were not.
    pub(crate) added: Vec<UserId>,
    /// The users that were on the list and are not.
    pub(crate) removed: Vec<UserId>,
}

impl Hub {
    /// Returns how many subscriptions a user has, if the list was read.
    pub(crate) fn list_length(&self, key: &UserKey) -> Option<usize> {
        let state = self.state.lock();
        let node = state.index.node(state.index.find(key)?)?;
        node.value.local.as_ref()?.list.version?;
        Some(node.targets.len())
    }

    /// Says that a command on a user's list begins: until it ends, news of the list wait, so that its reply
    /// comes before its consequences.
    pub(crate) fn begin_list_command(&self, key: &UserKey) {
        if let Some(local) = self.state.lock().local_mut(key) {
            local.list.commands += 1;
        }
    }

    /// Says that a command on a user's list has ended, with its effect if it was stored. Returns whether the
    /// list must be read again, because something else changed it meanwhile.
    pub(crate) fn end_list_command(&self, key: &UserKey, delta: Option<&ListDelta>) -> bool {
        let mut state = self.state.lock();
        let Some(local) = state.local_mut(key) else { return false };
        let list = &mut local.list;
        list.commands = list.commands.saturating_sub(1);
        let held = list.version;
        if let Some(delta) = delta {
            list.wanted = list.wanted.max(delta.version);
            if held == Some(delta.previous) && delta.version != delta.previous {
                list.version = Some(delta.version);
                self.change_edges(&mut state, key, &delta.added, &delta.removed);
            }
        }
        state.local(key).is_some_and(|local| {
            local.list.commands == 0 && local.list.version.is_some_and(|held| held < local.list.wanted)
        })
    }

    /// Makes a user's edges equal to a list that was read, if it is newer than the one held. Says whether
    /// nothing newer was heard of since.
    pub(crate) fn apply_list(&self, key: &UserKey, version: u64, targets: &[UserId]) -> bool {
        let mut state = self.state.lock();
        let Some(local) = state.local_mut(key) else { return true };
        let list = &mut local.list;
        if list.version.is_some_and(|held| held >= version) {
            return list.version >= Some(list.wanted);
        }
        list.version = Some(version);
        let current = version >= list.wanted;
        let Some(node) = state.index.find(key).and_then(|slot| state.index.node(slot)) else { return true };
        let held: HashSet<UserId> =
            node.targets.iter().filter_map(|slot| Some(state.index.node(*slot)?.key.1)).collect();
        let wanted: HashSet<UserId> = targets.iter().copied().collect();
        let added: Vec<UserId> = targets.iter().filter(|id| !held.contains(id)).copied().collect();
        let removed: Vec<UserId> = held.difference(&wanted).copied().collect();
        self.change_edges(&mut state, key, &added, &removed);
        current
    }

    /// Lists a user and those it watches as far as their status must still be read, and the era that a read
    /// counts for if it comes after the interest of now is in force.
    pub(crate) fn unsynced(&self, key: &UserKey) -> (Vec<UserId>, Era) {
        let state = self.state.lock();
        let own = state.index.find(key);
        let targets = own.and_then(|slot| state.index.node(slot)).map(|node| node.targets.as_slice());
        let users = own.iter().chain(targets.unwrap_or_default()).filter_map(|slot| {
            let node = state.index.node(*slot)?;
            (!node.value.synced).then_some(node.key.1)
        });
        (users.collect(), state.era)
    }

    /// Starts the interest anew, for a new stream: with all users of the index, in batches of at most `size`.
    pub(crate) fn restart_interest(&self, size: usize) -> Vec<Batch> {
        let state = self.state.lock();
        self.interest.restart(state.index.keys().copied().collect(), size)
    }

    fn change_edges(&self, state: &mut State, key: &UserKey, added: &[UserId], removed: &[UserId]) {
        let app: AppId = key.0;
        let Some(watcher) = state.index.find(key) else { return };
        let sessions = state.local(key).map(|local| local.sessions.clone()).unwrap_or_default();
        for id in removed {
            let Some((slot, gone)) = state.index.remove_edge(watcher, &(app, *id)) else { continue };
            if let Some(gone) = gone {
                self.interest.remove(gone);
            }
            for session in &sessions {
                if let Some(session) = state.sessions[*session as usize].as_mut() {
                    session.dirty.retain(|dirty| *dirty != slot);
                }
            }
        }
        for id in added {
            let Some((slot, new)) = state.index.add_edge(watcher, (app, *id)) else { continue };
            if new {
                self.begin_interest(state, slot);
            }
            for session in &sessions {
                if let Some(session) = state.sessions[*session as usize].as_mut() {
                    session.mark(slot);
                }
            }
        }
    }
}

impl State {
    /// Notes that a user's list has a new version. Says whether it is to be read now.
    pub(super) fn list_changed(&mut self, key: &UserKey, version: u64) -> bool {
        let Some(local) = self.local_mut(key) else { return false };
        local.list.wanted = local.list.wanted.max(version);
        local.list.commands == 0 && local.list.version.is_some_and(|held| held < version)
    }
}
