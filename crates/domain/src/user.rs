//! The state machine of one user: sessions come and go, marks stay, a status follows (SPEC A, B, H).
//!
//! One method for each event; `now` is an argument; each returns a [`Decision`], or `None` when the event
//! changes nothing. The invariants: a custom status exists only while a session exists (SPEC B3), and a time at which
//! it clears only while it does (SPEC B6).
//! Start reading at [`UserState::on_login`] in `user/session.rs`.

mod aggregate;
mod custom;
mod kick;
mod session;

use std::collections::BTreeMap;

use crate::{
    id::{DeviceId, Op, Platform, SessionId},
    status::{CustomStatus, RecordVersion, Status},
    time::Timestamp,
};

/// The greatest number of sessions of one user; one more login kicks the oldest.
pub const SESSIONS_MAX: usize = 32;
/// How many ended sessions are remembered with their reason, until their gateway has reported them.
/// All of a user's sessions can end at once, and each gateway has to hear of its own.
pub const ENDED_MAX: usize = SESSIONS_MAX;

/// One login of one device, alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The kind of device.
    pub platform: Platform,
    /// The device.
    pub device: DeviceId,
    /// The record version at which the login committed; `None` until it has.
    pub order: Option<RecordVersion>,
    /// The order of the user's login that a client continues, having come back by itself; `None` where it is this one.
    pub continues: Option<RecordVersion>,
    /// The last of its numbered commands that was applied; [`Op::NONE`] while none was.
    pub last_op: Op,
    /// Whether its gateway closed the connection, so that it lives until its deadline and its gateway has nothing more
    /// to say of it (SPEC A11).
    pub moved: bool,
}

impl Session {
    /// Makes a session whose login is to commit, and which has applied no command. `continues` is the order of the
    /// login that a client continues by itself; `None` for a login of its user.
    pub fn new(platform: Platform, device: DeviceId, continues: Option<RecordVersion>) -> Self {
        Self { platform, device, order: None, continues, last_op: Op::NONE, moved: false }
    }

    /// Returns the place among the user's logins, by which the newer kicks the older; `None`, which is the newest,
    /// until the login has committed.
    pub fn place(&self) -> Option<RecordVersion> {
        self.continues.or(self.order)
    }

    /// Says whether both are logins of one device.
    fn is_of_device(&self, other: &Self) -> bool {
        self.platform == other.platform && self.device == other.device
    }
}

/// How a session ended. Numbers are those of the wire and of stored records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum EndReason {
    /// The connection ended from the client's side, without logout.
    Closed = 1,
    /// No heartbeat was heard for the expiry.
    Timeout = 2,
    /// The client logged out.
    Logout = 3,
    /// A newer login, or the app, ended it; the client is told.
    Kicked = 4,
    /// The same device logged in again; nobody is told.
    Replaced = 5,
    /// We closed the connection, and the client is expected back (SPEC A11).
    Moved = 6,
}

impl EndReason {
    /// Says whether the user meant the session to end, or the app did: then no mark is left (SPEC A3).
    fn leaves_no_mark(self) -> bool {
        matches!(self, Self::Logout | Self::Kicked)
    }
}

/// A custom status as a session set it, or cleared it, and was told that it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastSet {
    /// The number of the command; [`Op::NONE`] for what the session found when it began.
    pub op: Op,
    /// The text.
    pub custom: CustomStatus,
    /// When it clears by itself; `None` for never.
    pub clear_at: Option<Timestamp>,
    /// The version of the record with it: of two sets of a user the later has the greater.
    pub version: RecordVersion,
}

/// What decided last what the custom status is: a set, or that the user left ONLINE. That it cleared by itself is what
/// its set said. The later one is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum CustomFrom {
    /// Nothing is known to have.
    #[default]
    Never,
    /// The commit of this version of the record.
    Version(RecordVersion),
    /// The commit that writes this, whose version is not known before.
    ThisCommit,
}

/// A session whose connection is open, as its gateway knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertion {
    /// The session.
    pub session: SessionId,
    /// The id that it had in an earlier boot of its gateway.
    pub former: SessionId,
    /// Its login.
    pub login: Session,
    /// Its last set; `None` where it knows nothing of the custom status.
    pub last_set: Option<LastSet>,
}

/// Everything that is known of one user, as of one record version.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserState {
    /// The live sessions.
    pub sessions: BTreeMap<SessionId, Session>,
    /// The platforms whose last session ended without logout, and when (SPEC A3).
    pub marks: BTreeMap<Platform, Timestamp>,
    /// What the user says they are doing.
    pub custom: CustomStatus,
    /// When that clears by itself (SPEC B6); `None` where it does not, and where there is none.
    pub clear_at: Option<Timestamp>,
    /// Since when it is what it is, also if it is none.
    pub custom_from: CustomFrom,
    /// When the last session ended; `None` while it never did.
    pub last_online_at: Option<Timestamp>,
    /// Ended sessions that their gateway has not reported yet, oldest first, at most [`ENDED_MAX`].
    pub ended: Vec<(SessionId, EndReason)>,
    /// Tokens issued in this second or before are revoked (SPEC H7): when the app kicked the user last; `None` while it
    /// never did.
    pub revoked_until: Option<Timestamp>,
}

/// What an event does to the timers of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The session expires at this time, unless heartbeats move it on.
    Set(SessionId, Timestamp),
    /// The session has ended.
    Remove(SessionId),
    /// The custom status clears at this time.
    SetClear(Timestamp),
    /// The custom status does not clear by itself any more.
    RemoveClear,
}

/// What of a user has changed, for those who hear of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The status has changed: it gets a new version.
    Status,
    /// Only the sessions have changed.
    Sessions,
}

/// All that a commit needs to know of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The state after the event.
    pub state: UserState,
    /// What becomes of the timers.
    pub timers: Vec<Timer>,
    /// Whom to tell; `None` when only bookkeeping has changed.
    pub change: Option<Change>,
    /// A version that was given away and may be lost: those that this event is given are above it. 0 for none.
    pub floor: RecordVersion,
    /// The sessions that this event ended by a decision of ours, with the reason.
    pub ended: Vec<(SessionId, EndReason)>,
}

impl UserState {
    /// Returns the status that the state amounts to.
    pub fn status(&self) -> Status {
        Status { general: self.general(), custom: self.custom.clone() }
    }

    /// Closes an event: enforces the invariant, and works out what has changed since `self`.
    fn decide(
        &self,
        mut after: Self,
        mut timers: Vec<Timer>,
        ended: Vec<(SessionId, EndReason)>,
        now: Timestamp,
    ) -> Decision {
        if after.sessions.is_empty() {
            after.custom = CustomStatus::default();
            if !self.sessions.is_empty() {
                after.custom_from = CustomFrom::ThisCommit;
                after.last_online_at = Some(now);
            }
        }
        if after.custom.is_empty() {
            after.clear_at = None;
        }
        if after.clear_at != self.clear_at {
            timers.push(after.clear_at.map_or(Timer::RemoveClear, Timer::SetClear));
        }
        let change = if after.status() != self.status() {
            Some(Change::Status)
        } else if !after.sessions.keys().eq(self.sessions.keys()) {
            Some(Change::Sessions)
        } else {
            None
        };
        Decision { state: after, timers, change, floor: RecordVersion::default(), ended }
    }
}

#[cfg(test)]
mod tests;
