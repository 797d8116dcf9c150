//! The last set of each session that was acknowledged, to be told again if the store loses it (DESIGN section 4).

use rollcall_domain::{id::Op, time::Timestamp};
use rollcall_proto::{event::v1::Change, gateway::v1::LastSet};

use super::{Hub, Session, SessionHandle, State, UserKey};

/// How a change tells that nothing is known to have decided what the custom status is.
const NEVER: u64 = 1;

impl Hub {
    /// Keeps a set that was acknowledged, in place of the one before. Of version 0, for one that was overtaken, nothing is
    /// kept.
    pub(crate) fn keep_set(
        &self,
        handle: &SessionHandle,
        op: Op,
        custom: String,
        clear_at: Option<Timestamp>,
        version: u64,
    ) {
        let mut state = self.state.lock();
        let session = state.sessions[handle.slot as usize].as_mut();
        if let Some(session) = session.filter(|session| session.handle.counter == handle.counter) {
            let clear_at = clear_at.unwrap_or_default().0;
            let set = LastSet { op: op.0, custom, clear_at, version };
            session.last_set = (version != 0).then(|| Box::new(set));
        }
    }
}

impl State {
    /// Lets go of the sets of a user's sessions that a change says were overtaken: by a later set, or when the user left
    /// ONLINE.
    pub(super) fn forget_sets(&mut self, key: &UserKey, change: &Change) {
        let decided = if change.custom_version == 0 { change.record_version } else { change.custom_version };
        if decided == NEVER {
            return;
        }
        let of_user = self.local(key).map(|local| local.sessions.clone()).unwrap_or_default();
        for slot in of_user {
            if let Some(session) = self.sessions[slot as usize].as_mut() {
                session.last_set.take_if(|set| set.version < decided);
            }
        }
    }
}

impl Session {
    /// Returns what the session knows of the custom status: its last set, or that there was none when it began.
    pub(super) fn known_set(&self) -> Option<LastSet> {
        let bare = || LastSet { version: self.handle.login.bare_since, ..LastSet::default() };
        let known = self.last_set.as_deref().cloned().unwrap_or_else(bare);
        (known.version != 0).then_some(known)
    }
}
