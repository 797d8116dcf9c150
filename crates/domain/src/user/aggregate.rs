//! Many devices, one status (SPEC A2 to A5).

use std::collections::BTreeSet;

use super::UserState;
use crate::{id::Platform, status::General, time::Timestamp};

impl UserState {
    /// Returns the general status: a live session makes ONLINE, else a mark makes OFFLINE, else UNLOGINED.
    pub fn general(&self) -> General {
        if !self.sessions.is_empty() {
            General::Online
        } else if !self.marks.is_empty() {
            General::Offline
        } else {
            General::Unlogined
        }
    }

    /// Returns the platforms on which the user has a session (SPEC A9).
    pub fn online_platforms(&self) -> BTreeSet<Platform> {
        self.sessions.values().map(|session| session.platform).collect()
    }

    /// Returns when the user left ONLINE last; `None` while ONLINE, and for who never was (SPEC A9).
    pub fn left_online_at(&self) -> Option<Timestamp> {
        self.last_online_at.filter(|_| self.sessions.is_empty())
    }
}
