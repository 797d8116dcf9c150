//! The bodies of outbox entries. Their heads (the first four fields of the message) are the store's.

use bytes::Bytes;
use prost::Message as _;
use rollcall_domain::{
    id::{AppId, UserId},
    user::{Change, CustomFrom, UserState},
};
use rollcall_proto::{
    common::v1 as common,
    convert,
    event::v1::{self as event, ChangeKind},
    trace::TraceParent,
};

/// Stands for a custom status that nothing is known to have decided: no record has a version so old.
const NEVER: u64 = 1;

/// Writes that a user has changed.
pub(crate) fn of_user(
    app: AppId,
    user: &UserId,
    change: Change,
    state: &UserState,
    trace: &TraceParent,
) -> Bytes {
    let kind = match change {
        Change::Status => ChangeKind::Status,
        Change::Sessions => ChangeKind::Sessions,
    };
    let ended = state.ended.iter().map(|(session, reason)| common::EndedSession {
        session: Some(convert::session_to_wire(*session)),
        reason: i32::from(*reason as u8),
    });
    let body = event::Change {
        kind: kind.into(),
        app_id: app.get(),
        user_id: user.as_str().to_owned(),
        general: i32::from(state.general() as u8),
        custom: state.custom.as_str().to_owned(),
        sessions: state.sessions.keys().copied().map(convert::session_to_wire).collect(),
        ended: ended.collect(),
        custom_version: match state.custom_from {
            CustomFrom::Never => NEVER,
            CustomFrom::Version(version) => version.0,
            CustomFrom::ThisCommit => 0,
        },
        traceparent: trace.as_str().to_owned(),
        ..event::Change::default()
    };
    body.encode_to_vec().into()
}

/// Writes that a list of a user's has changed, of the kind that is told so.
pub(crate) fn of_list(kind: ChangeKind, app: AppId, user: &UserId, trace: &TraceParent) -> Bytes {
    let body = event::Change {
        kind: kind.into(),
        app_id: app.get(),
        user_id: user.as_str().to_owned(),
        traceparent: trace.as_str().to_owned(),
        ..event::Change::default()
    };
    body.encode_to_vec().into()
}

/// Reads the trace of an entry; none if the entry does not decode.
pub(crate) fn trace_of(entry: &Bytes) -> TraceParent {
    event::Change::decode(entry.clone())
        .map(|change| TraceParent::parse(&change.traceparent))
        .unwrap_or_default()
}
