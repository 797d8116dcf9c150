//! The record of a user.

use bytes::Bytes;
use prost::Message as _;
use rollcall_domain::{
    id::{BootId, DeviceId, Op, Platform, SessionId},
    status::{CustomStatus, RecordVersion},
    time::Timestamp,
    user::{CustomFrom, EndReason, Session, UserState},
};

use super::Error;

#[derive(Clone, PartialEq, prost::Message)]
struct StoredUser {
    #[prost(message, repeated, tag = "1")]
    sessions: Vec<StoredSession>,
    #[prost(message, repeated, tag = "2")]
    marks: Vec<StoredMark>,
    #[prost(string, tag = "3")]
    custom: String,
    #[prost(uint64, optional, tag = "4")]
    last_online_at: Option<u64>,
    #[prost(message, repeated, tag = "5")]
    ended: Vec<StoredEnd>,
    #[prost(uint64, optional, tag = "6")]
    revoked_until: Option<u64>,
    #[prost(uint64, optional, tag = "7")]
    clear_at: Option<u64>,
    // 0 for never. Absent for the version of the record itself: the commit that wrote it could not know that. So it is in
    // records from before there was one, and nothing of before those comes back.
    #[prost(uint64, optional, tag = "8")]
    custom_from: Option<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StoredSession {
    #[prost(fixed64, tag = "1")]
    boot: u64,
    #[prost(uint64, tag = "2")]
    counter: u64,
    #[prost(int32, tag = "3")]
    platform: i32,
    #[prost(string, tag = "4")]
    device: String,
    // 0 means the version of the record itself: the commit that wrote it could not know its own version.
    #[prost(uint64, tag = "5")]
    order: u64,
    // 0, which takes no byte, while the session has applied no command.
    #[prost(uint64, tag = "6")]
    last_op: u64,
    // 0, which takes no byte, while the client has not come back by itself.
    #[prost(uint64, tag = "7")]
    continues: u64,
    // False, which takes no byte, but for the last moments of a session.
    #[prost(bool, tag = "8")]
    moved: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StoredMark {
    #[prost(int32, tag = "1")]
    platform: i32,
    #[prost(uint64, tag = "2")]
    at: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StoredEnd {
    #[prost(fixed64, tag = "1")]
    boot: u64,
    #[prost(uint64, tag = "2")]
    counter: u64,
    #[prost(uint32, tag = "3")]
    reason: u32,
}

/// Writes the state of a user. A login order that is not known yet is left to [`resolve`].
pub(crate) fn encode(state: &UserState) -> Bytes {
    let sessions = state.sessions.iter().map(|(id, session)| StoredSession {
        boot: id.boot.0,
        counter: id.counter,
        platform: session.platform as i32,
        device: session.device.as_str().to_owned(),
        order: session.order.unwrap_or_default().0,
        last_op: session.last_op.0,
        continues: session.continues.unwrap_or_default().0,
        moved: session.moved,
    });
    let marks = state.marks.iter().map(|(platform, at)| StoredMark { platform: *platform as i32, at: at.0 });
    let ended = state.ended.iter().map(|(id, reason)| StoredEnd {
        boot: id.boot.0,
        counter: id.counter,
        reason: *reason as u32,
    });
    let stored = StoredUser {
        sessions: sessions.collect(),
        marks: marks.collect(),
        custom: state.custom.as_str().to_owned(),
        last_online_at: state.last_online_at.map(|at| at.0),
        ended: ended.collect(),
        revoked_until: state.revoked_until.map(|at| at.0),
        clear_at: state.clear_at.map(|at| at.0),
        custom_from: match state.custom_from {
            CustomFrom::Never => Some(0),
            CustomFrom::Version(version) => Some(version.0),
            CustomFrom::ThisCommit => None,
        },
    };
    stored.encode_to_vec().into()
}

/// Reads the state of a user from a record of this version.
pub(crate) fn decode(value: Bytes, version: RecordVersion) -> Result<UserState, Error> {
    let stored = StoredUser::decode(value)?;
    let mut state = UserState {
        custom: CustomStatus::new(&stored.custom).map_err(|error| Error::field("custom status", &error))?,
        last_online_at: stored.last_online_at.map(Timestamp),
        revoked_until: stored.revoked_until.map(Timestamp),
        clear_at: stored.clear_at.map(Timestamp),
        custom_from: match stored.custom_from {
            Some(0) => CustomFrom::Never,
            Some(version) => CustomFrom::Version(RecordVersion(version)),
            None => CustomFrom::ThisCommit,
        },
        ..UserState::default()
    };
    for session in stored.sessions {
        let id = SessionId { boot: BootId(session.boot), counter: session.counter };
        let order = (session.order != 0).then_some(RecordVersion(session.order));
        let continues = (session.continues != 0).then_some(RecordVersion(session.continues));
        let device = DeviceId::new(&session.device).map_err(|error| Error::field("device", &error))?;
        let (platform, last_op) = (platform(session.platform)?, Op(session.last_op));
        let moved = session.moved;
        state.sessions.insert(id, Session { platform, device, order, continues, last_op, moved });
    }
    for mark in stored.marks {
        state.marks.insert(platform(mark.platform)?, Timestamp(mark.at));
    }
    for end in stored.ended {
        let id = SessionId { boot: BootId(end.boot), counter: end.counter };
        state.ended.push((id, reason(end.reason)?));
    }
    resolve(&mut state, version);
    Ok(state)
}

/// Gives the sessions whose login order is not known yet, and a custom status of which it is not known what it is from, the
/// version of the commit which wrote them.
pub(crate) fn resolve(state: &mut UserState, version: RecordVersion) {
    for session in state.sessions.values_mut() {
        session.order.get_or_insert(version);
    }
    if state.custom_from == CustomFrom::ThisCommit {
        state.custom_from = CustomFrom::Version(version);
    }
}

fn platform(number: i32) -> Result<Platform, Error> {
    Platform::from_number(number).map_err(|error| Error::field("platform", &error))
}

fn reason(number: u32) -> Result<EndReason, Error> {
    const ALL: [EndReason; 6] = [
        EndReason::Closed,
        EndReason::Timeout,
        EndReason::Logout,
        EndReason::Kicked,
        EndReason::Replaced,
        EndReason::Moved,
    ];
    let found = ALL.into_iter().find(|reason| *reason as u32 == number);
    found.ok_or_else(|| Error::field("reason of an ended session", &number))
}
