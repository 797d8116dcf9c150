//! What the user says they are doing (SPEC B).

use super::{Decision, UserState};
use crate::{
    code::{Code, Refusal},
    id::{Op, SessionId},
    status::CustomStatus,
    time::Timestamp,
};

impl UserState {
    /// Replaces the custom status, as command `op` of the session. An equal text makes no new version (SPEC B5).
    /// A session that the user does not have is refused with 6014.
    ///
    /// A command that the session has come to already, or gone past, changes nothing: it is a copy of one that was
    /// applied, or was overtaken on its way. A newer one is stored even if its text is equal: what comes of the
    /// older ones has to find it. With [`Op::NONE`] copies cannot be told, and an equal text changes nothing.
    pub fn on_set_custom(
        &self,
        session: SessionId,
        op: Op,
        custom: CustomStatus,
        now: Timestamp,
    ) -> Result<Option<Decision>, Refusal> {
        let mut after = Self { custom, ..self.clone() };
        let Some(caller) = after.sessions.get_mut(&session) else {
            return Err(Refusal::new(Code::NotLoggedIn, "the session has ended, expected a live one"));
        };
        let is_copy = op != Op::NONE && op <= caller.last_op;
        caller.last_op = caller.last_op.max(op);
        let is_nothing = op == Op::NONE && after.custom == self.custom;
        if is_copy || is_nothing {
            return Ok(None);
        }
        Ok(Some(self.decide(after, Vec::new(), Vec::new(), now)))
    }
}
