//! Windows: how many calls of one kind a user may make in a span of time.
//!
//! A window slides: a call is allowed if fewer than the limit were allowed in the span before it. Refused calls leave
//! no trace. A store that loses its last writes forgets calls, and so may allow too many for one span; it never
//! refuses one for what it no longer knows, nor for a call that its clock has yet to reach.

use std::time::Duration;

use rollcall_domain::{
    id::{AppId, UserId},
    time::Timestamp,
};

/// What is counted apart (SPEC C4, D1, E1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Queries of others.
    Query,
    /// Subscribes.
    Subscribe,
    /// Unsubscribes.
    Unsubscribe,
}

/// Names a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    /// The app of the user.
    pub app: AppId,
    /// Whose calls are counted, over all sessions.
    pub user: UserId,
    /// Which calls.
    pub kind: Kind,
}

/// What became of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// When it was decided, by the store's clock.
    pub at: Timestamp,
    /// `None` for a call that is allowed, and counted; else how long it takes until one would be, if none comes
    /// between: more than zero, at most the span.
    pub retry_after: Option<Duration>,
}
