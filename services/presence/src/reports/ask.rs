//! Asks a gateway that lives about sessions whose deadlines have passed, and takes its answers (DESIGN section 4).
//! `overdue.rs` is the rule.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, stream};
use rollcall_domain::{id::BootId, user::UserState};
use rollcall_proto::{
    gateway::v1::{Answer, EndedConnection, HeardSession, SessionRef, answer::Fate},
    trace::TraceParent,
};
use rollcall_records::Error;
use rollcall_store::{
    Partition,
    port::{Nonce, Timer, TimerId, TimerSet},
};
use tracing::{error, info, warn};

use super::{Reports, USERS_AT_ONCE, UserKey, read, reference};
use crate::{
    metrics::Verdict,
    overdue::{Judged, QUESTIONS_MAX, SESSIONS_MAX},
};

/// Partitions that are read at once.
const PARTITIONS_AT_ONCE: usize = 8;

/// What a report answers, as what gateways tell unasked.
#[derive(Debug, Default)]
pub(super) struct Answered {
    /// Sessions whose connections are open.
    pub(super) live: Vec<HeardSession>,
    /// Sessions whose connections have ended.
    pub(super) ended: Vec<EndedConnection>,
    /// Sessions that the gateway does not know.
    unknown: Vec<SessionRef>,
}

impl Answered {
    /// Sorts answers; those without a session say nothing.
    pub(super) fn read(answers: &[Answer]) -> Self {
        let mut answered = Self::default();
        for Answer { session, fate } in answers {
            let Some(known) = session else { continue };
            let session = session.clone();
            match *fate {
                Some(Fate::LiveAgeMs(age_ms)) => answered.live.push(HeardSession { session, age_ms }),
                Some(Fate::Ended(reason)) => answered.ended.push(EndedConnection { session, reason }),
                None => answered.unknown.push(known.clone()),
            }
        }
        answered
    }

    fn is_empty(&self) -> bool {
        self.live.is_empty() && self.ended.is_empty() && self.unknown.is_empty()
    }
}

impl Reports {
    /// Ends the sessions whose deadlines have passed and which their gateway does not know; in a quiet time it is asked
    /// again. The others it answered about are as those that it tells of unasked.
    pub(super) async fn settle(
        &self,
        boot: BootId,
        answered: &Answered,
        trace: &TraceParent,
        malformed: &mut usize,
    ) -> Result<(), rollcall_store::Error> {
        if answered.is_empty() {
            return Ok(());
        }
        let now = self.store.now().await?;
        let mut unknown = Vec::new();
        for session in &answered.unknown {
            match read(boot, Some(session)) {
                Ok(((app, user), session)) => {
                    let id = TimerId::of_session(app, user, session);
                    unknown.push(Timer { deadline: now, id });
                }
                Err(_) => *malformed += 1,
            }
        }
        let ended = if self.quiet.is_now() { 0 } else { self.expire(unknown, trace).await };
        self.metrics.overdue.judged(Verdict::Live, answered.live.len());
        self.metrics.overdue.judged(Verdict::Ended, answered.ended.len());
        self.metrics.overdue.judged(Verdict::Unknown, ended);
        let (live, told) = (answered.live.len(), answered.ended.len());
        info!(
            live,
            ended = told,
            unknown = answered.unknown.len(),
            "a gateway said what became of sessions whose deadlines have passed"
        );
        Ok(())
    }

    /// Reads the passed deadlines of a boot that reports, ends the sessions about which it was asked in vain, and
    /// returns those to ask about: none if that cannot be read now, nor in a quiet time.
    pub(super) async fn questions(&self, boot: BootId, nonce: Nonce, trace: &TraceParent) -> Vec<SessionRef> {
        if self.quiet.is_now() {
            return Vec::new();
        }
        let partitions = self.overdue.reported(boot, nonce);
        if partitions.is_empty() {
            return Vec::new();
        }
        let judged = self.judge(boot, partitions).await;
        if judged.new > 0 {
            let sessions = judged.new;
            warn!(sessions, "deadlines have passed of sessions whose gateway lives, asking it");
        }
        self.metrics.overdue.questions.inc_by(judged.ask.len() as u64);
        let ended = self.expire(judged.end, trace).await;
        if ended > 0 {
            self.metrics.overdue.judged(Verdict::Unanswered, ended);
            error!(
                sessions = ended,
                "a gateway that lives did not say what became of sessions whose deadlines have passed, they end"
            );
        }
        let named = |id: TimerId| Some(reference(id.app, &id.user, id.session()?));
        judged.ask.into_iter().filter_map(named).collect()
    }

    /// Judges the passed deadlines of a boot, as many as a reply has questions; fewer if they cannot be read now.
    async fn judge(&self, boot: BootId, partitions: Vec<Partition>) -> Judged {
        let mut all = Judged::default();
        // Read first: what the sweep notes later may be missing in what is read.
        let now = match self.store.now().await {
            Ok(now) => now,
            Err(error) => return unread(&error, all),
        };
        let set = TimerSet::Sessions(boot);
        let read = |partition| async move {
            (partition, self.store.due(partition, set, now, None, SESSIONS_MAX).await)
        };
        let mut reads = stream::iter(partitions).map(read).buffered(PARTITIONS_AT_ONCE);
        while all.ask.len() + all.end.len() + SESSIONS_MAX <= QUESTIONS_MAX
            && let Some((partition, due)) = reads.next().await
        {
            let due = match due {
                Ok(due) => due,
                Err(error) => return unread(&error, all),
            };
            let judged = self.overdue.judge(boot, partition, &due, now);
            all.ask.extend(judged.ask);
            all.end.extend(judged.end);
            all.new += judged.new;
        }
        all
    }

    /// Ends sessions unless they have deadlines later than these, and returns how many ended.
    async fn expire(&self, timers: Vec<Timer>, trace: &TraceParent) -> usize {
        let mut users: BTreeMap<UserKey, Vec<Timer>> = BTreeMap::new();
        for timer in timers {
            users.entry((timer.id.app, timer.id.user)).or_default().push(timer);
        }
        let ends = users.into_iter().map(|(user, timers)| self.expire_of(user, timers, trace));
        stream::iter(ends).buffer_unordered(USERS_AT_ONCE).fold(0, async |all, one| all + one).await
    }

    /// Does so for one user, in one commit.
    async fn expire_of(&self, (app, user): UserKey, timers: Vec<Timer>, trace: &TraceParent) -> usize {
        let sessions: Vec<_> = timers.iter().filter_map(|timer| timer.id.session()).collect();
        let decide = |state: &UserState, now| {
            let is_quiet = self.quiet.is_now();
            Ok(if is_quiet { None } else { state.on_sessions_due(&sessions, &[], now) })
        };
        match self.users.apply_guarded(app, &user, trace, &timers, decide).await {
            Ok(Some(applied)) => {
                self.metrics.decided(&applied.ended);
                applied.ended.len()
            }
            // One of them was heard of meanwhile; the others are asked about again.
            Ok(None) => 0,
            Err(error @ (Error::Unreadable { .. } | Error::Refused(_))) => {
                error!(%error, "could not end a session whose deadline has passed");
                0
            }
            Err(error) => {
                warn!(%error, "could not end a session whose deadline has passed, its gateway is asked again");
                0
            }
        }
    }
}

fn unread(error: &rollcall_store::Error, judged: Judged) -> Judged {
    warn!(%error, "could not read which deadlines have passed, trying again at the next report");
    judged
}

#[cfg(test)]
mod tests;
