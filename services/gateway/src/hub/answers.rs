//! What presence asks about sessions whose deadlines have passed there, and what it is answered (DESIGN section 4).

use rollcall_proto::{
    convert,
    gateway::v1::{Answer, SessionRef, answer::Fate},
};
use rollcall_runtime::clock::Monotonic;

use super::{Hub, State, UserKey, reports::millis};

/// The greatest number of questions of one reply, as the contract says; those beyond are asked again.
const QUESTIONS_MAX: usize = 512;

impl Hub {
    /// Takes the questions of a reply; those of the one before are settled. Says whether some of them were not answered
    /// by the report of that reply, so that they are worth a report at once.
    pub(crate) fn asked(&self, questions: &[SessionRef], answered: &[Answer]) -> bool {
        let questions = &questions[..questions.len().min(QUESTIONS_MAX)];
        questions.clone_into(&mut self.state.lock().questions);
        let is_answered = |question| answered.iter().any(|answer| answer.session.as_ref() == Some(question));
        !questions.iter().all(is_answered)
    }
}

impl State {
    /// Answers the questions of the last reply.
    pub(super) fn answers(&self, now: Monotonic) -> Vec<Answer> {
        let answer =
            |session: &SessionRef| Answer { session: Some(session.clone()), fate: self.fate(session, now) };
        self.questions.iter().map(answer).collect()
    }

    /// Says what became of a session; `None` if that is not known.
    fn fate(&self, session: &SessionRef, now: Monotonic) -> Option<Fate> {
        let key: UserKey = (convert::app_id(session.app_id).ok()?, convert::user_id(&session.user_id).ok()?);
        let of_user = self.local(&key).map(|local| &local.sessions[..]).unwrap_or_default();
        let here = of_user.iter().filter_map(|slot| self.sessions[*slot as usize].as_ref());
        let mut live = here.filter(|here| here.handle.counter == session.counter && !here.ended);
        match live.next() {
            Some(live) => Some(Fate::LiveAgeMs(millis(now.since(live.handle.last_heard())))),
            None => self.ends.of(session.counter).map(|reason| Fate::Ended(reason as i32)),
        }
    }
}
