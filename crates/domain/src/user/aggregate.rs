//! Many devices, one status (SPEC A2 to A5).

use super::UserState;
use crate::status::General;

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
}
