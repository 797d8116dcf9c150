//! What presence is told of the sessions here (DESIGN section 4).

use std::time::Duration;

use rollcall_proto::gateway::v1::{HeardSession, ReportRequest, ReportResponse, SessionRef};
use rollcall_runtime::clock::Monotonic;

use super::{Hub, SessionSlot, State, UserKey};

/// The greatest number of heard sessions in one report.
const HEARD_PER_REPORT: usize = 4096;
/// The greatest number of ended sessions in one report: each is a commit on the other side.
const ENDED_PER_REPORT: usize = 512;

/// A report, and what to note once it is answered.
#[derive(Debug)]
pub(crate) struct Report {
    /// What presence is told.
    pub(crate) request: ReportRequest,
    heard: Vec<(SessionSlot, u64, Monotonic)>,
}

impl Report {
    /// Says whether there is nothing to tell and nothing to ask for.
    pub(crate) fn is_empty(&self) -> bool {
        self.heard.is_empty() && self.request.ended.is_empty() && self.request.apps.is_empty()
    }

    /// Says whether the report leaves more to tell at once.
    pub(crate) fn is_full(&self) -> bool {
        self.heard.len() == HEARD_PER_REPORT || self.request.ended.len() == ENDED_PER_REPORT
    }
}

/// Names a session on the wire.
pub(super) fn session_ref(key: &UserKey, counter: u64) -> SessionRef {
    SessionRef { app_id: key.0.get(), user_id: key.1.as_str().to_owned(), counter }
}

impl Hub {
    /// Makes the next report. A session is in it if it was heard since presence was told, and presence was
    /// told at least `every` ago or would let it expire in less than `left`.
    pub(crate) fn report(&self, boot: u64, every: Duration, left: Duration, now: Monotonic) -> Report {
        let state = self.state.lock();
        let mut heard = Vec::new();
        let mut sessions = Vec::new();
        for (slot, session) in state.sessions.iter().enumerate() {
            let Some(session) = session.as_ref().filter(|session| !session.ended) else { continue };
            let last = session.handle.last_heard();
            let due = now.since(session.uploaded_at) >= every
                || session.uploaded.plus(self.expiry).since(now) < left;
            if last <= session.uploaded || !due {
                continue;
            }
            let age = u64::try_from(now.since(last).as_millis()).unwrap_or(u64::MAX);
            sessions.push(HeardSession {
                session: Some(session_ref(&session.handle.key, session.handle.counter)),
                age_ms: age,
            });
            heard.push((SessionSlot::try_from(slot).unwrap_or_default(), session.handle.counter, last));
            if heard.len() == HEARD_PER_REPORT {
                break;
            }
        }
        let ended = state.ended.iter().take(ENDED_PER_REPORT).cloned().collect();
        let apps = Self::app_versions(&state);
        Report { request: ReportRequest { boot, heard: sessions, ended, apps }, heard }
    }

    /// Notes that a report was answered.
    pub(crate) fn reported(&self, report: &Report, reply: &ReportResponse, now: Monotonic) {
        let mut guard = self.state.lock();
        let state: &mut State = &mut guard;
        for (slot, counter, last) in &report.heard {
            if let Some(session) = state.sessions[*slot as usize].as_mut()
                && session.handle.counter == *counter
            {
                session.uploaded = *last;
                session.uploaded_at = now;
            }
        }
        // Only reports take from the front, one at a time, so the first entries are the report's.
        for ended in state.ended.drain(..report.request.ended.len()).collect::<Vec<_>>() {
            if ended.session.as_ref().is_some_and(|session| reply.unsettled.contains(session)) {
                state.ended.push_back(ended);
            }
        }
    }
}
