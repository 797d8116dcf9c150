//! What presence is told of the sessions here (DESIGN section 4).

use std::{sync::atomic::Ordering, time::Duration};

use rollcall_proto::gateway::v1::{AssertedSession, HeardSession, ReportRequest, ReportResponse, SessionRef};
use rollcall_runtime::{clock::Monotonic, rng};

use super::{Hub, Session, SessionHandle, SessionSlot, State, UserKey};
use crate::boot::Boot;

/// The greatest number of heard sessions in one report.
const HEARD_PER_REPORT: usize = 4096;
/// The greatest number of ended sessions in one report: each is a commit on the other side.
const ENDED_PER_REPORT: usize = 512;

/// The greatest number of asserted sessions in one report, each a commit too.
const ASSERTED_PER_REPORT: usize = 512;

/// A report, and what to note once it is answered.
#[derive(Debug)]
pub(crate) struct Report {
    /// What presence is told.
    pub(crate) request: ReportRequest,
    sessions: Vec<Mentioned>,
}

/// A session in a report, as it was when that was made.
#[derive(Debug)]
struct Mentioned {
    slot: SessionSlot,
    counter: u64,
    heard: Monotonic,
    doubted: bool,
}

impl Report {
    /// Says whether there is nothing to tell and nothing to ask for.
    pub(crate) fn is_empty(&self) -> bool {
        let request = &self.request;
        self.sessions.is_empty()
            && request.ended.is_empty()
            && request.apps.is_empty()
            && request.asserted.is_empty()
            && request.answers.is_empty()
    }

    /// Says whether the report leaves more to tell at once.
    pub(crate) fn is_full(&self) -> bool {
        self.sessions.len() >= HEARD_PER_REPORT
            || self.request.ended.len() == ENDED_PER_REPORT
            || self.request.asserted.len() == ASSERTED_PER_REPORT
    }
}

/// Names a session on the wire.
pub(super) fn session_ref(key: &UserKey, counter: u64) -> SessionRef {
    SessionRef { app_id: key.0.get(), user_id: key.1.as_str().to_owned(), counter }
}

/// Writes a duration in milliseconds.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn assertion(session: &Session, age_ms: u64, former_boot: u64) -> AssertedSession {
    let handle = &session.handle;
    AssertedSession {
        session: Some(session_ref(&handle.key, handle.counter)),
        platform: handle.login.platform,
        device_id: handle.login.device.as_str().to_owned(),
        login_order: handle.login.order,
        place: handle.login.place,
        age_ms,
        former_boot,
        last_set: session.known_set(),
    }
}

impl Hub {
    /// Notes that a client was heard, and has presence told at once if it would let the session expire in less than
    /// `left`: what it knows of is the time before, and the next report at the usual pace may come too late.
    pub(crate) fn heard(&self, handle: &SessionHandle, left: Duration, now: Monotonic) {
        let is_urgent = handle.last_heard().plus(self.expiry).since(now) < left;
        handle.heard(now);
        if is_urgent {
            self.to_report.notify_one();
        }
    }

    /// Makes the next report of a boot. A session is in it if it is to be held again, if it is doubted, or if it was
    /// heard since presence was told, and presence was told at least `every` ago or would let it expire in less than
    /// `left`.
    pub(crate) fn report(&self, boot: &Boot, every: Duration, left: Duration, now: Monotonic) -> Report {
        let state = self.state.lock();
        let mut request = ReportRequest {
            boot: boot.id,
            token: boot.token.clone(),
            nonce: rng::nonzero_u64(),
            ended: state.ended.iter().take(ENDED_PER_REPORT).cloned().collect(),
            apps: Self::app_versions(&state),
            answers: state.answers(now),
            store_epoch: state.epochs.newest(),
            ..ReportRequest::default()
        };
        let mut sessions = Vec::new();
        for (slot, session) in state.sessions.iter().enumerate() {
            let Some(session) = session.as_ref().filter(|session| !session.ended) else { continue };
            let last = session.handle.last_heard();
            let age_ms = millis(now.since(last));
            let due = now.since(session.uploaded_at) >= every
                || session.uploaded.plus(self.expiry).since(now) < left;
            if session.asserted {
                if request.asserted.len() == ASSERTED_PER_REPORT {
                    continue;
                }
                request.asserted.push(assertion(session, age_ms, boot.former));
            } else if session.doubted || last > session.uploaded && due {
                let session = Some(session_ref(&session.handle.key, session.handle.counter));
                request.heard.push(HeardSession { session, age_ms });
            } else {
                continue;
            }
            let slot = SessionSlot::try_from(slot).unwrap_or_default();
            let (counter, doubted) = (session.handle.counter, session.doubted);
            sessions.push(Mentioned { slot, counter, heard: last, doubted });
            if request.heard.len() == HEARD_PER_REPORT {
                break;
            }
        }
        Report { request, sessions }
    }

    /// Makes the last report of a boot; `None` while there are sessions here, or ends that presence does not know.
    pub(crate) fn last_report(&self, boot: &Boot) -> Option<Report> {
        let state = self.state.lock();
        if boot.id == 0 || state.sessions.iter().flatten().next().is_some() || !state.ended.is_empty() {
            return None;
        }
        let (nonce, token) = (rng::nonzero_u64(), boot.token.clone());
        let request =
            ReportRequest { boot: boot.id, token, nonce, leaving: true, ..ReportRequest::default() };
        Some(Report { request, sessions: Vec::new() })
    }

    /// Has presence told of a session that it does not hold, so that it does again.
    pub(crate) fn assert_session(&self, key: &UserKey, counter: u64) {
        let mut state = self.state.lock();
        let of_user = state.local(key).map(|local| local.sessions.clone()).unwrap_or_default();
        for slot in of_user {
            if let Some(session) = state.sessions[slot as usize].as_mut()
                && session.handle.counter == counter
            {
                session.asserted = true;
                self.to_report.notify_one();
            }
        }
    }

    /// Has presence told of all sessions, under a new boot or in a new epoch, and then of their digests.
    pub(crate) fn assert_all(&self) {
        let mut state = self.state.lock();
        // They were asked of the boot before.
        state.questions.clear();
        state.digests.owe_all();
        for session in state.sessions.iter_mut().flatten() {
            session.asserted = true;
        }
        self.to_report.notify_one();
    }

    /// Notes that a report was answered.
    pub(crate) fn reported(&self, report: &Report, reply: &ReportResponse, now: Monotonic) {
        let mut guard = self.state.lock();
        let state: &mut State = &mut guard;
        for told in &report.sessions {
            if let Some(session) = state.sessions[told.slot as usize].as_mut()
                && session.handle.counter == told.counter
            {
                session.uploaded = told.heard;
                session.uploaded_at = now;
                // What was asked before the doubt does not settle it.
                session.doubted &= !told.doubted;
                // A logout that is on its way may have been stored before what asserted its session.
                session.asserted &= session.handle.leaving.load(Ordering::Acquire);
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
