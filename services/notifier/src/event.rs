//! A change as it comes from the bus, read as far as routing needs it.

use std::sync::Arc;

use rollcall_domain::{code::Refusal, partition::Partition, status::RecordVersion};
use rollcall_proto::{
    convert,
    event::v1::{Change, ChangeKind},
    trace::TraceParent,
};
use rollcall_runtime::trace;
use tracing::Span;

use crate::{interest::User, slots::Kind};

/// A change, with what says where it goes.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// The partition of its user.
    pub(crate) partition: Partition,
    /// Whose it is.
    pub(crate) user: User,
    /// What has changed.
    pub(crate) kind: Kind,
    /// Which of two changes of one kind is the later.
    pub(crate) version: RecordVersion,
    /// What is sent to gateways, shared among them.
    pub(crate) change: Arc<Change>,
}

/// Says why a change cannot be routed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Malformed {
    /// Its kind is not known.
    #[error("kind {0} is not known")]
    Kind(i32),
    /// Its user is none.
    #[error("user is refused: {}", .0.message)]
    User(Refusal),
}

impl From<Refusal> for Malformed {
    fn from(refusal: Refusal) -> Self {
        Self::User(refusal)
    }
}

impl Event {
    /// Reads a change that came from a partition.
    pub(crate) fn read(partition: Partition, change: Change) -> Result<Self, Malformed> {
        let kind = match change.kind() {
            ChangeKind::Unknown => return Err(Malformed::Kind(change.kind)),
            ChangeKind::Status => Kind::Status,
            ChangeKind::Sessions => Kind::Sessions,
            ChangeKind::List => Kind::List,
            ChangeKind::Friends => Kind::Friends,
        };
        let user = User { app: convert::app_id(change.app_id)?, user: convert::user_id(&change.user_id)? };
        let version = RecordVersion(change.record_version);
        Ok(Self { partition, user, kind, version, change: Arc::new(change) })
    }

    /// Lets the gateways go on below a span, if there is one. For an event that is not shared yet.
    pub(crate) fn follow(&mut self, span: &Span) {
        if !span.is_disabled() {
            let passed = trace::passed_on(span, &TraceParent::default());
            passed.as_str().clone_into(&mut Arc::make_mut(&mut self.change).traceparent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change() -> Change {
        Change {
            record_version: 7,
            kind: ChangeKind::List as i32,
            app_id: 1,
            user_id: "alice".to_owned(),
            ..Change::default()
        }
    }

    fn read(change: &Change) -> Result<Event, Malformed> {
        Event::read(Partition(3), change.clone())
    }

    #[test]
    fn a_change_is_read_by_user_kind_and_version() {
        let event = read(&change()).unwrap();
        assert_eq!((event.user.user.as_str(), event.kind, event.version.0), ("alice", Kind::List, 7));
        assert_eq!(*event.change, change());
    }

    #[test]
    fn what_cannot_be_routed_is_malformed() {
        for kind in [0, 99] {
            assert!(
                matches!(read(&Change { kind, ..change() }), Err(Malformed::Kind(found)) if found == kind)
            );
        }
        assert!(matches!(read(&Change { app_id: 0, ..change() }), Err(Malformed::User(_))));
        assert!(matches!(read(&Change { user_id: String::new(), ..change() }), Err(Malformed::User(_))));
    }
}
