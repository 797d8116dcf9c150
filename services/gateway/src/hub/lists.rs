//! Keeps the edges of the index equal to the subscription lists of the users who are here (SPEC D4, E2).

use rollcall_domain::id::UserId;

use super::{Hub, State, UserKey, index::Kinds};

/// What is known of something of a user that has versions.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The version that the edges are equal to; `None` until one was read.
    pub(super) held: Option<u64>,
    /// The newest version heard of.
    wanted: u64,
}

impl Known {
    /// Notes that there is a version.
    pub(super) fn hear(&mut self, version: u64) {
        self.wanted = self.wanted.max(version);
    }

    /// Says whether a version is held and another was heard of that is newer.
    pub(super) fn is_behind(&self) -> bool {
        self.held.is_some_and(|held| held < self.wanted)
    }

    /// Takes a version that was read, if it is newer than the one held. Says whether it is.
    pub(super) fn take(&mut self, version: u64) -> bool {
        let is_newer = self.held.is_none_or(|held| held < version);
        if is_newer {
            self.held = Some(version);
        }
        is_newer
    }
}

/// What the hub knows of a user's subscription list.
#[derive(Debug, Default)]
pub(super) struct List {
    known: Known,
    /// How many subscribes and unsubscribes of the user are on their way from here.
    commands: u32,
}

impl List {
    /// Says whether the list is to be read now.
    fn is_due(&self) -> bool {
        self.commands == 0 && self.known.is_behind()
    }
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
        node.value.local.as_ref()?.list.known.held?;
        Some(node.targets.iter().filter(|edge| edge.kinds().meets(Kinds::SUBSCRIPTION)).count())
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
        if let Some(delta) = delta {
            list.known.hear(delta.version);
            if list.known.held == Some(delta.previous) && list.known.take(delta.version) {
                self.change_edges(&mut state, key, Kinds::SUBSCRIPTION, &delta.added, &delta.removed);
            }
        }
        state.local(key).is_some_and(|local| local.list.is_due())
    }

    /// Makes a user's edges equal to a list that was read, if it is newer than the one held. Says whether
    /// nothing newer was heard of since.
    pub(crate) fn apply_list(&self, key: &UserKey, version: u64, targets: &[UserId]) -> bool {
        let mut state = self.state.lock();
        let Some(local) = state.local_mut(key) else { return true };
        let known = &mut local.list.known;
        let (is_newer, is_current) = (known.take(version), !known.is_behind());
        if is_newer {
            let change = state.differences(key, Kinds::SUBSCRIPTION, targets);
            self.change_edges(&mut state, key, Kinds::SUBSCRIPTION, &change.added, &change.removed);
        }
        is_current
    }
}

impl State {
    /// Notes that a user's list has a new version. Says whether it is to be read now.
    pub(super) fn list_changed(&mut self, key: &UserKey, version: u64) -> bool {
        let Some(local) = self.local_mut(key) else { return false };
        local.list.known.hear(version);
        local.list.is_due()
    }
}
