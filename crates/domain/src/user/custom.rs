//! What the user says they are doing, and for how long (SPEC B).

use super::{Decision, UserState};
use crate::{
    code::{Code, Refusal},
    id::{Op, SessionId},
    status::CustomStatus,
    time::Timestamp,
};

impl UserState {
    /// Replaces the custom status, as command `op` of the session, and the time at which it clears by itself; `None`
    /// for one that does not, and an empty one has none (SPEC B6). An equal text makes no new version (SPEC B5). A
    /// session that the user does not have is refused with 6014.
    ///
    /// A command that the session has come to already, or gone past, changes nothing: it is a copy of one that was
    /// applied, or was overtaken on its way. A newer one is stored even if its text is equal: what comes of the
    /// older ones has to find it. With [`Op::NONE`] copies cannot be told, and an equal text that clears at the same
    /// time changes nothing.
    pub fn on_set_custom(
        &self,
        session: SessionId,
        op: Op,
        custom: CustomStatus,
        clear_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Option<Decision>, Refusal> {
        let clear_at = clear_at.filter(|_| !custom.is_empty());
        let mut after = Self { custom, clear_at, ..self.clone() };
        let Some(caller) = after.sessions.get_mut(&session) else {
            return Err(Refusal::new(Code::NotLoggedIn, "the session has ended, expected a live one"));
        };
        let is_copy = op != Op::NONE && op <= caller.last_op;
        caller.last_op = caller.last_op.max(op);
        let is_nothing = op == Op::NONE && after.custom == self.custom && after.clear_at == self.clear_at;
        if is_copy || is_nothing {
            return Ok(None);
        }
        Ok(Some(self.decide(after, Vec::new(), Vec::new(), now)))
    }

    /// Clears the custom status if the time for it has come (SPEC B6): never before, and not where a later set, or the
    /// user's leaving ONLINE, has come first.
    pub fn on_clear_due(&self, now: Timestamp) -> Option<Decision> {
        let is_due = self.clear_at.is_some_and(|at| at <= now);
        let after = Self { custom: CustomStatus::default(), ..self.clone() };
        is_due.then(|| self.decide(after, Vec::new(), Vec::new(), now))
    }
}
