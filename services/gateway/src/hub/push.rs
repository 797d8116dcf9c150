//! From a change to a frame: statuses merge by version, marks say who is owed, frames are taken when a
//! connection can write.

use rollcall_domain::{
    id::{AppId, UserId},
    status::{Status, StatusVersion},
    user::EndReason,
};
use rollcall_proto::{
    client::v1::{ServerFrame, StatusChanged, server_frame::Event},
    close::CloseCode,
    convert,
    event::v1::{Change, ChangeKind},
};
use tracing::Span;
use tungstenite::Message;

use super::{Era, Hub, SessionHandle, SessionSlot, State, UserKey, index::UserSlot};
use crate::{codec::CODECS, trace};

/// The greatest number of statuses in one frame.
const STATUSES_PER_FRAME: usize = 100;

/// The newest status known of a user, and its frame in each codec once that was needed.
#[derive(Debug)]
pub(super) struct Shown {
    status: Status,
    pub(super) version: StatusVersion,
    frames: [Option<Message>; CODECS],
    /// The span of the change, until the first frame with it is taken.
    push: Option<Box<Span>>,
}

/// What of a user is to be read again.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ToRead {
    /// The subscription list.
    List(UserKey),
    /// The friends.
    Friends(UserKey),
}

/// Statuses of users of one app, with their versions.
pub(crate) type Statuses = Vec<(UserId, Status, StatusVersion)>;

impl Hub {
    /// Takes what a session is owed: one frame with up to 100 statuses. `hold_own` leaves the own status, so
    /// that the reply to a change of it comes first.
    pub(crate) fn take_output(&self, handle: &SessionHandle, hold_own: bool) -> Option<Message> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let heard = state.heard(handle.key.0);
        let session = state.sessions[handle.slot as usize].as_mut()?;
        if session.marks.is_empty() {
            return None;
        }
        let codec = session.codec;
        let targets = &state.index.node(session.user)?.targets;
        let takes_own = session.marks.own && !hold_own;
        session.marks.own &= !takes_own;
        let own = takes_own.then_some(session.user);
        let may = |place: u32| targets.get(place as usize).is_some_and(|edge| edge.kinds().meets(heard));
        let others = session.marks.take(STATUSES_PER_FRAME - usize::from(takes_own), may);
        let others = others.iter().filter_map(|place| Some(targets.get(*place as usize)?.slot()));
        let taken: Vec<UserSlot> = own.into_iter().chain(others).collect();
        match taken.as_slice() {
            [] => None,
            [slot] => {
                // One status, the usual case: the frame is made once and shared by all who are owed it.
                let node = state.index.node_mut(*slot)?;
                let user = node.key.1;
                let shown = node.value.shown.as_mut()?;
                shown.push = None;
                let status = convert::status_to_wire(&user, &shown.status, shown.version);
                let frame = shown.frames[codec as usize]
                    .get_or_insert_with(|| codec.encode(&status_changed(vec![status])));
                Some(frame.clone())
            }
            slots => {
                for slot in slots {
                    state.taken(*slot);
                }
                let statuses = slots.iter().filter_map(|slot| {
                    let node = state.index.node(*slot)?;
                    let shown = node.value.shown.as_ref()?;
                    Some(convert::status_to_wire(&node.key.1, &shown.status, shown.version))
                });
                Some(codec.encode(&status_changed(statuses.collect())))
            }
        }
    }

    /// Merges statuses that were read. `read` is the era that the read counts for, if it came after interest;
    /// a user whose interest began later must still be read.
    pub(crate) fn merge(&self, app: AppId, statuses: Statuses, read: Option<Era>) {
        let mut state = self.state.lock();
        for (user, status, version) in statuses {
            let Some(slot) = state.index.find(&(app, user)) else { continue };
            state.show(slot, status, version, None);
            if let Some(node) = state.index.node_mut(slot)
                && read.is_some_and(|era| node.value.since <= era)
            {
                node.value.synced = true;
            }
        }
    }

    /// Merges the own status that a reply carries. The session that asked hears of it by that reply alone.
    pub(crate) fn merge_own(&self, handle: &SessionHandle, status: Status, version: StatusVersion) {
        let mut state = self.state.lock();
        let Some(own) = state.index.find(&handle.key) else { return };
        let owed = state.show(own, status, version, Some(handle.slot));
        state.follow(own, owed, trace::push_of_call);
        let shown = state.index.node(own).and_then(|node| node.value.shown.as_ref());
        if shown.is_some_and(|shown| shown.version == version)
            && let Some(session) = state.sessions[handle.slot as usize].as_mut()
        {
            session.marks.own = false;
        }
    }

    /// Applies a change from the notifier: shows the status, closes the sessions that it names as ended.
    /// Returns what of the user is to be read again.
    pub(crate) fn apply_change(&self, change: &Change, boot: u64) -> Option<ToRead> {
        let app = convert::app_id(change.app_id).ok()?;
        let key = (app, convert::user_id(&change.user_id).ok()?);
        let mut state = self.state.lock();
        let slot = state.index.find(&key)?;
        let version = change.record_version;
        match change.kind() {
            ChangeKind::List => return state.list_changed(&key, version).then_some(ToRead::List(key)),
            ChangeKind::Friends => {
                return state.friends_changed(&key, version).then_some(ToRead::Friends(key));
            }
            ChangeKind::Status | ChangeKind::Sessions | ChangeKind::Unknown => {}
        }
        if let (Some(general), Ok(custom)) =
            (convert::general(change.general), convert::custom_status(&change.custom))
        {
            let version = StatusVersion(change.status_version);
            let owed = state.show(slot, Status { general, custom }, version, None);
            state.follow(slot, owed, || trace::push_of_change(&change.traceparent));
        }
        state.forget_sets(&key, change);
        for ended in &change.ended {
            let Some(session) = ended.session.filter(|session| session.boot == boot) else { continue };
            let code = convert::end_reason(ended.reason).map_or(CloseCode::SessionLost, close_code);
            state.close(&key, session.counter, code);
        }
        None
    }
}

impl State {
    /// Shows a status if it is newer, and marks everyone who is owed it, save one session. Returns how many
    /// sessions those are.
    fn show(
        &mut self,
        slot: UserSlot,
        status: Status,
        version: StatusVersion,
        save: Option<SessionSlot>,
    ) -> usize {
        let Some(node) = self.index.node_mut(slot) else { return 0 };
        if node.value.shown.as_ref().is_some_and(|shown| shown.version >= version) {
            self.tally.stale += 1;
            return 0;
        }
        self.tally.applied += 1;
        node.value.shown = Some(Shown { status, version, frames: [const { None }; CODECS], push: None });
        let Some(node) = self.index.node(slot) else { return 0 };
        let mut owed = 0;
        for session in node.value.local.iter().flat_map(|local| &local.sessions) {
            if let Some(session) = self.sessions[*session as usize].as_mut()
                && Some(session.handle.slot) != save
            {
                session.mark_own();
                owed += 1;
            }
        }
        for watcher in &node.watchers {
            let local = self.index.node(watcher.slot).and_then(|node| node.value.local.as_deref());
            for session in local.iter().flat_map(|local| &local.sessions) {
                if let Some(session) = self.sessions[*session as usize].as_mut() {
                    session.mark(watcher.place);
                    owed += 1;
                }
            }
        }
        owed
    }

    /// Keeps the span of a change that sessions are owed until the first of them takes it, or a newer status
    /// comes.
    fn follow(&mut self, slot: UserSlot, owed: usize, make: impl FnOnce() -> Span) {
        if owed == 0 {
            return;
        }
        let span = make();
        if span.is_disabled() {
            return;
        }
        span.record("rollcall.sessions", owed);
        if let Some(shown) = self.index.node_mut(slot).and_then(|node| node.value.shown.as_mut()) {
            shown.push = Some(Box::new(span));
        }
    }

    /// Notes that a frame with a user's status was taken.
    fn taken(&mut self, slot: UserSlot) {
        if let Some(shown) = self.index.node_mut(slot).and_then(|node| node.value.shown.as_mut()) {
            shown.push = None;
        }
    }
}

fn status_changed(statuses: Vec<rollcall_proto::common::v1::UserStatus>) -> ServerFrame {
    ServerFrame { event: Some(Event::StatusChanged(StatusChanged { statuses })) }
}

/// Finds how a connection is closed whose session ended, by a decision of presence.
pub(crate) fn close_code(reason: EndReason) -> CloseCode {
    match reason {
        EndReason::Kicked => CloseCode::Kicked,
        EndReason::Replaced => CloseCode::Replaced,
        EndReason::Timeout => CloseCode::HeartbeatTimeout,
        EndReason::Closed | EndReason::Logout | EndReason::Moved => CloseCode::SessionLost,
    }
}
