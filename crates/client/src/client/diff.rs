//! What the listeners were shown, so that they hear of differences only (SPEC F4, F6, B5).
//!
//! Invariant: between two starts, the versions shown of a user strictly increase, save for the echo of a call
//! that set an equal text, and for users who were unsubscribed from in between.

use std::collections::BTreeMap;

use rollcall_domain::id::UserId;

use crate::{General, UserStatus};

/// Most users remembered: oneself, the 200 subscriptions and 3,000 friends that the server allows, and room for
/// calls in flight. Beyond it the one whose change is the longest ago is forgotten; should the server send that
/// one again, it is shown whatever its version.
const MAX_USERS: usize = 4096;

struct Shown {
    version: u64,
    general: General,
    custom: String,
    /// Not confirmed since the last reconnect: a newer version with the same content is no difference.
    stale: bool,
}

impl Shown {
    fn new(status: &UserStatus) -> Self {
        Self { version: status.version, general: status.general, custom: status.custom.clone(), stale: false }
    }

    fn looks_like(&self, status: &UserStatus) -> bool {
        self.general == status.general && self.custom == status.custom
    }
}

#[derive(Default)]
pub(super) struct Diff {
    own: Option<UserId>,
    shown: BTreeMap<UserId, Shown>,
}

impl Diff {
    /// Starts anew, at a login by the app.
    pub(super) fn start(&mut self, own: UserId) {
        self.own = Some(own);
        self.shown.clear();
    }

    /// Notes that the server will send everything again.
    pub(super) fn on_reconnect(&mut self) {
        for shown in self.shown.values_mut() {
            shown.stale = true;
        }
    }

    /// Takes what the server sent and returns what to show.
    pub(super) fn on_push(&mut self, statuses: Vec<UserStatus>) -> Vec<UserStatus> {
        statuses.into_iter().filter(|status| self.is_news(status)).collect()
    }

    /// Returns the version last shown of the user's own status.
    pub(super) fn own_version(&self) -> Option<u64> {
        self.shown.get(self.own.as_ref()?).map(|shown| shown.version)
    }

    /// Returns what was last shown of a user; unknown and version 0 before anything was.
    pub(super) fn shown(&self, user: UserId) -> UserStatus {
        let known = self.shown.get(&user);
        UserStatus {
            user_id: user,
            general: known.map_or(General::Unknown, |shown| shown.general),
            custom: known.map_or_else(String::new, |shown| shown.custom.clone()),
            version: known.map_or(0, |shown| shown.version),
        }
    }

    /// Takes the reply to a call that set the own status, and what [`own_version`](Self::own_version) was when
    /// the call was sent. Returns the status if it is to be shown: an equal text too, but not a version that was
    /// shown while the call was under way.
    pub(super) fn on_set_reply(&mut self, status: UserStatus, before: Option<u64>) -> Option<UserStatus> {
        let is_echo = self.own_version() == Some(status.version) && before == Some(status.version);
        let is_newer = self.own_version().is_none_or(|version| version < status.version);
        (is_echo || is_newer).then(|| {
            self.remember(&status);
            status
        })
    }

    /// Forgets users that were unsubscribed from, so that subscribing anew starts anew.
    pub(super) fn forget<'a>(&mut self, ids: impl IntoIterator<Item = &'a str>) {
        for id in ids.into_iter().filter_map(|id| UserId::new(id).ok()) {
            if Some(id) != self.own {
                self.shown.remove(&id);
            }
        }
    }

    /// Forgets everybody but the user.
    pub(super) fn forget_others(&mut self) {
        let own = self.own;
        self.shown.retain(|id, _| Some(*id) == own);
    }

    fn is_news(&mut self, status: &UserStatus) -> bool {
        let news = match self.shown.get_mut(&status.user_id) {
            None => true,
            Some(shown) if shown.version >= status.version => {
                shown.stale = false;
                return false;
            }
            Some(shown) => !(shown.stale && shown.looks_like(status)),
        };
        self.remember(status);
        news
    }

    fn remember(&mut self, status: &UserStatus) {
        self.shown.insert(status.user_id, Shown::new(status));
        if self.shown.len() > MAX_USERS {
            let forgettable = |id: &&UserId| Some(**id) != self.own && **id != status.user_id;
            let oldest = self.shown.keys().filter(forgettable).min_by_key(|id| self.shown[id].version);
            if let Some(oldest) = oldest.copied() {
                self.shown.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests;
