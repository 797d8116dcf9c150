//! Sessions begin, move and end (SPEC A5 to A7, A11, H2, H5, H6).

use std::time::Duration;

use super::{Assertion, Decision, ENDED_MAX, EndReason, SESSIONS_MAX, Session, Timer, UserState};
use crate::{
    code::{Code, Refusal},
    id::{Platform, SessionId},
    policy::Group,
    status::RecordVersion,
    time::Timestamp,
};

/// What adding a session does: the state after it, the timers, and the sessions that it ended.
type Added = (UserState, Vec<Timer>, Vec<(SessionId, EndReason)>);

impl UserState {
    /// Adds a session that expires `expiry` after `now`, and that competes in `group` by the app's policy.
    ///
    /// A session of the same platform and device is replaced silently (SPEC H5). Beyond the limit of the group, and
    /// beyond [`SESSIONS_MAX`], the oldest login is kicked (SPEC H4). The marks of the group's platforms go. A session
    /// that exists already changes nothing.
    ///
    /// A client that comes back by itself continues a login: it keeps that one's place among the logins, and is refused
    /// with 6208 where one that is newer has overtaken it.
    pub fn on_login(
        &self,
        session: SessionId,
        login: Session,
        group: Group,
        expiry: Duration,
        now: Timestamp,
    ) -> Result<Option<Decision>, Refusal> {
        if self.sessions.contains_key(&session) {
            return Ok(None);
        }
        if self.overtaken(&login, group).is_some() || self.is_superseded(&login, group) {
            return Err(Refusal::new(
                Code::Kicked,
                "a newer login or the app ended this session while its connection was gone, log in again to take \
                 over",
            ));
        }
        let (after, timers, ended) = self.add(session, None, login, group, now.plus(expiry));
        Ok(Some(self.decide(after, timers, ended, now)))
    }

    /// Says how a session that is not held was ended by logins that are newer and alive: its device has logged in
    /// again, or they leave no place in its group. A login of the user that is to commit is the newest.
    fn overtaken(&self, login: &Session, group: Group) -> Option<EndReason> {
        let place = login.place()?;
        // One client has many sessions of one place, one after the other. That of a login to commit is its last.
        let is_later = |other: &Session| {
            other.place() > Some(place)
                || (other.place() == Some(place) && login.order.is_some() && other.order > login.order)
        };
        if self.sessions.values().any(|other| other.is_of_device(login) && is_later(other)) {
            return Some(EndReason::Replaced);
        }
        let newer =
            self.sessions.values().filter(|other| group.holds(other.platform) && other.place() > Some(place));
        (newer.count() >= group.limit).then_some(EndReason::Kicked)
    }

    /// Says whether a login that comes back was ended by one that has left since. Then the mark that its loss left,
    /// or would have left, is gone, and the user has left ONLINE after it (an order is a time of the store).
    fn is_superseded(&self, login: &Session, group: Group) -> bool {
        let Some(place) = login.place() else { return false };
        group.limit == 1
            && self.sessions.values().all(|other| !group.holds(other.platform))
            && !self.marks.contains_key(&login.platform)
            && self.last_online_at.is_some_and(|left| left.0 > place.0)
    }

    /// Adds a session, in place of those of its device. One that is the same under a `former` id has not ended.
    fn add(
        &self,
        session: SessionId,
        former: Option<SessionId>,
        login: Session,
        group: Group,
        deadline: Timestamp,
    ) -> Added {
        let mut after = self.clone();
        let mut ended: Vec<(SessionId, EndReason)> = self
            .sessions
            .iter()
            .filter(|(_, older)| older.is_of_device(&login))
            .map(|(id, _)| (*id, EndReason::Replaced))
            .collect();
        for (id, _) in &ended {
            after.sessions.remove(id);
        }
        while let Some((oldest, kicked)) = after.surplus(group) {
            after.sessions.remove(&oldest);
            after.marks.remove(&kicked);
            ended.push((oldest, EndReason::Kicked));
        }
        after.marks.retain(|platform, _| !group.holds(*platform));
        after.sessions.insert(session, login);

        let mut timers: Vec<Timer> = ended.iter().map(|(id, _)| Timer::Remove(*id)).collect();
        ended.retain(|(id, _)| Some(*id) != former);
        after.remember(&ended);
        timers.push(Timer::Set(session, deadline));
        (after, timers, ended)
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

    /// Keeps a session for `grace` whose connection we closed: its client is expected back (SPEC A11). One that
    /// is not live is treated as by [`UserState::on_connection_lost`]; to be told so again changes nothing.
    pub fn on_connection_moved(
        &self,
        session: SessionId,
        grace: Duration,
        now: Timestamp,
    ) -> Option<Decision> {
        let mut after = self.clone();
        let Some(moved) = after.sessions.get_mut(&session) else {
            return self.on_connection_lost(session, EndReason::Moved, now);
        };
        if std::mem::replace(&mut moved.moved, true) {
            return None;
        }
        Some(self.decide(after, vec![Timer::Set(session, now.plus(grace))], Vec::new(), now))
    }

    /// Holds a session again that expires at `deadline`: its gateway has its connection, and we have lost or ended
    /// it. Its last set comes back with it, or alone where only that was lost.
    ///
    /// One that is over for its client is refused with the reason: it was kicked or replaced, newer logins have taken
    /// its place in `group`, or the app has kicked the user since. A session that exists already, whose last set is known
    /// or was overtaken, changes nothing.
    pub fn on_assert(
        &self,
        assertion: &Assertion,
        group: Group,
        deadline: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Decision>, EndReason> {
        let Assertion { session, former, login, last_set } = assertion;
        let is_held = self.sessions.contains_key(session);
        let (mut after, timers, ended) = if is_held {
            (self.clone(), Vec::new(), Vec::new())
        } else {
            if let Some(reason) = self.is_over(*session, *former, login, group) {
                return Err(reason);
            }
            self.add(*session, Some(*former), login.clone(), group, deadline)
        };
        let floor = after.put_back(*session, last_set.as_ref(), now);
        if is_held && after == *self {
            return Ok(None);
        }
        Ok(Some(Decision { floor, ..self.decide(after, timers, ended, now) }))
    }

    /// Says why a session that is asserted is over for its client, if it is.
    fn is_over(
        &self,
        session: SessionId,
        former: SessionId,
        login: &Session,
        group: Group,
    ) -> Option<EndReason> {
        let over = |reason: &EndReason| matches!(reason, EndReason::Kicked | EndReason::Replaced);
        let mut ended = self.ended.iter().filter(|(id, _)| *id == session || *id == former);
        if let Some((_, reason)) = ended.find(|(_, reason)| over(reason)) {
            return Some(*reason);
        }
        // Orders are versions, and those are times of the store or later.
        let kicked = self.revoked_until.map(|at| RecordVersion(at.0));
        if kicked.is_some() && login.order <= kicked {
            return Some(EndReason::Kicked);
        }
        self.overtaken(login, group)
    }

    /// Ends sessions whose deadline has passed (`expired`) and those whose gateway has died (`orphaned`), all in
    /// one change. The gateway of the expired may still hold them, so the reason is remembered; of the orphaned
    /// nobody is left to hear why (SPEC A7, A11).
    pub fn on_sessions_due(
        &self,
        expired: &[SessionId],
        orphaned: &[SessionId],
        now: Timestamp,
    ) -> Option<Decision> {
        let all = [expired, orphaned].concat();
        self.end(&all, EndReason::Timeout, now).map(|mut decision| {
            decision.ended = expired
                .iter()
                .filter(|id| self.sessions.contains_key(id))
                .map(|id| (*id, EndReason::Timeout))
                .collect();
            decision.state.remember(&decision.ended);
            decision
        })
    }

    /// Ends sessions of which their gateway says that it has no connection, and never will again. One that moved lives on
    /// until its deadline (SPEC A11); one that is not live changes nothing.
    pub fn on_connections_absent(&self, sessions: &[SessionId], now: Timestamp) -> Option<Decision> {
        let is_gone = |id: &&SessionId| self.sessions.get(id).is_some_and(|session| !session.moved);
        let gone: Vec<SessionId> = sessions.iter().filter(is_gone).copied().collect();
        self.end(&gone, EndReason::Closed, now)
    }

    /// Gives a live session its timer back, which the store has lost: without one nothing would end it once its gateway
    /// is dead. One that moved, or that is not live, is left as it is.
    pub fn on_timer_missing(
        &self,
        session: SessionId,
        deadline: Timestamp,
        now: Timestamp,
    ) -> Option<Decision> {
        let live = self.sessions.get(&session).filter(|live| !live.moved);
        live.map(|_| self.decide(self.clone(), vec![Timer::Set(session, deadline)], Vec::new(), now))
    }

    /// Remembers why sessions ended, for a gateway that has not heard of it.
    pub(super) fn remember(&mut self, ended: &[(SessionId, EndReason)]) {
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

    /// Finds the session to kick so that one more finds room: the oldest of the group where that is full, else of
    /// all where there are [`SESSIONS_MAX`].
    fn surplus(&self, group: Group) -> Option<(SessionId, Platform)> {
        let rivals = self.sessions.values().filter(|session| group.holds(session.platform)).count();
        if rivals >= group.limit {
            self.oldest(|session| group.holds(session.platform))
        } else if self.sessions.len() >= SESSIONS_MAX {
            self.oldest(|_| true)
        } else {
            None
        }
    }

    /// Finds the session that logged in first. One whose login is not committed yet is the newest of all.
    fn oldest(&self, among: impl Fn(&Session) -> bool) -> Option<(SessionId, Platform)> {
        self.sessions
            .iter()
            .filter(|(_, session)| among(session))
            .min_by_key(|(id, session)| (session.order.is_none(), session.place(), **id))
            .map(|(id, session)| (*id, session.platform))
    }
}
