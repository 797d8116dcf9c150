//! What the user says they are doing (SPEC B).

use super::{Decision, UserState};
use crate::{
    code::{Code, Refusal},
    id::SessionId,
    status::CustomStatus,
    time::Timestamp,
};

impl UserState {
    /// Replaces the custom status. An equal text changes nothing: `None`, and no new version (SPEC B5).
    /// A session that the user does not have is refused with 6014.
    pub fn on_set_custom(
        &self,
        session: SessionId,
        custom: CustomStatus,
        now: Timestamp,
    ) -> Result<Option<Decision>, Refusal> {
        if !self.sessions.contains_key(&session) {
            return Err(Refusal::new(Code::NotLoggedIn, "the session has ended, expected a live one"));
        }
        if self.custom == custom {
            return Ok(None);
        }
        let after = Self { custom, ..self.clone() };
        Ok(Some(self.decide(after, Vec::new(), Vec::new(), now)))
    }
}
