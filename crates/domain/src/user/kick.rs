//! The app's backend ends what a user has, and revokes the tokens (SPEC H7).

use super::{Decision, EndReason, SessionId, Timer, UserState};
use crate::{
    code::{Code, Refusal},
    time::Timestamp,
};

impl UserState {
    /// Ends all sessions and revokes the tokens that were issued in this second or before. No mark is left, on whatever
    /// platform: the user is out on all of them (SPEC A4).
    pub fn on_kick(&self, now: Timestamp) -> Decision {
        let sessions = self.sessions.keys();
        let ended: Vec<(SessionId, EndReason)> = sessions.map(|id| (*id, EndReason::Kicked)).collect();
        let mut after = self.clone();
        after.sessions.clear();
        after.marks.clear();
        after.revoked_until = self.revoked_until.max(Some(now));
        after.remember(&ended);
        let timers = ended.iter().map(|(id, _)| Timer::Remove(*id)).collect();
        self.decide(after, timers, ended, now)
    }

    /// Checks that a token issued at this time is not revoked (70052). To be asked of the very state that a login is
    /// decided upon, so that none slips through beside a kick.
    pub fn check_token(&self, issued_at: Timestamp) -> Result<(), Refusal> {
        match self.revoked_until {
            Some(until) if issued_at.seconds() <= until.seconds() => Err(Refusal::new(
                Code::TokenRevoked,
                "the token was revoked when the app kicked the user, expected one that was issued since",
            )),
            _ => Ok(()),
        }
    }
}
