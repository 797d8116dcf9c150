//! What has arrived on a connection and was not asked for yet.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rollcall_client::UserStatus;
use serde_json::Value;

use super::{KEEPALIVE_ID, reply};
use crate::raw::reply::Reply;

/// The most statuses in one push (SPEC F6).
const STATUSES_PER_PUSH: usize = 100;

/// How a connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// With this close code.
    Code(u16),
    /// Without a code.
    NoCode,
}

#[derive(Debug, Default)]
pub(super) struct Inbox {
    replies: Vec<Reply>,
    pub(super) statuses: VecDeque<UserStatus>,
    pub(super) kicked: Option<i64>,
    /// Whether `draining` was pushed.
    pub(super) asked_to_move: bool,
    /// How often `tokenExpired` was pushed.
    pub(super) token_ends: u32,
    /// How the connection has ended; none while it is open.
    pub(super) end: Option<End>,
    /// The status that a gRPC stream ended with.
    pub(super) grpc_status: Option<i32>,
    /// The version last pushed of each user.
    versions: BTreeMap<String, u64>,
}

impl Inbox {
    pub(super) fn take_in(&mut self, frame: Value) {
        let Value::Object(fields) = frame else { panic!("a frame is an object: {frame}") };
        assert_eq!(fields.len(), 1, "a frame says one thing: {fields:?}");
        for (kind, body) in fields {
            assert!(self.kicked.is_none(), "nothing follows kicked, but {kind}: {body}");
            match kind.as_str() {
                "reply" => {
                    let reply = Reply::of(body);
                    if reply.id != KEEPALIVE_ID {
                        self.replies.push(reply);
                    }
                }
                "statusChanged" => self.take_push(reply::statuses(&body)),
                // One that does nothing is closed later, or stays.
                "draining" => {
                    assert!(body["reconnectAfterMs"].as_u64().is_some(), "{body}");
                    self.asked_to_move = true;
                }
                "tokenExpired" => {
                    assert!(body["closesAfterMs"].as_u64().is_some(), "{body}");
                    self.token_ends += 1;
                }
                "kicked" => self.kicked = Some(body["code"].as_i64().expect("a code")),
                _ => panic!("a frame of unknown kind {kind}: {body}"),
            }
        }
    }

    fn take_push(&mut self, statuses: Vec<UserStatus>) {
        assert!((1..=STATUSES_PER_PUSH).contains(&statuses.len()), "a push of {} statuses", statuses.len());
        let users: BTreeSet<&str> = statuses.iter().map(|status| status.user_id.as_str()).collect();
        assert_eq!(users.len(), statuses.len(), "a push names a user twice: {statuses:?}");
        for status in statuses {
            let before = self.versions.insert(status.user_id.as_str().to_owned(), status.version);
            assert!(before < Some(status.version), "SPEC F4: version {before:?}, then {status:?}");
            self.statuses.push_back(status);
        }
    }

    pub(super) fn take_reply(&mut self, id: u32) -> Option<Reply> {
        let position = self.replies.iter().position(|reply| reply.id == id)?;
        Some(self.replies.remove(position))
    }

    pub(super) fn forget<'a>(&mut self, users: impl IntoIterator<Item = &'a str>) {
        for user in users {
            self.versions.remove(user);
        }
    }

    pub(super) fn forget_all(&mut self) {
        self.versions.clear();
    }
}
