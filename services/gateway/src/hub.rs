//! What all connections of a gateway share: who is logged in, who watches whom, and the last shown status of
//! everyone concerned. One mutex, held briefly and never over an await.
//!
//! Invariants: a status is shown only if it is newer than the one before (SPEC F4); a session holds a dirty
//! mark for a user exactly while it is owed that user's status; frames are made from the user's entry at the
//! moment of writing, so a slow client skips states and never the last (SPEC F5).
//!
//! `hub/index.rs` holds users and edges, `hub/push.rs` turns changes into marks and marks into frames,
//! `hub/lists.rs` and `hub/friends.rs` keep edges equal to subscription lists and friends by way of `hub/edges.rs`,
//! `hub/reports.rs` is what presence is told, `hub/answers.rs` what it asks, `hub/ends.rs` what is remembered for
//! that, `hub/digests.rs` what it compares with what it holds, `hub/resync.rs` what is read again, `hub/epochs.rs` and
//! `hub/sets.rs` what is told again when the store has lost it, `hub/moves.rs` which clients are asked to move,
//! `hub/tokens.rs` when tokens run out.

mod answers;
mod apps;
mod digests;
mod edges;
mod ends;
mod epochs;
mod friends;
mod index;
mod lists;
mod marks;
mod moves;
mod push;
mod reports;
mod resync;
mod session;
mod sets;
mod tokens;
mod wheel;

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use rollcall_domain::{app::Settings, id::AppId, user::EndReason};
use rollcall_proto::{
    close::CloseCode,
    gateway::v1::{EndedConnection, SessionRef},
};
use rollcall_runtime::clock::Monotonic;
use tokio::sync::Notify;

use self::{
    digests::Digests,
    ends::Ends,
    epochs::Followed,
    index::{Index, UserSlot},
    lists::{Known, List},
    push::Shown,
    reports::session_ref,
    session::{Session, SessionSlot},
    wheel::Wheel,
};
pub(crate) use self::{
    index::UserKey,
    lists::ListDelta,
    push::{Statuses, ToRead, close_code},
    reports::Report,
    resync::Users,
    session::{LoginRecord, SessionHandle},
};
use crate::{codec::Codec, interest::Interest};

/// Counts the beginnings of interest: a read says nothing about a user whose interest began after it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Era(u64);

/// What the hub keeps for a user in the index.
#[derive(Debug, Default)]
struct User {
    /// The newest status known; `None` until the first is.
    shown: Option<Shown>,
    /// Whether the status was read after the interest in the user was in force, so that none can be missed.
    synced: bool,
    /// The [`Era`] in which the interest in the user began.
    since: Era,
    /// Present while the user has sessions here.
    local: Option<Box<Local>>,
}

/// What the hub keeps for a user with sessions here.
#[derive(Debug, Default)]
struct Local {
    sessions: Vec<SessionSlot>,
    list: List,
    friends: Known,
}

#[derive(Debug)]
struct State {
    index: Index<User>,
    sessions: Vec<Option<Session>>,
    free_sessions: Vec<SessionSlot>,
    apps: HashMap<AppId, App>,
    wheel: Wheel<(SessionSlot, u64)>,
    ended: VecDeque<EndedConnection>,
    ends: Ends,
    epochs: Followed,
    /// What presence asked in its last reply.
    questions: Vec<SessionRef>,
    next_counter: u64,
    /// The counters of logins of which it is not known yet what becomes of them.
    logins: BTreeSet<u64>,
    digests: Digests,
    era: Era,
    tally: Tally,
}

/// What has happened since the start.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    /// Statuses that were newer than the one shown.
    pub(crate) applied: u64,
    /// Statuses that were not.
    pub(crate) stale: u64,
    /// Sessions ended because their clients were silent.
    pub(crate) silent: u64,
}

#[derive(Debug, Clone, Copy)]
struct App {
    settings: Settings,
    version: u64,
}

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Hub {
    state: Mutex<State>,
    expiry: Duration,
    token_grace: Duration,
    /// The users that the notifier is asked for: those in the index.
    pub(crate) interest: Interest,
    /// Rung when presence should be told something at once.
    pub(crate) to_report: Notify,
}

impl Hub {
    /// Makes an empty hub whose clients may be silent for `expiry`, and stay for `token_grace` after their token ran
    /// out; both are looked for every `tick`. How sessions ended is remembered for `ends_kept`.
    pub(crate) fn new(
        expiry: Duration,
        token_grace: Duration,
        ends_kept: Duration,
        tick: Duration,
        now: Monotonic,
    ) -> Self {
        Self {
            state: Mutex::new(State {
                index: Index::default(),
                sessions: Vec::new(),
                free_sessions: Vec::new(),
                apps: HashMap::new(),
                wheel: Wheel::new(tick, now),
                ended: VecDeque::new(),
                ends: Ends::new(ends_kept, now),
                epochs: Followed::default(),
                questions: Vec::new(),
                next_counter: 1,
                logins: BTreeSet::new(),
                digests: Digests::default(),
                era: Era::default(),
                tally: Tally::default(),
            }),
            expiry,
            token_grace,
            interest: Interest::default(),
            to_report: Notify::new(),
        }
    }

    /// Adds the session of a login that is stored, with a token that runs out at `token_end`. It is owed what its
    /// user's other sessions are shown.
    pub(crate) fn add_session(
        &self,
        key: UserKey,
        counter: u64,
        login: LoginRecord,
        codec: Codec,
        heard: Monotonic,
        token_end: Monotonic,
    ) -> Arc<SessionHandle> {
        let mut state = self.state.lock();
        let (user, new) = state.index.add_session(key);
        if new {
            self.begin_interest(&mut state, user);
        }
        let slot = state.free_sessions.pop().unwrap_or_else(|| {
            state.sessions.push(None);
            SessionSlot::try_from(state.sessions.len() - 1).unwrap_or(SessionSlot::MAX)
        });
        let handle = Arc::new(SessionHandle::new(key, counter, login, slot, heard, token_end));
        let mut session = Session::new(Arc::clone(&handle), user, codec);
        state.mark_known(&mut session);
        state.sessions[slot as usize] = Some(session);
        state.digests.add(&key, counter);
        if let Some(node) = state.index.node_mut(user) {
            node.value.local.get_or_insert_default().sessions.push(slot);
        }
        state.wheel.insert(heard.plus(self.expiry).min(handle.token.at()), (slot, counter));
        handle
    }

    /// Removes a session whose connection is gone. Presence will be told, unless the `reason` is a logout: that it
    /// has stored, and is told again only if it may have been made to hold the session once more since.
    pub(crate) fn remove_session(&self, handle: &SessionHandle, reason: EndReason) {
        let mut state = self.state.lock();
        state.ends.remember(handle.key, handle.counter, reason);
        let asserted = state.sessions[handle.slot as usize].as_ref().is_some_and(|session| session.asserted);
        if reason != EndReason::Logout || asserted {
            self.queue_ended(&mut state, handle.slot, reason);
        }
        let Some(session) = state.sessions[handle.slot as usize].take() else { return };
        state.free_sessions.push(handle.slot);
        if !session.ended {
            state.digests.remove(&handle.key, handle.counter);
        }
        if let Some(node) = state.index.node_mut(session.user)
            && let Some(local) = &mut node.value.local
        {
            local.sessions.retain(|slot| *slot != handle.slot);
            if local.sessions.is_empty() {
                node.value.local = None;
            }
        }
        for gone in state.index.remove_session(session.user) {
            self.interest.remove(gone);
        }
    }

    /// Asks the connections of sessions to close, for a reason of ours.
    pub(crate) fn close_session(&self, key: &UserKey, counter: u64, code: CloseCode) {
        self.state.lock().close(key, counter, code);
    }

    /// Asks all connections to close.
    pub(crate) fn close_all(&self, code: CloseCode) {
        for session in self.state.lock().sessions.iter().flatten() {
            session.handle.order_close(code);
        }
    }

    /// Does not count a time in which nobody could be heard (DESIGN P4).
    pub(crate) fn excuse(&self, pause: Duration, now: Monotonic) {
        for session in self.state.lock().sessions.iter().flatten() {
            session.handle.heard(session.handle.last_heard().plus(pause).min(now));
        }
    }

    /// Returns how many ends of sessions are remembered.
    pub(crate) fn ends(&self) -> usize {
        self.state.lock().ends.count()
    }

    /// Ends the sessions whose clients were silent for the expiry, tells those whose token has run out, and ends theirs
    /// after the grace.
    pub(crate) fn end_due(&self, now: Monotonic) {
        let mut state = self.state.lock();
        state.ends.turn(now);
        for (slot, counter) in state.wheel.advance(now) {
            let Some(session) = state.sessions[slot as usize].as_mut() else { continue };
            if session.handle.counter != counter || session.ended {
                continue;
            }
            let handle = Arc::clone(&session.handle);
            let silent = handle.last_heard().plus(self.expiry);
            let token_end = handle.token.at();
            let (ran_out, leaves) = (handle.token_ran_out(now), token_end.plus(self.token_grace));
            if now > silent {
                handle.order_close(CloseCode::HeartbeatTimeout);
                state.tally.silent += 1;
                self.queue_ended(&mut state, slot, EndReason::Timeout);
            } else if now > leaves {
                handle.order_close(CloseCode::TokenExpired);
                self.queue_ended(&mut state, slot, EndReason::Closed);
            } else {
                let next = if ran_out { leaves } else { token_end };
                state.wheel.insert(silent.min(next), (slot, counter));
            }
        }
    }

    /// Says whether a user has a session here.
    pub(crate) fn is_here(&self, key: &UserKey) -> bool {
        self.state.lock().local(key).is_some()
    }

    /// Returns how many sessions and users the gateway holds.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.sessions.len() - state.free_sessions.len(), state.index.len())
    }

    /// Returns how many pairs of a user and one it watches there are.
    pub(crate) fn edges(&self) -> usize {
        self.state.lock().index.edges()
    }

    /// Returns what has happened since the start.
    pub(crate) fn tally(&self) -> Tally {
        self.state.lock().tally
    }

    /// Tells presence that a session whose login may have been stored has no connection.
    pub(crate) fn report_lost(&self, key: UserKey, counter: u64) {
        let session = Some(session_ref(&key, counter));
        let reason = EndReason::Closed;
        let mut state = self.state.lock();
        state.ends.remember(key, counter, reason);
        state.ended.push_back(EndedConnection { session, reason: reason as i32 });
        self.to_report.notify_one();
    }

    /// Asks the notifier for a user who is new to the index.
    fn begin_interest(&self, state: &mut State, slot: UserSlot) {
        let era = state.next_era();
        if let Some(node) = state.index.node_mut(slot) {
            node.value.since = era;
            self.interest.add(node.key);
        }
    }

    fn queue_ended(&self, state: &mut State, slot: SessionSlot, reason: EndReason) {
        let Some(session) = state.sessions[slot as usize].as_mut() else { return };
        if std::mem::replace(&mut session.ended, true) {
            return;
        }
        let (key, counter) = (session.handle.key, session.handle.counter);
        state.digests.remove(&key, counter);
        let session = Some(session_ref(&key, counter));
        state.ends.remember(key, counter, reason);
        state.ended.push_back(EndedConnection { session, reason: reason as i32 });
        self.to_report.notify_one();
    }
}

impl State {
    fn next_era(&mut self) -> Era {
        self.era.0 += 1;
        self.era
    }

    fn close(&self, key: &UserKey, counter: u64, code: CloseCode) {
        let Some(local) = self.local(key) else { return };
        for slot in &local.sessions {
            if let Some(session) = self.sessions[*slot as usize].as_ref()
                && session.handle.counter == counter
            {
                session.handle.order_close(code);
            }
        }
    }

    fn local(&self, key: &UserKey) -> Option<&Local> {
        self.index.node(self.index.find(key)?)?.value.local.as_deref()
    }

    fn local_mut(&mut self, key: &UserKey) -> Option<&mut Local> {
        let slot = self.index.find(key)?;
        self.index.node_mut(slot)?.value.local.as_deref_mut()
    }
}

#[cfg(test)]
mod tests;
