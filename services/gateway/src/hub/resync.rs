//! What is read again after changes may have been missed (DESIGN section 5, resync).

use std::collections::BTreeMap;

use rollcall_domain::{
    id::{AppId, UserId},
    status::StatusVersion,
};

use super::{Era, Hub, SessionHandle, State, UserKey};

/// Users of each app.
pub(crate) type Users = BTreeMap<AppId, Vec<UserId>>;

/// What is to be read again.
#[derive(Debug)]
pub(crate) struct Stale {
    /// The users whose status is shown here.
    pub(crate) shown: Users,
    /// Those among them who have sessions here, and so a list.
    pub(crate) here: Users,
    /// The era that a read counts for if it comes after the interest of now is in force.
    pub(crate) era: Era,
}

impl Hub {
    /// Forgets that statuses and lists of users were read, and has presence asked whether it still holds their
    /// sessions.
    pub(crate) fn begin_resync(&self, concerned: impl Fn(&UserKey) -> bool) -> Stale {
        let mut guard = self.state.lock();
        let state: &mut State = &mut guard;
        let era = state.next_era();
        let (mut shown, mut here) = (Users::new(), Users::new());
        for node in state.index.nodes_mut().filter(|node| concerned(&node.key)) {
            let (app, user) = node.key;
            node.value.synced = false;
            node.value.since = era;
            shown.entry(app).or_default().push(user);
            let Some(local) = &node.value.local else { continue };
            here.entry(app).or_default().push(user);
            for slot in &local.sessions {
                if let Some(session) = state.sessions[*slot as usize].as_mut() {
                    session.doubted = true;
                }
            }
        }
        if !here.is_empty() {
            self.to_report.notify_one();
        }
        Stale { shown, here, era }
    }

    /// Has presence asked whether it still holds a session.
    pub(crate) fn doubt(&self, handle: &SessionHandle) {
        let mut state = self.state.lock();
        let session = state.sessions[handle.slot as usize].as_mut();
        if let Some(session) = session.filter(|session| session.handle.counter == handle.counter) {
            session.doubted = true;
        }
    }

    /// Compares versions that were read with those that are shown, and returns the users whose status must be
    /// read. The others count as read in `era`.
    pub(crate) fn behind(&self, app: AppId, versions: &[(UserId, StatusVersion)], era: Era) -> Vec<UserId> {
        let mut state = self.state.lock();
        let mut behind = Vec::new();
        for (user, version) in versions {
            let Some(slot) = state.index.find(&(app, *user)) else { continue };
            let Some(node) = state.index.node_mut(slot) else { continue };
            if node.value.shown.as_ref().is_none_or(|shown| shown.version < *version) {
                behind.push(*user);
            } else if node.value.since <= era {
                node.value.synced = true;
            }
        }
        behind
    }

    /// Returns the users who are shown with a later version than one that was read, which the store may have lost.
    pub(crate) fn ahead(&self, app: AppId, versions: &[(UserId, StatusVersion)]) -> Vec<UserKey> {
        let state = self.state.lock();
        let ahead = versions.iter().filter(|(user, version)| {
            state.shown_version(&(app, *user)).is_some_and(|shown| shown > *version)
        });
        ahead.map(|(user, _)| (app, *user)).collect()
    }

    /// Returns the versions with which users of an app are shown, without those who are shown no more.
    pub(crate) fn shown_versions(&self, app: AppId, users: &[UserId]) -> Vec<(UserId, StatusVersion)> {
        let state = self.state.lock();
        users.iter().filter_map(|user| Some((*user, state.shown_version(&(app, *user))?))).collect()
    }

    /// Returns the users whose list must be read, now that these versions are known.
    pub(crate) fn lists_behind(&self, app: AppId, versions: &[(UserId, u64)]) -> Vec<UserKey> {
        let mut state = self.state.lock();
        let behind = versions.iter().filter(|(user, version)| state.list_changed(&(app, *user), *version));
        behind.map(|(user, _)| (app, *user)).collect()
    }
}

impl State {
    fn shown_version(&self, key: &UserKey) -> Option<StatusVersion> {
        Some(self.index.node(self.index.find(key)?)?.value.shown.as_ref()?.version)
    }
}
