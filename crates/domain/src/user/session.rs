//! Sessions begin and end (SPEC A5 to A7, H2, H5, H6).

use std::time::Duration;

use super::{Decision, ENDED_MAX, EndReason, SESSIONS_MAX, Session, Timer, UserState};
use crate::{
    id::{DeviceId, Platform, SessionId},
    time::Timestamp,
};

impl UserState {
    /// Adds a session that expires `expiry` after `now`.
    ///
    /// A session of the same platform and device is replaced silently (SPEC H5). Beyond [`SESSIONS_MAX`] the
    /// oldest login is kicked. The mark of the platform goes. A session that exists already changes nothing.
    pub fn on_login(
        &self,
        session: SessionId,
        platform: Platform,
        device: DeviceId,
        expiry: Duration,
        now: Timestamp,
    ) -> Option<Decision> {
        if self.sessions.contains_key(&session) {
            return None;
        }
        let mut after = self.clone();
        let mut ended: Vec<(SessionId, EndReason)> = self
            .sessions
            .iter()
            .filter(|(_, older)| older.platform == platform && older.device == device)
            .map(|(id, _)| (*id, EndReason::Replaced))
            .collect();
        for (id, _) in &ended {
            after.sessions.remove(id);
        }
        while after.sessions.len() >= SESSIONS_MAX {
            let Some((oldest, kicked)) = after.oldest() else { break };
            after.sessions.remove(&oldest);
            after.marks.remove(&kicked);
            ended.push((oldest, EndReason::Kicked));
        }
        after.marks.remove(&platform);
        after.sessions.insert(session, Session { platform, device, order: None });
        after.remember(&ended);

        let mut timers: Vec<Timer> = ended.iter().map(|(id, _)| Timer::Remove(*id)).collect();
        timers.push(Timer::Set(session, now.plus(expiry)));
        Some(self.decide(after, timers, ended, now))
    }

    /// Ends a session by logout. One that is not live changes nothing.
    pub fn on_logout(&self, session: SessionId, now: Timestamp) -> Option<Decision> {
        self.end(&[session], EndReason::Logout, now)
    }

    /// Ends a session whose gateway reports that its connection is gone, for `reason`.
    ///
    /// A late event of an older session touches nobody (SPEC A5): if we ended it ourselves, the report only
    /// lets us forget the reason.
    pub fn on_connection_lost(
        &self,
        session: SessionId,
        reason: EndReason,
        now: Timestamp,
    ) -> Option<Decision> {
        if self.sessions.contains_key(&session) {
            return self.end(&[session], reason, now);
        }
        let mut after = self.clone();
        after.ended.retain(|(id, _)| *id != session);
        (after.ended.len() != self.ended.len()).then(|| self.decide(after, Vec::new(), Vec::new(), now))
    }

    /// Ends sessions whose deadline has passed, all in one change. Their gateway may still hold them, so the
    /// reason is remembered.
    pub fn on_expired(&self, sessions: &[SessionId], now: Timestamp) -> Option<Decision> {
        self.end(sessions, EndReason::Timeout, now).map(|mut decision| {
            decision.ended = sessions
                .iter()
                .filter(|id| self.sessions.contains_key(id))
                .map(|id| (*id, EndReason::Timeout))
                .collect();
            decision.state.remember(&decision.ended);
            decision
        })
    }

    /// Remembers why sessions ended, for a gateway that has not heard of it.
    fn remember(&mut self, ended: &[(SessionId, EndReason)]) {
        self.ended.extend(ended);
        let excess = self.ended.len().saturating_sub(ENDED_MAX);
        self.ended.drain(..excess);
    }

    fn end(&self, sessions: &[SessionId], reason: EndReason, now: Timestamp) -> Option<Decision> {
        let mut after = self.clone();
        let mut timers = Vec::new();
        for id in sessions {
            let Some(gone) = after.sessions.remove(id) else { continue };
            timers.push(Timer::Remove(*id));
            let last = after.sessions.values().all(|other| other.platform != gone.platform);
            if reason.leaves_no_mark() {
                after.marks.remove(&gone.platform);
            } else if last {
                after.marks.insert(gone.platform, now);
            }
        }
        (!timers.is_empty()).then(|| self.decide(after, timers, Vec::new(), now))
    }

    /// Finds the session that logged in first. One whose login is not committed yet is the newest of all.
    fn oldest(&self) -> Option<(SessionId, Platform)> {
        self.sessions
            .iter()
            .min_by_key(|(id, session)| (session.order.is_none(), session.order, **id))
            .map(|(id, session)| (*id, session.platform))
    }
}
