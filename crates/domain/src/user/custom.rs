//! What the user says they are doing, and for how long (SPEC B).

use super::{CustomFrom, Decision, LastSet, UserState};
use crate::{
    code::{Code, Refusal},
    id::{Op, SessionId},
    status::{CustomStatus, RecordVersion},
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
        let custom_from = CustomFrom::ThisCommit;
        let mut after = Self { custom, clear_at, custom_from, ..self.clone() };
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

    /// Returns the version of the set that the custom status is from, if this text and time to clear are what it is;
    /// `None` where another one has come after, or nothing is known.
    pub fn version_of_set(
        &self,
        custom: &CustomStatus,
        clear_at: Option<Timestamp>,
    ) -> Option<RecordVersion> {
        let clear_at = clear_at.filter(|_| !custom.is_empty());
        match self.custom_from {
            CustomFrom::Version(version) if self.custom == *custom && self.clear_at == clear_at => {
                Some(version)
            }
            _ => None,
        }
    }

    /// Puts back the last set of a live session, which the store may have lost, and returns the version that it had; 0
    /// where it is not newer than what the custom status is from. So of the last sets of all sessions the latest stands,
    /// in whatever order they are put back; and nothing of before the user left ONLINE (SPEC B3). One whose time to clear
    /// has passed is put back as cleared (SPEC B6).
    pub(super) fn put_back(
        &mut self,
        session: SessionId,
        set: Option<&LastSet>,
        now: Timestamp,
    ) -> RecordVersion {
        let (Some(set), Some(held)) = (set, self.sessions.get_mut(&session)) else {
            return RecordVersion::default();
        };
        held.last_op = held.last_op.max(set.op);
        let from = CustomFrom::Version(set.version);
        if from <= self.custom_from {
            return RecordVersion::default();
        }
        let is_cleared = set.clear_at.is_some_and(|at| at <= now);
        self.custom = if is_cleared { CustomStatus::default() } else { set.custom.clone() };
        self.clear_at = set.clear_at.filter(|_| !self.custom.is_empty());
        self.custom_from = from;
        set.version
    }
}
